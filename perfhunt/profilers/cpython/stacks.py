"""The Python stack of every thread of a live process."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from perfhunt.model.profile import Frame, Stack
from perfhunt.model.units import Bytes
from perfhunt.profilers.cpython.objects import Objects
from perfhunt.target.proc.memory import POINTER, WORD, Batch, Extent, word_at

_SHIM = "<shim>"  # the file of a frame that the interpreter put in for itself (3.12)
_MOST_THREADS = 4096
_MOST_INTERPRETERS = 256
_DEEPEST = 1000  # frames: of a deeper stack the outermost are left out
_MOST_KNOWN = 20_000  # stacks that are kept, so that each is put together once
_BLOCK = 1 << 16  # bytes of a thread's data stack that are read at once: several hundred frames
# Bytes that are read beyond the end of a data stack, for it grows; nothing beyond its page, for a
# block of it is whole pages.
_GROWTH, _PAGE = 1024, 4096
_TID = 0xFFFFFFFF  # the part of a word that is the number of a thread

Words: TypeAlias = "memoryview[int]"  # what was read, as 64-bit words
Place: TypeAlias = tuple[Words, int]  # where in what was read a frame begins, in words


@dataclass(frozen=True, slots=True)
class PythonThread:
    """A thread that the interpreter knows: its number (the kernel's, of its own namespace) and
    where its state is.
    """

    tid: int
    state: int


@dataclass(frozen=True, slots=True)
class ThreadStack:
    """Where a thread is, root first; empty where it ran on while it was read. `outside` are those
    of its frames that lie outside its data stack, as those of coroutines do.
    """

    stack: Stack = ()
    outside: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SuspendedStack:
    """A stack that is on no thread, root first, and the word that told of it, read right after;
    from where on it is to be read, and all that it was told from, if that was read in one piece.
    """

    stack: Stack
    holds: int
    begin: int
    own: bytes


@dataclass(frozen=True, slots=True)
class _Guess:
    """Where the parts of a thread were at the last look: the word that tells the frame that runs,
    the block of its data stack and how much of that is read, and its frames outside.
    """

    holder: int
    block: int
    size: int
    outside: tuple[int, ...]


_NO_GUESS = _Guess(0, 0, 0, ())


class Stacks:
    """Reads the stacks of one process."""

    def __init__(self, objects: Objects) -> None:
        self._objects, self._memory = objects, objects.memory
        layout, frame, thread = objects.layout, objects.layout.frame, objects.layout.thread
        self._thread = thread
        self._head = objects.runtime + thread.head
        # Where threads have copies of a code's instructions, a copy's place may become another's.
        self._moves = layout.code.copies is not None
        fields = (thread.native, thread.chunk, thread.top, thread.frame[0])
        self._state_size = max(fields) + WORD
        # Of a thread: its state, and the word that tells the frame that runs.
        self._own_size = self._state_size + WORD
        self._native, self._chunk, self._top, self._running = (each // WORD for each in fields)
        parts = (frame.code, frame.previous, frame.instruction)
        self._code, self._previous, self._instruction = (each // WORD for each in parts)
        self._frame_size = max(parts) + WORD
        self.interpreters = 1  # as of the last `threads`
        self._met: list[PythonThread] = []
        # Where the list of threads has its links and their numbers, and what was there.
        self._links = Batch.of([]), b""
        self._guesses: dict[int, _Guess] = {}  # by state
        self._known: dict[tuple[int, ...], Stack] = {}
        self._suspended: dict[int, SuspendedStack] = {}  # those of the last look

    def threads(self) -> Sequence[PythonThread]:
        """The threads, the newest first, of the newest interpreter first: one that runs code in
        several interpreters is there for each.
        """
        links, before = self._links
        if not links.spans or self._memory.together(links) != before:
            self._list()
        return self._met

    def _list(self) -> None:
        next_at, native_at = self._thread.next, self._thread.native
        size = max(next_at, native_at) + WORD
        met = dict[int, PythonThread]()
        heads, spans, words = self._heads()
        for head in heads:
            state = self._memory.word(head)
            spans.append((head, WORD))
            words.append(state)
            while state and state not in met and len(met) < _MOST_THREADS:
                raw = self._memory.read(state, size)
                if len(raw) < size:
                    break
                native, following = word_at(raw, native_at), word_at(raw, next_at)
                met[state] = PythonThread(native & _TID, state)
                spans += (state + native_at, WORD), (state + next_at, WORD)
                words += native, following
                state = following
        self.interpreters = len(heads)
        self._met = list(met.values())
        self._links = Batch.of(spans), struct.pack(f"<{len(words)}Q", *words)
        self._guesses = {at: guess for at, guess in self._guesses.items() if at in met}

    def _heads(self) -> tuple[list[int], list[Extent], list[int]]:
        """(where each interpreter has the first of its threads, what told so, what was there)."""
        layout = self._objects.layout.interpreters
        if layout is None:
            return [self._head], [], []
        heads, spans, words = list[int](), list[Extent](), list[int]()
        at = self._objects.runtime + layout.head
        while len(heads) < _MOST_INTERPRETERS:
            interpreter = self._memory.word(at)
            spans.append((at, WORD))
            words.append(interpreter)
            if not interpreter or interpreter + layout.threads in heads:
                break
            heads.append(interpreter + layout.threads)
            at = interpreter + layout.next
        return heads, spans, words

    def stacks(self, threads: Sequence[PythonThread]) -> list[ThreadStack]:
        """Where these threads are now, read with one call."""
        guesses = [self._guesses.get(thread.state, _NO_GUESS) for thread in threads]
        spans: list[Extent] = []
        begins = []
        at = 0
        for thread, guess in zip(threads, guesses, strict=True):
            begins.append(at)
            spans.append((thread.state, self._state_size))
            spans.append((guess.holder or thread.state, WORD))
            spans.append((guess.block, guess.size))
            spans += [(frame, self._frame_size) for frame in guess.outside]
            at += self._own_size + guess.size + len(guess.outside) * self._frame_size
        words = memoryview(self._memory.together(spans)).cast("Q")
        read = zip(threads, guesses, begins, strict=True)
        return [self._stack(thread, guess, words, at // WORD) for thread, guess, at in read]

    def suspended(
        self, frames: Mapping[int, int], holders: Mapping[int, int]
    ) -> dict[int, SuspendedStack]:
        """The stacks that end in these frames, none of which runs, read with one call; both by
        whose they are. The word at each of `holders` is read right after. What such a stack had
        below the page of its last frame is read as well the next time.
        """
        spans = list[Extent]()
        for whose, frame in frames.items():
            last = self._suspended.get(whose)
            begin = last.begin if last and 0 <= frame - last.begin < _BLOCK else frame & -_PAGE
            spans.append((begin, frame - begin + self._frame_size))
        raw = self._memory.together([*spans, *((holders[whose], WORD) for whose in frames)])
        held = memoryview(raw).cast("Q")[-len(frames) :] if frames else ()
        at, now = 0, dict[int, SuspendedStack]()
        for whose, (begin, used), holds in zip(frames, spans, held, strict=True):
            last, piece = self._suspended.get(whose), raw[at : at + used]
            if last is not None and last.own == piece and last.begin == begin:
                now[whose] = replace(last, holds=holds) if last.holds != holds else last
            else:
                now[whose] = self._told(frames[whose], begin, piece, holds)
            at += used
        self._suspended |= now
        return now

    def forget_suspended(self, but: Collection[int]) -> None:
        """Forget the stacks of all but these."""
        self._suspended = {whose: self._suspended[whose] for whose in but}

    def _told(self, frame: int, begin: int, raw: bytes, holds: int) -> SuspendedStack:
        found = self._walked(frame, begin, (memoryview(raw).cast("Q"), 0), len(raw), {})
        below = [each for each in found.outside if 0 < frame - each < _BLOCK]
        # What lay elsewhere may change while this does not.
        own = b"" if found.outside else raw
        return SuspendedStack(found.stack, holds, min([begin, *below]) & -_PAGE, own)

    def _stack(self, thread: PythonThread, guess: _Guess, words: Words, at: int) -> ThreadStack:
        """The stack in what was read of a thread, and of more where it was guessed wrong."""
        if words[at + self._native] & _TID != thread.tid:
            return ThreadStack()
        holder, frame = self._frame_of(thread, guess, words, at)
        block, begin = words[at + self._chunk], at + self._own_size // WORD
        used = min(max(words[at + self._top] - block, 0), _BLOCK)
        outside: dict[int, Place] = {}
        place = begin + guess.size // WORD
        for each in guess.outside:
            outside[each] = words, place
            place += self._frame_size // WORD
        right = block == guess.block and used <= guess.size
        if not right:
            raw = self._memory.read(block, used)
            used = len(raw) // WORD * WORD
            words, begin = memoryview(raw[:used]).cast("Q"), 0
        walked = self._walked(frame, block, (words, begin), used, outside)
        if not right or holder != guess.holder or walked.outside != guess.outside:
            size = min(_rounded(used, _PAGE), _rounded(used, _GROWTH) + _GROWTH, _BLOCK)
            self._guesses[thread.state] = _Guess(holder, block, size, walked.outside)
        return walked

    def _frame_of(
        self, thread: PythonThread, guess: _Guess, words: Words, at: int
    ) -> tuple[int, int]:
        """(where the frame that runs is told, that frame)."""
        if len(self._thread.frame) == 1:
            return thread.state, words[at + self._running]
        holder = words[at + self._running] + self._thread.frame[1]
        if holder == guess.holder:
            return holder, words[at + self._own_size // WORD - 1]
        return holder, self._memory.word(holder)

    def _walked(
        self, frame: int, block: int, data: Place, used: int, outside: dict[int, Place]
    ) -> ThreadStack:
        # The hottest loop of a look, so nothing in it is a call that need not be.
        words, begin = data
        instruction, previous = begin + self._instruction, begin + self._previous
        code, moves = begin + self._code, self._moves
        first, last = frame, used - self._frame_size
        path: list[int] = []
        beyond: list[int] = []
        for _ in range(_DEEPEST):
            at = frame - block
            if 0 <= at <= last:
                at >>= 3
                path.append(words[at + instruction])
                if moves:
                    path.append(words[at + code])
                caller = words[at + previous]
            else:
                place = (outside.get(frame) or self._outside(frame)) if frame else None
                if place is None:
                    break
                beyond.append(frame)
                outside[frame] = place
                path.append(place[0][place[1] + self._instruction])
                if moves:
                    path.append(place[0][place[1] + self._code])
                caller = place[0][place[1] + self._previous]
            if caller == frame:
                break
            frame = caller
        key = tuple(path)
        stack = self._known.get(key)
        if stack is None:
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            deep = len(path) // 2 if moves else len(path)
            steps = self._steps(first, deep, block, data, {at: outside[at] for at in beyond})
            stack = self._known[key] = tuple(self._frames([*steps]))
        return ThreadStack(stack, tuple(beyond))

    def _outside(self, frame: int) -> Place | None:
        raw = self._memory.read(frame, self._frame_size)
        return (memoryview(raw).cast("Q"), 0) if len(raw) == self._frame_size else None

    def _steps(
        self, frame: int, count: int, block: int, data: Place, outside: Mapping[int, Place]
    ) -> Iterator[tuple[int, int]]:
        """(code, instruction) of so many frames, the innermost first, from what was read."""
        words, begin = data
        for _ in range(count):
            own, at = outside.get(frame) or (words, begin + (frame - block) // WORD)
            yield own[at + self._code] & POINTER, own[at + self._instruction]
            frame = own[at + self._previous]

    def _frames(self, steps: Sequence[tuple[int, int]]) -> Iterator[Frame]:
        for code, instruction in reversed(steps):
            found = self._objects.frame(code, instruction)
            if found is not None and found.file != _SHIM:
                yield found


def _rounded(size: Bytes, unit: Bytes) -> Bytes:
    """The next multiple of a unit."""
    return (size // unit + 1) * unit
