"""Where what leads to asyncio's tasks, and tasks themselves, keep their parts."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise

from perfhunt.profilers.cpython.layouts.layout import TaskLayout, TimerLayout
from perfhunt.profilers.cpython.layouts.search import (
    CHUNK,
    LOWEST,
    OBJECT,
    RUNTIME,
    OffsetSearch,
    int32,
    unknown,
)
from perfhunt.target.proc.memory import WORD


class TaskSearch(OffsetSearch):
    """Learns from the tasks, futures and containers of the specimen."""

    def task(self, coroutine_frame: int, state: int) -> TaskLayout:
        """Tasks and what leads to them; `state` is that of the thread they belong to."""
        facts = self.facts
        name, weakset, data = facts["weakset"]
        in_dict = facts["gathered_dict"]
        at, _, members = facts["set"]
        tasks, (pending, done, gone) = facts["tasks"], facts["futures"]
        modules = [
            o for o, word in self.words(facts["runtime"], RUNTIME) if word == facts["modules"]
        ]
        if not modules:
            raise unknown("its modules")
        link, head = self._links(facts["linked"], state) if facts["linked"] else (0, 0)
        return TaskLayout(
            modules=modules[0],
            module_dict=self.offset("a module's dictionary", facts["module_dicts"]),
            weakset=name,
            data=self.steps(weakset, data),
            link=link,
            head=head,
            set_mask=self._set_mask(at, len(members)),
            set_table=self._set_table(at, members),
            weakref_object=self.offset("what a reference is to", [facts["weakref"]]),
            coroutine=self.offset("a task's coroutine", [(t, c) for t, c, _ in tasks]),
            waiter=self.offset("what a task waits for", [(t, f) for t, _, f in tasks]),
            state=self._state(pending, done, gone),
            coroutine_frame=coroutine_frame,
            send_generator=self.offset("a generator that is awaited", [facts["send"]]),
            wrapper_coroutine=self.offset("a wrapped coroutine", [facts["wrapper"]]),
            callback=self.offset("what a future calls", [facts["callback"]]),
            function_name=self.offset("the name of a function", facts["functions"]),
            instance_dict=self.around(*in_dict) if in_dict else 0,
            gathered=0 if in_dict else self.offset("what is gathered", [facts["gathered"]]),
            list_items=self._list_items(*facts["list"]),
            task_type=facts["task_names"]["task"],
            gathering_type=facts["task_names"]["gathered"],
            type_name=self._type_name(),
            type_base=self.offset("the base of a type", facts["bases"]),
            timer=self._timer(),
        )

    def _links(self, tasks: Sequence[int], state: int) -> tuple[int, int]:
        """(where a task links to the next, where the state of its thread has the first), from tasks
        that were made one after the other, the newest last.
        """
        for offset, word in self.words(tasks[0], OBJECT):
            pairs = pairwise(tasks)
            if word == tasks[1] + offset and all(
                self.memory.word(one + offset) == other + offset for one, other in pairs
            ):
                head = self.memory.word(tasks[-1] + offset) - state
                if 0 < head < CHUNK:
                    return offset, head
        raise unknown("its tasks")

    def _set_mask(self, at: int, count: int) -> int:
        """Where a set keeps the size of its table less one: a power of two less one, above the
        number of its members.
        """
        for offset, word in self.words(at, 16):
            if count <= word < CHUNK and not (word & (word + 1)):
                return offset
        raise unknown("the size of a set")

    def _set_table(self, at: int, members: Sequence[int]) -> int:
        for offset, word in self.words(at, 16):
            if word > LOWEST and set(members) <= set(self.memory.words(word, 512)):
                return offset
        raise unknown("the members of a set")

    def _list_items(self, at: int, items: Sequence[int]) -> int:
        for offset, word in self.words(at, 8):
            if word > LOWEST and self.memory.words(word, len(items)) == tuple(items):
                return offset
        raise unknown("the items of a list")

    def _state(self, pending: Sequence[int], done: int, gone: int) -> int:
        """Where a future keeps its state: 0 while pending, else the numbers of _asyncio's
        enumeration.
        """
        size = OBJECT * 4
        finished, cancelled = self.memory.read(done, size), self.memory.read(gone, size)
        waiting = [self.memory.read(future, size) for future in pending]
        for offset in range(self.object_type + WORD, len(finished) - 3, 4):
            numbers = (int32(finished, offset), int32(cancelled, offset))
            if numbers == (2, 1) and not any(int32(raw, offset) for raw in waiting):
                return offset
        raise unknown("the state of a future")

    def _timer(self) -> TimerLayout | None:
        at, seconds = self.facts["when"]
        value = self.memory.read(at, OBJECT).find(struct.pack("<d", seconds))
        if value < 0 or self.facts["sleep_handle"] is None:
            return None
        when = self.offset("when a timer is due", [self.facts["handle"]])
        return TimerLayout(self.facts["sleep_handle"], when, value)

    def _type_name(self) -> int:
        agreed: set[int] | None = None
        for at, name in self.facts["type_names"]:
            here = {
                offset
                for offset, word in self.words(at, 16)
                if self.memory.read(word, len(name) + 1) == name.encode() + b"\0"
            }
            agreed = here if agreed is None else agreed & here
        if not agreed:
            raise unknown("the name of a type")
        return min(agreed)
