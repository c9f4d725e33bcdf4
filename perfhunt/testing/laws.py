"""Laws of service times."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from perfhunt.model.units import Seconds, Share

Times: TypeAlias = NDArray[np.float64]
Law: TypeAlias = Callable[[np.random.Generator, int], Times]


def exponential(mean: Seconds) -> Law:
    """Service times of an M/M/k queue."""
    return lambda random, n: random.exponential(mean, n)


def lognormal(mean: Seconds, cv: float) -> Law:
    """Lognormal service times with the given mean and coefficient of variation."""
    sigma = float(np.sqrt(np.log(1 + cv * cv)))
    mu = float(np.log(mean)) - sigma * sigma / 2
    return lambda random, n: random.lognormal(mu, sigma, n)


def constant(mean: Seconds) -> Law:
    """Service times that are all the same: M/D/k."""
    return lambda random, n: np.full(n, mean)


def given(times: Times) -> Law:
    """Service times drawn with replacement from measured ones; shape (m,)."""
    return lambda random, n: random.choice(times, n)


def mixture(*parts: tuple[Share, Law]) -> Law:
    """Each request's time from one of the laws, with these probabilities: most are quick, some
    block.
    """

    def draw(random: np.random.Generator, n: int) -> Times:
        pick = random.choice(len(parts), size=n, p=[share for share, _ in parts])
        return np.choose(pick, [law(random, n) for _, law in parts])

    return draw
