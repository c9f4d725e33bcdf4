"""Every asyncio task of a live process, with the chain of coroutines it awaits through.

Of hundreds of tasks most are at rest. What each was told from at the last look is read again, all of
it at once; where nothing of it changed, what was told still holds, and nothing is worked out anew.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, islice

from perfhunt.profilers.cpython.chains import AwaitChain, Chains, PendingTask, TaskReading
from perfhunt.profilers.cpython.memory import WORD
from perfhunt.profilers.cpython.objects import Objects
from perfhunt.profilers.cpython.tiles import Tiles, tiles_of

_MODULE = "asyncio.tasks"
_MOST_TASKS = 4096
_ASKED_EVERY = 40  # looks, about a second: whether asyncio is in use by now


class Tasks:
    """Reads the tasks of one process, those of every running loop of it."""

    def __init__(self, objects: Objects) -> None:
        self._objects, self._memory = objects, objects.memory
        self._layout = objects.layout.task
        self._chains, self._tiles = Chains(objects), Tiles(objects.memory)
        self._set, self._looks = 0, 0
        self._links: list[int] = []  # of the tasks of the last look, where those are linked
        self._last: dict[int, TaskReading] = {}  # by task
        self._lies_in: dict[int, frozenset[int]] = {}  # the tiles with what it was told from

    def read(self, entered: Collection[int], states: Sequence[int]) -> list[AwaitChain]:
        """What every task awaits that is not running.

        `entered` are the frames that threads are in, which tell those that run; `states` is where
        the threads have their states. A task awaited by another is told as part of that one; of one
        that gathers others, those are told.
        """
        tasks, same = self._pending(list(islice(self._every(states), _MOST_TASKS)))
        readings: list[TaskReading] = []
        for at, task in tasks.items():
            if task.coroutine + self._layout.coroutine_frame in entered:
                continue
            reading = same.get(at)
            if reading is None or any(
                (asked in tasks) is not was for asked, was in reading.asked.items()
            ):
                # Of hundreds of tasks, the last are read long after the first: what each is at is
                # asked right before its chain is read.
                reading = self._chains.read(at, tasks, self._last.get(at))
            if reading is not None:
                readings.append(reading)
        self._keep(readings)
        claimed = frozenset[int]().union(*(each.claimed for each in readings if each.claimed))
        chains = (each.chain for each in readings)
        return [found for found in chains if found is not None and found.task not in claimed]

    def _pending(
        self, every: Sequence[int]
    ) -> tuple[dict[int, PendingTask], Mapping[int, TaskReading]]:
        """(the tasks that are not done, what was told before of those that are as they were)."""
        tiles, size = set[int](), self._chains.task_size
        for at in every:
            tiles.update(self._lies_in.get(at) or tiles_of(at, size))
        changed = self._tiles.renew(tiles)
        tasks, same = dict[int, PendingTask](), dict[int, TaskReading]()
        for at in every:
            last = self._last.get(at)
            if last is not None and self._is_as_it_was(last, changed):
                tasks[at], same[at] = last.task, last
            elif task := self._chains.pending(at, self._tiles.read(at, size)):
                tasks[at] = task
        return tasks, same

    def _is_as_it_was(self, reading: TaskReading, changed: Collection[int]) -> bool:
        if self._lies_in[reading.task.at].isdisjoint(changed):
            return True
        read = self._tiles.read
        return all(read(one.at, len(one.raw)) == one.raw for one in reading.evidence)

    def _keep(self, readings: Sequence[TaskReading]) -> None:
        before, lies_in = self._last, self._lies_in
        self._last = {each.task.at: each for each in readings}
        self._lies_in = {
            at: lies_in[at] if before.get(at) is each else _tiles_with(each)
            for at, each in self._last.items()
        }

    def _every(self, states: Sequence[int]) -> Iterator[int]:
        return self._linked(states) if self._layout.link else self._held()

    def _linked(self, states: Sequence[int]) -> Iterator[int]:
        """The tasks of each thread, from the list that begins in its state."""
        heads = [state + self._layout.head for state in states]
        places = [*heads, *self._links]
        ahead = dict(zip(places, self._words(places), strict=True))
        self._links = []
        for head in heads:
            at = ahead[head]
            while at and at != head and len(self._links) < _MOST_TASKS:
                self._links.append(at)
                yield at - self._layout.link
                at = ahead.get(at) or self._memory.word(at)

    def _held(self) -> Iterator[int]:
        """The tasks that the module has references to."""
        if not self._set and not self._looks % _ASKED_EVERY:
            self._set = self._set_of_tasks()
        self._looks += 1
        if not self._set:
            return
        references = self._objects.members(self._set)
        yield from self._words([each + self._layout.weakref_object for each in references])

    def _words(self, places: Sequence[int]) -> tuple[int, ...]:
        """The words at so many places; 0 for each that cannot be read."""
        raw = self._memory.together([(at, WORD) for at in places])
        return struct.unpack(f"<{len(places)}Q", raw)

    def _set_of_tasks(self) -> int:
        """The set within the WeakSet of all tasks; 0 where asyncio is not in use."""
        objects, memory, layout = self._objects, self._memory, self._layout
        modules = memory.word(objects.runtime + layout.modules)
        module = objects.item(modules, _MODULE) if modules else 0
        weakset = module and objects.item(memory.word(module + layout.module_dict), layout.weakset)
        if not weakset:
            return 0
        at = weakset
        for step in layout.data:
            at = memory.word(at + step)
        return at


def _tiles_with(reading: TaskReading) -> frozenset[int]:
    pieces = (tiles_of(one.at, len(one.raw)) for one in reading.evidence)
    return frozenset(chain.from_iterable(pieces))
