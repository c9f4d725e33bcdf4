"""Queues solved by arithmetic, thousands at a time: what rounds of a paired comparison would read
on services we know exactly.

The four services are those of the knee benchmark: all saturate near 160 requests/s.

    S1  one worker, exponential service of 6 ms, limit 100 ms
    S2  one worker, lognormal service of 6 ms (cv 2), limit 150 ms: a soft knee
    S3  four workers, lognormal 24 ms (cv 1), everything stops 50 ms every 2 s, limit 250 ms
    S4  as S3 with cv 2, limit 400 ms

Noise: each process life is faster or slower by a normal factor (restart), and the host drifts
(Ornstein-Uhlenbeck). 70 % of the variance of a service time (in the log) belongs to the request, so
sharing requests between two versions pairs that part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]
GC_PERIOD, GC_PAUSE = 2.0, 0.05
DRIFT_TAU = 120.0  # seconds
OF_REQUEST = 0.7  # share of the variance of log service time that the request fixes
CPU_NOISE = 0.003  # of one reading of CPU time per request


@dataclass(frozen=True)
class Service:
    """One simulated service; `knee` is its knee in requests/s, `sharpness` its slope there,
    `median_slope` at 95 % of it.
    """

    name: str
    workers: int
    mean: float
    cv: float  # 1 with `exponential`
    exponential: bool
    pauses: bool
    limit: float
    knee: float
    sharpness: float
    median_slope: float
    capacity: float


SERVICES = (
    Service("S1", 1, 0.006, 1.0, True, False, 0.100, 120.6, 12.3, 2.2, 166.7),
    Service("S2", 1, 0.006, 2.0, False, False, 0.150, 65.2, 2.5, 1.0, 166.7),
    Service("S3", 4, 0.024, 1.0, False, True, 0.250, 140.9, 23.4, 3.8, 162.5),
    Service("S4", 4, 0.024, 2.0, False, True, 0.400, 127.6, 11.1, 3.6, 162.5),
)


@dataclass(frozen=True)
class Slice:
    """What R slices read; every field has shape (R,)."""

    n: Array
    exceed: Array
    median: Array
    completed: Array  # per second, after the settle
    cpu: Array  # seconds per request
    responses: Array  # (N, R), nan outside the counted span


def service_times(service: Service, shared: Array, own: Array) -> Array:
    """Service times from normal deviates of the request and of this serving of it; same shape."""
    z = math.sqrt(OF_REQUEST) * shared + math.sqrt(1 - OF_REQUEST) * own
    if service.exponential:
        survival: Array = ndtr(-z)
        return -service.mean * np.log(np.maximum(survival, 1e-300))
    sigma2 = math.log1p(service.cv**2)
    return service.mean * np.exp(math.sqrt(sigma2) * z - sigma2 / 2)


def _to_work(t: Array, phase: Array) -> Array:
    cycles = np.floor((t + phase) / GC_PERIOD)
    return cycles * (GC_PERIOD - GC_PAUSE) + np.maximum(
        t + phase - cycles * GC_PERIOD - GC_PAUSE, 0.0
    )


def _to_wall(w: Array, phase: Array) -> Array:
    cycles = np.floor(w / (GC_PERIOD - GC_PAUSE))
    return cycles * GC_PERIOD + GC_PAUSE + (w - cycles * (GC_PERIOD - GC_PAUSE)) - phase


def serve(due: Array, work: Array, workers: int) -> Array:
    """Finish times of requests due at `due` needing `work` seconds, first come first served; both
    (N, R), empty at 0.
    """
    done = np.empty_like(due)
    free = [np.zeros(due.shape[1]) for _ in range(workers)]  # ascending
    for i in range(due.shape[0]):
        finish = np.maximum(due[i], free[0]) + work[i]
        done[i] = finish
        for j in range(1, workers):
            free[j - 1], finish = np.minimum(free[j], finish), np.maximum(free[j], finish)
        free[workers - 1] = finish
    return done


@dataclass(frozen=True)
class Traffic:
    """What both versions of a pair are sent in one slice: gaps of unit rate, and what the requests
    ask; each (N, R).
    """

    gaps: Array
    asks: Array

    @staticmethod
    def drawn(random: np.random.Generator, n: int, runs: int) -> Traffic:
        return Traffic(random.standard_exponential((n, runs)), random.standard_normal((n, runs)))


def length(rate: float, seconds: float) -> int:
    """How many gaps are enough to fill a slice."""
    return int(rate * seconds + 5 * np.sqrt(rate * seconds) + 8)


def run_slice(
    service: Service,
    traffic: Traffic,
    rate: float,
    seconds: float,
    settle: float,
    speed: Array,
    random: np.random.Generator,
) -> Slice:
    """What slices of one rate read at the given speeds (1 = as the service is); `speed` has shape
    (R,).
    """
    due = np.cumsum(traffic.gaps, axis=0) / rate
    work = service_times(service, traffic.asks, random.standard_normal(due.shape)) / speed
    if service.pauses:
        phase = random.uniform(0, GC_PERIOD, due.shape[1:])
        done = _to_wall(serve(_to_work(due, phase), work, service.workers), phase)
    else:
        done = serve(due, work, service.workers)
    sent = due < seconds
    counted = sent & (due >= settle)
    responses = np.where(counted, done - due, np.nan)
    n = counted.sum(axis=0).astype(float)
    ordered = np.sort(responses, axis=0)  # nan last
    median = np.take_along_axis(ordered, np.maximum(n[None] // 2 - 1, 0).astype(int), axis=0)[0]
    exceed = (counted & (done - due > service.limit)).sum(axis=0).astype(float)
    completed = ((done >= settle) & (done < seconds)).sum(axis=0) / (seconds - settle)
    cpu = np.where(sent, work, 0.0).sum(axis=0) / np.maximum(sent.sum(axis=0), 1)
    cpu *= np.exp(CPU_NOISE * random.standard_normal(cpu.shape))
    return Slice(n, exceed, median, completed, cpu, responses)


def drift(random: np.random.Generator, times: Array, sd: float, paths: int) -> Array:
    """Ornstein-Uhlenbeck paths at ascending times; shape (times, paths)."""
    out = np.empty((len(times), paths))
    value = sd * random.standard_normal(paths)
    last = times[0]
    for i, t in enumerate(times):
        keep = np.exp(-(t - last) / DRIFT_TAU)
        value = keep * value + sd * np.sqrt(1 - keep**2) * random.standard_normal(paths)
        out[i], last = value, t
    return out
