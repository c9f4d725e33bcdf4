"""What formats without fractions count in: the whole number that stands for a weight, and whether
it says all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from perfhunt.errors import UsageError
from perfhunt.model.profile import Profile
from perfhunt.model.units import Seconds

SAMPLES = "samples"
LARGEST = (1 << 63) - 1  # of a whole number: most readers keep 64 bits, with a sign
NANOSECONDS, MICROSECONDS = 1, 1_000  # how many nanoseconds one is
_NANOSECOND: Seconds = 1e-9
_TIMES = {"nanoseconds": 1, "microseconds": 1_000, "milliseconds": 1_000_000, "seconds": 10**9}
_ALIASES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
# What a sample lasts where the profile does not say: viewers of times show no less as a number.
_UNSAID: Seconds = 1e-3
_HINT = "folded, speedscope and pprof hold any unit."


def plain_unit(profile: Profile) -> str:
    """The unit of its weights as the model names it, however short the profile has it."""
    return _ALIASES.get(profile.unit, profile.unit)


def is_time(profile: Profile) -> bool:
    """Whether its weights are times."""
    return plain_unit(profile) in _TIMES


def period(profile: Profile) -> Seconds:
    """What one of its samples lasts."""
    return 1 / profile.rate_hz if profile.rate_hz else _UNSAID


@dataclass(frozen=True, slots=True)
class Grain:
    """What a format, as a noun with its article, counts in. `time`: the nanoseconds of its unit of
    time, 0 where it has none; `timed`: a sample is the time that it lasts, there. `counts`: the
    units that it counts as they are; None: any.
    """

    form: str
    time: int = 0
    timed: bool = False
    counts: frozenset[str] | None = None

    def whole(self, profile: Profile, weight: float) -> int:
        """A weight as it is written. Raises UsageError for a unit that the format has not, and for
        a weight beyond 64 bits.
        """
        written = weight * self._factor(profile)
        if not written <= LARGEST:
            raise UsageError(
                f"a weight of {weight:g} {profile.unit} is more than {self.form} can hold",
                "Write it as folded or speedscope.",
            )
        return round(written)

    def is_exact(self, profile: Profile, weight: float) -> bool:
        """Whether nothing of a weight is lost by rounding."""
        factor = self._factor(profile)
        return abs(self.whole(profile, weight) - weight * factor) <= abs(weight * factor) * 1e-12

    def _factor(self, profile: Profile) -> float:
        unit = plain_unit(profile)
        if self.time and unit in _TIMES:
            return _TIMES[unit] / self.time
        if self.timed and unit == SAMPLES:
            return period(profile) / _NANOSECOND / self.time
        if self.counts is None or unit in self.counts:
            return 1.0
        holds = [*sorted(self.counts), *(["time"] if self.time else [])]
        raise UsageError(
            f"{self.form} holds {' or '.join(holds)}, and this profile counts {unit}", _HINT
        )
