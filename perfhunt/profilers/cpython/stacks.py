"""The Python stack of every thread of a live process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from perfhunt.model.profile import Frame, Stack
from perfhunt.profilers.cpython.memory import POINTER, WORD, Span, word_at
from perfhunt.profilers.cpython.objects import Objects

_SHIM = "<shim>"  # the file of a frame that the interpreter put in for itself (3.12)
_MOST_THREADS = 4096
_DEEPEST = 1000  # frames: of a deeper stack the outermost are left out
_MOST_KNOWN = 20_000  # stacks that are kept, so that each is put together once
_BLOCK = 1 << 16  # bytes of a thread's data stack that are read at once: several hundred frames
# What is read beyond the end of a data stack, at most, for it grows: blocks are whole pages, so
# nothing beyond one is touched.
_GROWTH = 1024


@dataclass(frozen=True, slots=True)
class PythonThread:
    """A thread that the interpreter knows: its number (the kernel's, of its own namespace), where
    its state is and the next one's, the frame that runs and where that is told, the block of its
    data stack and where that is free.
    """

    tid: int
    state: int
    next: int
    frame: int
    holder: int
    block: int
    top: int


@dataclass(frozen=True, slots=True)
class ThreadStack:
    """Where a thread is, root first, and the frame that runs; empty where it ran on while it was
    read. `outside`: the frames of it that lie outside its data stack, as those of coroutines do,
    and what was in them.
    """

    stack: Stack = ()
    frame: int = 0
    outside: Mapping[int, bytes] = field(default_factory=dict)
    block: bytes = b""


class Stacks:
    """Reads the stacks of one process."""

    def __init__(self, objects: Objects) -> None:
        self._objects, self._memory = objects, objects.memory
        layout, frame = objects.layout, objects.layout.frame
        self._thread = layout.thread
        self._instructions = layout.code.instructions
        fields = (self._thread.next, self._thread.native, self._thread.chunk, self._thread.top)
        self._state_size = max(*fields, *self._thread.frame[:1]) + WORD
        parts = (frame.code, frame.previous, frame.instruction)
        self._code, self._previous, self._instruction = (part // WORD for part in parts)
        self._frame_size = max(parts) + WORD
        self._met: dict[int, tuple[bytes, PythonThread]] = {}  # by state, at the last look
        self._last: dict[int, ThreadStack] = {}  # by state
        self._known: dict[tuple[int, ...], Stack] = {}

    def threads(self) -> list[PythonThread]:
        """The threads of the main interpreter, the newest first."""
        head = self._objects.runtime + self._thread.head
        ahead = self._read_ahead()
        state, met = self._memory.word(head), dict[int, tuple[bytes, PythonThread]]()
        while state and state not in met and len(met) < _MOST_THREADS:
            read = ahead.get(state) or self._thread_at(state)
            if read is None:
                break
            met[state] = read
            state = read[1].next
        self._met = met
        for gone in self._last.keys() - met.keys():
            del self._last[gone]
        return [thread for _, thread in met.values()]

    def stack(self, thread: PythonThread) -> ThreadStack:
        """Where a thread is now."""
        last = self._last.get(thread.state) or ThreadStack()
        used = max(thread.top - thread.block, 0)
        size = min(used - used % _GROWTH + _GROWTH, _BLOCK)
        outside: list[Span] = [(frame, self._frame_size) for frame in last.outside]
        spans = [*self._spans(thread), (thread.block, size), *outside]
        raw = self._memory.together(spans)
        now = self._thread_of(thread.state, raw, thread.holder)
        if now.tid != thread.tid:
            return ThreadStack()
        begin = self._state_size + WORD
        used = min(max(now.top - now.block, 0), _BLOCK)
        if now.block == thread.block and used <= size:
            block = raw[begin : begin + used]
        else:
            block = self._memory.read(now.block, used)
        begin += size
        places = range(begin, len(raw), self._frame_size)
        known = {
            frame: raw[at : at + self._frame_size]
            for (frame, _), at in zip(outside, places, strict=True)
        }
        if now.frame != last.frame or block != last.block or known != last.outside:
            last = self._last[thread.state] = self._walked(now, block, known)
        return last

    def _read_ahead(self) -> dict[int, tuple[bytes, PythonThread]]:
        """The threads of the last look as they are now, by where their states are."""
        spans = [span for _, thread in self._met.values() for span in self._spans(thread)]
        raw, size = self._memory.together(spans), self._state_size + WORD
        ahead = {}
        for at, (state, (before, thread)) in enumerate(self._met.items()):
            own = raw[at * size : (at + 1) * size]
            same = own == before
            ahead[state] = own, thread if same else self._thread_of(state, own, thread.holder)
        return ahead

    def _spans(self, thread: PythonThread) -> tuple[Span, Span]:
        return (thread.state, self._state_size), (thread.holder, WORD)

    def _thread_at(self, state: int) -> tuple[bytes, PythonThread] | None:
        """The thread whose state is at an address, and what was read of it."""
        raw = self._memory.read(state, self._state_size)
        if len(raw) < self._state_size:
            return None
        thread = self._thread_of(state, raw, 0)
        return raw + thread.frame.to_bytes(WORD, "little"), thread

    def _thread_of(self, state: int, raw: bytes, holder: int) -> PythonThread:
        """The thread that a state tells of, and the word behind it, which was read at `holder`."""
        layout = self._thread
        told_at = state + layout.frame[0]
        for step in layout.frame[1:]:
            told_at = word_at(raw, layout.frame[0]) + step
        known = told_at == holder
        return PythonThread(
            tid=word_at(raw, layout.native) & 0xFFFFFFFF,
            state=state,
            next=word_at(raw, layout.next),
            frame=word_at(raw, self._state_size) if known else self._memory.word(told_at),
            holder=told_at,
            block=word_at(raw, layout.chunk),
            top=word_at(raw, layout.top),
        )

    def _walked(self, thread: PythonThread, block: bytes, known: Mapping[int, bytes]) -> ThreadStack:
        # The hottest loop of a look, so nothing in it is a call that need not be.
        words = memoryview(block)[: len(block) // WORD * WORD].cast("Q")
        instruction, previous, begins = self._instruction, self._previous, thread.block
        last, frame = len(words) * WORD - self._frame_size, thread.frame
        path: list[int] = []
        outside: dict[int, bytes] = {}
        while frame and len(path) < _DEEPEST:
            at = frame - begins
            if 0 <= at <= last:
                at >>= 3
                path.append(words[at + instruction])
                caller = words[at + previous]
            else:
                raw = known.get(frame) or self._memory.read(frame, self._frame_size)
                if len(raw) < self._frame_size:
                    break
                outside[frame] = raw
                path.append(word_at(raw, instruction * WORD))
                caller = word_at(raw, previous * WORD)
            if caller == frame:
                break
            frame = caller
        key = tuple(path)
        stack = self._known.get(key)
        if stack is None:
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            reads = self._steps(thread, len(path), words, outside)
            stack = self._known[key] = tuple(self._frames([*reads]))
        return ThreadStack(stack, thread.frame, outside, block)

    def _steps(
        self, thread: PythonThread, count: int, words: memoryview, outside: Mapping[int, bytes]
    ) -> Iterator[tuple[int, int]]:
        """(code, instruction) of so many frames, the innermost first, from what was read."""
        frame = thread.frame
        for _ in range(count):
            if frame in outside:
                own, at = memoryview(outside[frame]).cast("Q"), 0
            else:
                own, at = words, (frame - thread.block) // WORD
            yield own[at + self._code] & POINTER, own[at + self._instruction]
            frame = own[at + self._previous]

    def _frames(self, steps: list[tuple[int, int]]) -> Iterator[Frame]:
        for code, instruction in reversed(steps):
            found = self._objects.code(code)
            if found is not None and found.file != _SHIM:
                yield found.frame(instruction - code - self._instructions)
