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
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from perfhunt.model.units import Seconds
from perfhunt.profilers.native.calls import SeenCall, WatchedFunction
from perfhunt.profilers.native.image import ProcessImage

_MODULE = "batch_semaphore"
_ASKED, _POLLED, _DROPPED, _RELEASED = "asked", "polled", "dropped", "released"
_NAMES: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        _ASKED: re.compile(r"batch_semaphore::Semaphore::acquire$"),
        _POLLED: re.compile(r"batch_semaphore::Acquire as .*Future>::poll$"),
        _DROPPED: re.compile(r"batch_semaphore::Acquire as .*Drop>::drop$"),
        # What all that gives back goes through; of what calls it, compilers put copies into others.
        _RELEASED: re.compile(r"batch_semaphore::Semaphore::add_permits_locked$"),
    }
)
_WITH_STACK = frozenset({_POLLED, _RELEASED})
_MOST = 500  # symbols with that word in them
_MOST_WAITING = 100_000  # more are no queue of a service that anybody measures
# From the last poll of a future until it is dropped, where that poll gave the permit: a few
# instructions, with a moment off the CPU.
_AT_ONCE: Seconds = 0.001
_MOST_HOLDING = 1_000  # at a time; of more the first are forgotten
_NEAR = np.uint64(1024)  # bytes from one part of a task's state to another
_KNOWN_AFTER: Seconds = 2.0  # from the first call on: who had a permit before has given it back
_RELEASES = 8  # of a semaphore, from which it is told whether those who asked give back as well


@dataclass(slots=True)
class PermitWait:
    """A task that waits for a permit, or has it since: `call` is the first poll for it, `handed`
    when it was handed one, since when it waits for a worker to go on.
    """

    call: SeenCall
    polls: int = 0
    first: bool = True  # nobody waited before it
    handed: Seconds = 0.0


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
        self._asked: dict[int, int] = {}  # the semaphore that a thread asked last
        self._polled: dict[int, SeenCall] = {}  # the last poll of a thread
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

    def forget(self) -> None:
        """Calls were lost: who is known to wait may have got its permit."""
        for known in (self.semaphores, self._of, self._asked, self._polled):
            known.clear()
        self._began = 0.0

    def _ask(self, call: SeenCall) -> None:
        self._asked[call.tid] = call.arguments[1]

    def _poll(self, call: SeenCall) -> None:
        future, self._polled[call.tid] = call.arguments[0], call
        if future not in self._of:
            semaphore = self._asked.pop(call.tid, 0)
            if not semaphore or len(self._of) >= _MOST_WAITING:
                return  # it waited before anybody looked
            use = self.semaphores.setdefault(semaphore, PermitUse())
            first = all(each.handed for each in use.waiting.values())
            # Where it asks anew it has what it had no more, though that was not seen.
            for n in [n for n, e in enumerate(use.holding) if e.call.arguments[0] == future]:
                del use.holding[n]
            use.waiting[future] = PermitWait(call, first=first)
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
            got = bool(wait.handed)
            if not use.sure and not got and at_once:
                got = _take_back(use.waiting.values())
        if got:  # at its first poll nobody waited, and now all have gone on who came before it
            use.sure = True
            use.holding.append(wait)

    def _release(self, call: SeenCall) -> None:
        semaphore, permits = call.arguments
        use = self.semaphores.get(semaphore)
        if use is None or not permits:
            return
        if len(use.releases) < _RELEASES:
            use.releases.append(call)
        if (gives := self._giver(use, call)) is not None:
            del use.holding[gives]
        for wait in use.waiting.values():
            if not wait.handed and permits:
                wait.handed, permits = call.at, permits - 1

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
    last.handed = 0.0
    return True


def permit_functions(image: ProcessImage, program: str) -> list[WatchedFunction]:
    """What there is to watch in a program; empty where not all of it is a function with a name: it
    was stripped of those, or optimized as a whole.
    """
    found = {function.name: function for function in _watchable(image, program)}
    return list(found.values()) if found.keys() == _NAMES.keys() else []


def _watchable(image: ProcessImage, program: str) -> Iterator[WatchedFunction]:
    file = image.files.of(program)
    for symbol, own in file.elf.symbols_with(_MODULE, _MOST) if file is not None else ():
        name = next((name for name, pattern in _NAMES.items() if pattern.search(symbol)), "")
        offset = file.elf.offset_of(own) if file is not None else None
        address = image.address_of(program, own)
        if name and offset is not None and address is not None:
            yield WatchedFunction(name, offset, address, stack=name in _WITH_STACK)
