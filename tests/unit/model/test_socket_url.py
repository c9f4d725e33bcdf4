"""Urls of unix sockets: every spelling that is in use, and what of them is refused or kept."""

from __future__ import annotations

import pytest

from perfhunt.model import redact
from perfhunt.model.text.socket_url import (
    LONGEST_PATH,
    authority,
    in_one_spelling,
    socket_path,
    socket_url,
)
from tests.unit.model.testfiles import SLO, parse, refusal

ONE = "http+unix://%2Frun%2FMy%20App.sock"


@pytest.mark.parametrize(
    "spelled",
    [
        ONE,
        f"{ONE}/",
        "unix:/run/My App.sock",
        "unix:///run/My App.sock",
        "http://unix:/run/My App.sock",
        "http+unix:///run/My App.sock",
    ],
)
def test_every_spelling_of_a_unix_socket_is_the_one(spelled: str) -> None:
    url = parse(f'{SLO}[target]\nurl = "{spelled}"').target.url
    assert url == ONE
    assert socket_path(url) == "/run/My App.sock"
    assert socket_url("/run/My App.sock") == url
    assert authority(url) == "localhost"


@pytest.mark.parametrize("url", ["http://[::1]:8000", "https://unix.example:1", "", "unix:x"])
def test_other_urls_are_none(url: str) -> None:
    assert socket_path(in_one_spelling(url)) == ""
    assert in_one_spelling(f"{url}/") == url


def test_the_host_header_has_no_user() -> None:
    assert authority("http://me@[::1]:8000") == "[::1]:8000"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"{ONE}/items", "has a path behind the socket"),
        ("http+unix://run%2Fapp.sock", "no path of a unix socket"),
        ("http+unix://%2Frun%2F%00app.sock", "no path of a unix socket"),
        ("http+unix://%2Frun%2F%1b%5B2Japp.sock", "no path of a unix socket"),
        (f"unix:/{'a' * LONGEST_PATH}", f"more than {LONGEST_PATH} bytes"),
        ("unix:/" + "\u00e9" * (LONGEST_PATH // 2 + 1), f"more than {LONGEST_PATH} bytes"),
        ("https+unix://%2Frun%2Fapp.sock", "is not http:// or https://"),
        ("unix:app.sock", "is not http:// or https://"),
    ],
)
def test_what_no_unix_socket_can_be_is_refused(url: str, words: str) -> None:
    message = refusal(f'{SLO}[target]\nurl = "{url}"')
    assert "target.url: " in message
    assert words in message
    assert "\x1b" not in message


def test_a_path_as_long_as_there_may_be_is_taken() -> None:
    assert parse(f'{SLO}[target]\nurl = "unix:/{"a" * (LONGEST_PATH - 1)}"')


def test_a_locustfile_cannot_go_to_a_unix_socket() -> None:
    message = refusal(f'locustfile = "locustfile.py"\n{SLO}[target]\nurl = "unix:/run/a.sock"')
    assert "target.url: is a unix socket" in message


def test_no_program_is_led_to_a_unix_socket() -> None:
    message = refusal(f'engine = "vegeta"\n{SLO}[target]\nurl = "unix:/run/a.sock"')
    assert "engine: vegeta is not led to a unix socket" in message


def test_of_a_socket_the_parts_of_its_path_that_are_words_are_kept() -> None:
    assert redact.url("http+unix://%2Frun%2Fapp.sock") == "http+unix://%2Frun%2Fapp.sock"
    hidden = redact.url("http+unix://%2Frun%2Fs3cr3tT0ken9f8e7d6c5b%2Fapp.sock")
    assert hidden == "http+unix://%2Frun%2F\u2026%2Fapp.sock" == redact.url(hidden)
