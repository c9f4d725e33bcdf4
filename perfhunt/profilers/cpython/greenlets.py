"""The stacks of greenlets that wait: they are on no thread's stack, and the interpreter knows of no
greenlets.

They are found by their type in what the process has in memory, now and then. How one leads to its
frame and to its parent is learnt from those that are found: its own state points back to it, its
frame is an object of a known type, and its parent is a greenlet.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from perfhunt.analysis.diagnosis.known.greenlets import of_hub
from perfhunt.model.profile import Stack
from perfhunt.model.units import Bytes, Seconds, Share, format_bytes
from perfhunt.profilers.cpython.layouts.search import LOWEST, OBJECT
from perfhunt.profilers.cpython.objects import Objects
from perfhunt.profilers.cpython.resident import ResidentMemory
from perfhunt.profilers.cpython.stacks import Stacks
from perfhunt.target.proc.files import text
from perfhunt.target.proc.memory import POINTER, WORD

_LIBRARY, _MODULE, _TYPE = "/_greenlet.", "greenlet._greenlet", "greenlet"
_HUBS = ("gevent.hub", "eventlet.hubs.hub")
_RUNS = "run"
_ASKED_EVERY = 40  # looks, about a second: whether they are in use by now
_MOST = 4096  # greenlets
_TRIES = 3  # of a greenlet that moves while it is read
# Of them that do not wait: they run, or will, or have ended and others take their places.
_SPARE = 64
_MOST_MEMORY: Bytes = 512 << 20  # of a larger process they are not looked for
# Of one core, for looking for new ones: what it takes is taken from the looks.
_SEARCH_SHARE: Share = 0.005
_OFTEN: Seconds = 1.0  # between two searches, however quick
_HEAD = 10  # words of a greenlet, of which one leads to its state where it is not its own
_STATE = 48  # words of that
_LEARN_FROM = 64  # greenlets at a time
_REFERENCES = 1 << 31  # more than any object has: a freed one has an address there
_REMEMBERED = 40  # looks: of how many wait somewhere while the hub rests


@dataclass(frozen=True, slots=True)
class _Way:
    """Where a greenlet points to its state (None where it is its own), and where that points to the
    object of the frame it waits in and to its parent. In words.
    """

    state: int | None
    frame: int
    parent: int


@dataclass(frozen=True, slots=True)
class _State:
    """The object of the frame that a greenlet waits in and its parent, 0 where it has none; and
    where the former is told.
    """

    frame: int
    parent: int
    told: int


@dataclass(frozen=True, slots=True)
class WaitingGreenlet:
    """Where a greenlet is; its stack, root first, one object for all that wait at one place; and
    its hub, with whether that is switched out, for another greenlet runs.
    """

    at: int
    stack: Stack
    hub: int = 0
    behind: bool = False


class Greenlets:
    """Reads the greenlets of one process that a hub of gevent or eventlet runs. Others (SQLAlchemy
    has them within a task, which is told) stand for nobody that waits.
    """

    def __init__(self, objects: Objects, stacks: Stacks) -> None:
        self._objects, self._memory, self._stacks = objects, objects.memory, stacks
        self._resident = ResidentMemory(objects.memory)
        self._base = self._looks = 0
        self._types: set[int] = set()
        self._known: list[int] = []  # where one is, or was
        self._hubs: set[int] = set()
        self._way: _Way | None = None
        self._search_at: Seconds = 0.0
        self.unseen = ""  # those that are not looked for, and why, as a clause

    def waiting(self, hub_runs: bool) -> list[WaitingGreenlet]:
        """Every greenlet that waits, but for the hubs; `hub_runs` when a thread was met in one."""
        if not self._in_use():
            return []
        if time.monotonic() >= self._search_at:
            self._search()
        states = self._states(self._known)
        stacks = self._stacks_of(states)
        parents = {at: state.parent for at, state in states.items()}
        switched_out = {at for at, stack in stacks.items() if is_hub(stack)}
        self._hubs |= switched_out
        if hub_runs:
            # The hub itself is on the thread's stack then, and has no frame of its own.
            self._hubs |= {parents[at] for at in stacks} - stacks.keys() - {0}
        # A thread's first greenlet has no parent: it is its hub's.
        mains = {parents.get(hub, 0): hub for hub in self._hubs}
        found = []
        for at, stack in stacks.items():
            hub = parents[at] if parents[at] in self._hubs else mains.get(at, 0)
            if hub and stack and at not in self._hubs:
                found.append(WaitingGreenlet(at, stack, hub, hub in switched_out))
        return found

    def _in_use(self) -> bool:
        if not self._base and not self._looks % _ASKED_EVERY:
            self._base = self._base_type()
        self._looks += 1
        return bool(self._base)

    def _base_type(self) -> int:
        """The type of all greenlets; 0 where there can be no hub that runs any."""
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
        size, took, places = self._resident.renew(), 0.0, list[int]()
        if size > _MOST_MEMORY:
            self.unseen = f"greenlets are not looked for in a process of {format_bytes(size)}"
        else:
            known = 0
            while len(self._types) > known or not known:
                known, began = len(self._types), time.monotonic()
                places = self._hits()
                took = time.monotonic() - began
            self._meet([at for at, words in self._heads(places) if self._is_alive(words)])
        self._search_at = time.monotonic() + max(_OFTEN, took / _SEARCH_SHARE)

    def _hits(self) -> list[int]:
        """Where something of the known types may be; types that are new are known afterwards."""
        type_of_types, base = self._objects.types["type"], self._objects.layout.task.type_base
        begin = self._objects.layout.object_type
        types, places = list[int](), list[int]()
        for at, word in self._resident.holding({type_of_types, *self._types}):
            (types if word == type_of_types else places).append(at - begin)
        bases = dict(zip(types, self._words([at + base for at in types]), strict=True))
        derived, before = self._types | {self._base}, -1
        while len(derived) > before:
            before = len(derived)
            derived |= {at for at, above in bases.items() if above in derived}
        self._types = derived
        return places

    def _meet(self, alive: Sequence[int]) -> None:
        """Know these, those that wait first: ended ones may be kept by somebody for long."""
        if self._way is None:
            self._way = self._learnt(alive)
        every = list(dict.fromkeys((*alive, *self._known)))
        states = self._states(every)
        waits = [at for at, state in states.items() if state.frame]
        if len(waits) > _MOST:
            self.unseen = f"of {len(waits):,} greenlets {_MOST:,} are read"
        above = {states[at].parent for at in waits} & states.keys()
        first = dict.fromkeys((*above, *waits))
        others = [at for at in (*self._known, *alive) if at not in first]
        self._known = [*first, *dict.fromkeys(others)][: min(len(first), _MOST) + _SPARE]

    def _heads(self, places: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
        """(where, the first words) of each."""
        return zip(places, self._pieces(places, _HEAD), strict=True)

    def _pieces(self, places: Sequence[int], count: int) -> list[Sequence[int]]:
        raw = self._memory.together([(at, count * WORD) for at in places])
        words = memoryview(raw).cast("Q")
        return [words[index * count : (index + 1) * count] for index in range(len(places))]

    def _is_alive(self, words: Sequence[int]) -> bool:
        return 0 < words[0] < _REFERENCES and words[1] in self._types

    def _learnt(self, alive: Sequence[int]) -> _Way | None:
        """The way that leads from most of these on; None where none of them waits for a hub."""
        step, there = self._state_of(alive), set(alive)
        for begin in range(0, len(alive), _LEARN_FROM):
            frames, parents = Counter[int](), Counter[int]()
            for at, words in self._whole(alive[begin : begin + _LEARN_FROM], step):
                frames.update(inner for inner, word in enumerate(words) if self._is_frame(word))
                above = {i: word for i, word in enumerate(words) if word in there and word != at}
                for (i, of), (_, its) in zip(
                    above.items(), self._whole(list(above.values()), step), strict=True
                ):
                    # Its thread's first greenlet is told of as well, and has nothing above.
                    parents[i] += its[i] in there and its[i] != of
            if frames and parents.total():
                return _Way(step, frames.most_common(1)[0][0], parents.most_common(1)[0][0])
        return None

    def _whole(
        self, greenlets: Sequence[int], step: int | None
    ) -> Iterator[tuple[int, Sequence[int]]]:
        """(where, its state) of each; `step` is which of its words points to that."""
        begins = list(greenlets)
        if step is not None:
            begins = [words[step] for _, words in self._heads(greenlets)]
        return zip(greenlets, self._pieces(begins, _STATE), strict=True)

    def _state_of(self, alive: Sequence[int]) -> int | None:
        """Which word of a greenlet points to its state, which points back; None: it has none."""
        found: Counter[int] = Counter()
        for at, words in self._heads(alive[:_LEARN_FROM]):
            for index, word in enumerate(words):
                if _is_pointer(word) and at in self._memory.words(word, _STATE):
                    found[index] += 1
        return found.most_common(1)[0][0] if found else None

    def _is_frame(self, word: int) -> bool:
        return _is_pointer(word) and self._objects.type_of(word) == self._objects.types["frame"]

    def _states(self, known: Sequence[int]) -> dict[int, _State]:
        """Of each of these that is alive."""
        way = self._way
        if way is None:
            return {}
        alive = [(at, words) for at, words in self._heads(known) if self._is_alive(words)]
        begins = [at if way.state is None else words[way.state] for at, words in alive]
        places = [begin + part * WORD for begin in begins for part in (way.frame, way.parent)]
        words = self._words(places)
        return {
            at: _State(words[2 * index], words[2 * index + 1], places[2 * index])
            for index, (at, _) in enumerate(alive)
        }

    def _stacks_of(self, states: Mapping[int, _State]) -> dict[int, Stack]:
        """The stacks of those that wait. One that moved while it was read is read again."""
        stacks, left = dict[int, Stack](), states
        for _ in range(_TRIES):
            held = {at: state for at, state in left.items() if _is_pointer(state.frame)}
            read = self._stacks.suspended(
                self._frames_of(held), {at: state.told for at, state in held.items()}
            )
            stacks |= {at: s.stack for at, s in read.items() if s.holds == held[at].frame}
            left = self._states([at for at in held if at not in stacks])
            if not left:
                break
        self._stacks.forget_suspended(stacks)
        return stacks

    def _frames_of(self, held: Mapping[int, _State]) -> dict[int, int]:
        layout, kind = self._objects.layout, self._objects.types["frame"]
        steps = layout.object_type, layout.frame.of_object
        parts = [state.frame + step for state in held.values() for step in steps]
        words = self._words(parts)
        return {
            at: frame
            for (at, state), of, frame in zip(held.items(), words[::2], words[1::2], strict=True)
            # What a frame object keeps in itself is of a call that is over.
            if of == kind and _is_pointer(frame) and not 0 <= frame - state.frame < OBJECT * WORD
        }

    def _words(self, places: Sequence[int]) -> list[int]:
        """The word at each of these places; 0 for what cannot be read."""
        raw = self._memory.together([(at, WORD) for at in places])
        return memoryview(raw).cast("Q").tolist()


class Readiness:
    """Which greenlets wait for nothing any more but for their hub, which is switched out: those
    beyond the number that waits at the same place while it rests.
    """

    def __init__(self) -> None:
        self._looks: Counter[int] = Counter()  # at which a hub rested
        # By hub and stack: the mean number that waited there then, and the fractions of that, until
        # they are whole ones.
        self._mean: dict[tuple[int, int], float] = {}
        self._due: dict[tuple[int, int], float] = {}

    def ready(self, waiting: Sequence[WaitingGreenlet], resting: bool) -> list[bool]:
        """Of each whether it is ready, from one look; `resting` when a thread rested in a hub."""
        places = [(each.hub, id(each.stack)) for each in waiting]
        counts = Counter(places)
        busy = {each.hub for each in waiting if each.behind or not resting}
        for hub in {each.hub for each in waiting} - busy:
            self._rested(hub, counts)
        left = {place: self._left(place, n) for place, n in counts.items() if place[0] in busy}
        ready = []
        for place in places:
            ready.append(left.get(place) == 0)
            if left.get(place):
                left[place] -= 1
        return ready

    def _left(self, place: tuple[int, int], count: int) -> int:
        """How many of those at a place wait for what they came for."""
        due = min(self._due.get(place, 0.0), 1.0) + self._mean.get(place, 0.0)
        left = min(count, int(due))
        self._due[place] = due - left
        return left

    def _rested(self, hub: int, now: Counter[tuple[int, int]]) -> None:
        self._looks[hub] = min(self._looks[hub] + 1, _REMEMBERED)
        for place in {place for place in (*self._mean, *now) if place[0] == hub}:
            mean = self._mean.get(place, 0.0)
            self._mean[place] = mean + (now[place] - mean) / self._looks[hub]


def is_hub(stack: Stack) -> bool:
    """Whether this is the hub, which waits for events and runs who they are for: a greenlet itself,
    that begins there.
    """
    return bool(stack) and of_hub(stack[0]) and stack[0].function.rpartition(".")[2] == _RUNS


def _is_pointer(word: int) -> bool:
    return word > LOWEST and not word & ~POINTER
