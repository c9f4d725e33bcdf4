"""What a service that changes as it runs is suspected of: the class `leak`, and the doubts that its
growth casts on every number of the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perfhunt.model.finding import Bottleneck, BottleneckClass, Caution, CautionCode
from perfhunt.model.knee import (
    Drift,
    DriftKind,
    Growing,
    Knee,
    NoKnee,
    NoKneeCode,
    Slope,
)
from perfhunt.model.trial import Trial
from perfhunt.model.units import (
    Bytes,
    PerSecond,
    Seconds,
    Share,
    format_bytes,
)

HELD = (Growing.RSS, Growing.FDS, Growing.THREADS)  # what a leak keeps; the others are its price
HOUR: Seconds = 3600.0
DAY: Seconds = 24 * HOUR
# Growth within the run that is worth a sentence, as a share of what there is, and in its own unit:
# allocators and pools breathe by less.
NOTABLE: Share = 0.02
NOTABLE_LEAST = {Growing.RSS: 2.0 * 2**20, Growing.FDS: 5.0, Growing.THREADS: 3.0}
SURE = 0.9  # score of a leak whose growth is certain and whose service got slower


def notable(drift: Drift | None, served: float) -> tuple[Slope, ...]:
    """The slopes of what a leak keeps that clearly go up, and by enough over so many requests."""
    if drift is None:
        return ()
    return tuple(
        slope
        for slope in drift.growing(*HELD)
        if slope.per_thousand.value * served / 1000
        > max(NOTABLE_LEAST[slope.of], NOTABLE * slope.reached)
    )


def with_leak(bottleneck: Bottleneck, drift: Drift | None, trials: Sequence[Trial]) -> Bottleneck:
    """The bottleneck, or `leak` before it where the service got slower while something grew."""
    grown = notable(drift, served(trials))
    if drift is None or drift.kind is not DriftKind.SLOWER or not grown:
        return bottleneck
    evidence = (_sentence(drift), *map(str, grown))
    return Bottleneck(
        category=BottleneckClass.LEAK,
        score=SURE,
        evidence=(*evidence, *bottleneck.evidence),
        runner_up=bottleneck.category,
        runner_up_score=min(bottleneck.score, SURE),
    )


def drift_cautions(
    drift: Drift | None, trials: Sequence[Trial], knee: Knee | NoKnee
) -> Iterator[Caution]:
    """A caution for a service that changed, and one for each thing that grows."""
    if drift is None:
        return
    if drift.kind is DriftKind.SLOWER:
        told = isinstance(knee, NoKnee) and knee.code is NoKneeCode.NEVER_STATIONARY
        holds = "A knee of this service holds for an age only."  # The reason has the numbers.
        sentence = holds if told else f"{_sentence(drift)} {holds}"
        yield Caution(CautionCode.DRIFT, sentence, "Mend what grows first.")
    elif drift.kind in (DriftKind.QUICKER, None) and drift.rate is not None:
        warm = drift.kind is DriftKind.QUICKER
        again = "--warm-up" if warm else "a larger budget, or with --soak 30m"
        yield Caution(CautionCode.DRIFT, _sentence(drift), f"Run again with {again}.")
    for slope in notable(drift, served(trials)):
        yield Caution(
            CautionCode.GROWTH,
            str(slope) + _exhausted(slope, drift.rate, _limit(trials)),
            "A cache that fills ends by itself: perfhunt investigate --soak 30m tells it from"
            " a leak.",
        )


def _sentence(drift: Drift) -> str:
    return f"{drift.sentence[:1].upper()}{drift.sentence[1:]}."


def served(trials: Sequence[Trial]) -> float:
    """Requests sent in all of them."""
    return sum(trial.achieved * trial.seconds for trial in trials)


def _exhausted(slope: Slope, rate: PerSecond | None, limit: Bytes | None) -> str:
    """When memory is gone, at that rate; "" for what has no limit or lasts for a month."""
    if slope.of is not Growing.RSS or not rate or not limit or slope.reached >= limit:
        return ""
    growth = slope.per_thousand
    hours = [
        (limit - slope.reached) / (each * rate / 1000) / HOUR
        for each in (growth.value, growth.high, growth.low)
    ]
    if hours[0] > 30 * DAY / HOUR:
        return ""
    expected, soonest, latest = hours
    return (
        f" At {rate:.3g}/s its limit of {format_bytes(limit)} is reached in {expected:.2g} h"
        f" ({soonest:.2g} to {latest:.2g})."
    )


def _limit(trials: Sequence[Trial]) -> Bytes | None:
    limits = [t.resources.memory_limit for t in trials if t.resources is not None]
    return next((limit for limit in reversed(limits) if limit), None)
