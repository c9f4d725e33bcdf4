"""Every asyncio task of a live process, with the chain of coroutines it awaits through.

Of hundreds of tasks most are at rest. What each was told from is read again, all of it at once;
where nothing of it changed, what was told still holds, and nothing is worked out anew.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from itertools import chain

from perfhunt.profilers.cpython.chains import AwaitChain, Chains, PendingTask, TaskReading
from perfhunt.profilers.cpython.objects import Objects
from perfhunt.profilers.cpython.tiles import Tiles, tiles_of
from perfhunt.target.proc.memory import WORD

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
        self._tasks: dict[int, PendingTask] = {}  # those of the last look that were not done
        self._last: dict[int, TaskReading] = {}  # by task
        self._resting: set[int] = set()  # the tasks that are told from tiles
        self._lie_in: dict[int, set[int]] = {}  # by tile, those of them that it tells of

    def read(self, entered: Collection[int], states: Sequence[int]) -> list[AwaitChain]:
        """What every task awaits that is not running.

        `entered` are the frames that threads are in, which tell those that run; `states` is where
        the threads have their states. A task awaited by another is told as part of that one; of one
        that gathers others, those are told.
        """
        before = self._tasks
        tasks, moved = self._pending(self._every(states))
        # A reading that asked whether one of these is a task would be told something else now.
        if turned := before.keys() ^ tasks.keys():
            for at in [at for at, last in self._last.items() if not turned.isdisjoint(last.asked)]:
                self._forget(at)
                moved.add(at)
        for gone in self._last.keys() - tasks.keys():
            self._forget(gone)
        self._tasks = tasks
        running = {frame - self._layout.coroutine_frame for frame in entered}
        for at in moved & tasks.keys():
            self._forget(at)
            if tasks[at].coroutine not in running:
                self._read(at, rests=before.get(at) == tasks[at])
        claimed = {each for last in self._last.values() if last.claimed for each in last.claimed}
        chains = [last.chain for last in self._last.values() if last.chain is not None]
        return [found for found in chains if found.task not in claimed] if claimed else chains

    def _pending(self, every: Sequence[int]) -> tuple[dict[int, PendingTask], set[int]]:
        """(the tasks that are not done, those of all that may not be as they were)."""
        size, last = self._chains.task_size, self._last
        moved = {at for at in every if at not in self._resting}
        tiles = set(self._lie_in)
        tiles.update(*(tiles_of(at, size) for at in moved))
        changed = self._tiles.renew(tiles) & self._lie_in.keys()
        doubtful = set[int]().union(*(self._lie_in[tile] for tile in changed))
        moved |= {at for at in doubtful if not last[at].holds(self._tiles.read)}
        tasks = {}
        for at in every:
            if at not in moved:
                tasks[at] = last[at].task
            elif task := self._chains.pending(at, self._tiles.read(at, size)):
                tasks[at] = task
        return tasks, moved

    def _read(self, at: int, rests: bool) -> None:
        # Of hundreds of tasks, the last are read long after the first: what each is at is asked
        # right before its chain is read.
        reading = self._chains.read(at, self._tasks, rests)
        if reading is None:
            return
        self._last[at] = reading
        if reading.evidence:
            self._resting.add(at)
            for tile in _tiles_with(reading):
                self._lie_in.setdefault(tile, set()).add(at)

    def _forget(self, at: int) -> None:
        reading = self._last.pop(at, None)
        if reading is None or at not in self._resting:
            return
        self._resting.discard(at)
        for tile in _tiles_with(reading):
            tasks = self._lie_in[tile]
            tasks.discard(at)
            if not tasks:
                del self._lie_in[tile]

    def _every(self, states: Sequence[int]) -> Sequence[int]:
        return self._linked(states) if self._layout.link else self._held()

    def _linked(self, states: Sequence[int]) -> Sequence[int]:
        """The tasks of each thread, from the list that begins in its state."""
        heads = [state + self._layout.head for state in states]
        places = [*heads, *self._links]
        ahead = dict(zip(places, self._words(places), strict=True))
        self._links = []
        for head in heads:
            at = ahead[head]
            while at and at != head and len(self._links) < _MOST_TASKS:
                self._links.append(at)
                at = ahead.get(at) or self._memory.word(at)
        return [at - self._layout.link for at in self._links]

    def _held(self) -> Sequence[int]:
        """The tasks that the module has references to."""
        if not self._set and not self._looks % _ASKED_EVERY:
            self._set = self._set_of_tasks()
        self._looks += 1
        if not self._set:
            return ()
        references = self._objects.members(self._set)[:_MOST_TASKS]
        return self._words([each + self._layout.weakref_object for each in references])

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


def _tiles_with(reading: TaskReading) -> set[int]:
    pieces = (tiles_of(at, len(raw)) for at, raw in reading.evidence)
    return set(chain.from_iterable(pieces))
