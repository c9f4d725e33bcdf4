"""A clock for tests."""

from __future__ import annotations

from dataclasses import dataclass

from perfhunt.model.units import Seconds


@dataclass
class Clock:
    """A clock that moves only when told to: call it for the time, `sleep` to let time pass."""

    now: Seconds = 0.0

    def __call__(self) -> Seconds:
        return self.now

    def sleep(self, seconds: Seconds) -> None:
        self.now += seconds
