"""One line of the checklist before a run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckStatus(StrEnum):
    """`warn`: the run is possible, and something about it will be worse; `fail`: it is not, or not
    truthfully.
    """

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, what was found, and what mends it: a command, or a sentence; empty when
    there is nothing to mend.
    """

    name: str
    status: CheckStatus
    sentence: str
    mend: str = ""


def ok(name: str, sentence: str) -> Check:
    """A check that passed."""
    return Check(name, CheckStatus.OK, sentence)


def warn(name: str, sentence: str, mend: str) -> Check:
    """Something that a run will be the worse for."""
    return Check(name, CheckStatus.WARN, sentence, mend)


def fail(name: str, sentence: str, mend: str) -> Check:
    """Something that a run cannot do without."""
    return Check(name, CheckStatus.FAIL, sentence, mend)
