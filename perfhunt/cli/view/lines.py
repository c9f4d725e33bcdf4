"""What is told of a run while it goes, a line each."""

from __future__ import annotations

from perfhunt.analysis.trial.interference import disturbed
from perfhunt.model.trial import Trial
from perfhunt.model.units import format_duration, format_rate


def trial_line(trial: Trial) -> str:
    """One trial in a line: rate, answers, percentiles, and what was wrong with it."""
    p50, p99 = (duration_text(v) for v in (trial.response.p50, trial.response.p99))
    trouble = trial.invalid or disturbed(trial.interference) or trial.overload
    return (
        f"{trial.step.phase:<9} {format_rate(trial.step.rate):>8}  n={trial.n:<6,}"
        f" p50 {p50:>8}  p99 {p99:>8}  {over_limits(trial):,} over"
        + (f"  ({trouble})" if trouble else "")
    )


def over_limits(trial: Trial) -> int:
    """How many requests failed or were over a limit that is theirs: each once, though it be over
    several. Where routes did not count, at least so many.
    """
    counts = trial.counts
    if not any(route.over for route in trial.routes.values()):
        return max((count.exceed for count in counts.values()), default=0)
    over = 0
    for name, route in trial.routes.items():
        own = (count.exceed for key, count in counts.items() if key.endswith(f"[{name}]"))
        over += max((*route.over.values(), *own), default=0)
    return over


def bracket_text(low: float | None, high: float | None) -> str:
    """Where the search is, once it is somewhere."""
    if low is None and high is None:
        return ""
    return f"  searching {between(low, high)}"


def between(low: float | None, high: float | None) -> str:
    """`between 54/s and 57.3/s`, `above 54/s`: rates that the search has still to tell apart. It is
    no interval of the knee, which is fitted to all trials at the end.
    """
    if low is None or high is None:
        return f"below {rate_text(high)}" if low is None else f"above {rate_text(low)}"
    return f"between {rate_text(low)} and {rate_text(high)}"


def rate_text(rate: float | None) -> str:
    """A rate, or a question mark while it is not known."""
    return format_rate(rate) if rate else "?"


def duration_text(seconds: float | None) -> str:
    """A duration, or a dash where there is none."""
    return "—" if seconds is None else format_duration(seconds)
