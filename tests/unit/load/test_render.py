"""Requests are whole, marked, and filled before the first of them is sent."""

import hashlib
import os
from pathlib import Path

import pytest

from perfhunt import __version__
from perfhunt.errors import LoadFailed
from perfhunt.load.child.http.framing import ResponseHead
from perfhunt.load.render import prepare
from perfhunt.model.question import RequestTemplate
from perfhunt.model.testfile.feed import parse_feed
from perfhunt.model.traffic.parts import Feed
from tests.unit.model.testfiles import SLO, parse, refusal


def render(endpoint: RequestTemplate, row: int = 0, **env: str) -> str:
    return prepare(endpoint, "shop.test:8000", "r1", env).get(row).decode()


def test_a_get_has_a_host_the_marks_of_the_run_and_no_length() -> None:
    assert (
        render(RequestTemplate("it", "GET", "/items"))
        == f"GET /items HTTP/1.1\r\nHost: shop.test:8000\r\nUser-Agent: perfhunt/{__version__}"
        " (run=r1)\r\nX-Perfhunt-Run: r1\r\nAccept: */*\r\n\r\n"
    )


def test_a_body_has_its_length_in_bytes_and_a_post_without_one_says_zero() -> None:
    assert "Content-Length: 3\r\n\r\nä!" in render(RequestTemplate("it", "POST", "/", body="ä!"))
    assert "Content-Length: 0\r\n\r\n" in render(RequestTemplate("it", "POST", "/"))


def test_headers_of_the_endpoint_win_over_ours() -> None:
    text = render(
        RequestTemplate("it", "GET", "/", headers=(("host", "other"), ("user-agent", "me")))
    )
    assert "host: other" in text
    assert "Host: shop" not in text
    assert "perfhunt/" not in text
    assert "X-Perfhunt-Run: r1" in text


def test_secrets_come_from_the_environment_and_a_missing_one_is_named() -> None:
    endpoint = RequestTemplate("it", "GET", "/", headers=(("Authorization", "Bearer ${TOKEN}"),))
    assert "Authorization: Bearer s3cret\r\n" in render(endpoint, TOKEN="s3cret")
    with pytest.raises(LoadFailed, match="TOKEN"):
        render(endpoint)


def test_a_header_is_sent_as_utf_8() -> None:
    text = f"{SLO}[[traffic]]\nrequest = 'GET /'\nheaders = {{ X-A = 'é€ ${{B}}' }}"
    (endpoint,) = parse(text, B="ü").traffic
    raw = prepare(endpoint, "shop.test:8000", "r1", {"B": "ü"}).get(0)
    assert b"\r\nX-A: \xc3\xa9\xe2\x82\xac \xc3\xbc\r\n" in raw
    assert "the value of B holds bytes that are not UTF-8" in refusal(text, B=os.fsdecode(b"\xff"))


