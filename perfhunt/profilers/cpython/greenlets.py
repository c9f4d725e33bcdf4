"""The stacks of greenlets that wait: they are on no thread's stack, and the interpreter knows of no
greenlets.

They are found by their type in what memory the process writes to, now and then; how one leads to
its frame is learnt from those that are found, for the frame of each is an object of a known type.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from perfhunt.analysis.diagnosis.known.greenlets import of_hub
from perfhunt.model.profile import Stack
from perfhunt.model.units import Bytes, Seconds, Share, format_bytes
from perfhunt.profilers.cpython.layouts.search import LOWEST
from perfhunt.profilers.cpython.memory import POINTER, WORD, Extent
from perfhunt.profilers.cpython.objects import Objects
from perfhunt.profilers.cpython.stacks import Stacks
from perfhunt.target.proc.files import text

_LIBRARY, _MODULE, _TYPE = "/_greenlet.", "greenlet._greenlet", "greenlet"
# Others use greenlets as well (SQLAlchemy, within a task that is told): those of a hub stand for
# threads.
_HUBS = ("gevent.hub", "eventlet.hubs.hub")
_RUNS = "run"
_ASKED_EVERY = 40  # looks, about a second: whether they are in use by now
_MOST = 4096  # greenlets
_MOST_MEMORY: Bytes = 512 << 20  # of a larger process they are not looked for
_PIECE: Bytes = 8 << 20  # searched at once
_SEARCH_SHARE: Share = 0.02  # of one core, for looking for new ones
_OFTEN: Seconds = 1.0  # between two searches, however quick
_GENERATIONS = 4  # a type of theirs may be the base of another, and so on
_HEAD = 10  # words of a greenlet within which it, or what it points to, leads to its frame
_INNER = 48  # words of what it points to
_LEARN_FROM = 64  # greenlets
_REFERENCES = 1 << 31  # more than any object has: a freed one has an address there
_REMEMBERED = 40  # looks: of how many wait somewhere while the hub rests


@dataclass(frozen=True, slots=True)
class _Way:
    """How a greenlet leads to the object of its frame: where it points to its own state (None where
    it is its own), and where that points to the frame.
    """

    state: int | None
    frame: int


@dataclass(frozen=True, slots=True)
class WaitingGreenlet:
    """Where a greenlet is, and its stack, root first: one object for all that wait at one place."""

    at: int
    stack: Stack


class Greenlets:
    """Reads the greenlets of one process, where a hub of gevent or eventlet runs them."""

    def __init__(self, objects: Objects, stacks: Stacks) -> None:
        self._objects, self._memory, self._stacks = objects, objects.memory, stacks
        self._base = self._looks = 0
        self._types: set[int] = set()
        self._known: list[int] = []  # where one is, or was
        self._way: _Way | None = None
        self._search_at: Seconds = 0.0
        self.unseen = ""  # those that are not looked for, and why, as a clause

    def waiting(self) -> list[WaitingGreenlet]:
        """Every greenlet that waits; the hub's own is left out."""
        if not self._in_use():
            return []
        began = time.monotonic()
        if began >= self._search_at:
            self._search()
            took = time.monotonic() - began
            self._search_at = began + max(_OFTEN, took / _SEARCH_SHARE)
        frames = self._frames()
        stacks = self._stacks.suspended(list(frames.values()))
        found = zip(frames, stacks, strict=True)
        return [WaitingGreenlet(at, stack) for at, stack in found if stack and not is_hub(stack)]

    def _in_use(self) -> bool:
        if not self._base and not self._looks % _ASKED_EVERY:
            self._base = self._base_type()
        self._looks += 1
        return bool(self._base)

    def _base_type(self) -> int:
        """The type of all greenlets; 0 where no hub runs any."""
        objects = self._objects
        if _LIBRARY not in text(f"/proc/{self._memory.pid}/maps"):
            return 0
        modules = self._memory.word(objects.runtime + objects.layout.task.modules)
        if not any(objects.item(modules, hub) for hub in _HUBS):
            return 0
        module = objects.item(modules, _MODULE)
        names = module and self._memory.word(module + objects.layout.task.module_dict)
        return objects.item(names, _TYPE) if names else 0

    def _search(self) -> None:
        """Meet the greenlets that are new, and their types."""
        self._types.add(self._base)
        for _ in range(_GENERATIONS):
            hits = list(self._holding(self._types))
            derived = {at for at in hits if self._is_derived(at)}
            base = self._objects.layout.task.type_base
            met = {at - base for at in derived} - self._types
            if not met:
                break
            self._types |= met
        there = [at - WORD for at in hits]
        alive = [at for at, raw in self._raw(there) if self._is_alive(raw)]
        if self._way is None:
            self._way = self._learnt(alive[:_LEARN_FROM])
        if len(alive) > _MOST:
            self.unseen = f"of {len(alive):,} greenlets {_MOST:,} are read"
        self._known = list(dict.fromkeys((*alive, *self._known)))[:_MOST]

    def _holding(self, values: Collection[int]) -> Iterator[int]:
        """Where the process has any of these addresses, in what it may write to."""
        wanted = np.fromiter(values, np.uint64)
        for begin, size in self._writable():
            for at in range(begin, begin + size, _PIECE):
                raw = self._memory.read(at, min(_PIECE, begin + size - at))
                words = np.frombuffer(raw, np.uint64, len(raw) // WORD)
                for index in np.flatnonzero(np.isin(words, wanted)):
                    yield at + int(index) * WORD

    def _writable(self) -> list[Extent]:
        extents = []
        for line in text(f"/proc/{self._memory.pid}/maps").splitlines():
            field = line.split(maxsplit=5)
            if field[1].startswith("rw") and field[1].endswith("p"):
                begin, end = (int(part, 16) for part in field[0].split("-"))
                extents.append((begin, end - begin))
        whole = sum(size for _, size in extents)
        if whole <= _MOST_MEMORY:
            return extents
        self.unseen = f"greenlets are not looked for in a process of {format_bytes(whole)}"
        return []

    def _is_derived(self, at: int) -> bool:
        """Whether what is there is the base of a type."""
        of_type = at - self._objects.layout.task.type_base
        return self._objects.type_of(of_type) == self._objects.types["type"]

    def _raw(self, places: Sequence[int]) -> Iterator[tuple[int, memoryview[int]]]:
        """(where, the first words) of each."""
        size = _HEAD * WORD
        words = memoryview(self._memory.together([(at, size) for at in places])).cast("Q")
        for index, at in enumerate(places):
            yield at, words[index * _HEAD : (index + 1) * _HEAD]

    def _is_alive(self, words: memoryview[int]) -> bool:
        return 0 < words[0] < _REFERENCES and words[1] in self._types

    def _learnt(self, some: Sequence[int]) -> _Way | None:
        """The way that leads from most of these to a frame; None when there is none."""
        found: Counter[_Way] = Counter()
        for _, words in self._raw(some):
            for index, word in enumerate(words):
                if self._is_frame(word):
                    found[_Way(None, index * WORD)] += 1
                elif word > LOWEST and not word & ~POINTER:
                    for inner, held in enumerate(self._memory.words(word, _INNER)):
                        if self._is_frame(held):
                            found[_Way(index * WORD, inner * WORD)] += 1
        return found.most_common(1)[0][0] if found else None

    def _is_frame(self, word: int) -> bool:
        if word <= LOWEST or word & ~POINTER:
            return False
        return self._objects.type_of(word) == self._objects.types["frame"]

    def _frames(self) -> dict[int, int]:
        """The frame that each waits in, of those that began and did not end."""
        way, frame_type = self._way, self._objects.types["frame"]
        if way is None:
            return {}
        alive = {at: words for at, words in self._raw(self._known) if self._is_alive(words)}
        if way.state is None:
            held = {at: words[way.frame // WORD] for at, words in alive.items()}
        else:
            begins = {at: words[way.state // WORD] + way.frame for at, words in alive.items()}
            held = self._follow(begins)
        kinds = self._follow({at: each + WORD for at, each in held.items() if each})
        of_object = self._objects.layout.frame.of_object
        begun = [at for at, kind in kinds.items() if kind == frame_type]
        frames = self._follow({at: held[at] + of_object for at in begun})
        return {at: each for at, each in frames.items() if each > LOWEST and not each & ~POINTER}

    def _follow(self, places: dict[int, int]) -> dict[int, int]:
        """The word at each of these places, under the same key; 0 for what cannot be read."""
        raw = self._memory.together([(at, WORD) for at in places.values()])
        return dict(zip(places, memoryview(raw).cast("Q").tolist(), strict=True))


class Readiness:
    """Which greenlets wait for nothing any more but for the hub, which runs another: those beyond
    the number that waits at the same place while the hub rests.
    """

    def __init__(self) -> None:
        self._looks = 0  # while the hub rested
        self._mean: dict[int, float] = {}  # that waited there then, by stack
        self._due: dict[int, float] = {}  # the fractions of that, until they are whole ones

    def ready(self, waiting: Sequence[WaitingGreenlet], resting: bool) -> list[bool]:
        """Of each whether it is ready, from one look."""
        places = [id(each.stack) for each in waiting]
        if resting:
            self._rested(Counter(places))
            return [False] * len(waiting)
        left = {}
        for place, count in Counter(places).items():
            due = min(self._due.get(place, 0.0), 1.0) + self._mean.get(place, 0.0)
            left[place] = min(count, int(due))
            self._due[place] = due - left[place]
        ready = []
        for place in places:
            ready.append(not left[place])
            left[place] -= bool(left[place])
        return ready

    def _rested(self, now: Counter[int]) -> None:
        self._looks = min(self._looks + 1, _REMEMBERED)
        for place in self._mean.keys() | now.keys():
            mean = self._mean.get(place, 0.0)
            self._mean[place] = mean + (now[place] - mean) / self._looks


def is_hub(stack: Stack) -> bool:
    """Whether this is the hub, which waits for events and runs who they are for: a greenlet itself,
    that begins there.
    """
    return bool(stack) and of_hub(stack[0]) and stack[0].function.rpartition(".")[2] == _RUNS
