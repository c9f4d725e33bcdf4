"""Which station binds: the model of the service must give the capacity that was seen, or nothing
may be predicted with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfhunt.analysis.diagnosis.prediction.station import Station
from perfhunt.model.interval import Interval
from perfhunt.model.knee import Capacity, Knee, KneeLabel
from perfhunt.model.units import PerSecond, Share, format_rate

# How far a bound may lie from the capacity beyond both intervals: a service with finitely many
# threads or connections gives up to so much less than its bound when it is saturated (balanced job
# bounds: Zahorjan et al. 1982), and a burst of seconds is known no better.
TOLERANCE: Share = 0.15
# Times the capacity: a bound whose own value is further off explains it only by being vague.
_VAGUE = 1.5
# Without a capacity it is somewhere between the knee and so many times it: below that use of a
# resource its queue is too short to break an SLO.
_KNEE_USE: Share = 0.5
# How the note of a capacity begins that the offered rate cut off.
_AT_LEAST = "at least"


@dataclass(frozen=True, slots=True)
class Observed:
    """The capacity that was seen. `cut_off`: the service gave all that was offered; `words` name
    it.
    """

    rate: Interval
    words: str
    cut_off: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """The stations that what was seen allows, with the one that binds."""

    binding: Station
    stations: tuple[Station, ...]
    observed: Observed

    @property
    def capacity(self) -> PerSecond:
        """What the service gives at most: as seen, within what the binding station allows."""
        seen, bound = self.observed.rate, self.binding.bound
        return min(max(bound.value, seen.low), seen.high) if self.observed.cut_off else seen.value


# Knees that are not where a queue is too long.
_NO_QUEUE = {
    KneeLabel.ERRORS: "requests fail before they are slow, which no queue explains",
    KneeLabel.RESOURCE: "an objective for CPU or memory is used up before a queue is too long",
}


def observed_capacity(knee: Knee, burst: Capacity | None) -> Observed | str:
    """The capacity of the saturated service; without one, where it must lie for the knee to be
    where it is. Why no queue explains the knee, where none does.
    """
    if knee.label in _NO_QUEUE:
        return _NO_QUEUE[knee.label]
    cut_off = burst is None or burst.note.startswith(_AT_LEAST)
    if burst is not None and not cut_off:
        rate = Interval(burst.rate, burst.low, burst.high, 1)
        return Observed(rate, f"the capacity of {format_rate(burst.rate)}")
    least = max(knee.rate, burst.rate if burst is not None else 0.0)
    most = max(least, knee.high / _KNEE_USE)
    rate = Interval(least, min(least, knee.low), most, 1)
    return Observed(rate, f"the knee at {format_rate(knee.rate)}", cut_off=True)


def model_of(stations: Sequence[Station], observed: Observed) -> Model | str:
    """The stations with the one that binds; why there is none, as the rest of a sentence.

    A station that would have let through less than was seen is not what it was taken for, and is
    left out.
    """
    seen = observed.rate
    possible = [s for s in stations if s.bound.high * (1 + TOLERANCE) >= seen.low]
    possible = [s for s in possible if s.bound.value * _VAGUE * (1 + TOLERANCE) >= seen.low]
    if not possible:
        return (
            "what a request takes of any resource is not known well enough to explain"
            f" {observed.words}"
        )
    nearest = min(possible, key=lambda s: s.bound.value)
    allowed = nearest.bound
    if allowed.low > seen.high * (1 + TOLERANCE) or allowed.value > seen.high * _VAGUE:
        return (
            f"no known resource explains {observed.words} (the nearest, {nearest.name}, would allow"
            f" {format_rate(allowed.value)})"
        )
    return Model(nearest, tuple(possible), observed)
