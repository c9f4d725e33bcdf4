"""docs/tutorial.md: what it says to type is typed, and what it shows is seen."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = [pytest.mark.live, pytest.mark.long]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORT = 8123  # the one that the page names
LONGEST = 400.0  # seconds: both investigations have budgets, and a busy host asks trials again
MARK = "-- next command of the page --"


def steps(text: str) -> list[tuple[str, str]]:
    """Each block of commands with the output that the page shows of it ("": none)."""
    found: list[tuple[str, str]] = []
    for language, block in BLOCK.findall(text):
        if language == "sh":
            found.append((block, ""))
        else:
            found[-1] = (found[-1][0], block)
    return found


def beginnings(shown: str) -> list[str]:
    """The words of each line shown, up to the first number that another machine would not give."""
    lines = (re.sub(r"^\s*\d+\. ", "", line) for line in shown.splitlines() if line.strip() != "…")
    return [words for line in lines if (words := " ".join(re.split(r"[\d(…]", line)[0].split()))]


def test_what_is_compared_of_a_line_is_its_words() -> None:
    shown = "knee      61/s (5 to 7)\n  1. price_of   app.py:9\n…\n+3.1 (2 to 4)  waiting\n"
    assert beginnings(shown) == ["knee", "price_of app.py:", "+"]
    assert steps("```sh\na\n```\nb\n```text\nc\n```\n```sh\nd\n```\n") == [
        ("a\n", "c\n"),
        ("d\n", ""),
    ]


def missing() -> str:
    """What the page needs and this machine has not; "" when it has all."""
    modules = [name for name in ("fastapi", "uvicorn") if not importlib.util.find_spec(name)]
    programs = [name for name in ("bash", "git", "curl") if not shutil.which(name)]
    return ", ".join([*modules, *programs])


def port_is_taken() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", PORT)) == 0


def test_every_command_of_the_tutorial_does_what_the_page_shows(tmp_path: Path) -> None:
    if lacking := missing():
        pytest.skip(f"not installed: {lacking}")
    if port_is_taken():
        pytest.skip(f"port {PORT}, which the page names, is taken")
    told = steps(PAGE.read_text())
    said, code = typed([commands for commands, _ in told], tmp_path)
    assert code == 0, said[-3000:]
    outputs = said.split(MARK + "\n")[1:]
    assert len(outputs) == len(told)
    assert "VERDICT KEEP" in said
    if "No knee: " in said and "other work on this host" in said:
        return  # what the page shows is of a quiet host; the verdict is the same on a busy one
    for (commands, shown), output in zip(told, outputs, strict=True):
        spaced = " ".join(output.split())
        unseen = [words for words in beginnings(shown) if words not in spaced]
        assert not unseen, f"{commands}\nsaid:\n{output}"


def typed(blocks: list[str], directory: Path) -> tuple[str, int]:
    """All that one shell said of the blocks, and its exit code: 0 when every command came to 0."""
    script = "".join(f"echo '{MARK}'\n{block}" for block in blocks)
    names = {
        f"GIT_{who}_{what}": "a@b.c"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    running = subprocess.Popen(
        ["bash", "-e", "-c", script],
        cwd=directory,
        env={**os.environ, **names, "PATH": path, "GIT_CONFIG_GLOBAL": "/dev/null"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = running.communicate(timeout=LONGEST)
    finally:
        with suppress(ProcessLookupError):  # the services that the shell left running
            os.killpg(running.pid, signal.SIGKILL)
    return said, running.returncode