def test_feed_values_are_quoted_in_the_path_and_escaped_in_json(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text('name\nplain\n"a b/""c"""\n')
    feed = Feed(str(file), ("name",), hashlib.sha256(file.read_bytes()).hexdigest())
    endpoint = RequestTemplate(
        "it",
        "POST",
        "/{name}",
        headers=(("Content-Type", "application/json"),),
        body='{"n":"{name}"}',
        feed=feed,
    )
    assert render(endpoint, 0).startswith("POST /plain HTTP/1.1")
    filled = render(endpoint, 1)
    assert filled.startswith("POST /a%20b%2F%22c%22 HTTP/1.1")
    assert filled.endswith('{"n":"a b/\\"c\\""}')
    file.write_text("name\nother\n")
    with pytest.raises(LoadFailed, match="changed"):
        render(endpoint)


def test_a_line_break_cannot_be_smuggled_into_a_header() -> None:
    with pytest.raises(LoadFailed, match="line break"):
        render(RequestTemplate("it", "GET", "/", headers=(("X", "${V}"),)), V="a\r\nEvil: yes")


@pytest.mark.parametrize(
    ("pieces", "until_close"),
    [
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"], False),
        ([b"HTTP/1.1 200 OK\r\ncontent-", b"length : 5\r", b"\n\r\nhe"], False),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"], False),
        ([b"HTTP/1.1 200 OK\r\nX-Content-Length: 5\r\n\r\nhe"], True),
        ([b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nx"], True),
        ([b"HTTP/1.1 304 Not Modified\r\n\r\n"], False),
    ],
)
def test_a_body_runs_until_the_close_only_when_no_header_says_where_it_ends(
    pieces: list[bytes], until_close: bool
) -> None:
    head = ResponseHead()
    assert all(head.feed(piece) for piece in pieces)
    assert head.whole
    assert head.until_close is until_close


def test_a_head_without_end_is_given_up_at_64_kib() -> None:
    head = ResponseHead()
    assert head.feed(b"HTTP/1.1 200 OK\r\n" + b"x" * 60_000)
    assert not head.feed(b"x" * 10_000)


def replayed(request: str, tmp_path: Path, *rows: str) -> list[str]:
    file = tmp_path / "paths.csv"
    file.write_text("\n".join(["path", *rows]))
    feed = Feed(str(file), ("path",), hashlib.sha256(file.read_bytes()).hexdigest())
    made = prepare(RequestTemplate("it", "GET", request, feed=feed), "h", "r1", {})
    return [made.get(n).decode().split(" ")[1] for n in range(made.rows)]


RECORDED = ("/products/red-shoes/42", "/search?q=caf%C3%A9&page=2", "/a%2Fb")


def test_a_recorded_path_is_sent_as_it_was(tmp_path: Path) -> None:
    assert replayed("{path:raw}", tmp_path, *RECORDED) == [*RECORDED]
    assert replayed("/v1{path:raw}", tmp_path, "/a?b=%20") == ["/v1/a?b=%20"]


def test_a_column_of_paths_is_not_put_into_a_segment(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match=r"whole paths") as refused:
        replayed("/{path}", tmp_path, *RECORDED)
    assert 'request = "GET {path:raw}"' in refused.value.hint
    with pytest.raises(LoadFailed, match=r"whole paths") as refused:
        replayed("/v1/{path}", tmp_path, *(path[1:] for path in RECORDED))
    assert 'request = "GET /v1/{path:raw}"' in refused.value.hint
    assert replayed("/{path:encoded}", tmp_path, "a/b", "/c") == ["/a%2Fb", "/%2Fc"]
    assert replayed("/{path}", tmp_path, "a/b", "c") == ["/a%2Fb", "/c"]  # these are names
    assert replayed("/next?to={path}", tmp_path, "/a") == ["/next?to=%2Fa"]


@pytest.mark.parametrize("path", ["/a b", "/caf\u00e9", "a", "/a\tb", "//evil.example/\x7f"])
def test_a_recorded_path_that_no_request_line_can_hold_is_refused(
    path: str, tmp_path: Path
) -> None:
    with pytest.raises(LoadFailed, match=r"request line|one line"):
        replayed("{path:raw}", tmp_path, path)


@pytest.mark.parametrize(
    "text",
    [
        "id,name\n7,a;b\n",
        "\ufeffid;name\r\n7;a;b\r\n".replace("a;b", '"a;b"'),
        "id\tname\n7\ta;b\n",
        'id;name\n7;"a;b"\n',
    ],
)
def test_a_feed_may_come_from_any_spreadsheet(text: str) -> None:
    assert parse_feed("rows.csv", text.encode()) == ({"id": "7", "name": "a;b"},)


def test_each_row_goes_in_a_session_where_one_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("id\n1\n2\n3\n")
    feed = Feed(str(file), ("id",), "")
    sessions = [{"token": "t-a", "user": "a"}, {"token": "t-b", "user": "b"}]
    bearer = (("A", "{token}"),)

    def sent(endpoint: RequestTemplate) -> list[str]:
        made = prepare(endpoint, "h", "r1", {}, sessions)
        return [made.get(n).decode() for n in range(made.rows)]

    fed = sent(RequestTemplate("it", "GET", "/{id}/{user}", headers=bearer, feed=feed))
    assert [text.split(" ")[1] for text in fed] == ["/1/a", "/2/b", "/3/a"]
    assert [text.split("A: t-")[1][0] for text in fed] == ["a", "b", "a"]
    alone = sent(RequestTemplate("it", "GET", "/{user}", headers=bearer))
    assert [text.split(" ")[1] for text in alone] == ["/a", "/b"]
    assert len(sent(RequestTemplate("it", "GET", "/{id}", feed=feed))) == 3
    assert len(sent(RequestTemplate("it", "GET", "/"))) == 1
