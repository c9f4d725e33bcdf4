"""Arrivals that are typical of their rate: of several Poisson patterns, the one that makes about as
many requests late as they do on average.

How many requests a short trial finds late depends on the luck of its arrivals as well as on the
service's. The first is ours to choose: the patterns are drawn, each is sent through a reference
queue, and the one nearest the average goes to the service (rejective sampling; Fuller 2009, Morgan
and Rubin 2012). The reference has one server with exponential times, at the capacity that was seen.
It is never fitted to anything: where it is wrong, the choice is merely less good.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perfhunt.model.trial import arrivals
from perfhunt.model.units import PerSecond, Seconds, Share

CANDIDATES = 16
REPLICAS = 16  # sets of service times per pattern, the same for every pattern
# Between the seeds of two candidates: more than any other seed of a run is away from its first.
APART = 10_000_019
LIGHT: Share = 0.3  # of the capacity: below it nothing queues
# Arrivals in a trial beyond which their luck has evened out, and choosing would take long.
MOST = 20_000
SERVICE_TIMES = 4  # the reference's stream of random numbers, beside those of the arrivals


def typical_seed(
    first: int,
    rate: PerSecond,
    seconds: Seconds,
    settle: Seconds,
    law: str,
    capacity: PerSecond | None,
    late: Share,
) -> int:
    """The seed to send: `first`, or one of the candidates that follow it. A pure function of its
    arguments.

    `late` is the share of requests expected over the limit, which places the reference's own limit.
    """
    if law != "poisson" or capacity is None or not LIGHT * capacity < rate:
        return first
    if rate * seconds > MOST:
        return first
    seeds = [first + APART * i for i in range(CANDIDATES)]
    patterns = [arrivals(seed, rate, seconds) for seed in seeds]
    service = _service_times(first, max(map(len, patterns)), capacity)
    responses = [_responses(due, service)[:, due >= settle] for due in patterns]
    limit = np.quantile(np.concatenate([r.ravel() for r in responses]), 1 - late)
    shares = np.array([float((r > limit).mean()) if r.size else 0.0 for r in responses])
    return seeds[int(np.argmin(np.abs(shares - shares.mean())))]


def _service_times(seed: int, n: int, capacity: PerSecond) -> NDArray[np.float64]:
    """Exponential service times in seconds; shape (replicas, n)."""
    random = np.random.Generator(np.random.PCG64([seed, SERVICE_TIMES]))
    times: NDArray[np.float64] = random.standard_exponential((REPLICAS, n)) / capacity
    return times


def _responses(due: NDArray[np.float64], service: NDArray[np.float64]) -> NDArray[np.float64]:
    """Response times in a queue with one server, first come first served; shape (replicas, n)."""
    times = service[:, : len(due)]
    total = np.cumsum(times, axis=1)
    begun = np.maximum.accumulate(due - (total - times), axis=1)
    responses: NDArray[np.float64] = begun + total - due
    return responses
