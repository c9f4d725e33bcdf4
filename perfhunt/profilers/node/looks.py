"""Every wait of a Node process at one moment: the stack of its event loop, and each await that is
not over, from what was put into the process.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from statistics import median

import msgspec

from perfhunt.analysis.blame.snapshots import FUTEX
from perfhunt.errors import AttachFailed, Unreadable
from perfhunt.model.document.bounded import json_value
from perfhunt.model.profile import ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Seconds, Share
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
from perfhunt.profilers.node.connections import Awaited, with_queues
from perfhunt.profilers.node.door import open_door, script
from perfhunt.profilers.node.inspector import InspectorError
from perfhunt.profilers.profiler import Looker
from perfhunt.target.proc.threads import thread_name
from perfhunt.target.proc.waits import ProcessWaits, Wait

_DEPTH = 24  # frames of an await: the way from a route's handler to a driver, and no framework
# Of the loop's time: what stacks of awaits may take, at 4 to 8 µs each, before fewer requests are
# followed; and what looks may, before they are taken less often. With all else, 2 %.
_STACKS: Share = 0.01
_LOOKS: Share = 0.005
# Looks per second: each costs the loop half a millisecond beside what it says of itself, for the
# question and the answer, and more would find many of the same waits.
_OFTEN = 10.0
_COLD = (
    5  # looks, after which the target's code for them is compiled: the first takes ten times that
)
_LATE: Seconds = 0.02  # of an answer: JavaScript that runs is interrupted for it within a few ms
_LINE = 256  # bytes of /proc/PID/task/TID/syscall


class _ToldAwait(msgspec.Struct, array_like=True):
    """An await: whether what it waited for is there, the locks of its request, how many it stands
    for, whether nothing was sent for it that another end would answer, which request (0: none),
    whether that waits for the same further in.
    """

    site: int
    ready: bool
    holds: list[int]
    weight: int
    unsent: bool
    request: int = 0
    outside: bool = False


class _Look(msgspec.Struct):
    """What the target says: see watch.js."""

    main: list[SiteFrame]
    holds: list[int]
    sites: list[tuple[int, list[SiteFrame]]]
    waits: list[_ToldAwait]
    kinds: dict[str, tuple[dict[str, int], int]]
    links: dict[str, tuple[int, int]]
    every: int
    spent: float


class NodeLooker:
    """Looks at one process, as often as it is asked, and takes out at the end what it put in."""

    how = "by hooks of its own (async_hooks), through its inspector"
    enough_hz = 8.0  # what tells a wait seen half of the time to 10 points in ten seconds
    cost_limit = 0.05  # of one core

    def __init__(self, pid: int) -> None:
        """Raises AttachFailed, with the reason, where the inspector cannot be opened."""
        self._pid, self._door = pid, open_door(pid)
        try:
            self._inspector = self._door.session()
            self._inspector.evaluate(
                f"{script('watch')}(require, {_DEPTH}, {_STACKS})", requires=True
            )
        except InspectorError as error:
            self._door.leave()
            raise AttachFailed(f"Node process {pid} could not be looked at: {error}") from error
        self.cpu: Seconds = 0.0
        self.rate_hz, self._costs = _OFTEN, deque[Seconds](maxlen=_COLD)
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
        self._costs.append(told.spent - self.cpu)
        self.cpu, self._every = told.spent, max(told.every, self._every)
        self._awaits |= {n: await_at(places) for n, places in told.sites}
        self.seen += 1
        if self.seen >= _COLD:
            self.rate_hz = min(_OFTEN, _LOOKS / max(median(self._costs), 1e-9))
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
        waits, waiting = self._own(told.waits), Counter[int]()
        for each in waits:
            waiting[each.site] += each.weight
        for site, n in waiting.items():
            self._passages.saw(self._awaits[site], n)
        ends = {
            site: self._wait(site, told)
            for site in waiting
            if self._awaits[site].stack and not self._passages.is_one(self._awaits[site])
        }
        # One that stands for several is as many waits; what it was given, it has once.
        told_once = (each for each in waits if each.site in ends and not each.outside)
        inner = [(each, n == 0) for each in told_once for n in range(each.weight)]
        awaits = [Awaited(_ready(each) or ends[each.site], each.unsent) for each, _ in inner]
        queues = with_queues(awaits, told.links)
        for (each, first), (wait, has) in zip(inner, queues, strict=True):
            holds = has | _names(each.holds) if first else has
            yield self._sample(each.site, wait, holds)

    def _own(self, waits: Sequence[_ToldAwait]) -> list[_ToldAwait]:
        """The waits without those in a library alone of requests that wait in the application's
        code: a framework awaits its handlers, and what a driver awaits is awaited in turn.
        """
        there = {each.request for each in waits if self._awaits[each.site].is_app} - {0}
        return [
            each for each in waits if each.request not in there or self._awaits[each.site].is_app
        ]

    def _wait(self, site: int, told: _Look) -> Wait:
        ended, lock = told.kinds[str(site)]
        return wait_of(ended, site, lock)

    def _sample(self, site: int, wait: Wait, holds: frozenset[str]) -> ThreadSample:
        return ThreadSample(
            pid=self._pid,
            tid=0,
            stack=(AWAITING, *self._awaits[site].stack),
            state=wait.state,
            wait_on=wait.on,
            thread_name="promise",
            still=True,
            task=True,
            holds=holds,
        )


def _ready(each: _ToldAwait) -> Wait | None:
    return Wait(ThreadState.LOOP) if each.ready else None


def _names(locks: list[int]) -> frozenset[str]:
    return frozenset(f"{FUTEX}{lock_name(lock)}" for lock in locks)


def node_looker(pid: int) -> tuple[Looker, str]:
    """The looker of a Node process. Raises AttachFailed."""
    return NodeLooker(pid), ""
