"""What one unit of a profile's weight costs a request."""

from __future__ import annotations

from perfhunt.model.profile import SpanName
from perfhunt.model.run import Run
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import Seconds


def cost_per_weight(run: Run, phase: str) -> Seconds | None:
    """Seconds per completed request for each unit of weight in `run.profiles[phase]`; None when
    that cannot be known.

    The CPU time is the kernel's own count over the trials in which the profile was taken.
    """
    profile = run.profiles.get(phase)
    spans = [t for t in run.trials if t.completed > 0 and _belongs(run, t, phase)]
    if profile is None or not profile.total or not spans:
        return None
    completed = sum(t.completed * t.seconds for t in spans) / sum(t.seconds for t in spans)
    cpu = [
        t.resources.cpu for t in spans if t.resources is not None and t.resources.cpu is not None
    ]
    return profile.seconds_per_sample(completed, sum(cpu) / len(cpu) if cpu else None)


def _belongs(run: Run, trial: Trial, phase: str) -> bool:
    if phase in (SpanName.ABOVE, SpanName.ABOVE_WAITS):
        return trial.step.phase is Phase.ABOVE
    if trial.step.phase is not Phase.HOLD:
        return False
    floor = run.baseline.step.rate if run.baseline is not None else run.question.ramp.start
    at_floor = trial.step.rate <= floor
    at_baseline = phase in (SpanName.BASELINE, SpanName.BASELINE_WAITS)
    return at_floor if at_baseline else not at_floor
