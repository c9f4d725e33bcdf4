"""What one asyncio task of a live process awaits: the chain of its coroutines down to the future."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from perfhunt.model.profile import Frame, Stack
from perfhunt.model.units import Bytes, Seconds
from perfhunt.profilers.cpython.memory import WORD, Span, pointer, word_at
from perfhunt.profilers.cpython.objects import Objects

_DEEPEST = 100  # coroutines and tasks in one chain; a longer one is a misreading
_MOST_GATHERED = 4096
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
class PendingTask:
    """A task that is not done: where it is, its coroutine, and the future it waits for (0: none)."""

    at: int
    coroutine: int
    future: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """A piece of memory that was read: `asked` bytes, of which `raw` were used."""

    at: int
    asked: Bytes
    raw: bytes


@dataclass(frozen=True, slots=True)
class TaskReading:
    """What was told of a task, and all that it was told from: while that is as it was, so is this.

    `chain` is None for a task that gathers others, which tell it; `claimed` are those that are told
    as part of this one, or this one itself. `asked`: addresses, and whether each was a task that
    goes on.
    """

    task: PendingTask
    chain: AwaitChain | None
    claimed: frozenset[int]
    asked: Mapping[int, bool]
    evidence: tuple[Evidence, ...]


@dataclass(slots=True)
class _Walk:
    """A task being read: its frames; where the coroutine of the last is, what was read of it and
    its first local variable (for a method, the object). `ahead` is what was read at once, by where
    it begins: what the task was told from the last time.
    """

    ahead: Mapping[int, bytes]
    frames: list[Frame] = field(default_factory=list)
    owner: int = 0
    at: int = 0
    claimed: set[int] = field(default_factory=set)
    asked: dict[int, bool] = field(default_factory=dict)
    evidence: list[Evidence] = field(default_factory=list)


class Chains:
    """Reads what tasks of one process await."""

    def __init__(self, objects: Objects) -> None:
        self._objects, self._memory = objects, objects.memory
        self._layout, self._frame = objects.layout.task, objects.layout.frame
        self._instructions = objects.layout.code.instructions
        task = self._layout
        self.task_size = max(task.coroutine, task.waiter, task.state) + WORD
        self._future_size = max(task.callback, WORD) + WORD
        # A coroutine with most of its values: few have more.
        self._carrier_size = task.coroutine_frame + self._frame.values + _VALUES * WORD
        types = objects.types
        coroutine_like = ("coroutine", "generator", "async_generator")
        self._carriers = {types[name] for name in coroutine_like}
        self._ways = {
            types["send"]: task.send_generator,
            types["wrapper"]: task.wrapper_coroutine,
        }

    def pending(self, at: int, raw: bytes) -> PendingTask | None:
        """The task that was read at an address; None when it is done, or none."""
        layout = self._layout
        if (
            len(raw) < self.task_size
            or self._objects.type_name(word_at(raw, WORD)) != layout.task_type
        ):
            return None
        if _COUNT.unpack_from(raw, layout.state)[0] or not word_at(raw, layout.coroutine):
            return None
        return PendingTask(at, word_at(raw, layout.coroutine), word_at(raw, layout.waiter))

    def read(
        self, at: int, tasks: Mapping[int, PendingTask], last: TaskReading | None
    ) -> TaskReading | None:
        """What a task awaits, through those of `tasks` that it awaits itself; None where it moved
        on while it was read. `last` is what was told of it before, and guides what is read at once.
        """
        walk = _Walk(self._again(last) if last else {})
        task = self._see_task(at, walk)
        step, future = task, 0
        for _ in range(_DEEPEST):
            if step is None or task is None:
                break
            self._follow(step.coroutine, walk)
            future = step.future
            if self._gathers(future, tasks, walk):
                # What it waits for is told by those tasks themselves.
                return self._told(task, None, walk)
            step = self._awaited(future, tasks, walk)
        now = self.pending(at, self._memory.read(at, self.task_size))
        if task is None or now != task or not walk.frames:
            return None
        return self._told(task, self._chain(task, future, walk), walk)

    def _again(self, last: TaskReading) -> dict[int, bytes]:
        """What is now where a task was told from."""
        spans: list[Span] = [(one.at, one.asked) for one in last.evidence]
        raw, ahead, begin = self._memory.together(spans), dict[int, bytes](), 0
        for at, size in spans:
            ahead[at] = raw[begin : begin + size]
            begin += size
        return ahead

    def _see(self, at: int, size: Bytes, walk: _Walk) -> bytes:
        raw = walk.ahead.get(at, b"")
        return raw if len(raw) >= size else self._memory.read(at, size)

    def _noted(self, at: int, size: Bytes, walk: _Walk) -> bytes:
        """A piece of memory, all of it evidence; zeros where it cannot be read."""
        raw = self._see(at, size, walk)[:size].ljust(size, b"\0")
        walk.evidence.append(Evidence(at, size, raw))
        return raw

    def _see_task(self, at: int, walk: _Walk) -> PendingTask | None:
        return self.pending(at, self._noted(at, self.task_size, walk))

    def _awaited(
        self, future: int, tasks: Mapping[int, PendingTask], walk: _Walk
    ) -> PendingTask | None:
        """The task that a future is; None when it is none that goes on."""
        if not future:
            return None
        walk.asked[future] = future in tasks
        if future not in tasks:
            return None
        walk.claimed.add(future)
        return self._see_task(future, walk)

    def _told(self, task: PendingTask, chain: AwaitChain | None, walk: _Walk) -> TaskReading:
        claimed = walk.claimed if chain else walk.claimed | {task.at}
        return TaskReading(
            task=task,
            chain=chain,
            claimed=frozenset(claimed),
            asked=walk.asked,
            evidence=tuple(walk.evidence),
        )

    def _chain(self, task: PendingTask, future: int, walk: _Walk) -> AwaitChain:
        return AwaitChain(
            task=task.at,
            stack=tuple(walk.frames),
            future=future,
            owner=walk.owner,
            threads=bool(future) and self._is_of_threads(future, walk),
            due=self._due(walk),
        )

    def _gathers(self, future: int, tasks: Mapping[int, PendingTask], walk: _Walk) -> bool:
        """Whether a future gathers others of which some are tasks that go on."""
        objects, layout = self._objects, self._layout
        if not future:
            return False
        kind = word_at(self._noted(future, self._future_size, walk), WORD)
        if objects.type_name(kind) != layout.gathering_type:
            return False
        if layout.gathered:
            children = self._memory.word(future + layout.gathered)
        else:
            attributes = pointer(self._memory.word(future + layout.instance_dict))
            children = objects.item(attributes, "_children")
        if not children:
            return False
        count = min(self._memory.word(children + 2 * WORD), _MOST_GATHERED)
        items = self._memory.words(self._memory.word(children + layout.list_items), count)
        walk.asked.update((item, item in tasks) for item in items)
        return any(item in tasks for item in items)

    def _follow(self, awaitable: int, walk: _Walk) -> None:
        """Add the frames of a coroutine and of those that it awaits."""
        frame, begin = self._frame, self._layout.coroutine_frame
        least = begin + frame.values + WORD
        for _ in range(_DEEPEST):
            raw = self._see(awaitable, self._carrier_size, walk)
            if len(raw) < least:
                return
            kind = word_at(raw, WORD)
            if kind in self._ways:
                way = self._ways[kind]
                self._keep(awaitable, raw, way + WORD, walk)
                awaitable = word_at(raw, way)
                continue
            if kind not in self._carriers:
                return
            code_at = pointer(word_at(raw, begin + frame.code))
            code = self._objects.code(code_at)
            if code is None:
                return
            instruction = word_at(raw, begin + frame.instruction) - code_at - self._instructions
            walk.frames.append(code.frame(instruction))
            walk.at = awaitable
            walk.owner = pointer(word_at(raw, begin + frame.values))
            last = self._last_value(awaitable, raw)
            inside = 0 <= last <= len(raw) - WORD
            self._keep(awaitable, raw, max(least, last + WORD) if inside else len(raw), walk)
            there = raw[last : last + WORD] if inside else self._noted(awaitable + last, WORD, walk)
            awaitable = pointer(word_at(there, 0))

    def _last_value(self, coroutine: int, raw: bytes) -> int:
        """Where a coroutine has the last of its values, which is what it awaits."""
        frame, begin = self._frame, self._layout.coroutine_frame
        if frame.top_is_address:
            return word_at(raw, begin + frame.top) - WORD - coroutine
        values = int(_COUNT.unpack_from(raw, begin + frame.top)[0])
        return begin + frame.values + (values - 1) * WORD

    def _keep(self, at: int, raw: bytes, used: Bytes, walk: _Walk) -> None:
        walk.evidence.append(Evidence(at, self._carrier_size, raw[:used]))

    def _due(self, walk: _Walk) -> Seconds | None:
        """When a sleep is over, if it is one of asyncio's own."""
        timer, leaf = self._layout.timer, walk.frames[-1]
        if timer is None or leaf.function != SLEEP or not leaf.file.endswith(_TASKS):
            return None
        at = walk.at + self._layout.coroutine_frame + self._frame.values + timer.variable * WORD
        handle = pointer(self._memory.word(at))
        known = self._noted(handle, max(timer.when, WORD) + WORD, walk)
        if self._objects.type_name(word_at(known, WORD)) != _HANDLE:
            return None
        raw = self._noted(word_at(known, timer.when) + timer.value, WORD, walk)
        return float(_SECONDS.unpack(raw)[0]) or None

    def _is_of_threads(self, future: int, walk: _Walk) -> bool:
        """Whether a future is done by a thread of a pool: it tells that thread when it is
        cancelled.
        """
        objects, layout = self._objects, self._layout
        called = word_at(self._see(future, self._future_size, walk), layout.callback)
        if not called or objects.type_of(called) != objects.types["function"]:
            return False
        name = objects.text(self._memory.word(called + layout.function_name))
        return name.startswith(_CHAINED)
