"""Services that remember: what was asked before decides how the next request is served."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perfhunt.model.units import Seconds
from perfhunt.testing.laws import Law, Times


@dataclass(frozen=True, slots=True)
class Cliff:
    """An overload is not forgotten: once a request waited longer than `patience`, service times are
    `factor` times as long, until nothing was asked for `calm` after the last answer. Retries, full
    heaps and swapped-out pages do this (Bronson et al. 2021, Metastable failures).
    """

    patience: Seconds = 0.4
    factor: float = 2.0
    calm: Seconds = 20.0

    def departures(
        self, at: Times, held: Times, free: list[float], degraded: bool
    ) -> tuple[Times, list[float], bool]:
        """Departures of a FCFS queue whose workers are free from `free` on; when they are free
        afterwards, and whether it is degraded then.
        """
        heap = list(free)
        heapq.heapify(heap)
        last = max(heap)
        done = np.empty(len(at))
        for i, (a, h) in enumerate(zip(at.tolist(), held.tolist(), strict=True)):
            degraded = degraded and a - last < self.calm
            start = max(a, heap[0])
            degraded = degraded or start - a > self.patience
            left = start + h * (self.factor if degraded else 1.0)
            heapq.heapreplace(heap, left)
            last = max(last, left)
            done[i] = left
        return done, heap, degraded


@dataclass(frozen=True, slots=True)
class Cache:
    """Requests ask for one of `keys`, all alike; one that the cache does not hold takes the `slow`
    law. An entry lives for an exponential time of mean `ttl`, so of requests at a steady rate
    1 / (1 + rate·ttl/keys) miss: the more is asked, the fewer.
    """

    keys: int
    ttl: Seconds
    slow: Law

    def empty(self) -> Times:
        """When each key's entry expires, of a cache that holds none; shape (keys,)."""
        return np.full(self.keys, -np.inf)

    def misses(
        self, at: Times, keys: NDArray[np.int64], lives: Times, expires: Times
    ) -> tuple[NDArray[np.bool_], Times]:
        """Which of the requests miss, and when each entry expires afterwards. `lives` are those of
        the entries they make, as multiples of the mean.
        """
        until = expires.tolist()
        missed = np.zeros(len(at), dtype=bool)
        for i, (t, key, life) in enumerate(
            zip(at.tolist(), keys.tolist(), lives.tolist(), strict=True)
        ):
            if t >= until[key]:
                missed[i] = True
                until[key] = t + life * self.ttl
        return missed, np.asarray(until)
