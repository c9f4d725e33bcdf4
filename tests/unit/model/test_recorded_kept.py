"""What of recordings is left out, and what of it is told."""

from __future__ import annotations

import base64
import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfhunt.errors import Unreadable
from perfhunt.model import redact
from perfhunt.model.recorded.access_log import read_access_log
from perfhunt.model.recorded.har import read_har
from perfhunt.model.recorded.headers import variable_of
from perfhunt.model.recorded.request import LeftOut, RecordedRequest, recorded
from perfhunt.model.recorded.traffic import traffic_of
from perfhunt.model.recorded.vegeta import read_vegeta
from perfhunt.model.testfile.template import is_template
from tests.unit.model.recordings import SHOP, answered, entry, har, question, sent

CDN = "https://cdn.test"


def left_out(read: Iterable[RecordedRequest | LeftOut]) -> list[str]:
    return [each.why for each in read if isinstance(each, LeftOut)]


def bodies(read: Iterable[RecordedRequest | LeftOut]) -> list[str]:
    return [each.body for each in read if isinstance(each, RecordedRequest)]


@pytest.mark.parametrize(
    ("around", "why"),
    [
        ({"_fromCache": "memory"}, "cache"),
        (dict(answered(200, _fetchType="Disk Cache")), "cache"),
        (dict(answered(200, _fetchedViaServiceWorker=True)), "service worker"),
        (dict(answered(0)), "no answer"),
        (dict(answered(101)), "WebSockets"),
    ],
)
def test_what_never_reached_the_server_is_left_out(around: dict[str, object], why: str) -> None:
    (reason,) = left_out(read_har(har(entry("GET", SHOP, around=around), entry("GET", SHOP))))
    assert why in reason


def test_one_broken_entry_is_left_out_and_the_others_are_read() -> None:
    read = [
        *read_har(
            har(
                {"request": None},
                entry("CONNECT", "https://h:443"),
                entry("PROPFIND", SHOP),
                entry("GET", "http://me:s3/cret@h/"),
                entry("GET", SHOP),
            )
        )
    ]
    assert len(left_out(read)) == 4 and len(bodies(read)) == 1
    assert "'PROPFIND' is no method that is sent again" in left_out(read)
    assert "s3" not in repr(read)


PROTOBUF = [("Content-Type", "application/x-protobuf")]
MULTIPART = "multipart/form-data; boundary=b"


@pytest.mark.parametrize(
    ("headers", "post", "why"),
    [
        (PROTOBUF, {"text": "\x08\x96\x01\xff"}, "binary"),
        ((), {"text": base64.b64encode(b"\x08\x96\x01").decode(), "encoding": "base64"}, "binary"),
        ((), {"text": "%%", "encoding": "base64"}, "binary"),
        ((), {"text": "x\ud800y"}, "binary"),
        ((), {"text": "caf\ufffd"}, "binary"),
        ([("Content-Encoding", "gzip")], {"text": "{}"}, "compressed"),
        ([("Content-Type", MULTIPART)], {"params": [{"name": "f", "fileName": "a"}]}, "not in the"),
        ([("Content-Type", MULTIPART), ("Content-Length", "99")], {"text": "--b--"}, "not in the"),
        ([("content-length", "1234")], {}, "not in the HAR"),
        ([("Content-Type", "text/plain;charset=latin1")], {"text": "café"}, "not UTF-8"),
    ],
)
def test_a_body_that_is_not_as_it_was_sent_is_left_out(
    headers: list[tuple[str, str]], post: dict[str, object], why: str
) -> None:
    (reason,) = left_out(read_har(har(entry("POST", SHOP, headers, None, **post))))
    assert why in reason


def test_a_body_that_is_there_is_read() -> None:
    coded = base64.b64encode("é".encode()).decode()
    read = read_har(
        har(
            entry("POST", SHOP, text=coded, encoding="base64"),
            entry("POST", SHOP, PROTOBUF, text="abc"),
            entry("POST", SHOP, [("Content-Length", "0")]),
            entry("POST", SHOP, [("Content-Type", MULTIPART)], text="--b--"),
        )
    )
    assert bodies(read) == ["é", "abc", "", "--b--"]


def test_nothing_that_can_be_sent_says_why() -> None:
    with pytest.raises(Unreadable, match=r"was found; 1 were left out: 'CONNECT' is no method"):
        traffic_of(read_har(har(entry("CONNECT", SHOP))), "x")
    with pytest.raises(Unreadable, match=r"was found$"):
        traffic_of([], "x")


