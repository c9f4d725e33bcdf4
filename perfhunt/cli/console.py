"""Printing: text for people on stdout, doubts and errors on stderr, never a control character that
came from outside.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable

from perfhunt.errors import PerfhuntError

# Why standard output took no more, when it did not ("": a reader that has gone needs no telling).
_lost: list[str] = []
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(text: str) -> str:
    """Text with control characters made visible: no name or URL may drive the terminal."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def out(text: str = "") -> None:
    """A line for the user, on stdout. Where that takes no more (a full disk, a reader that has
    gone), the rest goes nowhere and the work goes on: see `lost_output`.
    """
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except OSError as error:
        _lost.append("" if isinstance(error, BrokenPipeError) else error.strerror or str(error))
        # What is left in the buffer is flushed once more at the very end, and must not fail there.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        with contextlib.suppress(OSError, ValueError):
            os.dup2(sys.stdout.fileno(), 1)


def lost_output() -> str:
    """Why standard output is not whole; "" when it is, or nobody was left to read it."""
    return next(filter(None, _lost), "")


def note(text: str) -> None:
    """A line about the work itself, on stderr."""
    _to_stderr(clean(text))


def complain(error: PerfhuntError) -> None:
    """What went wrong, and under it what to do next."""
    lines = [f"perfhunt: {error.message}", *(f"  {line}" for line in error.hint.splitlines())]
    _to_stderr("\n".join(clean(line) for text in lines for line in text.split("\n")))


def _to_stderr(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # there is no other place to say that
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def is_terminal() -> bool:
    """Whether a person is likely to be watching stdout."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and "CI" not in os.environ


def colour() -> bool:
    """Whether to use colour: on a terminal, unless NO_COLOR is set (no-color.org) and not empty."""
    return is_terminal() and not os.environ.get("NO_COLOR")


def confirm() -> Callable[[str], str] | None:
    """What asks a person to type something; None when nobody is there to be asked."""
    return input if sys.stdin.isatty() else None
