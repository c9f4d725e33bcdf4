"""Whether sleep is a wait for others that is asked for again and again, and of whom."""

from __future__ import annotations

from dataclasses import dataclass

from perfhunt.analysis.diagnosis.features import Features
from perfhunt.analysis.diagnosis.rules.score import RampBounds, outside_cpu, ramp
from perfhunt.model.states import PeerKind, ThreadState
from perfhunt.model.units import Share


@dataclass(frozen=True, slots=True)
class PolledThresholds:
    """When sleep is a wait for others, asked for again and again."""

    growth: RampBounds = (1.4, 2.5)  # sleep per request, knee over baseline
    added: RampBounds = (0.15, 0.5)  # share of added latency
    certain: float = 0.9  # the most it may score: nobody was seen to hold anything


POLLED = PolledThresholds()


def polled(features: Features) -> float:
    """Sleep that grows with load is a wait for others, asked for again and again (a database file,
    a spin with back-off).
    """
    if not features.compared or features.pool_is_loop:
        return 0.0
    growing = ramp(features.grew_waits.get(ThreadState.SLEEP, 0.0), POLLED.growth)
    share = features.share_anywhere(ThreadState.SLEEP)
    return outside_cpu(features, POLLED.certain * growing * ramp(share, POLLED.added))


def asked_again(features: Features) -> Share:
    """The part of the sleep that is of functions which wait for another service as well: they ask
    that again until it has room. (A lock may be kept in a database.)
    """
    services = (load.slept for load in features.peers if load.kind is PeerKind.SERVICE)
    return max(services, default=0.0)


def slept_words(features: Features) -> str:
    """How much more is slept than at the baseline, as the begin of a sentence."""
    growth = features.grew_waits.get(ThreadState.SLEEP, 0.0)
    times = (
        "was not there at baseline"
        if growth == float("inf")
        else f"is {growth:.1f} times that of baseline"
    )
    return f"Time asleep per request {times}"
