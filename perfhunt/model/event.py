"""What an investigation tells whoever watches it: facts as they happen. Views subscribe; nothing
below cli prints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from perfhunt.model.trial import SecondRow, Step, Trial
from perfhunt.model.units import PerSecond, Seconds


@dataclass(frozen=True, slots=True)
class Began:
    """A stage began. `expected` is how long it may take (None: unknown)."""

    stage: str
    sentence: str
    expected: Seconds | None = None


@dataclass(frozen=True, slots=True)
class Ticked:
    """A second of load went by."""

    step: Step
    row: SecondRow


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial ended. `low` and `high` bracket the knee by all trials so far (None: not yet
    known).
    """

    trial: Trial
    low: PerSecond | None = None
    high: PerSecond | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """Something a person would want to know now."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The run is stored. `directory` is where; `verdict` the word; `exit_code` what the process
    will return.
    """

    run: str
    directory: str
    verdict: str
    exit_code: int


Event: TypeAlias = Began | Ticked | Tried | Noted | Finished
EventWatcher: TypeAlias = Callable[[Event], None]


def unwatched(_: Event) -> None:
    """A watcher that looks away."""
