"""How several commands that were run in turns compare with the quickest of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from perfhunt.analysis.verdict.sequential import estimate
from perfhunt.model.interval import Interval
from perfhunt.model.verdict.command_run import CommandRuns

MINIMUM_PAIRS = 2  # a difference has no spread otherwise


@dataclass(frozen=True, slots=True)
class RelativeTime:
    """How many times as long as the quickest command one took; None for the quickest itself, and
    for one of which too few runs did not fail.
    """

    command: CommandRuns
    times: Interval | None
    quickest: bool = False


def relative_times(commands: Sequence[CommandRuns]) -> tuple[RelativeTime, ...]:
    """Each command beside the one that took the least (geometric means of the runs that did not
    fail), in the order given. Run i of one is the pair of run i of another: intervals are of paired
    log differences.
    """
    logs = [_logs(command) for command in commands]
    means = [fmean(own.values()) if own else math.inf for own in logs]
    least = min(range(len(commands)), key=means.__getitem__)
    return tuple(
        RelativeTime(
            command=command,
            times=None if i == least else _times(logs[least], own),
            quickest=i == least and bool(own),
        )
        for i, (command, own) in enumerate(zip(commands, logs, strict=True))
    )


def _logs(command: CommandRuns) -> dict[int, float]:
    """Logarithms of the times of the runs that did not fail, by their number."""
    return {
        number: math.log(run.wall)
        for number, run in enumerate(command.runs)
        if not run.exit_code and run.wall > 0
    }


def _times(quickest: dict[int, float], own: dict[int, float]) -> Interval | None:
    differences = [own[number] - quickest[number] for number in own.keys() & quickest.keys()]
    if len(differences) < MINIMUM_PAIRS:
        return None
    change = estimate(differences).interval()
    return Interval(
        value=1 + change.value,
        low=1 + change.low,
        high=1 + change.high,
        n=change.n,
        confidence=change.confidence,
    )
