"""What is told of a run while it goes, a line each."""

from __future__ import annotations

from perfhunt.analysis.trial.interference import disturbed
from perfhunt.model.trial import Trial
from perfhunt.model.units import format_duration, format_rate


def trial_line(trial: Trial) -> str:
    """One trial in a line: rate, answers, percentiles, and what was wrong with it."""
    p50, p99 = (duration_text(v) for v in (trial.response.p50, trial.response.p99))
    # A request may be over the limits of several criteria.
    over = max((c.exceed for c in trial.counts.values()), default=0)
    trouble = trial.invalid or disturbed(trial.interference) or trial.overload
    return (
        f"{trial.step.phase:<9} {format_rate(trial.step.rate):>8}  n={trial.n:<6}"
        f" p50 {p50:>8}  p99 {p99:>8}  over {over}" + (f"  ({trouble})" if trouble else "")
    )


def bracket_text(low: float | None, high: float | None) -> str:
    """The bracket of the knee, once there is one."""
    if low is None and high is None:
        return ""
    return f"  knee in [{rate_text(low)}, {rate_text(high)}]"


def rate_text(rate: float | None) -> str:
    """A rate, or a question mark while it is not known."""
    return format_rate(rate) if rate else "?"


def duration_text(seconds: float | None) -> str:
    """A duration, or a dash where there is none."""
    return "—" if seconds is None else format_duration(seconds)
