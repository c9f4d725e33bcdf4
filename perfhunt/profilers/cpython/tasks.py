"""Every asyncio task of a live process, with the chain of coroutines it awaits through."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from perfhunt.model.profile import Frame, Stack
from perfhunt.model.units import Seconds
from perfhunt.profilers.cpython.memory import WORD, pointer, word_at
from perfhunt.profilers.cpython.objects import Objects

_MODULE = "asyncio.tasks"
_DEEPEST = 100  # coroutines and tasks in one chain; a longer one is a misreading
_MOST_TASKS = 4096
_ASKED_EVERY = 40  # looks, about a second: whether asyncio is in use by now
_VALUES = 24  # local variables and values of a coroutine that are read at once
# The function by which a future of a thread pool tells one of the event loop.
_CHAINED = "_chain_future."
_COUNT, _SECONDS = struct.Struct("<i"), struct.Struct("<d")
SLEEP, _TASKS = "sleep", "/asyncio/tasks.py"
_HANDLE = "TimerHandle"


@dataclass(frozen=True, slots=True)
class AwaitChain:
    """What one task is at: the coroutines from its own down to the one that awaits, root first, and
    what that awaits.

    `future` is the address of what it awaits, 0 for a task that waits only for the event loop.
    `due` is when the sleep that it ends in is over, seconds of the monotonic clock, None elsewhere.
    `owner` is the object whose method awaits (the lock of `Lock.acquire`), 0 when there is none.
    `threads`: what it awaits is done by a thread of a pool.
    """

    task: int
    stack: Stack
    future: int
    owner: int = 0
    threads: bool = False
    due: Seconds | None = None


@dataclass(frozen=True, slots=True)
class _Task:
    at: int
    coroutine: int
    future: int


@dataclass(slots=True)
class _Path:
    """The way of a task being read: its frames, where the coroutine of the last is, and its first
    local variable (for a method, the object).
    """

    frames: list[Frame]
    owner: int = 0
    at: int = 0


class Tasks:
    """Reads the tasks of one process, those of every running loop of it."""

    def __init__(self, objects: Objects) -> None:
        self._objects, self._memory = objects, objects.memory
        self._layout, self._frame = objects.layout.task, objects.layout.frame
        self._instructions = objects.layout.code.instructions
        self._set, self._looks = 0, 0
        self._shallow: dict[int, tuple[bytes, AwaitChain]] = {}
        task = self._layout
        self._task_size = max(task.coroutine, task.waiter, task.state) + WORD
        # A coroutine with most of its values: few have more.
        self._carrier_size = task.coroutine_frame + self._frame.values + _VALUES * WORD
        types = objects.types
        coroutine_like = ("coroutine", "generator", "async_generator")
        self._carriers = {types[name] for name in coroutine_like}
        self._ways = {
            types["send"]: task.send_generator,
            types["wrapper"]: task.wrapper_coroutine,
        }

    def read(self, entered: Collection[int], states: Sequence[int]) -> list[AwaitChain]:
        """What every task awaits that is not running.

        `entered` are the frames that threads are in, which tell those that run; `states` is where
        the threads have their states. A task awaited by another is told as part of that one; of one
        that gathers others, those are told.
        """
        tasks = {task.at: task for task in self._pending(states)}
        chains, claimed = [], set[int]()
        shallow: dict[int, tuple[bytes, AwaitChain]] = {}
        for task in tasks.values():
            if task.coroutine + self._layout.coroutine_frame in entered:
                continue
            # A connection at rest awaits in its first coroutine. There may be hundreds of them, and
            # what that coroutine was at says whether anything changed since the last look.
            first = self._memory.read(task.coroutine, self._carrier_size)
            known = self._shallow.get(task.at)
            if known is not None and known[0] == first and known[1].future == task.future:
                chains.append(known[1])
                shallow[task.at] = known
                continue
            # Of hundreds of tasks, the last are read long after the first: what each is at is asked
            # right before its chain is read.
            now = self._task(task.at)
            found = self._chain(now, tasks, claimed) if now is not None else None
            if found is not None:
                chains.append(found)
                if len(found.stack) == 1 and found.future:
                    shallow[task.at] = first, found
        self._shallow = shallow
        return [found for found in chains if found.task not in claimed]

    def _pending(self, states: Sequence[int]) -> Iterator[_Task]:
        """The tasks that are not done."""
        every = (
            chain.from_iterable(map(self._linked, states)) if self._layout.link else self._held()
        )
        for at in islice(every, _MOST_TASKS):
            task = self._task(at)
            if task is not None:
                yield task

    def _linked(self, state: int) -> Iterator[int]:
        """The tasks of a thread, from the list that begins in its state."""
        head = state + self._layout.head
        at = self._memory.word(head)
        while at and at != head:
            yield at - self._layout.link
            at = self._memory.word(at)

    def _held(self) -> Iterator[int]:
        """The tasks that the module has references to."""
        memory, layout = self._memory, self._layout
        if not self._set and not self._looks % _ASKED_EVERY:
            self._set = self._set_of_tasks()
        self._looks += 1
        if not self._set:
            return
        for reference in self._objects.members(self._set):
            yield memory.word(reference + layout.weakref_object)

    def _task(self, at: int) -> _Task | None:
        layout = self._layout
        raw = self._memory.read(at, self._task_size)
        if (
            len(raw) < self._task_size
            or self._objects.type_name(word_at(raw, WORD)) != layout.task_type
        ):
            return None
        if _COUNT.unpack_from(raw, layout.state)[0] or not word_at(raw, layout.coroutine):
            return None
        return _Task(at, word_at(raw, layout.coroutine), word_at(raw, layout.waiter))

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

    def _chain(self, task: _Task, tasks: dict[int, _Task], claimed: set[int]) -> AwaitChain | None:
        """What a task awaits, through the tasks that it awaits itself; None where it moved on while
        it was read.
        """
        path = _Path([])
        at: _Task | None = task
        future = 0
        for _ in range(_DEEPEST):
            if at is None:
                break
            self._follow(at.coroutine, path)
            future = at.future
            if self._gathers(future, tasks):
                # What it waits for is told by those tasks themselves.
                claimed.add(task.at)
                return None
            at = tasks.get(future)
            if at is not None:
                claimed.add(at.at)
        now = self._task(task.at)
        if not path.frames or now is None or now.future != task.future:
            return None
        return AwaitChain(
            task=task.at,
            stack=tuple(path.frames),
            future=future,
            owner=path.owner,
            threads=bool(future) and self._is_of_threads(future),
            due=self._due(path),
        )

    def _gathers(self, future: int, tasks: Collection[int]) -> bool:
        """Whether a future gathers others of which some are tasks that go on."""
        objects, layout = self._objects, self._layout
        if not future or objects.type_name(objects.type_of(future)) != layout.gathering_type:
            return False
        attributes = pointer(self._memory.word(future + layout.instance_dict))
        children = objects.item(attributes, "_children")
        if not children:
            return False
        count = min(self._memory.word(children + 2 * WORD), _MOST_TASKS)
        items = self._memory.words(self._memory.word(children + layout.list_items), count)
        return any(item in tasks for item in items)

    def _follow(self, awaitable: int, path: _Path) -> None:
        """Add the frames of a coroutine and of those that it awaits."""
        memory, frame, begin = self._memory, self._frame, self._layout.coroutine_frame
        least = begin + frame.values + WORD
        for _ in range(_DEEPEST):
            raw = memory.read(awaitable, self._carrier_size)
            if len(raw) < least:
                return
            kind = word_at(raw, WORD)
            if kind in self._ways:
                awaitable = word_at(raw, self._ways[kind])
                continue
            if kind not in self._carriers:
                return
            code_at = pointer(word_at(raw, begin + frame.code))
            code = self._objects.code(code_at)
            if code is None:
                return
            instruction = word_at(raw, begin + frame.instruction) - code_at - self._instructions
            path.frames.append(code.frame(instruction))
            path.at = awaitable
            path.owner = pointer(word_at(raw, begin + frame.values))
            if frame.top_is_address:
                last = word_at(raw, begin + frame.top) - WORD - awaitable
            else:
                values = _COUNT.unpack_from(raw, begin + frame.top)[0]
                last = begin + frame.values + (values - 1) * WORD
            inside = 0 <= last <= len(raw) - WORD
            awaitable = pointer(word_at(raw, last) if inside else memory.word(awaitable + last))

    def _due(self, path: _Path) -> Seconds | None:
        """When a sleep is over, if it is one of asyncio's own."""
        timer, leaf = self._layout.timer, path.frames[-1]
        if timer is None or leaf.function != SLEEP or not leaf.file.endswith(_TASKS):
            return None
        at = path.at + self._layout.coroutine_frame + self._frame.values + timer.variable * WORD
        handle = pointer(self._memory.word(at))
        if self._objects.type_name(self._objects.type_of(handle)) != _HANDLE:
            return None
        raw = self._memory.read(self._memory.word(handle + timer.when) + timer.value, WORD)
        return float(_SECONDS.unpack(raw)[0]) if len(raw) == WORD else None

    def _is_of_threads(self, future: int) -> bool:
        """Whether a future is done by a thread of a pool: it tells that thread when it is
        cancelled.
        """
        objects, layout = self._objects, self._layout
        called = self._memory.word(future + layout.callback)
        if not called or objects.type_of(called) != objects.types["function"]:
            return False
        name = objects.text(self._memory.word(called + layout.function_name))
        return name.startswith(_CHAINED)