@pytest.mark.parametrize("method", ["PROPFIND", "get"])
def test_a_target_of_another_method_is_no_header_of_the_one_before(method: str) -> None:
    read = [*read_vegeta(f"GET {SHOP}/a\nHost: other.test\n\n{method} {SHOP}/b\nX-B: 1")]
    assert left_out(read) == [f"{method!r} is no method that is sent again"]
    (kept,) = (each for each in read if isinstance(each, RecordedRequest))
    assert kept.headers == (("Host", "other.test"),)
    binary = {"method": "POST", "url": SHOP, "body": base64.b64encode(b"\xff").decode()}
    assert left_out(read_vegeta(json.dumps(binary)))
    with pytest.raises(Unreadable, match="line 2: 'nothing' is neither"):
        [*read_vegeta(f"GET {SHOP}/a\nnothing")]


@pytest.mark.parametrize(
    ("line", "target"),
    [
        (r'"GET /s?q=\x22a\x22 HTTP/1.1"', '/s?q="a"'),
        (r'"GET /s?q=\"a\" HTTP/1.1"', '/s?q="a"'),
        (r'"GET /caf\xC3\xA9 HTTP/1.1"', "/caf%C3%A9"),
        (r'"GET /\xFF HTTP/1.1"', "/%FF"),
        ('"GET //x/y HTTP/1.1"', "//x/y"),
        ('"GET https://h:443/a?x=1 HTTP/1.1"', "/a?x=1"),
        ('"\x1b[33mGET /x HTTP/1.1\x1b[0m" 404', "/x"),
        ('{"method": "GET", "uri": "/a", "args": "x=1"}', "/a?x=1"),
        ('{"method": "GET", "uri": "/a", "args": "-"}', "/a"),
        ('{"method": "GET", "path": "/a", "query": "?x=1"}', "/a?x=1"),
        ('{"request": {"method": "GET", "host": "h", "uri": "/a?x"}}', "/a?x"),
        ('{"req": {"method": "GET", "url": "/a"}, "msg": "request completed"}', "/a"),
        ('{"RequestMethod": "GET", "RequestPath": "/a?x=1"}', "/a?x=1"),
    ],
)
def test_lines_of_a_log_are_read(line: str, target: str) -> None:
    (request,) = read_access_log(line)
    assert isinstance(request, RecordedRequest) and request.target == target


def test_of_a_long_log_the_first_lines_are_read() -> None:
    read = [*read_access_log('"GET /a HTTP/1.1"\n' * 5, most=3)]
    assert read[3:] == [LeftOut("only the first 3 lines of a log are read", n=2)]
    assert (
        "2 were left out: only the first 3 lines of a log are read." in traffic_of(read, "x").notes
    )


def gets(*urls: str) -> list[RecordedRequest]:
    return [recorded("GET", url) for url in urls]


def test_the_place_that_is_the_service_is_preferred_to_the_commonest() -> None:
    mixed = gets(
        f"{CDN}/x", f"{CDN}/y", f"{CDN}/z", "http://localhost:8000/a", "http://[::1]:8000/b"
    )
    asked = traffic_of(mixed, "x", {("127.0.0.1", 8000)})
    assert asked.origin == "http://localhost:8000"
    assert [e.path for e in question(asked).traffic] == ["/a", "/b"]
    assert any("3 of 5 requests" in note and CDN in note for note in asked.notes)
    assert traffic_of(mixed, "x").origin == CDN
    named = [*mixed, *gets("http://devbox:9000/a")]
    assert traffic_of(named, "x", {("127.0.0.1", 9000)}).origin == "http://devbox:9000"
    other = traffic_of(mixed, "x", {("127.0.0.1", 9000)})
    assert other.origin == CDN and any("None went to port 9000" in note for note in other.notes)


def test_default_ports_and_letters_make_no_other_place() -> None:
    same = gets("https://shop.test/a", "HTTPS://Shop.test:443/a", "https://bob@shop.test/a")
    assert {request.origin for request in same} == {"https://shop.test"}
    here = gets("http://127.0.0.1/a", "http://localhost:80/b")
    assert len(question(traffic_of(here, "x")).traffic) == 2


def test_headers_that_name_one_request_make_no_kinds_of_their_own() -> None:
    every = [
        recorded("GET", f"{SHOP}/cart", [("sentry-trace", f"{n}-1"), ("X-Request-ID", str(n))])
        for n in range(200)
    ]
    traffic = traffic_of([*every, *gets(f"{SHOP}/home")], "x")
    assert [(e.name, e.weight) for e in question(traffic).traffic] == [
        ("GET /cart", 200),
        ("GET /home", 1),
    ]
    assert any("sentry-trace 200" in note and "x-request-id 200" in note for note in traffic.notes)


def test_a_header_of_many_values_is_sent_with_the_request_it_came_with(tmp_path: Path) -> None:
    every = [recorded("GET", f"{SHOP}/cart", [("X-Shop", str(n))]) for n in range(50)]
    traffic = traffic_of(every, "x")
    assert len(question(traffic).traffic) == 1
    assert sent(traffic, tmp_path).keys() == {
        ("GET /cart HTTP/1.1", f"Accept: */*\nHost: shop.test:8000\nX-Shop: {n}", b"")
        for n in range(50)
    }


