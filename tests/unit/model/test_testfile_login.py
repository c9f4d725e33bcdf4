"""`[login]`: what it gives the traffic, and what of it is refused or stored."""

from __future__ import annotations

import pytest

from perfhunt.errors import Unreadable
from perfhunt.model import redact
from perfhunt.model.question import Question
from perfhunt.model.testfile.feed import is_place, value_at
from tests.unit.model.testfiles import SLO, parse, refusal

LOGIN = """[login]
request = "POST /login?next=1"
json = { user = "{page}", password = "hunter2" }
feed = "pages.csv"
extract = { token = "json:$.token" }
"""
USES = '[[traffic]]\nrequest = "GET /{page}"\nheaders = { Authorization = "Bearer {token}" }\n'


def asked(login: str = LOGIN, traffic: str = USES) -> Question:
    return parse(SLO + login + traffic)


def test_a_login_fills_columns_of_the_traffic() -> None:
    question = asked()
    assert question.login is not None
    assert question.login.method == "POST"
    assert question.session_values == (("token", "json:$.token"),)
    assert question.sessions == 0
    assert asked(LOGIN + "sessions = 7\n").sessions == 7


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        (('"POST /login?next=1"', '"/login"'), "login.request", "has no method"),
        (("extract = ", "extrct = "), "login.extract", "says nothing that the traffic could use"),
        (("extract = ", "extrct = "), "login.extrct", 'did you mean "extract"?'),
        (("json:$.token", "$.token"), "login.extract.token", "is no place in an answer"),
        (("json:$.token", "json:$"), "login.extract.token", "is no place in an answer"),
        (('"json:$.token"', "3"), "login.extract.token", "is no place in an answer"),
        (("token = ", '"a token" = '), "login.extract.a token", "is no name for a column"),
        (("token = ", "page = "), "login.extract.page", "is a column of its feed, too"),
        (("feed = ", "sessions = 0\nfeed = "), "login.sessions", "from 1 to 1000"),
        (("feed = ", "weight = 2\nfeed = "), "login.weight", "sessions = 10"),
        (("{page}", "{token}"), "login.json", "{token} is no column of the feed"),
        (("hunter2", "${NOT_SET}"), "login.json", "the environment has no NOT_SET"),
    ],
)
def test_a_login_that_cannot_be_is_refused_with_its_place(
    change: tuple[str, str], path: str, words: str
) -> None:
    message = refusal(SLO + LOGIN.replace(*change, 1) + USES)
    assert f"{path}: " in message
    assert words in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("{token}", "{tokn}"), 'no column of the feed or the login; did you mean "token"?'),
        (("\nheaders", '\nfeed = "pages.csv"\nheaders'), "of the feed and of the login"),
    ],
)
def test_the_traffic_uses_columns_that_are_there_once(change: tuple[str, str], words: str) -> None:
    assert words in refusal(SLO + LOGIN + USES.replace(*change, 1))


def test_a_feed_that_cannot_be_read_is_the_only_problem_of_its_columns() -> None:
    message = refusal(SLO + LOGIN + USES.replace("GET /{page}", "GET /{own}") + 'feed = "gone.csv"')
    assert "traffic[1].feed: " in message
    assert "own" not in message


@pytest.mark.parametrize("script", ['locustfile = "locustfile.py"', 'k6_script = "script.js"'])
def test_a_script_logs_in_by_itself(script: str) -> None:
    assert "login: is for [[traffic]]" in refusal(f"{script}\n{SLO}{LOGIN}")


def test_a_stored_run_has_nothing_of_a_login_but_its_form() -> None:
    mark = redact.marker(b"a key")
    stored = asked().marked(mark).redacted()
    assert stored.login is not None
    assert "hunter2" not in repr(stored)
    assert stored.login.is_redacted()
    assert stored.fingerprint() == asked().marked(mark).fingerprint()
    other = asked(LOGIN.replace("hunter2", "hunter3")).marked(mark)
    assert other.fingerprint() != stored.fingerprint()
    assert asked(LOGIN + "sessions = 2\n").fingerprint() != asked().fingerprint()


HEADERS = [("Set-Cookie", "sid=a=b; Path=/"), ("X-Token", "t-1"), ("set-cookie", "of=me")]
BODY = b'{"token": "t-2", "ids": [7, true], "a b": {"c-d": 1.5}, "none": null, "SGk=": 1}'


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("cookie:sid", "a=b"),
        ("cookie:of", "me"),
        ("header:x-token", "t-1"),
        ("json:$.token", "t-2"),
        ("json:$.ids[0]", "7"),
        ("json:$['ids'][1]", "true"),
        ('json:$["a b"].c-d', "1.5"),
    ],
)
def test_a_value_is_found_where_it_stands(place: str, value: str) -> None:
    assert is_place(place)
    assert value_at(place, HEADERS, BODY) == value


@pytest.mark.parametrize(
    ("place", "body", "words"),
    [
        (
            "json:$.gone",
            BODY,
            "$.gone is not in the answer, which has token, ids, …, none, … there",
        ),
        ("json:$.token.x", BODY, "$.token.x is nothing"),
        ("json:$.ids[2]", BODY, "is nothing"),
        ("json:$.ids", BODY, "is a list"),
        ("json:$.token[0]", BODY, "is nothing"),
        ("json:$.x", b"<html>t-2", "the answer is not JSON"),
        ("json:$.x", b"[" * 100_000, "the answer is not JSON"),
        ("json:$.x", b"\xff", "the answer is not JSON"),
        ("header:gone", BODY, "the answer has no header gone"),
        ("cookie:SID", BODY, "the answer has no cookie SID"),
    ],
)
def test_a_value_that_is_not_there_is_told_without_any_that_is(
    place: str, body: bytes, words: str
) -> None:
    with pytest.raises(Unreadable) as refused:
        value_at(place, HEADERS, body)
    assert words in refused.value.message
    assert "t-2" not in refused.value.message
