"""A load engine in virtual time: a queue solved by arithmetic behind the load seam."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perfhunt.analysis.trial.overload import overload
from perfhunt.load.seam import WorkerClock
from perfhunt.model.latency import summarise
from perfhunt.model.question import Question
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import (
    STOPPED,
    Count,
    Drain,
    Drained,
    Generator,
    RouteResult,
    SecondRow,
    Step,
    Trial,
    arrivals,
)
from perfhunt.model.units import Seconds
from perfhunt.testing.laws import Times
from perfhunt.testing.other_work import OtherWork
from perfhunt.testing.service import Service, departures

REFUSED: Seconds = 0.001  # how long a limiter takes to say no
PROBE: Seconds = 1.0  # a drain waits this much longer, as the live one does for its probe


@dataclass(frozen=True, slots=True)
class _Served:
    """What happened to one step's arrivals, in seconds from the step's start: due, done, the status
    of each answer, and who took the lane; `worked` is what the workers did for them, together.
    """

    due: Times
    done: Times
    status: NDArray[np.int64]
    aside: NDArray[np.bool_]
    worked: Seconds

    @property
    def response(self) -> Times:
        return self.done - self.due


class QueueEngine:
    """A load engine whose service is a simulated queue in virtual time; a search of ten minutes
    takes milliseconds.

    Backlog stays from one step to the next until it is drained, as it does in life. `clock` is the
    virtual time in seconds; `steps_run` is the number of steps so far. Each step's service times
    are a pure function of `seed` and the step's number.
    """

    name = "queue"
    needs: tuple[str, ...] = ()
    help = "a simulated queue in virtual time (tests and benchmarks)"

    def __init__(
        self, service: Service, criteria: tuple[Criterion, ...] = (), seed: int = 0
    ) -> None:
        self.service = service
        self.criteria = criteria
        self.seed = seed
        self.clock: Seconds = 0.0
        self.steps_run = 0
        self.pinning = ""
        self.clocks: tuple[WorkerClock, ...] = ()
        self.remarks: tuple[str, ...] = ()
        self._phase = float(np.random.default_rng([seed, 7]).random())
        self._free = [0.0] * service.workers
        self._lane_free = [0.0] * (service.lane.workers if service.lane else 0)
        self._tokens = (service.bucket, 0.0)
        self._degraded = False
        self._expires = service.cache.empty() if service.cache else np.zeros(0)
        self._other = OtherWork(service.neighbour, service.on, service.off, seed)
        self._came = 0  # requests of the steps so far

    def open(
        self,
        question: Question,
        criteria: tuple[Criterion, ...],
        directory: Path,
        stop: Callable[[], str] | None = None,
    ) -> None:
        """Take the criteria to count by; nothing is started."""
        self.criteria = criteria

    def close(self) -> None:
        """Nothing to end; may be called again."""

    def run(
        self,
        step: Step,
        watch: Callable[[SecondRow], None] | None = None,
        stop: Callable[[], str] | None = None,
    ) -> Trial:
        """The trial of a step, at once; overload is judged per second by the same rule as live."""
        reason = stop() if stop else ""
        before = self._remembered()
        served = self._serve(step, arrivals(step.seed, step.rate, step.duration, step.arrivals))
        rows = self._rows(served, step.duration)
        ended, why = self._overloaded(step, rows)
        if ended < step.duration:
            self._free, self._lane_free, self._tokens, self._degraded, self._expires = before
            served = self._serve(step, served.due[served.due < ended])
            rows = rows[: int(ended)]
        self.steps_run += 1
        self._came += len(served.due)
        if watch:
            for row in rows:
                watch(row)
        trial = self._trial(step, served, ended, rows, why, f"{STOPPED}{reason}" if reason else "")
        self.clock += ended
        return trial

    def requests_at(self, moments: Sequence[Seconds]) -> tuple[int | None, ...]:
        """Nothing: its time is not that of any look."""
        return ()

    def drain(self, drain: Drain, stop: Callable[[], str] | None = None) -> Drained:
        """Let virtual time pass until the queue is empty and a probe's time and the quiet asked for
        more, or the cap is reached.
        """
        last = max([float(self._real(np.max(self._free))), *self._lane_free])
        wait = max(0.0, last - self.clock) + PROBE
        recovered = wait <= drain.cap
        seconds = wait + drain.quiet if recovered else drain.cap
        self.clock += seconds
        return Drained(seconds, recovered)

    def _remembered(self) -> tuple[list[float], list[float], tuple[float, float], bool, Times]:
        """All that one step leaves to the next."""
        return self._free, self._lane_free, self._tokens, self._degraded, self._expires

    def _overloaded(self, step: Step, rows: tuple[SecondRow, ...]) -> tuple[Seconds, str]:
        if step.stop_on_overload:
            limit = max(
                (c.limit for c in self.criteria if np.isfinite(c.limit)), default=float("inf")
            )
            for second in range(2, len(rows) + 1):
                if why := overload(rows[:second], step.rate, limit):
                    return min(step.duration, float(second)), why
        return step.duration, ""

    def _serve(self, step: Step, due: Times) -> _Served:
        """Answers to arrivals due then; moves the queue on. Same arrivals, same service times:
        prefixes repeat exactly.
        """
        service, random = (
            self.service,
            np.random.Generator(np.random.PCG64([self.seed, self.steps_run])),
        )
        n = len(due)
        # As many draws as the whole step may need, so that cutting it short leaves the rest of the
        # draws as they were.
        most = int(step.rate * step.duration * 1.5 + 50)
        held = service.law(random, max(most, n))[:n]
        extra = service.delay(random, max(most, n))[:n] if service.delay else np.zeros(n)
        broken = random.random(max(most, n))[:n] < service.fails
        at = due + self.clock
        if service.cache is not None:
            held = self._cached(random, at, held, max(most, n))
        age = (self._came + np.arange(n)) / 1000
        held = held * self._speed(at) * (1 + service.leak * age)
        admitted = self._admit(at) if service.refuse_above else np.ones(n, dtype=bool)
        done = at + REFUSED
        aside = np.zeros(n, dtype=bool)
        if service.lane is not None:
            aside = admitted & (random.random(max(most, n))[:n] < service.lane.share)
            apart = service.lane.law(random, max(most, n))[:n]
            done[aside], self._lane_free = departures(at[aside], apart[aside], self._lane_free)
        ahead = admitted & ~aside
        worked = self._departures(self._worked(at[ahead]), held[ahead])
        done[ahead] = np.maximum(self._real(worked), at[ahead]) + extra[ahead]
        status = np.where(admitted, np.where(broken, 500, 200), 429)
        return _Served(due, done - self.clock, status, aside, float(held[ahead].sum()))

    def _departures(self, at: Times, held: Times) -> Times:
        if self.service.cliff is None:
            done, self._free = departures(at, held, self._free)
            return done
        done, self._free, self._degraded = self.service.cliff.departures(
            at, held, self._free, self._degraded
        )
        return done

    def _cached(self, random: np.random.Generator, at: Times, held: Times, most: int) -> Times:
        """Service times, those of a miss by its own law."""
        cache, n = self.service.cache, len(at)
        assert cache is not None
        keys, lives = random.integers(cache.keys, size=most), random.standard_exponential(most)
        slow = cache.slow(random, most)
        missed, self._expires = cache.misses(at, keys[:n], lives[:n], self._expires)
        return np.where(missed, slow[:n], held)

    def _admit(self, at: Times) -> NDArray[np.bool_]:
        rate, most = self.service.refuse_above or 0.0, self.service.bucket
        tokens, last = self._tokens
        out = []
        for t in at.tolist():
            tokens, last = min(most, tokens + (t - last) * rate), t
            out.append(tokens >= 1.0)
            tokens -= tokens >= 1.0
        self._tokens = (tokens, last)
        return np.asarray(out)

    def _speed(self, at: Times) -> Times:
        s = self.service
        swing = 1 + s.drift * np.sin(2 * np.pi * (at / s.drift_period + self._phase))
        slow: Times = swing * (1 + s.warmup * np.exp(-at / s.warmup_tau))
        return slow

    def _worked(self, at: Times) -> Times:
        """Clock time to time in which workers work: a neighbour's part and pauses taken out."""
        s, at = self.service, self._other.left(at)
        if not s.period:
            return at
        whole, rest = np.divmod(at + self._phase * s.period, s.period)
        worked: Times = whole * (s.period - s.pause) + np.maximum(0.0, rest - s.pause)
        return worked

    def _real(self, worked: Times | float) -> Times:
        s = self.service
        if not s.period:
            return self._other.clock(np.asarray(worked))
        whole, rest = np.divmod(worked, s.period - s.pause)
        real: Times = whole * s.period + s.pause + rest - self._phase * s.period
        return self._other.clock(real)

    def _rows(self, served: _Served, duration: Seconds) -> tuple[SecondRow, ...]:
        """One row per whole second, in-flight averaged exactly over it."""
        seconds = int(duration)
        edges = np.arange(seconds + 1, dtype=np.float64)
        done = np.sort(served.done)
        due_at, done_at = np.searchsorted(served.due, edges), np.searchsorted(done, edges)
        area = _area(served.due, edges, due_at) - _area(done, edges, done_at)
        bad = served.status >= 400
        failed = np.searchsorted(np.sort(served.done[bad]), edges)
        exceed = [
            np.concatenate(([0], np.cumsum(self._exceeds(served, c))))[due_at]
            for c in self.criteria
        ]
        p50, p99 = _per_second(served, seconds)
        return tuple(
            SecondRow(
                second=i,
                due=int(due_at[i + 1] - due_at[i]),
                sent=int(due_at[i + 1] - due_at[i]),
                done=int(done_at[i + 1] - done_at[i]),
                failed=int(failed[i + 1] - failed[i]),
                shed=0,
                exceed=tuple(int(e[i + 1] - e[i]) for e in exceed),
                in_flight=float(area[i + 1] - area[i]),
                p50=p50[i],
                p99=p99[i],
                lag_p99=0.0,
                generator_cpu=0.0,
            )
            for i in range(seconds)
        )

    def _exceeds(self, served: _Served, criterion: Criterion) -> NDArray[np.bool_]:
        over: NDArray[np.bool_] = (served.status >= 400) | (served.response > criterion.limit)
        return over

    def _trial(
        self,
        step: Step,
        served: _Served,
        seconds: Seconds,
        rows: tuple[SecondRow, ...],
        why: str,
        invalid: str,
    ) -> Trial:
        counted = served.due >= step.settle
        response = served.response[counted]
        status = served.status[counted]
        latency = summarise(response)
        span = max(seconds - step.settle, 1e-9)
        ended = (served.done >= step.settle) & (served.done < seconds)
        return Trial(
            step=step,
            seconds=seconds,
            achieved=len(response) / span,
            completed=int(ended.sum()) / span,
            counts={
                c.name: Count(len(response), int(self._exceeds(served, c)[counted].sum()))
                for c in self.criteria
            },
            response=latency,
            service=latency,
            outcomes=_outcomes(status),
            generator=Generator(lag_p50=0.0, lag_p99=0.0, cpu=0.0),
            overload=why,
            invalid=invalid,
            routes=self._routes(served, counted),
            rows=rows,
            started=self.clock,
            interference=self._other.seen(self.clock, seconds, served.worked),
        )

    def _routes(self, served: _Served, counted: NDArray[np.bool_]) -> dict[str, RouteResult]:
        """The lane and the rest, where there is a lane; else all."""
        parts = {"all": counted}
        if self.service.lane is not None:
            parts = {"lane": counted & served.aside, "rest": counted & ~served.aside}
        return {name: self._route(served, mine) for name, mine in parts.items() if mine.any()}

    def _route(self, served: _Served, mine: NDArray[np.bool_]) -> RouteResult:
        latency, status = summarise(served.response[mine]), served.status[mine]
        codes, many = np.unique(status, return_counts=True)
        return RouteResult(
            response=latency,
            service=latency,
            statuses=dict(zip(codes.tolist(), many.tolist(), strict=True)),
            outcomes=_outcomes(status),
            over={
                c.name: int(self._exceeds(served, c)[mine].sum())
                for c in self.criteria
                if c.route is None
            },
        )


def _outcomes(status: NDArray[np.int64]) -> dict[str, int]:
    failed = int((status >= 400).sum())
    return {"ok": len(status) - failed} | ({"status": failed} if failed else {})


def _area(times: Times, edges: Times, index: NDArray[np.intp]) -> Times:
    """Integral from 0 to each edge of the number of sorted `times` that are past."""
    total = np.concatenate(([0.0], np.cumsum(times)))
    area: Times = edges * index - total[index]
    return area


def _per_second(served: _Served, seconds: int) -> tuple[list[float | None], list[float | None]]:
    """Median and p99 of the responses due in each second; None where nothing was."""
    second = served.due.astype(np.int64)
    order = np.lexsort((served.response, second))
    ordered, first = served.response[order], np.searchsorted(second, np.arange(seconds + 1))
    p50: list[float | None] = []
    p99: list[float | None] = []
    for low, high in zip(first[:-1].tolist(), first[1:].tolist(), strict=True):
        n = high - low
        p50.append(float(ordered[low + (n - 1) // 2]) if n else None)
        p99.append(float(ordered[low + int(np.ceil(0.99 * n)) - 1]) if n else None)
    return p50, p99
