"""How fast a core is now: a tiny fixed piece of work, timed on the clock of the thread that does
it, so that waiting for a core does not count.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from perfhunt.model.units import Seconds, Share

# Iterations of PBKDF2 (HMAC-SHA256): about 0.12 ms of arithmetic within registers, without the GIL.
ROUNDS = 200
SLOWEST = 10  # of the readings are split into so many parts; the slowest part's bound is the worst
FEWEST = 4  # readings, below which they say nothing


@dataclass(frozen=True, slots=True)
class CoreSpeed:
    """The speed of a core over the fastest seen: at the median, and of the slowest tenth."""

    median: Share
    worst: Share
    readings: int


def timed_work() -> Seconds:
    """CPU time that the piece of work takes on the core that this thread runs on."""
    began = time.thread_time_ns()
    hashlib.pbkdf2_hmac("sha256", b"speed", b"of a core", ROUNDS)
    return (time.thread_time_ns() - began) * 1e-9


def core_speed(readings: Sequence[Seconds], best: Seconds) -> CoreSpeed | None:
    """The speed that readings of the work show, over the `best`; None for fewer than four."""
    if len(readings) < FEWEST:
        return None
    slow = quantiles(readings, n=SLOWEST, method="inclusive")[-1]
    return CoreSpeed(best / median(readings), best / slow, len(readings))
