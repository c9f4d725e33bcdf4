"""Which of a run's profiles are shown, and in which order."""

from __future__ import annotations

from perfhunt.model.run import Run

_WAITS = frozenset({"lock", "socket", "sleep", "disk", "poll"})


def phases(run: Run) -> tuple[str, ...]:
    """Names of the profiles that hold samples, the one that shows the first suspect best in front.

    A suspect that makes others wait is not on top of on-CPU stacks: then stacks of waiting threads
    go first.
    """
    waits_first = bool(run.findings) and run.findings[0].category in _WAITS

    def order(phase: str) -> tuple[bool, bool, str]:
        return (not phase.startswith("knee"), phase.endswith("-waits") != waits_first, phase)

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
    where = {"knee": "at the knee", "baseline": "at baseline"}.get(
        phase.removesuffix("-waits"), phase
    )
    return f"{where}: {shown}"
