"""The Python stack of every thread of a live process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from perfhunt.model.profile import Frame, Stack
from perfhunt.profilers.cpython.memory import POINTER, WORD, fields_at, word_at
from perfhunt.profilers.cpython.objects import Objects

_SHIM = "<shim>"  # the file of a frame that the interpreter put in for itself (3.12)
_MOST_THREADS = 4096
_DEEPEST = 500  # frames: of a deeper stack the outermost are left out
_MOST_KNOWN = 20_000  # stacks that are kept, so that each is put together once
_BLOCK = 1 << 16  # bytes of a thread's data stack that are read at once: several hundred frames


@dataclass(frozen=True, slots=True)
class PythonThread:
    """A thread that the interpreter knows: its number (the kernel's, of its own namespace) and
    where its state is.
    """

    tid: int
    state: int
    frame: int
    block: int
    top: int


class Stacks:
    """Reads the stacks of one process."""

    def __init__(self, objects: Objects) -> None:
        self._objects, self._memory = objects, objects.memory
        layout = objects.layout
        self._thread = layout.thread
        self._instructions = layout.code.instructions
        fields = (self._thread.next, self._thread.native, self._thread.chunk, self._thread.top)
        self._state_size = max(*fields, *self._thread.frame[:1]) + WORD
        offsets = (layout.frame.code, layout.frame.previous, layout.frame.instruction)
        self._fields = fields_at(*sorted(offsets))
        self._order = tuple(sorted(offsets).index(offset) for offset in offsets)
        self._known: dict[tuple[int, ...], Stack] = {}

    def threads(self) -> Iterator[PythonThread]:
        """The threads of the main interpreter, the newest first."""
        memory, layout = self._memory, self._thread
        state = memory.word(self._objects.runtime + layout.head)
        for _ in range(_MOST_THREADS):
            raw = memory.read(state, self._state_size)
            if len(raw) < self._state_size:
                return
            frame = word_at(raw, layout.frame[0])
            for step in layout.frame[1:]:
                frame = memory.word(frame + step)
            yield PythonThread(
                tid=word_at(raw, layout.native) & 0xFFFFFFFF,
                state=state,
                frame=frame,
                block=word_at(raw, layout.chunk),
                top=word_at(raw, layout.top),
            )
            state = word_at(raw, layout.next)

    def stack(self, thread: PythonThread) -> tuple[Stack, tuple[int, ...]]:
        """(where a thread is, root first; the frames of it that lie outside its own stack, as those
        of coroutines do). Shorter, or empty, where it ran on while it was read.
        """
        size = min(max(thread.top - thread.block, 0), _BLOCK)
        block = self._memory.read(thread.block, size) if size else b""
        return self._walk(thread.frame, thread.block, block)

    def _walk(self, frame: int, begins: int, block: bytes) -> tuple[Stack, tuple[int, ...]]:
        # The hottest loop of a look, so nothing in it is a call that need not be.
        path: list[int] = []
        outside: list[int] = []
        unpack, size, read = self._fields.unpack_from, self._fields.size, self._memory.read
        code_at, previous_at, instruction_at = self._order
        last = len(block) - size
        while frame and len(path) < 2 * _DEEPEST:
            at = frame - begins
            if 0 <= at <= last:
                words = unpack(block, at)
            else:
                outside.append(frame)
                raw = read(frame, size)
                if len(raw) < size:
                    break
                words = unpack(raw)
            code = words[code_at] & POINTER
            path.append(code)
            path.append(words[instruction_at] - code)
            if words[previous_at] == frame:
                break
            frame = words[previous_at]
        key = tuple(path)
        known = self._known.get(key)
        if known is None:
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            known = self._known[key] = tuple(self._frames(path))
        return known, tuple(outside)

    def _frames(self, path: list[int]) -> Iterator[Frame]:
        for code, instruction in zip(path[-2::-2], path[::-2], strict=True):
            found = self._objects.code(code)
            if found is not None and found.file != _SHIM:
                yield found.frame(instruction - self._instructions)
