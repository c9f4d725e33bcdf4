"""Which of a run's profiles are shown, and in which order."""

from __future__ import annotations

from perfhunt.model.finding import BottleneckClass
from perfhunt.model.profile import SpanName
from perfhunt.model.run import Run

_AT_KNEE = frozenset({SpanName.KNEE, SpanName.KNEE_WAITS})
_ABOVE = frozenset({SpanName.ABOVE, SpanName.ABOVE_WAITS})
_OF_WAITS = frozenset({SpanName.BASELINE_WAITS, SpanName.KNEE_WAITS, SpanName.ABOVE_WAITS})
_ON_CPU = frozenset({BottleneckClass.CPU, BottleneckClass.GIL, BottleneckClass.EVENT_LOOP})


def phases(run: Run) -> tuple[str, ...]:
    """Names of the profiles that hold samples, the one that shows the first suspect best in front.

    A suspect that makes others wait is not on top of on-CPU stacks: then stacks of waiting threads
    go first.
    """
    waits_first = bool(run.findings) and run.findings[0].category not in _ON_CPU

    def order(phase: str) -> tuple[bool, bool, str]:
        return (phase not in _AT_KNEE, (phase in _OF_WAITS) != waits_first, phase)

    return tuple(sorted((p for p, profile in run.profiles.items() if profile.total > 0), key=order))


def main_phase(run: Run) -> str:
    """The profile that a single picture shows; "" when none holds samples."""
    return next(iter(phases(run)), "")


def phase_words(run: Run, phase: str) -> str:
    """`at the knee: what ran on the CPU`."""
    mode = run.profiles[phase].mode
    shown = {
        "cpu": "what ran on the CPU",
        "gil": "what held the GIL",
        "wall": "where threads worked or waited",
    }.get(mode, mode)
    above = "above the knee" if phase in _ABOVE else "at baseline"
    where = "at the knee" if phase in _AT_KNEE else above
    return f"{where}: {shown}"
