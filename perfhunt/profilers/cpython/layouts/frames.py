"""Where thread states and interpreter frames keep their parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

from perfhunt.profilers.cpython.layouts.layout import FrameLayout, ThreadLayout
from perfhunt.profilers.cpython.layouts.search import (
    CHUNK,
    LOWEST,
    OBJECT,
    RUNTIME,
    Facts,
    OffsetSearch,
    int32,
    unknown,
)
from perfhunt.target.proc.memory import WORD, ProcessMemory, pointer

_CODE = 4096  # bytes, more than the head of a code object takes
_PAGE = 4096  # bytes
# Words from what a coroutine awaits to the end of its values: since 3.15 another lies between, the
# place in what is iterated.
_BELOW_TOP = (1, 2)
# Where a frame keeps its instruction, where a code's begin, where a code leads to copies of them.
_Instruction: TypeAlias = tuple[int, int, int | None]


class FrameSearch(OffsetSearch):
    """Learns from the threads and the coroutines of the specimen."""

    def __init__(self, facts: Facts, memory: ProcessMemory) -> None:
        super().__init__(facts, memory)
        self.main_state = 0  # of the main thread, once `thread` has found it
        self._code_in_frame, self._of_object = self._steps_to_code()
        # The frames of the parked thread, the innermost first.
        self._frames = [memory.word(at + self._of_object) for at, _, _ in facts["frames"]]
        self.frame_in_coroutine = self._coroutine_frame()

    def frame(self) -> FrameLayout:
        """Interpreter frames: those of a thread, and those that a coroutine carries."""
        instruction, *_ = self.instruction()
        values = self._values()
        top, is_address, awaited = self._top(values)
        return FrameLayout(
            code=self._code_in_frame,
            previous=self.offset("the caller of a frame", list(pairwise(self._frames))),
            instruction=instruction,
            values=values,
            top=top,
            top_is_address=is_address,
            awaited=awaited,
            of_object=self._of_object,
        )

    def thread(self) -> ThreadLayout:
        """Thread states. The newest thread is at the head of their list."""
        parked, newest, main = self.facts["threads"]
        state, head = self._thread_state(newest)
        native = self.offset("the number of a thread", [(state, newest[1])])
        next_offset, after = self._next_state(state, parked, native)
        last = self.memory.word(after + next_offset)
        if self.memory.word(last + native) != main[1]:
            raise unknown("the next thread")
        self.main_state = last
        frame, chunk, top = self._stack_of(after)
        return ThreadLayout(
            head=head, next=next_offset, native=native, frame=frame, chunk=chunk, top=top
        )

    def instruction(self) -> _Instruction:
        """(where a frame keeps its instruction, where a code's instructions begin, where it has
        copies of them if each thread has its own), from the two frames that are in the middle of a
        call.
        """
        calls = list(zip(self._frames, self.facts["frames"], strict=True))[1:]
        for places in (self._in_code, self._in_copies):
            each = [set(places(frame, code, lasti)) for frame, (_, code, lasti) in calls]
            if agreed := set[_Instruction].intersection(*each):
                return min(agreed)
        raise unknown("the instruction of a frame")

    def _in_code(self, frame: int, code: int, lasti: int) -> Iterator[_Instruction]:
        for offset, word in self.words(frame, 16):
            if 0 < word - lasti - code < _CODE:
                yield offset, word - lasti - code, None

    def _in_copies(self, frame: int, code: int, lasti: int) -> Iterator[_Instruction]:
        begins = [(offset, word - lasti) for offset, word in self.words(frame, 16)]
        for copies, array in self.words(code, OBJECT):
            count, *copied = self.memory.words(array, OBJECT) or [0]
            # The first of them is the code's own.
            if array > LOWEST and 0 < count < OBJECT and 0 < copied[0] - code < _CODE:
                for offset, begin in begins:
                    if begin in copied[:count]:
                        yield offset, copied[0] - code, copies

    def _coroutine_frame(self) -> int:
        """Where a coroutine keeps its frame, which begins behind the head of every object."""
        agreed: set[int] | None = None
        for coroutine, code, *_ in self.facts["coroutines"]:
            here = {
                offset - self._code_in_frame
                for offset, word in self.words(coroutine, OBJECT)
                if pointer(word) == code and offset - self._code_in_frame > self.object_type
            }
            agreed = here if agreed is None else agreed & here
        if not agreed:
            raise unknown("the frame of a coroutine")
        return min(agreed)

    def _steps_to_code(self) -> tuple[int, int]:
        """(where a frame holds its code, where a frame object holds its frame)."""
        agreed: set[tuple[int, int]] | None = None
        for at, code, _ in self.facts["frames"]:
            here = {
                (inner, outer)
                for outer, word in self.words(at, 16)
                for inner, held in self.words(word, 16)
                if pointer(held) == code
            }
            agreed = here if agreed is None else agreed & here
        if not agreed:
            raise unknown("the code of a frame")
        return min(agreed)

    def _awaiting(self) -> Iterator[tuple[int, int, int]]:
        """(frame, where it holds what it awaits, its local variables) of every coroutine."""
        for coroutine, _, awaited, count in self.facts["coroutines"]:
            frame = coroutine + self.frame_in_coroutine
            held = [
                offset for offset, word in self.words(frame, OBJECT) if pointer(word) == awaited
            ]
            if not held:
                raise unknown("what a coroutine awaits")
            yield frame, held[0], count

    def _values(self) -> int:
        """Where a frame's values begin: the plainest of the coroutines has nothing on its stack but
        what it awaits.
        """
        return min(held - count * WORD for _, held, count in self._awaiting())

    def _top(self, values: int) -> tuple[int, bool, int]:
        """(where a frame says how far its values go, whether by an address, how many words below
        that it has what it awaits).
        """
        for below in _BELOW_TOP:
            addresses: set[int] | None = None
            counts: set[int] | None = None
            for frame, held, _ in self._awaiting():
                raw = self.memory.read(frame, values)
                free, number = frame + held + below * WORD, (held - values) // WORD + below
                here = {
                    offset for offset, word in self.words(frame, values // WORD) if word == free
                }
                counted = {o for o in range(0, len(raw) - 3, 4) if int32(raw, o) == number}
                addresses = here if addresses is None else addresses & here
                counts = counted if counts is None else counts & counted
            if addresses:
                return min(addresses), True, below
            if counts:
                return min(counts), False, below
        raise unknown("the top of a frame's values")

    def _thread_state(self, thread: Sequence[int]) -> tuple[int, int]:
        """(the state of a thread, where the runtime points to it)."""
        ident, native = thread
        for offset, word in self.words(self.facts["runtime"], RUNTIME):
            if word > LOWEST and not word % WORD:
                held = self.memory.words(word, OBJECT)
                if ident in held and native in held:
                    return word, offset
        raise unknown("its threads")

    def _next_state(self, state: int, thread: Sequence[int], native: int) -> tuple[int, int]:
        """(where a thread's state points to the next, the state of `thread`, which is the next)."""
        for offset, word in self.words(state, OBJECT):
            if word > LOWEST and self.memory.word(word + native) == thread[1]:
                return offset, word
        raise unknown("the next thread")

    def _stack_of(self, state: int) -> tuple[tuple[int, ...], int, int]:
        """(steps to the frame that runs, where the block of its data stack is, where that is
        free).
        """
        inner, outer = self._frames[0], self._frames[-1]
        words = list(self.words(state, OBJECT))
        steps: list[tuple[int, ...]] = [(o,) for o, word in words if word == inner]
        steps = steps or [
            (o, i)
            for o, word in words
            if word > LOWEST
            for i, held in self.words(word, 8)
            if held == inner
        ]
        # A block begins with the one before it and its own size, whole pages.
        blocks = [
            (word, o)
            for o, word in words
            if 0 < outer - word < CHUNK and not self.memory.word(word + WORD) % _PAGE
        ]
        free = [(word, o) for o, word in words if 0 < word - inner < CHUNK]
        if not (steps and blocks and free):
            raise unknown("the stack of a thread")
        return steps[0], min(blocks)[1], min(free)[1]
