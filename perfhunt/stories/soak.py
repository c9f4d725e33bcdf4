"""The service held at a share of its knee for long, to see what grows: a load test of minutes shows
no leak that ends a service after a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from perfhunt.analysis.knee.answers.drift import drift_of, with_slopes
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.analysis.trial.growth import slopes
from perfhunt.lab import Lab
from perfhunt.model.knee import Drift, DriftKind, Knee
from perfhunt.model.run import Began
from perfhunt.model.trial import Drain, Step, Trial
from perfhunt.model.units import PerSecond, Seconds, Share, format_duration, format_rate

SHARE_OF_KNEE: Share = 0.7  # what a service that is sized with some room is run at
BLOCK: Seconds = 30.0  # judged against each other; each begins with connections open
SHORTEST: Seconds = 150.0  # five blocks, which make four changes: fewer have no trend


def soak_rate(climb: SearchResult, otherwise: PerSecond) -> PerSecond:
    """A share of the knee, and never more than what its interval says holds; of `otherwise` where
    there is no knee.
    """
    knee = climb.knee
    if isinstance(knee, Knee):
        return min(SHARE_OF_KNEE * knee.rate, knee.low)
    return SHARE_OF_KNEE * (knee.low or otherwise)


def soak(lab: Lab, climb: SearchResult, step: Step, seconds: Seconds) -> SearchResult:
    """The climb with what a soak says of drift and growth. One step is asked again and again, until
    the time is over or the service no longer keeps up. What other work on the host spoilt is asked
    again as well, but takes of that time: nobody is under load for longer than was said.
    """
    rate = format_rate(step.rate)
    lab.notify(Began("soak", f"{rate} for {format_duration(seconds)}", seconds))
    lab.drain(Drain())
    blocks: list[Trial] = []
    before = len(lab.trials)
    while sum(trial.step.duration for trial in lab.trials[before:]) < max(SHORTEST, seconds):
        blocks.append(lab.try_quiet_step(step))
        if blocks[-1].overload:
            break
    drift = soak_drift(blocks)
    return with_slopes(replace(climb, drift=drift), slopes(lab.trials))


def soak_drift(blocks: Sequence[Trial]) -> Drift:
    """What the blocks of a soak, of one step, say of the service. One that falls behind where it
    held the step before has become slower, or the step was never within its means.
    """
    valid = [block for block in blocks if not block.invalid]
    last, rate = blocks[-1], blocks[-1].step.rate
    length = format_duration(sum(block.seconds for block in blocks))
    drift = drift_of(valid)
    if last.overload:
        kind = DriftKind.SLOWER if len(valid) > 1 else None
        ratio = drift.ratio if drift is not None else None
        sentence = f"at {format_rate(rate)} the service fell behind: {last.overload}"
        drift = Drift(kind, rate, ratio, sentence)
    elif drift is None:
        drift = Drift(None, rate, None, f"nothing can be said: {last.invalid}")
    return replace(drift, sentence=f"in {length} of soak {drift.sentence}")
