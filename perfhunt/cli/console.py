"""Printing: text for people on stdout, doubts and errors on stderr, never a control character that
came from outside.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable

from perfhunt.errors import PerfhuntError

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(text: str) -> str:
    """Text with control characters made visible: no name or URL may drive the terminal."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def out(text: str = "") -> None:
    """A line for the user, on stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """A line about the work itself, on stderr."""
    sys.stderr.write(clean(text) + "\n")
    sys.stderr.flush()


def complain(error: PerfhuntError) -> None:
    """What went wrong, and under it what to do next."""
    lines = [f"perfhunt: {error.message}", *(f"  {line}" for line in error.hint.splitlines())]
    sys.stderr.write("\n".join(clean(line) for text in lines for line in text.split("\n")) + "\n")


def is_terminal() -> bool:
    """Whether a person is likely to be watching stdout."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and "CI" not in os.environ


def colour() -> bool:
    """Whether to use colour: on a terminal, unless NO_COLOR is set (no-color.org) and not empty."""
    return is_terminal() and not os.environ.get("NO_COLOR")


def confirm() -> Callable[[str], str] | None:
    """What asks a person to type something; None when nobody is there to be asked."""
    return input if sys.stdin.isatty() else None
