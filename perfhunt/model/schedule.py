"""When requests are due, and which they are: pure functions of seed and rate, so a run can be asked
again exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from perfhunt.model.units import PerSecond, Seconds

_ARRIVALS, _MIX, _FEED = 1, 2, 3  # independent random streams of one seed


def _stream(seed: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, stream])))


def arrivals(
    seed: int, rate: PerSecond, duration: Seconds, law: str = "poisson"
) -> NDArray[np.float64]:
    """Due times in seconds from the start of a step, ascending, all below `duration`; shape (n,).

    `poisson`: unit-rate exponential gaps drawn from the seed and divided by the rate, so that the
    same seed at another rate is the same pattern, stretched (common random numbers). `uniform`:
    evenly spaced, first at 0. Raises ValueError otherwise.
    """
    if law == "uniform":
        # The comparison guards against the last one landing on `duration` by rounding.
        due = np.arange(int(np.ceil(rate * duration)), dtype=np.float64) / rate
        return due[due < duration]
    if law != "poisson":
        raise ValueError(f"unknown arrival law {law!r} (poisson or uniform)")
    random = _stream(seed, _ARRIVALS)
    expected = rate * duration
    due = np.cumsum(random.standard_exponential(int(expected + 6 * np.sqrt(expected) + 16))) / rate
    while due[-1] < duration:
        due = np.concatenate([due, due[-1] + np.cumsum(random.standard_exponential(1024)) / rate])
    return due[due < duration]


def mix(seed: int, n: int, weights: Sequence[float]) -> NDArray[np.uint16]:
    """Which endpoint each of n arrivals asks for: indices into `weights`, drawn in proportion to
    them; shape (n,).
    """
    share = np.asarray(weights, dtype=np.float64)
    return _stream(seed, _MIX).choice(len(share), size=n, p=share / share.sum()).astype(np.uint16)


def feed_rows(seed: int, n: int, rows: int) -> NDArray[np.uint32]:
    """Which feed row fills each of n arrivals: uniform with replacement; shape (n,)."""
    return _stream(seed, _FEED).integers(0, rows, size=n, dtype=np.uint32)
