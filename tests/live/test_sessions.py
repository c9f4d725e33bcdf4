"""Logins before the load, whose tokens the traffic carries: measured where they arrive."""

from __future__ import annotations

import contextlib
import json
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from perfhunt.errors import LoadFailed, Stopped
from perfhunt.load.locust_engine import LocustEngine
from perfhunt.model.question import Question
from perfhunt.store.testfile import read_question
from tests.live.load_targets.harness import P99, announced, python, step
from tests.unit.model.testfiles import SLO

pytestmark = [pytest.mark.live, pytest.mark.beside]

LOGIN = """
[login]
request = "POST /login"
json = { user = "{user}", password = "pw-{user}" }
feed = "users.csv"
"""
MINE = '[[traffic]]\nrequest = "GET /mine/{user}"\nheaders = { Authorization = "Bearer {token}" }\n'


@pytest.fixture
def members() -> Iterator[str]:
    with announced(*python("members.py")) as url:
        yield url


def asking(url: str, directory: Path, text: str) -> Question:
    (directory / "users.csv").write_text("user\nann\nbob\ncid\n")
    file = directory / "perfhunt.toml"
    file.write_text(f'{SLO}[target]\nurl = "{url}"\n{text}')
    return read_question(file, directory, {})


@contextlib.contextmanager
def opened(question: Question, directory: Path, workers: int = 1) -> Iterator[LocustEngine]:
    made = LocustEngine(run="test", workers=workers)
    try:
        made.open(question, (P99,), directory / "load")
        yield made
    finally:
        made.close()


def logins(url: str) -> list[str]:
    with urllib.request.urlopen(f"{url}/seen") as response:
        users: list[str] = json.load(response)
    return users


@pytest.mark.parametrize("workers", [1, 2])
def test_each_session_logs_in_once_whoever_sends_and_goes_with_its_own_row(
    members: str, tmp_path: Path, workers: int
) -> None:
    text = f'{LOGIN}extract = {{ token = "json:$.data.access_token" }}\n{MINE}'
    with opened(asking(members, tmp_path, text), tmp_path, workers) as made:
        for _ in range(2):
            trial = made.run(step(80, 0.5, arrivals="uniform"))
            assert trial.outcomes == {"ok": 40}
    assert logins(members) == ["ann", "bob", "cid"]


@pytest.mark.parametrize(
    ("place", "header"),
    [
        ("json:$.data.list[0]['a b']", "Authorization = 'Bearer {token}'"),
        ('json:$["data"]["access_token"]', "Authorization = 'Bearer {token}'"),
        ("header:x-token", "Authorization = 'Bearer {token}'"),
        ("cookie:sid", "Cookie = 'sid={token}'"),
    ],
)
def test_a_token_is_taken_from_where_it_stands(
    members: str, tmp_path: Path, place: str, header: str
) -> None:
    text = f"{LOGIN}sessions = 5\nextract = {{ token = '''{place}''' }}\n"
    text += f'[[traffic]]\nrequest = "GET /mine/{{user}}"\nheaders = {{ {header} }}\n'
    with opened(asking(members, tmp_path, text), tmp_path) as made:
        assert made.run(step(80, 0.5, arrivals="uniform")).outcomes == {"ok": 40}
    assert logins(members) == ["ann", "bob", "cid", "ann", "bob"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("pw-{user}", "pw-ann"), "row 2 of users.csv: the login failed with status 401"),
        (
            ("access_token", "tokn"),
            "extract.token: $.data.tokn is not in the answer, which has acc",
        ),
        (("data.access_token", "data.none"), "extract.token: $.data.none is nothing in the answer"),
        (("data.access_token", "data.list"), "extract.token: $.data.list is a list in the answer"),
        (("data.access_token", "data.n[2]"), "extract.token: $.data.n[2] is nothing in the answer"),
        (
            ("json:$.data.access_token", "cookie:gone"),
            "extract.token: the answer has no cookie gone",
        ),
        (
            ("POST /login", "GET /mine/x"),
            "[login] GET /mine/x, row 1 of users.csv: the login failed",
        ),
    ],
)
def test_a_login_that_fails_says_which_and_how_and_repeats_no_secret(
    members: str, tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    text = f'{LOGIN}extract = {{ token = "json:$.data.access_token" }}\n{MINE}'.replace(*change, 1)
    with pytest.raises(LoadFailed) as refused, opened(asking(members, tmp_path, text), tmp_path):
        pass
    assert words in refused.value.message
    assert "t-ann" not in refused.value.message
    assert "hunter2" not in refused.value.message
    assert "[login]" in refused.value.hint


def test_a_login_that_nobody_answers_is_told_as_that(tmp_path: Path) -> None:
    text = f'{LOGIN}extract = {{ token = "json:$.t" }}\n{MINE}'
    question = asking("http://127.0.0.1:9", tmp_path, text)
    with pytest.raises(LoadFailed, match=r"no answer .*Connection refused"):  # noqa: SIM117
        with opened(question, tmp_path):
            pass


def test_no_token_is_in_any_file_of_a_run(members: str, tmp_path: Path) -> None:
    text = f'{LOGIN}extract = {{ token = "json:$.data.access_token" }}\n{MINE}'
    with opened(asking(members, tmp_path, text), tmp_path, workers=2) as made:
        made.run(step(40, 0.5))
    kept = [path for path in (tmp_path / "load").rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if b"t-ann" in path.read_bytes()]


def test_a_stop_ends_a_login_that_nobody_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(0.0)
        asked: list[socket.socket] = []

        def stop() -> str:
            with contextlib.suppress(BlockingIOError):
                asked.append(silent.accept()[0])
            return "asked to" if asked else ""

        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        text = f'{LOGIN}extract = {{ token = "json:$.t" }}\n{MINE}'
        made = LocustEngine(run="test")
        with pytest.raises(Stopped, match="asked to"):
            made.open(asking(url, tmp_path, text), (P99,), tmp_path / "load", stop)
        assert made.child_pid == 0
        with asked[0] as link:
            link.settimeout(5.0)
            while content := link.recv(1 << 16):  # until whoever logs in is gone
                assert content.startswith(b"POST /login")
