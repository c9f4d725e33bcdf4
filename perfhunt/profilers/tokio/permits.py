"""Which tasks wait for a permit of tokio's and which have one, by the calls that ask for it and
give it back: of a `Mutex`, an `RwLock`, a `Semaphore`, a bounded channel.

All of them are made of one (tokio/src/sync/batch_semaphore.rs): `acquire` makes a future, which is
polled where it stays until it is dropped, and `release` hands permits to those that wait, in the
order they came. So a future that is dropped has its permit when one was handed to it, or when it
was polled once and nobody was before it; else whoever waited had enough of it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from perfhunt.model.profile import Stack
from perfhunt.model.units import Seconds
from perfhunt.profilers.native.calls import SeenCall

_ASKED, _POLLED, _DROPPED, _RELEASED = "asked", "polled", "dropped", "released"
PERMITS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        _ASKED: re.compile(r"batch_semaphore::Semaphore::acquire$"),
        _POLLED: re.compile(r"batch_semaphore::Acquire as .*Future>::poll$"),
        _DROPPED: re.compile(r"batch_semaphore::Acquire as .*Drop>::drop$"),
        # What all that gives back goes through; of what calls it, compilers put copies into others.
        _RELEASED: re.compile(r"batch_semaphore::Semaphore::add_permits_locked$"),
    }
)
PERMITS_WITH_STACK = frozenset({_POLLED, _RELEASED})
_MOST_WAITING = 100_000  # more are no queue of a service that anybody measures
# Semaphores that are kept though nobody waits or has a permit: a service may make one for each key.
_MOST_IDLE = 256
# From the last poll of a future until it is dropped, where that poll gave the permit: a few
# instructions, with a moment off the CPU.
_AT_ONCE: Seconds = 0.001
_MOST_HOLDING = 1_000  # at a time; of more the first are forgotten
_NEAR = np.uint64(1024)  # bytes from one part of a task's state to another
_KNOWN_AFTER: Seconds = 2.0  # from the first call on: who had a permit before has given it back
_RELEASES = 8  # of a semaphore, from which it is told whether those who asked give back as well


@dataclass(slots=True)
class PermitWait:
    """A task that waits for permits, or has them since: `call` is the first poll for them, `given`
    how many of those it wants were seen to be given to it, `handed` when it had them all, since
    when it waits for a worker to go on. `stack` and `words`: where it was and what it had in hand,
    once that was read of the call.
    """

    call: SeenCall
    wants: int = 1
    polls: int = 0
    first: bool = True  # nobody waited before it
    given: int = 0
    handed: Seconds = 0.0
    stack: Stack | None = None
    words: tuple[int, ...] = ()


@dataclass(slots=True)
class PermitUse:
    """One semaphore: who waits for it, by their futures in the order they came, who has it, in the
    order they got it, and the first calls that gave it back. `sure`: whoever waited before anybody
    looked has got it by now.
    """

    waiting: dict[int, PermitWait] = field(default_factory=dict)
    holding: deque[PermitWait] = field(default_factory=lambda: deque(maxlen=_MOST_HOLDING))
    releases: list[SeenCall] = field(default_factory=list)
    sure: bool = False


class PermitQueue:
    """Who waits for permits now, and who has them, as far as it was seen to begin."""

    def __init__(self) -> None:
        self.semaphores: dict[int, PermitUse] = {}
        self._of: dict[int, PermitUse] = {}  # by future
        # The semaphore that a thread asked last, and for how many permits.
        self._asked: dict[int, tuple[int, int]] = {}
        self._polled: dict[int, SeenCall] = {}  # the last poll of a thread
        # When a thread dropped what had been given permits and did not use them.
        self._unused: dict[int, Seconds] = {}
        self._began: Seconds = 0.0

    def take(self, calls: Iterable[SeenCall]) -> None:
        """What was called, in that order."""
        take: Mapping[str, Callable[[SeenCall], None]] = {
            _ASKED: self._ask,
            _POLLED: self._poll,
            _DROPPED: self._drop,
            _RELEASED: self._release,
        }
        for call in calls:
            self._began = self._began or call.at
            take[call.function](call)
        if len(self.semaphores) > _MOST_IDLE:
            used = {n: use for n, use in self.semaphores.items() if use.waiting or use.holding}
            self.semaphores = used

    def forget(self) -> None:
        """Calls were lost: who is known to wait may have got its permit."""
        for known in (self.semaphores, self._of, self._asked, self._polled, self._unused):
            known.clear()
        self._began = 0.0

    def _ask(self, call: SeenCall) -> None:
        self._asked[call.tid] = call.arguments[1], call.arguments[2]

    def _poll(self, call: SeenCall) -> None:
        future, self._polled[call.tid] = call.arguments[0], call
        if future not in self._of:
            semaphore, wants = self._asked.pop(call.tid, (0, 1))
            if not semaphore or len(self._of) >= _MOST_WAITING:
                return  # it waited before anybody looked
            use = self.semaphores.setdefault(semaphore, PermitUse())
            first = all(each.handed for each in use.waiting.values())
            # Where it asks anew it has what it had no more, though that was not seen.
            for n in [n for n, e in enumerate(use.holding) if e.call.arguments[0] == future]:
                del use.holding[n]
            use.waiting[future] = PermitWait(call, wants, first=first)
            self._of[future] = use
        self._of[future].waiting[future].polls += 1

    def _drop(self, call: SeenCall) -> None:
        future, polled = call.arguments[0], self._polled.get(call.tid)
        at_once = (
            polled is not None and polled.arguments[0] == future and call.at - polled.at < _AT_ONCE
        )
        use = self._of.pop(future, None)
        if use is None:
            if at_once:
                _take_back([e for use in self.semaphores.values() for e in use.waiting.values()])
            return
        wait = use.waiting.pop(future)
        if wait.polls == 1:
            got = at_once and wait.first
        else:
            # Of several permits, some were free when it came, which nobody saw.
            got = bool(wait.handed) or (wait.given > 0 and wait.wants > 1 and at_once)
            if not use.sure and not got and at_once:
                got = _take_back(use.waiting.values())
        if got:  # at its first poll nobody waited, and now all have gone on who came before it
            use.sure = True
            use.holding.append(wait)
        elif wait.given:
            self._unused[call.tid] = call.at

    def _release(self, call: SeenCall) -> None:
        semaphore, permits, _ = call.arguments
        use = self.semaphores.get(semaphore)
        if use is None or not permits:
            return
        if call.at - self._unused.pop(call.tid, -_AT_ONCE) >= _AT_ONCE:
            if len(use.releases) < _RELEASES:
                use.releases.append(call)
            if (gives := self._giver(use, call)) is not None:
                del use.holding[gives]
        for wait in use.waiting.values():
            given = min(permits, wait.wants - wait.given)
            wait.given, permits = wait.given + given, permits - given
            if given and wait.given == wait.wants:
                wait.handed = call.at

    def _giver(self, use: PermitUse, call: SeenCall) -> int | None:
        """Which of those that have a permit gives one back: the one whose future is nearest to what
        is in the registers, else on the stack, since a task's state is in one piece. Nobody who is
        known, where none is near and others may have had theirs before anybody looked; else who had
        it first.
        """
        futures = np.array([each.call.arguments[0] for each in use.holding], np.uint64)
        if not len(futures):
            return None
        registers = np.array(list(call.registers.others.values()), np.uint64)
        stack = np.frombuffer(call.raw[: len(call.raw) // 8 * 8], np.uint64)
        for words in (registers, stack):
            # As unsigned numbers, what lies below a future is far above it.
            apart = words[:, None] - futures[None, :]
            distance = np.minimum(apart, -apart).min(axis=0, initial=_NEAR)
            if (nearest := int(distance.argmin())) or distance[0] < _NEAR:
                return nearest
        return 0 if call.at - self._began > _KNOWN_AFTER else None


def _take_back(waiting: Iterable[PermitWait]) -> bool:
    """Whoever was handed a permit last was not: another had come before it, unseen. Whether anybody
    was.
    """
    last = max(waiting, key=lambda each: each.handed, default=None)
    if last is None or not last.handed:
        return False
    last.handed, last.given = 0.0, 0
    return True
