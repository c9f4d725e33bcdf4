"""Axes for charts: where the ticks go, and where a value lies."""

from __future__ import annotations

import math
from dataclasses import dataclass

# What a logarithm reaches down to: of latencies, less than any clock tells apart. A run that
# somebody else wrote may hold values below nothing.
_LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values laid over a range of pixels; `log` spaces powers of ten evenly."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __post_init__(self) -> None:
        if self.log and self.low < _LEAST:
            object.__setattr__(self, "low", _LEAST)
            object.__setattr__(self, "high", max(self.high, 10 * _LEAST))

    def at(self, value: float) -> float:
        """The pixel of a value; values outside land on the edge."""
        bounded = min(max(value, self.low), self.high)
        if self.log:
            first, last = math.log(self.low), math.log(self.high)
            share = (math.log(bounded) - first) / (last - first)
        else:
            share = (bounded - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, about: int = 6) -> list[float]:
        """Round values within the range: 1, 2, 5 and their tens."""
        return (
            _log_ticks(self.low, self.high)
            if self.log
            else _linear_ticks(self.low, self.high, about)
        )


def _linear_ticks(low: float, high: float, about: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, about as many as asked for."""
    rough = (high - low) / max(1, about)
    power: float = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten; 2 and 5 times them too when fewer than three would be left."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    tens = [10.0**n for n in range(first, last + 1) if low * 0.999 <= 10.0**n <= high * 1.001]
    if len(tens) >= 4:
        return tens
    return [
        t
        for n in range(first, last + 1)
        for m in (1, 2, 5)
        if low * 0.999 <= (t := m * 10.0**n) <= high * 1.001
    ]


def nice_ceiling(value: float) -> float:
    """A round value a little above."""
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(
        (m * power for m in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8) if m * power >= value * 1.02),
        10 * power,
    )
