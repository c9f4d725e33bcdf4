"""Sends every arrival when it is due, by a timer, and one that is late at once; watches the clock
for the trial.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Sized
from dataclasses import dataclass
from typing import Any, Protocol

import gevent
import numpy as np
from numpy.typing import NDArray

from perfhunt.load.child.http.client import ClientCounts, Limits
from perfhunt.load.child.recorder import Recorder
from perfhunt.load.child.timer import Timer, best_timer
from perfhunt.model.units import Seconds

CHUNK = 4096  # arrivals turned from arrays into Python numbers at a time
TICK: Seconds = 0.05
LEAD: Seconds = 0.05  # between the order to start and the first possible arrival


@dataclass(frozen=True, slots=True)
class Schedule:
    """What to send when: due times from the epoch (ascending), endpoint and feed row of each; all
    of shape (n,).
    """

    due: NDArray[np.float64]
    endpoint: NDArray[np.uint16]
    row: NDArray[np.uint32]


Report = Callable[[dict[str, Any]], None]


class Traffic(Protocol):
    """What can send arrivals: the fast client, or a locustfile's users."""

    limits: Limits
    recorder: Recorder
    tally: ClientCounts
    next_due: Seconds  # set by the pacer: when it wants `pace` called, on time.monotonic's clock
    pace: Callable[[], None]
    refill: Callable[[], None] | None

    @property
    def open(self) -> int: ...

    @property
    def in_flight(self) -> Sized: ...

    @property
    def waiting(self) -> Sized: ...

    @property
    def orphans(self) -> Sized: ...

    def begin_trial(self, recorder: Recorder, epoch: Seconds) -> None: ...

    def offer(self, due: Seconds, endpoint: int, row: int) -> None: ...

    def sweep(self, now: Seconds) -> None: ...

    def cut(self, now: Seconds, hard: bool) -> None: ...


