"""What an asyncio task of a live process awaits: the chain of its coroutines down to a future."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from perfhunt.model.profile import Frame, Stack
from perfhunt.model.units import Bytes, Seconds
from perfhunt.profilers.cpython.objects import Objects
from perfhunt.target.proc.memory import WORD, fields_at, pointer, word_at

_DEEPEST = 100  # coroutines and tasks in one chain; a longer one is a misreading
_MOST_GATHERED = 4096
_VALUES = 24  # local variables and values of a coroutine that are read at once
# The function by which a future of a thread pool tells one of the event loop.
_CHAINED = "_chain_future."
_SECONDS = struct.Struct("<d")
SLEEP, _TASKS = "sleep", "/asyncio/tasks.py"
_HANDLE = "TimerHandle"
_HALF, _SIGN = 0xFFFFFFFF, 1 << 31  # of a 32-bit number in a word

Proof: TypeAlias = tuple[int, bytes]  # where memory was read, and what was there


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
    """A task that is not done: where it is, its coroutine, what future it waits for (0: none)."""

    at: int
    coroutine: int
    future: int


@dataclass(frozen=True, slots=True)
class TaskReading:
    """What was told of a task, and all that it was told from: while that is as it was, so is this.

    `chain` is None for a task that gathers others, which tell it; `claimed` are those that are told
    as part of this one, or this one itself. It was asked of each of `asked` whether it was a task
    that goes on.
    """

    task: PendingTask
    chain: AwaitChain | None
    claimed: Collection[int]
    asked: Collection[int]
    evidence: Sequence[Proof]

    def holds(self, read: Callable[[int, Bytes], bytes]) -> bool:
        """Whether all that it was told from is still as it was."""
        return all(read(at, len(raw)) == raw for at, raw in self.evidence)


@dataclass(slots=True)
class _Walk:
    """A task being read: its frames; where the coroutine of the last is, what was read of that, and
    its first local variable (for a method, the object); what was read of the future at the end.
    """

    evidence: list[Proof] | None  # None: it is not kept
    frames: list[Frame] = field(default_factory=list)
    owner: int = 0
    at: int = 0
    raw: bytes = b""
    future: bytes = b""
    claimed: set[int] = field(default_factory=set)
    asked: set[int] = field(default_factory=set)

    def note(self, at: int, raw: bytes) -> None:
        """Keep what was read as evidence, if any is kept."""
        if self.evidence is not None:
            self.evidence.append((at, raw))


class Chains:
    """Reads what tasks of one process await."""

    def __init__(self, objects: Objects) -> None:
        self._objects, self._memory = objects, objects.memory
        self._layout, self._frame = objects.layout.task, objects.layout.frame
        task, self._type = self._layout, objects.layout.object_type
        self.task_size = max(task.coroutine, task.waiter, task.state, self._type) + WORD
        self._future_size = max(task.callback, self._type) + WORD
        self._task_fields = fields_at(self._type, task.state, task.coroutine, task.waiter)
        # A coroutine with most of its values: few have more.
        frame, begin = self._frame, task.coroutine_frame
        self._carrier_size = begin + frame.values + _VALUES * WORD
        parts = (frame.code, frame.instruction, frame.top, frame.values)
        self._carrier_fields = fields_at(self._type, *(begin + part for part in parts))
        types = objects.types
        coroutine_like = ("coroutine", "generator", "async_generator")
        self._carriers = {types[name] for name in coroutine_like}
        self._ways = {
            types["send"]: task.send_generator,
            types["wrapper"]: task.wrapper_coroutine,
        }

    def pending(self, at: int, raw: bytes) -> PendingTask | None:
        """The task that was read at an address; None when it is done, or none."""
        if len(raw) < self.task_size:
            return None
        kind, state, coroutine, waiter = self._task_fields(raw)
        if state & _HALF or not coroutine:
            return None
        if self._objects.type_name(kind) != self._layout.task_type:
            return None
        return PendingTask(at, coroutine, waiter)

    def read(self, at: int, tasks: Mapping[int, PendingTask], rests: bool) -> TaskReading | None:
        """What a task awaits, through those of `tasks` that it awaits itself; None where it moved
        on while it was read. Of one that `rests`, the evidence is kept.
        """
        walk = _Walk([] if rests else None)
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
            step = self._awaited(future, tasks, walk) or self._waited_for(tasks, walk)
        now = self.pending(at, self._memory.read(at, self.task_size))
        if task is None or now != task or not walk.frames:
            return None
        return self._told(task, self._chain(task, future, walk), walk)

    def _noted(self, at: int, size: Bytes, walk: _Walk) -> bytes:
        """A piece of memory, all of it evidence; zeros where it cannot be read."""
        raw = self._memory.read(at, size).ljust(size, b"\0")
        walk.note(at, raw)
        return raw

    def _see_task(self, at: int, walk: _Walk) -> PendingTask | None:
        return self.pending(at, self._noted(at, self.task_size, walk))

    def _awaited(
        self, future: int, tasks: Mapping[int, PendingTask], walk: _Walk
    ) -> PendingTask | None:
        """The task that a future is; None when it is none that goes on."""
        if not future:
            return None
        walk.asked.add(future)
        if future not in tasks:
            return None
        walk.claimed.add(future)
        return self._see_task(future, walk)

    def _waited_for(self, tasks: Mapping[int, PendingTask], walk: _Walk) -> PendingTask | None:
        """The task among the variables of a function of asyncio's that awaits a future of its own:
        up to CPython 3.11 `wait_for` is told by a callback that its task is done.
        """
        if not walk.frames[-1:] or not walk.frames[-1].file.endswith(_TASKS):
            return None
        begin = self._layout.coroutine_frame + self._frame.values
        places = range(begin, min(begin + _VALUES * WORD, len(walk.raw) - WORD + 1), WORD)
        variables = {pointer(word_at(walk.raw, place)) for place in places}
        walk.asked |= variables
        waited = variables & tasks.keys() - walk.claimed
        return self._awaited(waited.pop(), tasks, walk) if len(waited) == 1 else None

    def _told(self, task: PendingTask, chain: AwaitChain | None, walk: _Walk) -> TaskReading:
        claimed = walk.claimed if chain else walk.claimed | {task.at}
        return TaskReading(
            task=task,
            chain=chain,
            claimed=claimed,
            asked=walk.asked,
            evidence=walk.evidence or (),
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
        walk.future = self._noted(future, self._future_size, walk)
        kind = word_at(walk.future, self._type)
        if objects.type_name(kind) != layout.gathering_type:
            return False
        if layout.gathered:
            children = self._memory.word(future + layout.gathered)
        else:
            attributes = pointer(self._memory.word(future + layout.instance_dict))
            children = objects.item(attributes, "_children")
        if not children:
            return False
        count = min(self._memory.word(children + self._type + WORD), _MOST_GATHERED)
        items = self._memory.words(self._memory.word(children + layout.list_items), count)
        walk.asked.update(items)
        # They may have been made since the tasks were listed.
        return any(
            item in tasks or self.pending(item, self._memory.read(item, self.task_size))
            for item in items
        )

    def _follow(self, awaitable: int, walk: _Walk) -> None:
        """Add the frames of a coroutine and of those that it awaits."""
        frame, begin = self._frame, self._layout.coroutine_frame
        least = begin + frame.values + WORD
        for _ in range(_DEEPEST):
            raw = self._memory.read(awaitable, self._carrier_size)
            if len(raw) < least:
                return
            kind, word, at_instruction, top, owner = self._carrier_fields(raw)
            if kind in self._ways:
                way = self._ways[kind]
                walk.note(awaitable, raw[: way + WORD])
                awaitable = word_at(raw, way)
                continue
            if kind not in self._carriers:
                return
            known = self._objects.frame(pointer(word), at_instruction)
            if known is None:
                return
            walk.frames.append(known)
            walk.at, walk.raw, walk.owner = awaitable, raw, pointer(owner)
            last = self._awaited_value(awaitable, top)
            inside = 0 <= last <= len(raw) - WORD
            walk.note(awaitable, raw[: max(least, last + WORD)] if inside else raw)
            there = raw[last : last + WORD] if inside else self._noted(awaitable + last, WORD, walk)
            awaitable = pointer(word_at(there, 0))

    def _awaited_value(self, coroutine: int, top: int) -> int:
        """Where a coroutine has what it awaits, near the end of its values."""
        below = self._frame.awaited
        if self._frame.top_is_address:
            return top - below * WORD - coroutine
        values = (top & _HALF ^ _SIGN) - _SIGN
        return self._layout.coroutine_frame + self._frame.values + (values - below) * WORD

    def _due(self, walk: _Walk) -> Seconds | None:
        """When a sleep is over, if it is one of asyncio's own."""
        timer, leaf = self._layout.timer, walk.frames[-1]
        if timer is None or leaf.function != SLEEP or not leaf.file.endswith(_TASKS):
            return None
        at = self._layout.coroutine_frame + self._frame.values + timer.variable * WORD
        if len(walk.raw) < at + WORD:
            return None
        handle = pointer(word_at(walk.raw, at))
        known = self._noted(handle, max(timer.when, self._type) + WORD, walk)
        if self._objects.type_name(word_at(known, self._type)) != _HANDLE:
            return None
        raw = self._noted(word_at(known, timer.when) + timer.value, WORD, walk)
        return float(_SECONDS.unpack(raw)[0]) or None

    def _is_of_threads(self, future: int, walk: _Walk) -> bool:
        """Whether a future is done by a thread of a pool: it tells that thread when it is
        cancelled.
        """
        objects, layout = self._objects, self._layout
        called = word_at(walk.future, layout.callback)
        if not called or objects.type_of(called) != objects.types["function"]:
            return False
        name = objects.text(self._memory.word(called + layout.function_name))
        return name.startswith(_CHAINED)
