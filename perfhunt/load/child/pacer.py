"""Sends every arrival when it is due, by a timer, and one that is late at once; watches the clock
for the trial.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gevent
import numpy as np
from numpy.typing import NDArray

from perfhunt.load.child.recorder import Recorder
from perfhunt.load.child.sender import LEAD, TICK, ArrivalSender, ReportSecond
from perfhunt.load.child.timer import Timer, best_timer
from perfhunt.load.messages import Flooded, SecondReport, StepDone
from perfhunt.model.units import Seconds, Share

# Connections that are opened before answers are read again. Opening one takes as long as two
# arrivals at 20,000/s are apart: a sender that is late and opens one for all that became due
# meanwhile falls behind ever further, while answers that would free connections lie unread.
OPENED_AT_ONCE = 4
CHUNK = 4096  # arrivals turned from arrays into Python numbers at a time
FLOOD_WARMUP: Share = 0.1  # of a flood's length, sent beforehand and not counted


@dataclass(frozen=True, slots=True)
class Schedule:
    """What to send when: due times from the epoch (ascending), endpoint and feed row of each; all
    of shape (n,). What is due before `settle` does not count.
    """

    due: NDArray[np.float64]
    endpoint: NDArray[np.uint16]
    row: NDArray[np.uint32]
    settle: Seconds = 0.0


class Pacer:
    """Runs one schedule at a time."""

    def __init__(self, sender: ArrivalSender) -> None:
        self._sender = sender
        self._timer: Timer = best_timer(self._fire)
        self._stop_at: Seconds = math.inf
        self._hard = False

    def begin(self) -> None:
        """What was stopped before is over; a stop from now on ends what comes next, even before its
        first arrival.
        """
        self._stop_at, self._hard = math.inf, False

    def stop(self, hard: bool) -> None:
        """No more arrivals from this moment. `hard` also cuts what is in flight, and closes its
        connections.
        """
        self._stop_at = min(self._stop_at, time.monotonic())
        self._hard = self._hard or hard
        self._timer.cancel()
        self._sender.next_due = math.inf

    def run(
        self,
        schedule: Schedule,
        duration: Seconds,
        grace: Seconds,
        recorder: Recorder,
        report: ReportSecond,
        epoch: Seconds = 0.0,
    ) -> StepDone:
        """Sends the schedule for `duration`, then waits up to `grace` for what is in flight; says
        how the generator did.

        `epoch` is when it begins, on time.monotonic's clock (0: at once); `report` is called each
        second. Blocks the calling greenlet; the sending itself happens in the loop's callbacks.
        """
        self._schedule, self._next, self._chunk_at = schedule, 0, 0
        self._dues: list[float] = []
        self._load_chunk()
        sender = self._sender
        with _collector_off() as pauses:
            epoch = self._epoch = epoch or time.monotonic() + LEAD
            sender.begin_trial(recorder, epoch, schedule.settle)
            sender.pace = self._resume
            if self._stop_at == math.inf:
                self._arm()
            self._watch(epoch, duration, grace, report)
            sender.next_due = math.inf
            sender.cut(time.monotonic(), self._hard)
        recorder.flush()
        counts = sender.counts
        return StepDone(
            seconds=self._loaded(duration),
            epoch=epoch,
            opened=counts.opened,
            resent=counts.resent,
            stray=counts.stray,
            queued=counts.queued,
            errors=counts.errors,
            gc_pause=pauses.longest,
            wire=counts.wire.account() if counts.wire is not None else None,
            tasks=tuple(counts.tasks.values()),
        )

    def _loaded(self, duration: Seconds) -> Seconds:
        """How long load was on: less than `duration` when it was stopped."""
        stopped = self._stop_at - self._epoch
        # Stopped between two arrivals' due times, or a moment after one that was not sent any more.
        unsent = self._next_due() if stopped < duration else math.inf
        return max(0.0, min(duration, stopped, unsent))

    def flood(self, connections: int, seconds: Seconds) -> Flooded:
        """A closed loop at full speed: each of `connections` sends its next request when it has an
        answer. No latency kept.
        """
        sender, recorder = self._sender, Recorder("")
        with _collector_off():
            epoch = time.monotonic()
            sender.begin_trial(recorder, epoch, 0.0)
            sender.pace, sender.next_due = self._fire, math.inf
            batch = _Batch(lambda: sender.offer(time.monotonic() - epoch, 0, 0))
            sender.refill = batch.add
            for _ in range(connections):
                batch.add()
            self._wait(seconds * FLOOD_WARMUP)
            began, cpu, done = time.monotonic(), time.process_time(), recorder.added
            self._wait(seconds)
            took, used, done = (
                time.monotonic() - began,
                time.process_time() - cpu,
                recorder.added - done,
            )
            sender.cut(time.monotonic(), hard=True)
            batch.close()
        return Flooded(rate=done / took, cpu=used / max(1, done), errors=sender.counts.errors)

    def _wait(self, seconds: Seconds) -> None:
        """Sleeps, unless it is told to stop."""
        until = time.monotonic() + seconds
        while (left := min(until, self._stop_at) - time.monotonic()) > 0:
            gevent.sleep(min(left, TICK))

    def _watch(
        self, epoch: Seconds, duration: Seconds, grace: Seconds, report: ReportSecond
    ) -> None:
        """Ticks until the trial is over, reporting each whole second."""
        sender, second, cpu = self._sender, 0, time.process_time()
        unanswered = ticks = 0
        while True:
            now = time.monotonic()
            gevent.sleep(max(0.0, min(TICK, epoch + second + 1 - now)))
            now = time.monotonic()
            sender.counts.most_open = max(sender.counts.most_open, sender.open)
            unanswered += len(sender.in_flight) + len(sender.waiting)
            ticks += 1
            sender.sweep(now)
            if now >= epoch + second + 1:
                sender.recorder.flush()
                used, cpu = time.process_time() - cpu, time.process_time()
                # Several seconds at once when the loop was held up: the reader gets one row per
                # second anyway.
                second = int(now - epoch)
                report(
                    SecondReport(
                        second=second - 1,
                        at=now - epoch,
                        cpu=used,
                        sent=sender.counts.sent,
                        unanswered=unanswered,
                        ticks=ticks,
                    )
                )
                unanswered = ticks = 0
            over = min(epoch + duration, self._stop_at)
            if self._hard or now >= over + grace:
                return
            all_sent = self._next_due() == math.inf or over < epoch + duration
            if now >= over and all_sent and not sender.in_flight and not sender.waiting:
                return

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
            self._sender.next_due = at
            self._timer.set(at)
        else:
            self._sender.next_due = math.inf
            self._timer.cancel()

    def _fire(self) -> None:
        """Sends what is due, on new connections too. Called by the timer."""
        self._send_due(OPENED_AT_ONCE)

    def _resume(self) -> None:
        """Sends what is due on what an answer has set free. Called when one was read."""
        self._send_due(0)

    def _send_due(self, new: int) -> None:
        """Sends what is due, on no more than so many new connections; the rest is due at once when
        answers have been read.
        """
        sender = self._sender
        now = time.monotonic() - self._epoch
        if self._stop_at - self._epoch <= now:
            return
        sender.next_due = math.inf
        counts = sender.counts
        enough = counts.opened + new
        while self._dues:
            dues, i = self._dues, self._next
            while i < len(dues) and dues[i] <= now and (counts.opened < enough or sender.spare):
                sender.offer(dues[i], self._endpoints[i], self._rows[i])
                i += 1
                now = time.monotonic() - self._epoch
            self._next = i
            if i < len(dues):
                break
            self._load_chunk()
        self._arm()


class _Batch:
    """Defers sends until every answer that is ready has been read.

    Sent one by one between reads, each would wake a peer that has gone to sleep meanwhile, which
    costs more than sending.
    """

    def __init__(self, send: Callable[[], None]) -> None:
        self._send = send
        self._waiting = 0
        # It runs when nothing is left to do but wait.
        self._watcher: Any = gevent.get_hub().loop.prepare()
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
