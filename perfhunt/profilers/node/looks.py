"""Every wait of a Node process at one moment: the stack of its event loop, and each await that is
not over, from what was put into the process.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress

import msgspec

from perfhunt.analysis.blame.snapshots import FUTEX
from perfhunt.errors import AttachFailed, Unreadable
from perfhunt.model.document.bounded import json_value
from perfhunt.model.profile import ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Seconds
from perfhunt.profilers.node.awaits import (
    AWAITING,
    EVENT_LOOP,
    AwaitSite,
    Passages,
    SiteFrame,
    await_at,
    frames_of,
    lock_name,
    wait_of,
)
from perfhunt.profilers.node.door import open_door, script
from perfhunt.profilers.node.inspector import InspectorError
from perfhunt.profilers.profiler import Looker
from perfhunt.target.proc.threads import thread_name
from perfhunt.target.proc.waits import ProcessWaits, Wait

_DEPTH = 24  # frames of an await: the way from a route's handler to a driver, and no framework
# Stacks of awaits taken per second, at 8 µs each: 3 % of the loop's time. Beyond it fewer requests
# are followed.
_CAPTURES = 4000
_LATE: Seconds = 0.02  # of an answer: JavaScript that runs is interrupted for it within a few ms
_LINE = 256  # bytes of /proc/PID/task/TID/syscall


class _Look(msgspec.Struct):
    """What the target says: see watch.js."""

    main: list[SiteFrame]
    holds: list[int]
    sites: list[tuple[int, list[SiteFrame]]]
    waits: list[tuple[int, bool, list[int]]]
    kinds: dict[str, tuple[dict[str, int], int]]
    every: int
    spent: float


class NodeLooker:
    """Looks at one process, as often as it is asked, and takes out at the end what it put in."""

    how = "by hooks of its own (async_hooks), through its inspector"
    rate_hz = 20.0  # faster, a look finds too many of the same waits to be worth its cost
    enough_hz = 8.0  # what tells a wait seen half of the time to 10 points in ten seconds
    cost_limit = 0.05  # of one core

    def __init__(self, pid: int) -> None:
        """Raises AttachFailed, with the reason, where the inspector cannot be opened."""
        self._pid, self._door = pid, open_door(pid)
        try:
            self._inspector = self._door.session()
            self._inspector.evaluate(
                f"{script('watch')}(require, {_DEPTH}, {_CAPTURES})", requires=True
            )
        except InspectorError as error:
            self._door.leave()
            raise AttachFailed(f"Node process {pid} could not be looked at: {error}") from error
        self.cpu: Seconds = 0.0
        self.seen = self.unmatched = 0
        self._every = 1
        self._waits, self._name = ProcessWaits(pid), thread_name(pid, pid)
        self._awaits: dict[int, AwaitSite] = {}
        self._passages = Passages()
        self._open = True

    @property
    def unseen(self) -> str:
        """What of the process is not read, and why, as a clause; "" for none."""
        return (
            f"one of {self._every} requests was followed, since all of their awaits cost too much"
            if self._every > 1
            else ""
        )

    def close(self) -> None:
        """Let the process go. Idempotent."""
        if not self._open:
            return
        self._open = False
        with suppress(InspectorError):
            self._inspector.evaluate("globalThis.__perfhunt?.watch?.end()")
        self._inspector.close()
        self._door.leave()

    def look(self) -> list[ThreadSample]:
        """The event loop now, and everything that awaits. Raises AttachFailed when the process does
        not say.
        """
        before, asked = self._before(), time.monotonic()
        try:
            raw = self._inspector.evaluate("globalThis.__perfhunt.watch.look()")
            told = msgspec.convert(json_value(str(raw), "a look at the target"), _Look)
        except (InspectorError, Unreadable, msgspec.ValidationError, ValueError) as error:
            raise AttachFailed(f"Node process {self._pid} did not say: {error}") from error
        late = time.monotonic() - asked > _LATE
        self.cpu, self._every = told.spent, told.every
        self._awaits |= {n: await_at(places) for n, places in told.sites}
        self.seen += 1
        return [self._loop(told, before, late), *self._awaiting(told)]

    def _before(self) -> Wait:
        """What the loop's thread waits for."""
        try:
            with open(f"/proc/{self._pid}/task/{self._pid}/syscall", "rb", buffering=0) as file:
                return self._waits.wait(self._pid, os.read(file.fileno(), _LINE))
        except PermissionError:
            return Wait(ThreadState.UNKNOWN)
        except OSError as error:
            raise AttachFailed(f"Process {self._pid} has ended") from error

    def _loop(self, told: _Look, before: Wait, late: bool) -> ThreadSample:
        """The loop's own thread. Code on its stack that did not wait in any call was running, or
        in a loop of its own, as who waits for a child process: that answers late.
        """
        wait = before
        if told.main and wait.state in (ThreadState.POLL, ThreadState.UNKNOWN):
            wait = Wait(ThreadState.OTHER if late else ThreadState.ON_CPU)
        return ThreadSample(
            pid=self._pid,
            tid=self._pid,
            stack=(EVENT_LOOP, *frames_of(told.main)),
            state=wait.state,
            wait_on=wait.on,
            thread_name=self._name,
            still=True,
            holds=_names(told.holds),
        )

    def _awaiting(self, told: _Look) -> Iterator[ThreadSample]:
        waiting = Counter(site for site, _, _ in told.waits)
        for site, n in waiting.items():
            self._passages.saw(self._awaits[site], n)
        ends = {
            site
            for site in waiting
            if self._awaits[site].stack and not self._passages.is_one(self._awaits[site])
        }
        for site, ready, holds in told.waits:
            if site in ends:
                yield from [self._sample(site, ready, holds, told.kinds)] * told.every

    def _sample(
        self,
        site: int,
        ready: bool,
        holds: list[int],
        kinds: Mapping[str, tuple[dict[str, int], int]],
    ) -> ThreadSample:
        ended, lock = kinds[str(site)]
        wait = Wait(ThreadState.LOOP) if ready else wait_of(ended, site, lock)
        return ThreadSample(
            pid=self._pid,
            tid=0,
            stack=(AWAITING, *self._awaits[site].stack),
            state=wait.state,
            wait_on=wait.on,
            thread_name="promise",
            still=True,
            task=True,
            holds=_names(holds),
        )


def _names(locks: list[int]) -> frozenset[str]:
    return frozenset(f"{FUTEX}{lock_name(lock)}" for lock in locks)


def node_looker(pid: int) -> tuple[Looker, str]:
    """The looker of a Node process. Raises AttachFailed."""
    return NodeLooker(pid), ""
