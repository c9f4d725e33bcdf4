"""Commands of curl: words as bash has them, and requests as curl sends them. What is expected was
sent by curl 7.88 from bash 5.2.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfhunt.errors import Unreadable
from perfhunt.model.recorded.curl import read_curl
from perfhunt.model.recorded.request import AS_BASIC
from perfhunt.model.recorded.shell_words import shell_words
from perfhunt.model.recorded.traffic import traffic_of
from tests.unit.model.recordings import SHOP, sent

FORM = "Content-Type: application/x-www-form-urlencoded"
JSON = "Content-Type: application/json"
GET = ("GET /a HTTP/1.1", "Accept: */*\nHost: shop.test:8000", b"")


def post(body: str, *headers: str) -> tuple[str, str, bytes]:
    raw = body.encode()
    lines = [*headers, f"Content-Length: {len(raw)}", "Host: shop.test:8000"]
    if not any(line.startswith("Accept:") for line in lines):
        lines.append("Accept: */*")
    return "POST /a HTTP/1.1", "\n".join(sorted(lines)), raw


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("> /dev/null", [GET]),
        ("2>/dev/null | jq .", [GET]),
        ("&>/dev/null", [GET]),
        ("2>&1 >out", [GET]),
        ("# said somebody", [GET]),
        ("-sSLo /dev/null -w '%{http_code}\\n'", [GET]),
        (SHOP + "/a", [GET, GET]),
        ("-d ''", [post("", FORM)]),
        ("-sX POST", [post("")]),
        ("-d color=#fff", [post("color=#fff", FORM)]),
        ("-d 'cost=5$' -d 'x=y'", [post("cost=5$&x=y", FORM)]),
        ("-d 'a;b|c & d'", [post("a;b|c & d", FORM)]),
        ('-d "\\$x \\"q\\" \\n"', [post('$x "q" \\n', FORM)]),
        ("--data-raw $'it\\'s \\u0021\\n\\xc3\\xa9\\u00e9\\x41'", [post("it's !\nééA", FORM)]),
        (f"-H '{JSON}' -d '{{\n  \"a\": 1\n}}'", [post('{\n  "a": 1\n}', JSON)]),
        ("--json '{\"a\":' --json '1}'", [post('{"a":1}', JSON, "Accept: application/json")]),
        ("--data-urlencode '=a b' --data-urlencode 'n=a b&c~'", [post("a+b&n=a+b%26c~", FORM)]),
        ("-H 'Content-Type:' -d x", [post("x")]),
        ("-d 1 --next " + SHOP + "/a", [post("1", FORM), GET]),
    ],
)
def test_what_curl_sends_is_sent(
    rest: str, expected: list[tuple[str, str, bytes]], tmp_path: Path
) -> None:
    traffic = traffic_of(read_curl(f"$ curl {SHOP}/a {rest}"), "perfhunt")
    assert sorted(sent(traffic, tmp_path).elements()) == sorted(expected)


@pytest.mark.parametrize(
    ("options", "headers"),
    [
        ("-H 'Host: other.test'", "Accept: */*\nHost: other.test"),
        ("-H 'X-Empty;'", "Accept: */*\nHost: shop.test:8000\nX-Empty: "),
        (
            "--compressed",
            "Accept-Encoding: deflate, gzip, br, zstd\nAccept: */*\nHost: shop.test:8000",
        ),
        ("-H 'Accept: a/b'", "Accept: a/b\nHost: shop.test:8000"),
    ],
)
def test_headers_are_those_of_curl(options: str, headers: str, tmp_path: Path) -> None:
    traffic = traffic_of(read_curl(f"curl.exe {options} {SHOP}/a"), "perfhunt")
    assert [*sent(traffic, tmp_path)] == [(GET[0], headers, b"")]


def test_a_query_and_a_path_are_as_they_were_written(tmp_path: Path) -> None:
    target = '//a//b?v={"id":1}&w={sku}&{x:url}|'
    traffic = traffic_of(read_curl(f"curl -g '{SHOP}{target}' '{SHOP}/c?'"), "perfhunt")
    assert {first for first, _, _ in sent(traffic, tmp_path)} == {
        f"GET {target} HTTP/1.1",
        "GET /c? HTTP/1.1",
    }


@pytest.mark.parametrize("command", [f"-u bob:pw {SHOP}/", "http://bob:pw@shop.test:8000/"])
def test_a_user_becomes_a_header_to_export_and_its_form_is_told(command: str) -> None:
    (request,) = read_curl(f"curl {command}")
    assert request.headers == (("Authorization", "${AUTHORIZATION}"),)
    notes = traffic_of([request], "x").notes
    assert AS_BASIC in notes and "pw" not in repr((request, notes)).replace("PASSWORD", "")


def test_what_a_test_file_cannot_say_is_told() -> None:
    command = f"curl -H 'Accept:' -H 'X-A: 1' -H 'x-a: 2' -e http://r/ {SHOP}/"
    told = " ".join(traffic_of(read_curl(command), "x").notes)
    assert "no Accept, and Accept: */* is sent" in told
    assert "Several lines of X-A" in told
    assert "left out (in so many requests): referer 1" in told


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("", "there is no curl command"),
        ("# curl http://a/", "there is no curl command"),
        ("curl http://a/[1-3]", "pattern of several"),
        ("curl 'http://a/{b,c}'", "pattern of several"),
        ("curl http://a/../b", "out of a path"),
        ("curl http://a/ -H @names", "headers are in the file 'names'"),
        ("curl http://a/ -b jar.txt", r"cookies are in the file 'jar\.txt'"),
        ("curl http://a/ --data-urlencode name@file", "body is in the file 'file'"),
        ('curl http://a/ -d "$HOME"', r"\$HOME is a variable"),
        ("curl http://a/ -d $(date)", "for a shell to work out"),
        ("curl http://a/ -d @- <<E\nx\nE", "for a shell to work out"),
        ('curl ^"http://a/^" ^\n -H ^"b: c^"', "Windows"),
        ("curl http://a/ | jq . && wget http://b/", "'wget' is no curl command"),
        ("curl -sZq9 http://a/", "option -q"),
    ],
)
def test_what_cannot_be_sent_so_is_refused(command: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        [*read_curl(command)]


plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(st.lists(plain, min_size=1, max_size=4))
def test_words_that_were_quoted_are_read_as_they_were(words: list[str]) -> None:
    assert [word.text for word in shell_words(shlex.join(words))] == words


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash to ask")
def test_words_are_those_of_bash() -> None:
    line = r"""a\ b "c\d\"$'" $'e\tf\x41\101\u00e9\'\q' g'h'"i"\j k#l '' $"m" n\
o"""
    out = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True)
    assert [word.text for word in shell_words(line)] == out.stdout.decode().split("\0")[:-1]
