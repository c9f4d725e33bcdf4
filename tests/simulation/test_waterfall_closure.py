"""The waterfall of a service whose every request is known: threads, a lock among them, and a queue
in front; looked at 25 times a second.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.classify import classify
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.analysis.diagnosis.waterfall.bridge import waterfall
from perfhunt.model.finding import LatencyPart, Waterfall
from perfhunt.model.interval import sampling_error
from perfhunt.model.profile import Instant, Instants
from perfhunt.model.states import States, ThreadTime
from perfhunt.model.trial import Resources
from tests.unit.scenes import profile, thread

THREADS = 12
CPU, HELD = 0.003, 0.006  # seconds on a CPU, then asleep with the lock: 167 requests/s at most
SECONDS, LOOKS_PER_S = 10.0, 25.0
SEEDS = range(12)
RUNS, SLEEPS, WAITS, FREE = (
    "serve>view>render on_cpu",
    "serve>view>pay sleep",
    "serve>view>pay lock@A",
    "serve!get lock@I",
)


@dataclass
class Request:
    """When it came, had a thread, wanted the lock, had it, and was done."""

    came: float
    began: float = 0.0
    asked: float = 0.0
    held: float = 0.0
    done: float = 0.0

    def at(self, moment: float) -> str:
        """What its thread does at a moment."""
        if moment < self.asked:
            return RUNS
        return WAITS if moment < self.held else SLEEPS


def served(rate: float, seed: int) -> list[Request]:
    """Every request of a span: Poisson arrivals, exponential work, first come first served."""
    chance = np.random.default_rng(seed)
    came = np.cumsum(chance.exponential(1 / rate, int(rate * SECONDS * 1.5)))
    waiting: deque[Request] = deque()
    free, unlocked, done = THREADS, 0.0, []
    events = [(float(at), n, "came", Request(float(at))) for n, at in enumerate(came)]
    heapq.heapify(events)
    count = len(events)
    while events:
        now, _, kind, request = heapq.heappop(events)
        if kind == "came":
            waiting.append(request)
        elif kind == "asked":
            request.held = max(now, unlocked)
            request.done = unlocked = request.held + chance.exponential(HELD)
            count += 1
            heapq.heappush(events, (request.done, count, "done", request))
        else:
            free += 1
            done.append(request)
        while waiting and free:
            request, free, count = waiting.popleft(), free - 1, count + 1
            request.began, request.asked = now, now + chance.exponential(CPU)
            heapq.heappush(events, (request.asked, count, "asked", request))
    return [request for request in done if request.came < SECONDS]


def looked_at(requests: list[Request], seed: int) -> Iterator[tuple[float, list[str], int]]:
    """What each look finds: the threads, and how many requests none has."""
    shift = np.random.default_rng(seed).uniform(0, 1 / LOOKS_PER_S)
    for moment in np.arange(shift, SECONDS, 1 / LOOKS_PER_S):
        busy = [r.at(moment) for r in requests if r.began <= moment < r.done]
        unread = len([r for r in requests if r.came <= moment < r.began])
        yield float(moment), [*busy, *[FREE] * (THREADS - len(busy))], unread


def span(rate: float, seed: int) -> Span:
    requests = served(rate, seed)
    looks = list(looked_at(requests, seed))
    cpu = sum(r.asked - r.began for r in requests) / SECONDS
    slept = sum(r.done - r.held for r in requests) / SECONDS
    row = {"on_cpu": cpu / THREADS, "sleep": slept / THREADS}
    row["lock"] = 1 - sum(row.values())
    return Span(
        completed=len(requests) / SECONDS,
        service=float(np.mean([r.done - r.came for r in requests])),
        profile=profile(render=1000 * cpu),
        instants=Instants(
            SECONDS,
            tuple(
                Instant(at, tuple(thread(text, 100 + n) for n, text in enumerate(found)))
                for at, found, _ in looks
            ),
        ),
        states=States(
            phase="knee",
            seconds=SECONDS,
            threads=tuple(ThreadTime(1, 100 + n, "w", row) for n in range(THREADS)),
            ticks=500,
        ),
        resources=Resources(
            SECONDS,
            cpu=cpu,
            cpu_limit=4.0,
            unread=float(np.mean([unread for *_, unread in looks])),
            unread_error=sampling_error([unread for *_, unread in looks]),
        ),
    )


@cache
def told(seed: int) -> Waterfall:
    idle = Instants(
        1.0,
        tuple(
            Instant(n / 10, tuple(thread(FREE, 100 + k) for k in range(THREADS))) for n in range(10)
        ),
    )
    reading = read_evidence(Evidence(span(150.0, seed), span(15.0, seed + 1000), idle=idle))
    suspects = suspects_of(reading)
    return waterfall(reading, suspects, classify(reading, suspects))


def test_the_unexplained_part_covers_nothing_as_often_as_its_interval_says() -> None:
    lefts = [told(seed).unexplained for seed in SEEDS]
    covered = [left.added.low <= 0.0 <= left.added.high for left in lefts if left is not None]
    assert len(covered) == len(SEEDS)
    assert sum(covered) >= 9  # 95 % are meant; of 12, fewer than 9 come once in five hundred


def test_it_closes_within_a_tenth() -> None:
    closures = [told(seed).closure for seed in SEEDS]
    assert np.median([c for c in closures if c is not None]) < 0.1


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_each_part_is_what_it_was(seed: int) -> None:
    requests = served(150.0, seed)
    answer = told(seed)
    true = {
        LatencyPart.LOCK: np.mean([r.held - r.asked for r in requests]),
        LatencyPart.SLEEP: np.mean([r.done - r.held for r in requests]),
        LatencyPart.CPU: np.mean([r.asked - r.began for r in requests]),
        LatencyPart.QUEUED: np.mean([r.began - r.came for r in requests]),
    }
    for kind, expected in true.items():
        seen = sum(part.knee for part in answer.parts if part.kind is kind)
        doubt = max(p.added.high - p.added.low for p in answer.parts if p.kind is kind)
        assert seen == pytest.approx(expected, abs=max(doubt, 0.002)), kind
