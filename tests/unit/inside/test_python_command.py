"""What a command starts in Python, and what it runs there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from perfhunt.errors import AttachFailed
from perfhunt.profilers.inside.interpreter import python_command
from perfhunt.target.launch import ServiceCommand

PYTHON = sys.executable


def command(directory: Path, *words: str) -> ServiceCommand:
    return ServiceCommand("x", words, directory)


def script(directory: Path, first_line: str, name: str = "serve") -> str:
    path = directory / name
    path.write_text(f"{first_line}\nimport app\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("words", "options", "what", "arguments"),
    [
        (("app.py", "80"), (), ("app.py",), ("80",)),
        (("-u", "-X", "dev", "app.py", "-m"), ("-u", "-X", "dev"), ("app.py",), ("-m",)),
        (("-Wignore", "-m", "uvicorn", "app:app"), ("-Wignore",), ("-m", "uvicorn"), ("app:app",)),
    ],
)
def test_an_interpreter_is_told_from_its_options_and_from_what_it_runs(
    tmp_path: Path,
    words: tuple[str, ...],
    options: tuple[str, ...],
    what: tuple[str, ...],
    arguments: tuple[str, ...],
) -> None:
    python = python_command(command(tmp_path, PYTHON, *words))
    assert (python.interpreter, python.options) == (PYTHON, options)
    assert (python.what, python.arguments) == (what, arguments)


@pytest.mark.parametrize(
    "first_line",
    [
        f"#!{PYTHON}",
        f"#!/usr/bin/env {PYTHON}",
        f"#!/bin/sh\n'''exec' \"{PYTHON}\" \"$0\" \"$@\"\n' '''",
        f"#!/bin/sh\n'''exec' {PYTHON} \"$0\" \"$@\"\n' '''",
    ],
    ids=["path", "env", "long path", "long path, bare"],
)
def test_a_script_is_run_by_the_python_of_its_first_line(tmp_path: Path, first_line: str) -> None:
    name = script(tmp_path, first_line)
    python = python_command(command(tmp_path, "./serve", "-b", ":80"))
    assert python.interpreter == PYTHON
    assert python.what == (str(Path(name)),)
    assert python.arguments == ("-b", ":80")


@pytest.mark.parametrize("words", [("sh", "-c", "x"), (PYTHON, "-c", "x"), (PYTHON,), ("no-such",)])
def test_what_starts_no_script_of_python_is_refused(tmp_path: Path, words: tuple[str, ...]) -> None:
    with pytest.raises(AttachFailed, match="starts no script or module of Python"):
        python_command(command(tmp_path, *words))


def test_a_script_of_a_shell_is_refused(tmp_path: Path) -> None:
    script(tmp_path, "#!/bin/sh")
    with pytest.raises(AttachFailed, match="starts no script or module of Python"):
        python_command(command(tmp_path, "./serve"))
