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
from perfhunt.model.knee import Knee
from perfhunt.model.question import Question
from perfhunt.model.run import Began
from perfhunt.model.trial import Drain, Phase, Step, Trial
from perfhunt.model.units import PerSecond, Seconds, Share, format_duration, format_rate

SHARE_OF_KNEE: Share = 0.7  # what a service that is sized with some room is run at
BLOCK: Seconds = 30.0  # judged against each other; each begins with connections open
SETTLE: Seconds = 1.0
SHORTEST: Seconds = 150.0  # five blocks, which make four changes: fewer have no trend
STREAM = 4  # of the question's seeds: after those of the baseline, the hold and the judged trial


def soak_rate(climb: SearchResult, otherwise: PerSecond) -> PerSecond:
    """A share of the knee, and never more than what its interval says holds; of `otherwise` where
    there is no knee.
    """
    knee = climb.knee
    if isinstance(knee, Knee):
        return min(SHARE_OF_KNEE * knee.rate, knee.low)
    return SHARE_OF_KNEE * (knee.low or otherwise)


def soak(
    question: Question, lab: Lab, climb: SearchResult, rate: PerSecond, seconds: Seconds
) -> SearchResult:
    """The climb with what a soak says of drift and growth. One load is asked again and again, until
    the time is over or the service no longer keeps up.
    """
    lab.notify(Began("soak", f"{format_rate(rate)} for {format_duration(seconds)}", seconds))
    lab.drain(Drain())
    step = Step(
        phase=Phase.SOAK,
        rate=rate,
        duration=BLOCK,
        seed=question.seed + STREAM,
        settle=SETTLE,
        arrivals=question.ramp.arrivals,
    )
    blocks: list[Trial] = []
    while len(blocks) < max(SHORTEST, seconds) / BLOCK:
        blocks.append(lab.try_step(step))
        if blocks[-1].overload:
            break
    return soaked(climb, [block for block in blocks if not block.invalid], lab.trials)


def soaked(climb: SearchResult, blocks: Sequence[Trial], history: Sequence[Trial]) -> SearchResult:
    """The result with the drift of the blocks, and the slopes of the whole history."""
    drift = drift_of(blocks)
    if drift is not None:
        length = format_duration(sum(block.seconds for block in blocks))
        drift = replace(drift, sentence=f"in {length} of soak {drift.sentence}")
        climb = replace(climb, drift=drift)
    return with_slopes(climb, slopes(history))
