"""Printing: text for people on stdout, doubts and errors on stderr, never a control character that
came from outside.
"""

from __future__ import annotations

import codecs
import io
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from perfhunt.cli import outlet
from perfhunt.errors import PerfhuntError, StoreError
from perfhunt.model.text.escaping import ascii_json, terminal


def clean(line: str) -> str:
    """A line as it may be shown: no name or URL in it may drive the terminal, or a log of CI."""
    return terminal(line)


# What stands for characters of our own where an encoding (ASCII) has none: as wide, so that columns
# stay.
_PLAIN = {**dict.fromkeys("—–−", "-"), "…": "*", "×": "x", "·": "-", "±": "~", "█": "#"}
_PLAIN |= dict(zip("▁▂▃▄▅▆▇", "_.-~=+*", strict=True))


def _plainer(error: UnicodeError) -> tuple[str | bytes, int]:
    """What is written for characters that cannot be; names from outside as their codes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    char = error.object[error.start]
    if char in _PLAIN:
        return _PLAIN[char], error.start + 1
    return codecs.backslashreplace_errors(
        UnicodeEncodeError(error.encoding, error.object, error.start, error.start + 1, error.reason)
    )


def speak_always() -> None:
    """What the terminal's encoding has no character for is written plainer, not refused."""
    codecs.register_error("plainer", _plainer)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plainer")


def out(line: str = "") -> None:
    """A line for the user, on stdout, cleaned."""
    rendered(clean(line))


def rendered(text: str) -> None:
    """The text of a format on stdout, its lines as they are: they are safe by what rendered them,
    and a program may read them.
    """
    sys.stdout.write(text.rstrip("\n") + "\n")
    sys.stdout.flush()


def rendered_json(text: str) -> None:
    """JSON on stdout: what the encoding has no character for is written as JSON's code for it."""
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        text = ascii_json(text)
    rendered(text)


def raw(content: bytes) -> None:
    """Bytes on stdout for a file or a program. Raises StoreError when not all of them were taken:
    half of them are worth nothing.
    """
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
    if why := outlet.lost():
        raise StoreError(
            f"standard output took not all of it: {why}", "Name a file to write instead."
        )


def note(text: str) -> None:
    """A line about the work itself, on stderr, cleaned."""
    sys.stderr.write(clean(text) + "\n")
    sys.stderr.flush()


def ordered(orders: str) -> None:
    """Orders of ours to the log of CI, on stderr: stdout may be for a program."""
    sys.stderr.write(orders)
    sys.stderr.flush()


def complain(error: PerfhuntError) -> None:
    """What went wrong, and under it what to do next."""
    lines = [f"perfhunt: {error.message}", *(f"  {line}" for line in error.hint.splitlines())]
    sys.stderr.write("\n".join(clean(line) for text in lines for line in text.split("\n")) + "\n")


def shown_path(path: Path) -> str:
    """A path as a shell here takes it: from where the user stands if it lies below, else whole."""
    whole, here = path.absolute(), Path.cwd()
    return shlex.quote(str(whole.relative_to(here) if whole.is_relative_to(here) else whole))


def size(fallback: tuple[int, int]) -> tuple[int, int]:
    """(columns, lines) of the terminal that stdout is; the fallback where it is none."""
    return shutil.get_terminal_size(fallback) if sys.stdout.isatty() else fallback


def is_terminal() -> bool:
    """Whether a person is likely to be watching stdout."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and "CI" not in os.environ


def colour() -> bool:
    """Whether to use colour: on a terminal, unless NO_COLOR is set (no-color.org) and not empty."""
    return is_terminal() and not os.environ.get("NO_COLOR")


def confirm() -> Callable[[str], str] | None:
    """What asks a person to type something; None when nobody is there to be asked."""
    return (lambda prompt: input(clean(prompt))) if sys.stdin.isatty() else None
