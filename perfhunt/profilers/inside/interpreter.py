"""The Python that a command starts, and what it is told to run there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from perfhunt.errors import AttachFailed
from perfhunt.model.units import Bytes, Seconds
from perfhunt.target.launch import ServiceCommand
from perfhunt.target.leash import inherited, run
from perfhunt.target.proc.files import read

_FIRST: Bytes = 512  # of a script: its first lines say what runs it
_PYTHON = re.compile(r"(?:python|pypy)[0-9.]*t?")
# What pip writes where the path of an interpreter is too long for a first line of its own.
_BY_SHELL = re.compile(r"#!/bin/sh\n'''exec' ('.*?'|\".*?\"|\S+) \"\$0\"")
_WITH_VALUE = ("-X", "-W", "--check-hash-based-pycs")
_IMPORTS: Seconds = 30.0  # of a package, on a busy host


@dataclass(frozen=True, slots=True)
class PythonCommand:
    """`interpreter options... what arguments...`: `what` is a script, or `-m` and a module."""

    interpreter: str
    options: tuple[str, ...]
    what: tuple[str, ...]
    arguments: tuple[str, ...]


def python_command(command: ServiceCommand) -> PythonCommand:
    """The command as one of Python. Raises AttachFailed where it is none."""
    path = {**inherited(), **command.environment}.get("PATH")
    first, *rest = command.words
    place = str(command.directory / first) if "/" in first else shutil.which(first, path=path)
    if place is None or not os.path.exists(place):
        raise _no_python(first)
    if _PYTHON.fullmatch(os.path.basename(first)):
        return _split(place, tuple(rest), first)
    interpreter, *options = _interpreter_of(place, path)
    if not interpreter:
        raise _no_python(first)
    return PythonCommand(interpreter, tuple(options), (place,), tuple(rest))


def _interpreter_of(script: str, path: str | None) -> list[str]:
    """The words of what a script's first line names, where it is Python; else an empty one."""
    try:
        head = read(script, _FIRST).decode(errors="replace")
    except OSError:
        return [""]
    if match := _BY_SHELL.match(head):
        words = [match[1].strip("'\"")]
    elif head.startswith("#!"):
        words = shlex.split(head[2:].partition("\n")[0])
    else:
        return [""]
    if words and os.path.basename(words[0]) == "env":
        words = [word for word in words[1:] if not word.startswith("-")]
        words[:1] = [shutil.which(words[0], path=path) or ""] if words else []
    return words if words and _PYTHON.fullmatch(os.path.basename(words[0])) else [""]


def _split(interpreter: str, words: tuple[str, ...], first: str) -> PythonCommand:
    at = 0
    while at < len(words) and words[at].startswith("-") and words[at] not in ("-m", "-c", "-"):
        at += 2 if words[at] in _WITH_VALUE else 1
    options, rest = words[:at], words[at:]
    length = 2 if rest[:1] == ("-m",) else 1
    if len(rest) < length or rest[0] in ("-c", "-"):
        raise _no_python(first)
    return PythonCommand(interpreter, options, rest[:length], rest[length:])


def _no_python(first: str) -> AttachFailed:
    return AttachFailed(
        f"{first} starts no script or module of Python by itself",
        "Give the command that does: python -m MODULE ..., or the path of the script.",
    )


def imports(python: PythonCommand, module: str, directory: Path) -> bool:
    """Whether an interpreter has a module."""
    words = (python.interpreter, *python.options, "-c", f"import {module}")
    try:
        code, _ = run(words, directory=directory, within=_IMPORTS)
    except (OSError, TimeoutError):
        return False
    return code == 0