@pytest.mark.parametrize(
    "name",
    [
        *("X-Jwt", "X-Signature", "X-Hub-Signature-256", "X-Sid", "X-Bearer", "X-OTP", "X-Pwd"),
        *("X-Goog-Iap-Jwt-Assertion", "Api-Key", "X-Amz-Security-Token", "Cookie"),
    ],
)
def test_a_header_that_may_be_secret_is_a_variable(name: str) -> None:
    (_, value) = recorded("GET", SHOP, [(name, "s3cret")]).headers[0]
    assert value == f"${{{variable_of(name)}}}"


def test_a_value_that_looks_like_a_key_is_a_variable_and_other_values_are_kept() -> None:
    kept = [
        ("Accept", "application/vnd.github.v3+json;version=123"),
        ("X-Account", "7"),
        ("X-Client", "shop-ios 12.4.1"),
    ]
    made = recorded("GET", SHOP, [*kept, ("X-Device", "4f9c2d1e-88aa-4b7e-9c1d-0123456789ab")])
    assert made.headers == (*kept, ("X-Device", "${X_DEVICE}"))


@pytest.mark.parametrize(
    "name", ["Path", "Home", "Lang", "Ld-Preload", "Http-Proxy", "Term", "2fa"]
)
def test_no_variable_is_one_that_programs_know(name: str) -> None:
    assert variable_of(name).startswith("HEADER_")


def test_several_cookies_that_become_one_are_told() -> None:
    every = [recorded("GET", SHOP, [("Cookie", f"s={n % 5}")]) for n in range(9)]
    traffic = traffic_of(every, "x")
    assert any(note.startswith("COOKIE stands for 5 different") for note in traffic.notes)
    assert len(question(traffic, COOKIE="s=1").traffic) == 1


def test_secrets_of_queries_and_bodies_are_told_by_their_names() -> None:
    every = [
        recorded("POST", f"{SHOP}/a?api_key=k1&keyword=x", (), '{"user": {"password": "p1"}}'),
        recorded("POST", f"{SHOP}/b", (), "accessToken=t1&name=x"),
    ]
    (told,) = (note for note in traffic_of(every, "x").notes if "may be secret" in note)
    assert told.endswith("as they were recorded: api_key, password, accessToken.")


@pytest.mark.parametrize("path", ["/item/alice@example.com", "/reset/kJ9hG-_x", "/a;sid=1/b"])
def test_a_name_shows_nothing_that_would_be_redacted(path: str) -> None:
    (endpoint,) = question(traffic_of(gets(f"{SHOP}{path}"), "x")).traffic
    assert endpoint.path == path
    shown = endpoint.name.removeprefix("GET ")
    assert redact.url(shown.replace("*", "")) == shown.replace("*", "")


def test_accept_encoding_is_kept_and_what_answers_may_depend_on_is_told() -> None:
    headers = [("Accept-Encoding", "gzip, br"), ("Origin", SHOP), ("If-None-Match", '"x"')]
    traffic = traffic_of([recorded("GET", SHOP, headers)] * 3, "x")
    (endpoint,) = question(traffic).traffic
    assert endpoint.headers == (("Accept-Encoding", "gzip, br"),)
    assert any(
        "origin 3, if-none-match 3" in n or "if-none-match 3, origin 3" in n for n in traffic.notes
    )


def test_a_path_may_hold_a_url() -> None:
    (endpoint,) = question(traffic_of(gets(f"{SHOP}/fetch/http://other.test/x"), "x")).traffic
    assert endpoint.path == "/fetch/http://other.test/x"


ascii_text = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=12)
paths = ascii_text.map(lambda text: "/" + text.replace("#", ""))
written = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), max_size=12
)
header_values = st.text("abc {}$:/", max_size=6).map(lambda text: f"x{text}x")


@given(st.lists(st.tuples(paths, header_values, written), min_size=1, max_size=8))
def test_whatever_was_recorded_is_what_is_sent(asked: list[tuple[str, str, str]]) -> None:
    read = read_har(
        har(*(entry("POST", SHOP + path, [("X-A", a)], text=text) for path, a, text in asked))
    )
    traffic = traffic_of(read, "x")
    expected = Counter(
        (f"POST {path} HTTP/1.1", "X_A" if is_template(a) else a, text.encode())
        for path, a, text in asked
    )
    with tempfile.TemporaryDirectory() as place:
        requests = sent(traffic, Path(place), X_A="X_A")
    value = re.compile(r"^X-A: (.*)$", re.MULTILINE)
    assert expected == Counter(
        {
            (first, found[1], body): n
            for (first, head, body), n in requests.items()
            if (found := value.search(head))
        }
    )
