"""Which tasks wait for a permit of tokio's, by the calls that ask for one: of a `Mutex`, an
`RwLock`, a `Semaphore`, a bounded channel. All of them are made of one (tokio/src/sync/
batch_semaphore.rs): `acquire` makes a future, which is polled where it stays until it is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from perfhunt.model.units import Seconds
from perfhunt.profilers.native.calls import SeenCall, WatchedFunction
from perfhunt.profilers.native.image import ProcessImage

_MODULE = "batch_semaphore"
_ASKED, _POLLED, _DROPPED = "asked", "polled", "dropped"
_NAMES: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        _ASKED: re.compile(r"batch_semaphore::Semaphore::acquire$"),
        _POLLED: re.compile(r"batch_semaphore::Acquire as .*Future>::poll$"),
        _DROPPED: re.compile(r"batch_semaphore::Acquire as .*Drop>::drop$"),
    }
)
_MOST = 500  # functions with that word in them
_MOST_WAITING = 100_000  # more are no queue of a service that anybody measures


@dataclass(frozen=True, slots=True)
class WaitingTask:
    """A task that waits for a permit: since when, of which semaphore (its address; 0 where it was
    not seen to be asked), and the call that polled for it first.
    """

    since: Seconds
    semaphore: int
    call: SeenCall


class PermitQueue:
    """Who waits for permits now, as far as it was seen to begin."""

    def __init__(self) -> None:
        self._waiting: dict[int, WaitingTask] = {}
        self._asked: dict[int, int] = {}  # the semaphore that a thread asked last

    def take(self, calls: Iterable[SeenCall]) -> None:
        """What was called, in that order."""
        for call in calls:
            first, second = call.arguments
            if call.function == _ASKED:
                self._asked[call.tid] = second
            elif call.function == _DROPPED:
                self._waiting.pop(first, None)
            elif first not in self._waiting and len(self._waiting) < _MOST_WAITING:
                semaphore = self._asked.pop(call.tid, 0)
                self._waiting[first] = WaitingTask(call.at, semaphore, call)

    def forget(self) -> None:
        """Calls were lost: who is known to wait may have got its permit."""
        self._waiting.clear()
        self._asked.clear()

    @property
    def waiting(self) -> list[WaitingTask]:
        """Those that wait now."""
        return list(self._waiting.values())


def permit_functions(image: ProcessImage, program: str) -> list[WatchedFunction]:
    """What there is to watch in a program; empty where not all of it has a name of its own."""
    file = image.files.of(program)
    if file is None:
        return []
    found = []
    for name, pattern in _NAMES.items():
        for function in file.elf.containing(_MODULE, _MOST):
            offset = file.elf.offset_of(function.begin)
            address = image.address_of(program, function.begin)
            if pattern.search(function.name) and offset is not None and address is not None:
                watched = WatchedFunction(name, offset, address, stack=name == _POLLED)
                found.append(watched)
    return found if {each.name for each in found} >= {_POLLED, _DROPPED} else []
