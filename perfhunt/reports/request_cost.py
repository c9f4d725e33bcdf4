"""What one unit of a profile's weight costs a request."""

from __future__ import annotations

from perfhunt.model.profile import ProfileMode
from perfhunt.model.run import Run
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import Seconds


def cost_per_weight(run: Run, phase: str) -> Seconds | None:
    """Seconds per completed request for each unit of weight in `run.profiles[phase]`; None when
    that cannot be known.

    On-CPU stacks divide the CPU time the kernel counted (utilisation law, D = U/X: Denning & Buzen
    1978); stacks of waiting and GIL-holding threads divide the mean number of threads (Little's
    law, R = N/X).
    """
    profile = run.profiles.get(phase)
    spans = [
        t
        for t in run.trials
        if t.step.phase is Phase.HOLD and t.completed > 0 and _belongs(run, t, phase)
    ]
    if profile is None or not profile.total or not spans:
        return None
    completed = sum(t.completed * t.seconds for t in spans) / sum(t.seconds for t in spans)
    cpu = [
        t.resources.cpu for t in spans if t.resources is not None and t.resources.cpu is not None
    ]
    if profile.mode == ProfileMode.CPU and cpu:
        return sum(cpu) / len(cpu) / completed / profile.total
    return 1 / profile.ticks / completed if profile.ticks else None


def _belongs(run: Run, trial: Trial, phase: str) -> bool:
    at_floor = trial.step.rate <= run.question.ramp.start
    return at_floor if phase.startswith("baseline") else not at_floor
