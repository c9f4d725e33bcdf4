"""Services as queues, with the troubles that real ones have."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from perfhunt.model.units import PerSecond, Seconds, Share
from perfhunt.testing.laws import Law, Times
from perfhunt.testing.remembering import Cache, Cliff


@dataclass(frozen=True, slots=True)
class Lane:
    """A part of the traffic with workers of its own: a slow lane, one route, one shard. `share` of
    the requests take it, at random.
    """

    share: Share
    law: Law
    workers: int = 1


@dataclass(frozen=True, slots=True)
class Service:
    """A service as a G/G/k queue, first come first served, with the troubles that real ones have.

    `law` is time a worker is held; `delay` is awaited beside the queue (an event loop's downstream
    calls). Every `period` all workers stand still for `pause`. `drift` swings service times by ±
    that share, sinusoidally, every `drift_period`. While warming up they are (1 +
    warmup·e^(-t/warmup_tau)) times as long. `refuse_above`: a token bucket of `bucket` requests
    answers 429 beyond that rate. `fails` is a share of requests answered 500 whatever the load.
    `lane` is a part of the traffic that queues apart from the rest. `leak`: service times grow by
    that share of the fresh ones with every thousand requests that came before. `cliff` and `cache`
    remember what was asked before. While a neighbour is on, for `on` seconds and off for `off`,
    both exponential, the workers take `neighbour` times as long.
    """

    law: Law
    workers: int = 1
    delay: Law | None = None
    pause: Seconds = 0.0
    period: Seconds = 0.0
    drift: Share = 0.0
    drift_period: Seconds = 120.0
    warmup: float = 0.0
    warmup_tau: Seconds = 10.0
    refuse_above: PerSecond | None = None
    bucket: float = 20.0
    fails: Share = 0.0
    lane: Lane | None = None
    neighbour: float = 1.0
    on: Seconds = 20.0
    off: Seconds = 20.0
    leak: Share = 0.0
    cliff: Cliff | None = None
    cache: Cache | None = None


def departures(at: Times, held: Times, free: list[float]) -> tuple[Times, list[float]]:
    """Departures of a FCFS queue whose workers are free from `free` on, and when they are free
    afterwards; one worker by Lindley's recursion, solved as a running maximum.
    """
    if not len(at):
        return np.zeros(0), free
    if len(free) == 1:
        total = np.cumsum(held)
        start = np.maximum.accumulate(np.maximum(at, free[0]) - (total - held))
        left: Times = start + total
        return left, [float(left[-1])]
    heap = list(free)
    heapq.heapify(heap)
    out = []
    for a, h in zip(at.tolist(), held.tolist(), strict=True):
        first = heap[0]
        done = (a if a > first else first) + h
        heapq.heapreplace(heap, done)
        out.append(done)
    return np.asarray(out), heap
