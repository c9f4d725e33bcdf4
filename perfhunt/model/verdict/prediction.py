"""How a prediction did: what was predicted of a change, and what was seen after it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from perfhunt.model.units import PerSecond, Share

# Of a function's time: an edit that took less of it out is not what was predicted.
_WHOLE: Share = 0.8


class Predicted(StrEnum):
    """Which number a prediction is held against."""

    KNEE = "knee"
    CAPACITY = "capacity"


@dataclass(frozen=True, slots=True)
class PredictionScore:
    """A prediction of run `run` for a function that was edited then, against what was observed.

    `at_least`: only a lower bound was predicted; `observed_at_least`: what was observed is only
    one, for no more was offered. `removed` is how much of the function's time per request the edit
    took out, where profiles tell (None: they do not); a prediction supposes all of it.
    """

    run: str
    function: str
    file: str
    of: Predicted
    predicted: PerSecond
    low: PerSecond
    high: PerSecond
    observed: PerSecond
    observed_low: PerSecond
    observed_high: PerSecond
    at_least: bool = False
    observed_at_least: bool = False
    removed: Share | None = None

    @property
    def as_supposed(self) -> bool:
        """Whether the edit took out as much as was supposed, as far as is known."""
        return self.removed is None or self.removed >= _WHOLE

    @property
    def error(self) -> Share | None:
        """What was predicted over what was observed, less 1. None where the observation is a lower
        bound and no less was predicted.
        """
        if self.observed <= 0 or (self.observed_at_least and self.predicted >= self.observed):
            return None
        return self.predicted / self.observed - 1

    @property
    def within(self) -> bool | None:
        """Whether the interval that was predicted and the one that was observed have a rate in
        common. None where the observation is a lower bound that the prediction lies above.
        """
        if self.observed_at_least and self.observed <= self.high:
            return None
        above = self.at_least or self.observed_low <= self.high
        return above and (self.observed_high >= self.low)
