"""Traffic that was recorded elsewhere: read as it is, and sent again as it was."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfhunt.errors import QuestionError, Unreadable
from perfhunt.model.recorded.access_log import read_access_log
from perfhunt.model.recorded.curl import read_curl
from perfhunt.model.recorded.har import read_har
from perfhunt.model.recorded.request import RecordedRequest, recorded
from perfhunt.model.recorded.traffic import ENDPOINTS, traffic_of
from perfhunt.model.recorded.vegeta import read_vegeta
from perfhunt.model.testfile.testfile import parse_question
from perfhunt.model.testfile.thresholds import BLANK
from perfhunt.model.testfile.traffic_table import Surroundings
from perfhunt.store.init_file import init_text
from tests.unit.model.recordings import SHOP, entry, har, question

BROWSER = [
    (":authority", "shop.test"),
    ("User-Agent", "Mozilla/5.0"),
    ("Sec-Fetch-Mode", "cors"),
    ("Accept", "application/json"),
    ("Cookie", "session=s3cret"),
]


def test_a_har_is_read_without_what_the_browser_adds_and_without_secrets() -> None:
    read = [
        *read_har(
            har(
                entry("GET", f"{SHOP}/items?page=2", BROWSER),
                entry("POST", f"{SHOP}/pay", text='{"sku": "A1"}', mimeType="application/json"),
                entry("POST", f"{SHOP}/form", params=[{"name": "a b", "value": "c&d"}]),
                entry("GET", "data:image/png;base64,AAAA"),
                entry("GET", "wss://shop.test/live"),
            )
        )
    ]
    requests = [each for each in read if isinstance(each, RecordedRequest)]
    assert [(r.method, r.target, r.body) for r in requests] == [
        ("GET", "/items?page=2", ""),
        ("POST", "/pay", '{"sku": "A1"}'),
        ("POST", "/form", "a+b=c%26d"),
    ]
    assert requests[0].headers == (("Accept", "application/json"), ("Cookie", "${COOKIE}"))
    assert {r.origin for r in requests} == {SHOP}
    assert "2 were left out: they went over no HTTP." in traffic_of(read, "x").notes


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (f"curl {SHOP}/a", ("GET", "/a", "")),
        (f"curl '{SHOP}/a?b=c' --compressed -k", ("GET", "/a?b=c", "")),
        ("curl shop.test/a", ("GET", "/a", "")),
        (f"curl -X PUT {SHOP}/a -d x=1 -d y=2", ("PUT", "/a", "x=1&y=2")),
        (f"curl -G {SHOP}/a --data-urlencode 'q=a b'", ("GET", "/a?q=a+b", "")),
        (f"curl {SHOP}/a --json '{{\"n\":1}}'", ("POST", "/a", '{"n":1}')),
        (f"curl -I {SHOP}/a", ("HEAD", "/a", "")),
        (f"curl \\\n  -H 'Accept: text/html' \\\n  {SHOP}/a", ("GET", "/a", "")),
        (f"curl --url={SHOP}/a -sS", ("GET", "/a", "")),
    ],
)
def test_a_curl_command_is_read_as_curl_reads_it(
    command: str, expected: tuple[str, str, str]
) -> None:
    (request,) = read_curl(command)
    assert (request.method, request.target, request.body) == expected


def test_several_curl_commands_with_secrets_are_several_requests() -> None:
    text = (
        f"curl {SHOP}/a -u me:s3cret &\ncurl '{SHOP}/b' -H 'Authorization: Bearer s3cret' -b k=v;"
    )
    first, second = read_curl(text)
    assert first.headers == (("Authorization", "${AUTHORIZATION}"),)
    assert dict(second.headers) == {"Authorization": "${AUTHORIZATION}", "Cookie": "${COOKIE}"}
    assert "s3cret" not in repr((first, second))


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("wget http://a/", "no curl command"),
        ("curl http://a/ --upload-file x", "--upload-file"),
        ("curl http://a/ -d @body.json", "body.json"),
        ("curl -s", "no url"),
        ("curl 'http://a/", "quotation"),
        ("curl ftp://a/", "not sent over HTTP"),
        ("curl -X PURGE http://a/", "PURGE"),
    ],
)
def test_a_curl_command_that_would_send_something_else_is_refused(command: str, told: str) -> None:
    with pytest.raises(Unreadable, match=told):
        [*read_curl(command)]


def test_both_formats_of_vegeta_say_the_same() -> None:
    lines = f"# targets\nGET {SHOP}/a\nX-Account: 7\n\nPOST {SHOP}/b\n\nDELETE {SHOP}/c"
    objects = [
        {"method": "GET", "url": f"{SHOP}/a", "header": {"X-Account": ["7"]}},
        {"method": "POST", "url": f"{SHOP}/b"},
        {"method": "DELETE", "url": f"{SHOP}/c"},
    ]
    requests = [*read_vegeta(lines)]
    assert requests == [*read_vegeta("\n".join(map(json.dumps, objects)))]
    first = requests[0]
    assert isinstance(first, RecordedRequest) and first.headers == (("X-Account", "7"),)
    body = base64.b64encode(b'{"a": 1}').decode()
    (posted,) = read_vegeta(json.dumps({"method": "POST", "url": f"{SHOP}/", "body": body}))
    assert isinstance(posted, RecordedRequest) and posted.body == '{"a": 1}'
    with pytest.raises(Unreadable, match=r"body\.json"):
        [*read_vegeta(f"POST {SHOP}/\n@body.json")]


LOG = """\
10.0.0.1 - - [27/Nov/2026:14:00:00 +0000] "GET /items/17?x=1 HTTP/1.1" 200 512 "-" "curl/8"
10.0.0.1 - - [27/Nov/2026:14:00:01 +0000] "GET /items/18 HTTP/1.1" 200 512 "-" "curl/8"
10.0.0.1 - - [27/Nov/2026:14:00:01 +0000] "POST /pay HTTP/1.1" 200 512 "-" "curl/8"
10.0.0.1 - - [27/Nov/2026:14:00:02 +0000] "\\x16\\x03\\x01" 400 0 "-" "-"
10.0.0.1 - - [27/Nov/2026:14:00:02 +0000] "GET / HTTP/2.0" 200 512 "-" "curl/8"
"""


def targets(log: str) -> list[str]:
    return [r.target for r in read_access_log(log) if isinstance(r, RecordedRequest)]


def test_an_access_log_gives_the_requests_that_have_no_body() -> None:
    assert targets(LOG) == ["/items/17?x=1", "/items/18", "/"]
    told = " ".join(traffic_of(read_access_log(LOG), "x").notes)
    assert "1 were left out: a log has no bodies" in told
    assert "1 were left out: their lines hold no request" in told
    lines = [
        '{"request": "GET /a HTTP/1.1", "status": 200}',
        '{"method": "get", "uri": "/b"}',
        '{"request_method": "GET", "path": "/c"}',
    ]
    assert targets("\n".join(lines)) == ["/a", "/b", "/c"]
    with pytest.raises(Unreadable, match="2 of 2 lines"):
        [*read_access_log("hello\nthere\n")]


def test_weights_are_counts_and_many_of_one_shape_are_a_feed() -> None:
    every = [recorded("GET", f"{SHOP}/items/{n}") for n in range(10) for _ in range(2)]
    every += [recorded("GET", f"{SHOP}/")] * 5
    traffic = traffic_of(every, "perfhunt")
    asked = question(traffic)
    assert [(e.name, e.weight) for e in asked.traffic] == [("GET /items/*", 20), ("GET /", 5)]
    rows = [json.loads(line) for line in traffic.feeds["perfhunt-1.jsonl"].splitlines()]
    assert [row["path"] for row in rows] == [f"/items/{n}" for n in range(10) for _ in range(2)]
    assert asked.target.url == SHOP


def test_bodies_go_with_their_paths() -> None:
    every = [recorded("POST", f"{SHOP}/pay", (), json.dumps({"n": n})) for n in range(5)]
    traffic = traffic_of(every, "perfhunt")
    (endpoint,) = question(traffic).traffic
    assert (endpoint.path, endpoint.body) == ("{path:raw}", "{body:raw}")


def test_a_body_that_looks_like_a_template_is_sent_as_it_is() -> None:
    traffic = traffic_of([recorded("POST", SHOP, (), "{name} costs ${PRICE}")], "perfhunt")
    (endpoint,) = question(traffic).traffic
    assert endpoint.body == "{body:raw}"
    assert "{name} costs ${PRICE}" in traffic.feeds["perfhunt-1.jsonl"]


def test_other_hosts_and_rare_kinds_are_left_out_and_that_is_said() -> None:
    every = [recorded("GET", f"{SHOP}/{chr(97 + n % 26) * (1 + n // 26)}") for n in range(60)] * 2
    every.append(recorded("GET", "https://fonts.test/a.css"))
    traffic = traffic_of(every, "perfhunt")
    assert len(question(traffic).traffic) == ENDPOINTS
    told = " ".join(traffic.notes)
    assert "1 of 121 requests went to other places (https://fonts.test)" in told
    assert "20 rare kinds" in told


def test_a_secret_is_asked_for_by_the_name_of_its_variable() -> None:
    (request,) = read_curl(f"curl {SHOP}/ -H 'X-Api-Key: s3cret'")
    traffic = traffic_of([request], "perfhunt")
    with pytest.raises(QuestionError, match="export X_API_KEY="):
        question(traffic)
    (endpoint,) = question(traffic, X_API_KEY="s3cret").traffic
    assert endpoint.headers == (("X-Api-Key", "${X_API_KEY}"),)
    assert "s3cret" not in init_text(None, None, traffic) and "X_API_KEY" in traffic.notes[0]


def test_a_header_that_a_test_file_cannot_hold_comes_from_the_environment() -> None:
    made = recorded("GET", SHOP, [("X-A", "{page}"), ("X-B", '{"n": 1}'), ("X-C", "caf\u00e9")])
    assert made.headers == (("X-A", "${X_A}"), ("X-B", '{"n": 1}'), ("X-C", "${X_C}"))


def test_whose_traffic_another_host_serves_is_for_a_person_to_say() -> None:
    elsewhere = traffic_of([recorded("GET", "https://shop.example/")], "x")
    text = init_text(None, None, elsewhere).replace(f"{BLANK}ms", "40ms").replace(f"{BLANK}%", "1%")
    with pytest.raises(QuestionError, match=r"target\.environment: .*production"):
        parse_question(text, "perfhunt.toml", Surroundings({}, lambda name: b""))
    here = traffic_of([recorded("GET", "http://127.0.0.1:8000/")], "x")
    assert question(here).target.environment == "local"


def test_nothing_recorded_is_no_traffic() -> None:
    with pytest.raises(Unreadable, match="no request"):
        traffic_of([], "perfhunt")


urls = st.text(max_size=30).map(lambda text: f"{SHOP}/{text}")


@given(
    st.lists(st.tuples(st.sampled_from(["GET", "POST"]), urls, st.text(max_size=20)), min_size=1)
)
def test_whatever_was_recorded_the_file_can_be_read(asked: list[tuple[str, str, str]]) -> None:
    every = [recorded(method, url, (), body) for method, url, body in asked]
    traffic = traffic_of(every, "perfhunt")
    assert sum(endpoint.weight for endpoint in question(traffic).traffic) == len(every)


@pytest.mark.parametrize("url", ["http://[::1/a", "http://a:b/c", "http://:80/", "http://a b/c"])
def test_a_request_to_a_host_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(Unreadable, match="line 3"):
        recorded("GET", url, where="line 3")


@given(st.text())
def test_no_text_is_read_with_anything_but_a_refusal(text: str) -> None:
    for reader in (read_har, read_curl, read_vegeta, read_access_log):
        try:
            read = [*reader(text)]
        except Unreadable:
            continue
        requests = [each for each in read if isinstance(each, RecordedRequest)]
        assert all(request.target.startswith("/") for request in requests)
