"""A stored run on terminals of all sizes, and on what is no terminal: through a pty, a pipe, a full
disk; in colours that nobody has asked for and encodings that have few characters.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from perfhunt.store.run_json import write_run
from tests.sample_run import sample_run

pytestmark = [pytest.mark.live, pytest.mark.beside]

WITHIN = 60.0  # seconds, for a command that takes less than one


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which one run is kept."""
    directory, run = tmp_path_factory.mktemp("home"), sample_run()
    kept = directory / ".perfhunt" / "runs" / run.id
    kept.mkdir(parents=True)
    write_run(kept, run)
    return directory


def environment(more: dict[str, str]) -> dict[str, str]:
    unset = {"CI", "COLUMNS", "LINES", "NO_COLOR", "PERFHUNT_STORE", "PYTHONIOENCODING"}
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    return kept | {"TERM": "xterm-256color"} | more


def on_terminal(
    home: Path, columns: int, lines: int, *words: str, **more: str
) -> tuple[int, list[str]]:
    """The exit code, and the lines that a terminal of this size was sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    command = (sys.executable, "-m", "perfhunt", *words)
    child = subprocess.Popen(
        command, cwd=home, env=environment(more), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    sent = b""
    try:
        while piece := os.read(ours, 1 << 16):
            sent += piece
    except OSError:  # EIO: the other end is closed
        pass
    os.close(ours)
    return child.wait(WITHIN), sent.decode().splitlines()


def piped(home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    command = (sys.executable, "-m", "perfhunt", *words)
    return subprocess.run(
        command, cwd=home, env=environment(more), capture_output=True, timeout=WITHIN, check=False
    )


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (100, 30), (200, 50)])
def test_verdict_knee_and_three_suspects_fit_the_terminal(
    home: Path, columns: int, lines: int
) -> None:
    code, shown = on_terminal(home, columns, lines, "report")
    assert code == 0
    assert len(shown) < lines  # the shell's prompt goes below
    assert max(map(len, shown)) <= columns
    assert shown[0] == "SLO MISSED"
    text = "\n".join(shown)
    assert "\nknee      141/s (134 to 148/s at 95%)" in text
    for suspect in ("1. load_rules", "2. discount", "3. execute"):
        assert suspect in text
    assert ("--wide" in text) is (lines < 50)


def test_the_command_that_shows_the_rest_shows_it(home: Path) -> None:
    run = sample_run()
    _, shown = on_terminal(home, 80, 24, "report")
    (more,) = (line for line in shown if line.startswith("more"))
    words = more.split()
    assert words[1:] == ["perfhunt", "report", run.id, "--wide"]
    code, whole = on_terminal(home, 80, 24, *words[2:])
    assert code == 0
    assert not [line for line in whole if line.startswith("more")]
    for finding in run.findings:
        assert any(finding.function in line for line in whole)


def test_commands_are_not_broken_over_two_lines(home: Path) -> None:
    _, shown = on_terminal(home, 60, 30, "report")
    assert any(line.endswith("perfhunt verify --pid 4242") for line in shown)


def test_a_pipe_has_the_same_as_ever_whatever_the_terminal(home: Path) -> None:
    plain = piped(home, "report")
    assert plain.returncode == 0
    assert piped(home, "report", TERM="dumb", NO_COLOR="1", COLUMNS="40").stdout == plain.stdout
    assert b"\x1b" not in plain.stdout
    assert max(map(len, plain.stdout.decode().splitlines())) <= 100


@pytest.mark.parametrize("more", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {}])
def test_a_screen_of_text_has_no_control_sequences(home: Path, more: dict[str, str]) -> None:
    code, shown = on_terminal(home, 80, 24, "report", **more)
    assert code == 0
    assert "\x1b" not in "".join(shown)


def test_ascii_has_a_plainer_character_as_wide_for_each_of_ours(home: Path) -> None:
    rich, plain = piped(home, "report"), piped(home, "report", PYTHONIOENCODING="ascii")
    assert plain.returncode == 0
    assert plain.stdout.isascii()
    assert b"\\u" not in plain.stdout and b"\\x" not in plain.stdout
    wide, narrow = rich.stdout.decode().splitlines(), plain.stdout.decode().splitlines()
    assert [*map(len, wide)] == [*map(len, narrow)]
    assert not rich.stdout.isascii()


def test_json_stays_json_in_an_encoding_with_few_characters(home: Path) -> None:
    words = ("report", "--format", "json")
    rich, plain = piped(home, *words), piped(home, *words, PYTHONIOENCODING="ascii")
    assert plain.stdout.isascii() and not rich.stdout.isascii()
    assert json.loads(plain.stdout) == json.loads(rich.stdout)


@pytest.mark.parametrize("words", [("report",), ("history",), ("schema",), ()], ids=" ".join)
def test_who_reads_the_first_line_only_gets_it_and_exit_code_0(
    home: Path, words: tuple[str, ...]
) -> None:
    command = (sys.executable, "-m", "perfhunt", *words)
    with subprocess.Popen(
        command,
        cwd=home,
        env=environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as child:
        assert child.stdout is not None and child.stderr is not None
        assert child.stdout.read(1)
        child.stdout.close()
        told = child.stderr.read().decode()
        assert child.wait(WITHIN) == 0
    assert "Traceback" not in told
    assert told.count("\n") <= 1


@pytest.mark.parametrize("words", [("report",), ()], ids=" ".join)
def test_a_full_disk_is_said_in_a_line(home: Path, words: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            (sys.executable, "-m", "perfhunt", *words),
            cwd=home,
            env=environment({}),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=WITHIN,
            check=False,
        )
    assert done.returncode == 0
    assert done.stderr == b"perfhunt: not all of the output was written: No space left on device\n"