class Pacer:
    """Runs one schedule at a time."""

    def __init__(self, client: Traffic) -> None:
        self._client = client
        self._timer: Timer = best_timer(self._fire)
        self.timer_kind = self._timer.kind
        self._stop_at: Seconds = math.inf
        self._hard = False

    def stop(self, hard: bool) -> None:
        """No more arrivals from this moment. `hard` also cuts what is in flight, and closes its
        connections.
        """
        self._stop_at = min(self._stop_at, time.monotonic())
        self._hard = self._hard or hard
        self._timer.cancel()
        self._client.next_due = math.inf

    def run(
        self,
        schedule: Schedule,
        duration: Seconds,
        grace: Seconds,
        recorder: Recorder,
        report: Report,
        epoch: Seconds = 0.0,
    ) -> dict[str, Any]:
        """Sends the schedule for `duration`, then waits up to `grace` for what is in flight; says
        how the generator did.

        `epoch` is when it begins, on time.monotonic's clock (0: at once); `report` gets a dict each
        second. Blocks the calling greenlet; the sending itself happens in the loop's callbacks.
        """
        self._schedule, self._next, self._chunk_at = schedule, 0, 0
        self._dues: list[float] = []
        self._load_chunk()
        self._stop_at, self._hard = math.inf, False
        client = self._client
        with _collector_off() as pauses:
            epoch = self._epoch = epoch or time.monotonic() + LEAD
            client.begin_trial(recorder, epoch)
            client.pace = self._fire
            self._arm()
            end = self._watch(epoch, duration, grace, report)
            client.next_due = math.inf
            client.cut(time.monotonic(), self._hard)
        recorder.flush()
        # Stopped between two arrivals' due times, or a moment after one that was not sent any more.
        ended = min(
            duration,
            self._stop_at - epoch,
            self._next_due() if self._stop_at < epoch + duration else math.inf,
        )
        return {
            **self._health(),
            "seconds": max(0.0, ended),
            "gc_pause": pauses.longest,
            "all": end - epoch,
        }

    def flood(self, connections: int, seconds: Seconds) -> dict[str, Any]:
        """A closed loop at full speed: each of `connections` sends its next request when it has an
        answer. No latency kept.
        """
        client, recorder = self._client, Recorder("")
        with _collector_off():
            epoch = time.monotonic()
            client.begin_trial(recorder, epoch)
            client.pace, client.next_due = self._fire, math.inf
            batch = _Batch(lambda: client.offer(time.monotonic() - epoch, 0, 0))
            client.refill = batch.add
            for _ in range(connections):
                batch.add()
            gevent.sleep(seconds * 0.1)
            began, cpu, done = time.monotonic(), time.process_time(), recorder.added
            gevent.sleep(seconds)
            took, used, done = (
                time.monotonic() - began,
                time.process_time() - cpu,
                recorder.added - done,
            )
            client.cut(time.monotonic(), hard=True)
            batch.close()
        return {"rate": done / took, "cpu": used / max(1, done), "errors": client.tally.errors}

    def _watch(self, epoch: Seconds, duration: Seconds, grace: Seconds, report: Report) -> Seconds:
        """Ticks until the trial is over, reporting each whole second; returns when that was."""
        client, second, cpu = self._client, 0, time.process_time()
        seen = ticks = 0
        while True:
            now = time.monotonic()
            gevent.sleep(max(0.0, min(TICK, epoch + second + 1 - now)))
            now = time.monotonic()
            client.tally.most_open = max(client.tally.most_open, client.open)
            seen, ticks = seen + len(client.in_flight) + len(client.waiting), ticks + 1
            client.sweep(now)
            if now >= epoch + second + 1:
                client.recorder.flush()
                used, cpu = time.process_time() - cpu, time.process_time()
                # Several seconds at once when the loop was held up: the reader gets one row per
                # second anyway.
                second = int(now - epoch)
                report(
                    {
                        "second": second - 1,
                        "cpu": used,
                        "at": now - epoch,
                        "seen": seen,
                        "ticks": ticks,
                        **self._health(),
                    }
                )
                seen = ticks = 0
            over = min(epoch + duration, self._stop_at)
            if self._hard or now >= over + grace:
                return now
            all_sent = self._next_due() == math.inf or over < epoch + duration
            if now >= over and all_sent and not client.in_flight and not client.waiting:
                return now

    def _health(self) -> dict[str, Any]:
        client, tally = self._client, self._client.tally
        return {
            "samples": client.recorder.written,
            "in_flight": len(client.in_flight) + len(client.waiting),
            "sent": tally.sent,
            "opened": tally.opened,
            "resent": tally.resent,
            "stray": tally.stray,
            "queued": tally.queued,
            "orphans": len(client.orphans),
            "errors": tally.errors,
            "most_open": tally.most_open,
        }

    def _load_chunk(self) -> None:
        span = slice(self._chunk_at, self._chunk_at + CHUNK)
        self._dues = self._schedule.due[span].tolist()
        self._endpoints = self._schedule.endpoint[span].tolist()
        self._rows = self._schedule.row[span].tolist()
        self._chunk_at += len(self._dues)
        self._next = 0

    def _next_due(self) -> Seconds:
        """When the next arrival is due, from the epoch; infinite when all were sent."""
        return self._dues[self._next] if self._next < len(self._dues) else math.inf

    def _arm(self) -> None:
        if self._next < len(self._dues):
            at = self._epoch + self._dues[self._next]
            self._client.next_due = at
            self._timer.set(at)
        else:
            self._client.next_due = math.inf
            self._timer.cancel()

    def _fire(self) -> None:
        """Sends all that is due. Called by the timer, and after an answer was read while something
        is due.
        """
        client = self._client
        now = time.monotonic() - self._epoch
        if self._stop_at - self._epoch <= now:
            return
        client.next_due = math.inf
        while self._dues:
            dues, i = self._dues, self._next
            while i < len(dues) and dues[i] <= now:
                client.offer(dues[i], self._endpoints[i], self._rows[i])
                i += 1
                now = time.monotonic() - self._epoch
            self._next = i
            if i < len(dues):
                break
            self._load_chunk()
        self._arm()

    def close(self) -> None:
        """Gives the timer back."""
        self._timer.close()


class _Batch:
    """Defers sends until every answer that is ready has been read.

    Sent one by one between reads, each would wake a peer that has gone to sleep meanwhile, which
    costs more than sending.
    """

    def __init__(self, send: Callable[[], None]) -> None:
        self._send = send
        self._waiting = 0
        self._watcher: Any = (
            gevent.get_hub().loop.prepare()
        )  # runs when nothing is left to do but wait
        self._watcher.start(self._flush)

    def add(self) -> None:
        """One more to send."""
        self._waiting += 1

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, 0
        for _ in range(waiting):
            self._send()

    def close(self) -> None:
        """Sends no more."""
        self._watcher.stop()
        self._watcher.close()


class _Pauses:
    """The longest time the garbage collector held the process."""

    def __init__(self) -> None:
        self.longest: Seconds = 0.0
        self._began: Seconds = 0.0

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.monotonic()
        else:
            self.longest = max(self.longest, time.monotonic() - self._began)


class _collector_off:
    """Within, the collector runs only if someone calls it; what exists by then is never looked at
    again.
    """

    def __enter__(self) -> _Pauses:
        gc.collect()
        gc.freeze()
        gc.disable()
        self._pauses = _Pauses()
        gc.callbacks.append(self._pauses)
        return self._pauses

    def __exit__(self, *error: object) -> None:
        gc.callbacks.remove(self._pauses)
        gc.enable()
        gc.unfreeze()
