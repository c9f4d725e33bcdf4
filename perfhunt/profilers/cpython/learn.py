"""The layout of a build of CPython, learnt from a process of it that tells where its objects are.

An offset is the one at which every object of a kind holds the address (or number) that it is known
to hold; several objects of each kind make a coincidence impossible.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from perfhunt.errors import AttachFailed
from perfhunt.profilers.cpython.layout import (
    CodeLayout,
    DictLayout,
    FrameLayout,
    Layout,
    TaskLayout,
    TextKind,
    TextLayout,
    ThreadLayout,
)
from perfhunt.profilers.cpython.memory import WORD, ProcessMemory, pointer

Facts: TypeAlias = Mapping[str, Any]  # what the specimen printed
_Pairs: TypeAlias = Sequence[Sequence[int]]  # (where an object is, what it holds)

_OBJECT = 64  # words of an object that are searched; the largest of these take forty
_BEFORE = 4  # words before an object, where 3.11 and 3.12 keep the values of its attributes
_RUNTIME = 1 << 16  # words: _PyRuntime and what follows it in the image
_CHUNK = 1 << 14  # bytes: a block of the data stack (pystate.c)
_CODE = 4096  # bytes, more than the head of a code object takes
_HEAD = 2 * WORD  # bytes: the count of references and the type, before anything else
_LOWEST = 1 << 16  # nothing is mapped below (vm.mmap_min_addr)
_PAGE = 4096  # bytes
_HALF = 0xFFFFFFFF  # the state of a string is half a word
_ENCODINGS = (("ascii", 1), ("latin-1", 1), ("utf-16-le", 2), ("utf-32-le", 4))


def layout_of(facts: Facts, memory: ProcessMemory) -> Layout:
    """The layout of the interpreter that printed `facts`. Raises AttachFailed where something is
    not found.
    """
    learner = _Learner(facts, memory)
    runtime, types = facts["runtime"], facts["types"]
    image, base = image_of(memory.pid, runtime)
    return Layout(
        version=tuple(facts["version"]),
        image=image,
        runtime=runtime - base,
        types={name: address - runtime for name, address in types.items()},
        text=learner.text(),
        thread=learner.thread(),
        frame=learner.frame(),
        code=learner.code(),
        dict=learner.dict(),
        task=learner.task(),
    )


def image_of(pid: int, address: int) -> tuple[str, int]:
    """(file, where it begins) of the image that holds an address, its zeroed data included. Raises
    AttachFailed.
    """
    file, begins = "", 0
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as maps:
        for line in maps:
            field = line.split(maxsplit=5)
            low, high = (int(part, 16) for part in field[0].split("-"))
            path = field[5].rstrip("\n") if len(field) > 5 else ""
            if path.startswith("/") and path != file:
                file, begins = path, low
            if low <= address < high:
                return file, begins
    raise AttachFailed(f"Nothing is mapped at {address:#x} of pid {pid}")


class _Learner:
    """Finds offsets in the memory of one interpreter."""

    def __init__(self, facts: Facts, memory: ProcessMemory) -> None:
        self._facts, self._memory = facts, memory
        self._code_in_frame, at = self._steps_to_code()
        # The frames of the parked thread, the innermost first.
        self._frames = [memory.word(frame + at) for frame, _, _ in facts["frames"]]
        self._frame_in_coroutine = self._coroutine_frame()

    def frame(self) -> FrameLayout:
        """Interpreter frames: those of a thread, and those that a coroutine carries."""
        instruction, _ = self._instruction()
        values = self._values()
        top, is_address = self._top(values)
        return FrameLayout(
            code=self._code_in_frame,
            previous=self._offset("the caller of a frame", list(pairwise(self._frames))),
            instruction=instruction,
            values=values,
            top=top,
            top_is_address=is_address,
        )

    def thread(self) -> ThreadLayout:
        """Thread states. The newest thread is at the head of their list."""
        parked, newest, main = self._facts["threads"]
        state, head = self._thread_state(newest)
        native = self._offset("the number of a thread", [(state, newest[1])])
        next_offset, after = self._next_state(state, parked, native)
        last = self._memory.word(after + next_offset)
        if self._memory.word(last + native) != main[1]:
            raise _unknown("the next thread")
        frame, chunk, top = self._stack_of(after)
        return ThreadLayout(
            head=head, next=next_offset, native=native, frame=frame, chunk=chunk, top=top
        )

    def code(self) -> CodeLayout:
        """Code objects, and the bytes in which they keep their lines."""
        codes = self._facts["codes"]
        length, data = self._bytes()
        return CodeLayout(
            name=self._offset("a code's name", [(c["at"], c["name"]) for c in codes]),
            file=self._offset("a code's file", [(c["at"], c["file"]) for c in codes]),
            first_line=self._int(
                "a code's first line", [(c["at"], c["first_line"]) for c in codes]
            ),
            table=self._offset("a code's lines", [(c["at"], c["table"]) for c in codes]),
            instructions=self._instruction()[1],
            bytes_length=length,
            bytes_data=data,
        )

    def text(self) -> TextLayout:
        """Strings. What tells their kinds apart are the bits of the state that no two strings of a
        kind differ in.
        """
        strings = self._facts["strings"]
        length = self._offset("a string's length", [(at, len(text)) for at, text in strings])
        found: dict[str, list[tuple[int, int]]] = {}
        widths = dict(_ENCODINGS)
        for at, text in strings:
            encoding = _encoding_of(text)
            data = self._memory.read(at, _OBJECT * WORD).find(text.encode(encoding))
            if data < 0:
                raise _unknown("the text of a string")
            found.setdefault(encoding, []).append((at, data))
        # The state follows the length and the hash, which is one word.
        state = length + 2 * WORD
        states = {
            encoding: [self._memory.word(at + state) & _HALF for at, _ in seen]
            for encoding, seen in found.items()
        }
        constant, differs, some = _HALF, 0, states["ascii"][0]
        for seen in states.values():
            for one in seen:
                constant &= ~(one ^ seen[0])
                differs |= one ^ some
        mask = constant & differs
        kinds = tuple(
            TextKind(states[encoding][0] & mask, seen[0][1], encoding, widths[encoding])
            for encoding, seen in found.items()
        )
        if len({kind.state for kind in kinds}) < len(kinds):
            raise _unknown("the kind of a string")
        return TextLayout(length, state, mask, kinds)

    def dict(self) -> DictLayout:
        """Dictionaries whose keys are strings: pairs of key and value, in order."""
        seen = []
        for at, count, items in self._facts["dicts"]:
            first = items[0]
            for offset, word in self._words(at, 8):
                raw = self._memory.read(word, 1 << 15)
                start = raw.find(struct.pack("<2Q", *first))
                if start >= 0:
                    seen.append((offset, raw[:start], start, count))
                    break
            else:
                raise _unknown("the keys of a dictionary")
        (keys, *_), *others = seen
        index = [
            (at, start - (1 << raw[at]))
            for _, raw, start, _ in seen[:1]
            for at in range(min(WORD * 8, start))
            if raw[at] < 32
        ]
        for at, header in index:
            if header > 0 and all(start - (1 << raw[at]) == header for _, raw, start, _ in others):
                counts = [
                    o
                    for o in range(0, header, WORD)
                    if all(_int64(raw, o) == count for _, raw, _, count in seen)
                ]
                if counts:
                    return DictLayout(keys, at, counts[0], header, self._shared_values(keys))
        raise _unknown("the entries of a dictionary")

    def _shared_values(self, keys: int) -> tuple[int, ...]:
        """The steps to the first value of a dictionary that shares its keys; none where it has its
        own.
        """
        at, index, value = self._facts["attribute"]
        for offset, word in self._words(at, 8):
            for further, held in self._words(word, 8 + index) if offset != keys else ():
                if word > _LOWEST and held == value and further >= index * WORD:
                    return offset, further - index * WORD
        return ()

    def task(self) -> TaskLayout:
        """Tasks and what leads to them."""
        facts = self._facts
        name, weakset, data = facts["weakset"]
        at, _, members = facts["set"]
        tasks, (pending, done, gone) = facts["tasks"], facts["futures"]
        modules = [
            o for o, word in self._words(facts["runtime"], _RUNTIME) if word == facts["modules"]
        ]
        if not modules:
            raise _unknown("its modules")
        return TaskLayout(
            modules=modules[0],
            module_dict=self._offset("a module's dictionary", facts["module_dicts"]),
            weakset=name,
            data=self._steps(weakset, data),
            set_mask=self._set_mask(at, len(members)),
            set_table=self._set_table(at, members),
            weakref_object=self._offset("what a reference is to", [facts["weakref"]]),
            coroutine=self._offset("a task's coroutine", [(t, c) for t, c, _ in tasks]),
            waiter=self._offset("what a task waits for", [(t, f) for t, _, f in tasks]),
            state=self._state(pending, done, gone),
            coroutine_frame=self._frame_in_coroutine,
            send_generator=self._offset("a generator that is awaited", [facts["send"]]),
            wrapper_coroutine=self._offset("a wrapped coroutine", [facts["wrapper"]]),
            callback=self._offset("what a future calls", [facts["callback"]]),
            function_name=self._offset("the name of a function", facts["functions"]),
            instance_dict=self._around(*facts["gathered_dict"]),
            list_items=self._list_items(*facts["list"]),
            task_type=facts["task_names"]["task"],
            gathering_type=facts["task_names"]["gathered"],
            type_name=self._type_name(),
        )

    def _steps_to_code(self) -> tuple[int, int]:
        """(where a frame holds its code, where a frame object holds its frame)."""
        agreed: set[tuple[int, int]] | None = None
        for at, code, _ in self._facts["frames"]:
            here = {
                (inner, outer)
                for outer, word in self._words(at, 16)
                for inner, held in self._words(word, 16)
                if pointer(held) == code
            }
            agreed = here if agreed is None else agreed & here
        if not agreed:
            raise _unknown("the code of a frame")
        return min(agreed)

    def _instruction(self) -> tuple[int, int]:
        """(where a frame keeps its instruction, where a code's instructions begin), from the two
        frames that are in the middle of a call.
        """
        agreed: set[tuple[int, int]] | None = None
        for frame, (_, code, lasti) in list(zip(self._frames, self._facts["frames"], strict=True))[
            1:
        ]:
            here = {
                (offset, word - lasti - code)
                for offset, word in self._words(frame, 16)
                if 0 < word - lasti - code < _CODE
            }
            agreed = here if agreed is None else agreed & here
        if not agreed:
            raise _unknown("the instruction of a frame")
        return min(agreed)

    def _coroutine_frame(self) -> int:
        """Where a coroutine keeps its frame, which begins behind the head of every object."""
        agreed: set[int] | None = None
        for coroutine, code, *_ in self._facts["coroutines"]:
            here = {
                offset - self._code_in_frame
                for offset, word in self._words(coroutine, _OBJECT)
                if pointer(word) == code and offset - self._code_in_frame >= _HEAD
            }
            agreed = here if agreed is None else agreed & here
        if not agreed:
            raise _unknown("the frame of a coroutine")
        return min(agreed)

    def _awaiting(self) -> Iterator[tuple[int, int, int]]:
        """(frame, where it holds what it awaits, its local variables) of every coroutine."""
        for coroutine, _, awaited, count in self._facts["coroutines"]:
            frame = coroutine + self._frame_in_coroutine
            held = [
                offset for offset, word in self._words(frame, _OBJECT) if pointer(word) == awaited
            ]
            if not held:
                raise _unknown("what a coroutine awaits")
            yield frame, held[0], count

    def _values(self) -> int:
        """Where a frame's values begin: the plainest of the coroutines has nothing on its stack but
        what it awaits.
        """
        return min(held - count * WORD for _, held, count in self._awaiting())

    def _top(self, values: int) -> tuple[int, bool]:
        """(where a frame says how far its values go, whether by an address)."""
        addresses: set[int] | None = None
        counts: set[int] | None = None
        for frame, held, _ in self._awaiting():
            raw = self._memory.read(frame, values)
            free, number = frame + held + WORD, (held - values) // WORD + 1
            here = {offset for offset, word in self._words(frame, values // WORD) if word == free}
            counted = {o for o in range(0, len(raw) - 3, 4) if _int32(raw, o) == number}
            addresses = here if addresses is None else addresses & here
            counts = counted if counts is None else counts & counted
        if addresses:
            return min(addresses), True
        if counts:
            return min(counts), False
        raise _unknown("the top of a frame's values")

    def _thread_state(self, thread: Sequence[int]) -> tuple[int, int]:
        """(the state of a thread, where the runtime points to it)."""
        ident, native = thread
        for offset, word in self._words(self._facts["runtime"], _RUNTIME):
            if word > _LOWEST and not word % WORD:
                held = self._memory.words(word, _OBJECT)
                if ident in held and native in held:
                    return word, offset
        raise _unknown("its threads")

    def _next_state(self, state: int, thread: Sequence[int], native: int) -> tuple[int, int]:
        """(where a thread's state points to the next, the state of `thread`, which is the next)."""
        for offset, word in self._words(state, _OBJECT):
            if word > _LOWEST and self._memory.word(word + native) == thread[1]:
                return offset, word
        raise _unknown("the next thread")

    def _stack_of(self, state: int) -> tuple[tuple[int, ...], int, int]:
        """(steps to the frame that runs, where the block of its data stack is, where that is
        free).
        """
        inner, outer = self._frames[0], self._frames[-1]
        words = list(self._words(state, _OBJECT))
        steps: list[tuple[int, ...]] = [(o,) for o, word in words if word == inner]
        steps = steps or [
            (o, i)
            for o, word in words
            if word > _LOWEST
            for i, held in self._words(word, 8)
            if held == inner
        ]
        # A block begins with the one before it and its own size, whole pages.
        blocks = [
            (word, o)
            for o, word in words
            if 0 < outer - word < _CHUNK and not self._memory.word(word + WORD) % _PAGE
        ]
        free = [(word, o) for o, word in words if 0 < word - inner < _CHUNK]
        if not (steps and blocks and free):
            raise _unknown("the stack of a thread")
        return steps[0], min(blocks)[1], min(free)[1]

    def _bytes(self) -> tuple[int, int]:
        """(where a bytes object keeps its length, where its bytes begin)."""
        lengths: set[int] | None = None
        data: set[int] = set()
        for code in self._facts["codes"]:
            raw, known = (
                self._memory.read(code["table"], _OBJECT * WORD),
                bytes.fromhex(code["table_hex"]),
            )
            data.add(raw.find(known))
            here = {o for o in range(0, 32, WORD) if _int64(raw, o) == len(known)}
            lengths = here if lengths is None else lengths & here
        if len(data) != 1 or -1 in data or not lengths:
            raise _unknown("the content of bytes")
        return min(lengths), data.pop()

    def _steps(self, at: int, value: int) -> tuple[int, ...]:
        """The steps from an object to the value of one of its attributes: within it, or by way of
        the values that it points to (by an address with a flag, in 3.12).
        """
        begin = at - _BEFORE * WORD
        near = [(offset - _BEFORE * WORD, word) for offset, word in self._words(begin, 20)]
        direct = [offset for offset, word in near if word == value]
        if direct:
            return (direct[0],)
        for offset, word in near:
            for flag in (0, 1):
                for further, held in self._words(word + flag, 16):
                    if word > _LOWEST and held == value:
                        return (offset, further + flag)
        raise _unknown("the attributes of an object")

    def _around(self, at: int, value: int) -> int:
        """Where an object holds a value, perhaps before its own beginning."""
        begin = _BEFORE * WORD
        for offset, word in self._words(at - begin, _OBJECT):
            if pointer(word) == value:
                return offset - begin
        raise _unknown("the attributes of a future")

    def _set_mask(self, at: int, count: int) -> int:
        """Where a set keeps the size of its table less one: a power of two less one, above the
        number of its members.
        """
        for offset, word in self._words(at, 16):
            if count <= word < _CHUNK and not (word & (word + 1)):
                return offset
        raise _unknown("the size of a set")

    def _set_table(self, at: int, members: Sequence[int]) -> int:
        for offset, word in self._words(at, 16):
            if word > _LOWEST and set(members) <= set(self._memory.words(word, 512)):
                return offset
        raise _unknown("the members of a set")

    def _list_items(self, at: int, items: Sequence[int]) -> int:
        for offset, word in self._words(at, 8):
            if word > _LOWEST and self._memory.words(word, len(items)) == tuple(items):
                return offset
        raise _unknown("the items of a list")

    def _state(self, pending: Sequence[int], done: int, gone: int) -> int:
        """Where a future keeps its state: 0 while pending, else the numbers of _asyncio's
        enumeration.
        """
        size = _OBJECT * 4
        finished, cancelled = self._memory.read(done, size), self._memory.read(gone, size)
        waiting = [self._memory.read(future, size) for future in pending]
        for offset in range(_HEAD, len(finished) - 3, 4):
            numbers = (_int32(finished, offset), _int32(cancelled, offset))
            if numbers == (2, 1) and not any(_int32(raw, offset) for raw in waiting):
                return offset
        raise _unknown("the state of a future")

    def _type_name(self) -> int:
        agreed: set[int] | None = None
        for at, name in self._facts["type_names"]:
            here = {
                offset
                for offset, word in self._words(at, 16)
                if self._memory.read(word, len(name) + 1) == name.encode() + b"\0"
            }
            agreed = here if agreed is None else agreed & here
        if not agreed:
            raise _unknown("the name of a type")
        return min(agreed)

    def _words(self, at: int, count: int) -> Iterator[tuple[int, int]]:
        return zip(range(0, count * WORD, WORD), self._memory.words(at, count), strict=False)

    def _offset(self, what: str, pairs: _Pairs) -> int:
        """The first offset at which every object holds its value."""
        agreed: set[int] | None = None
        for at, value in pairs:
            here = {offset for offset, word in self._words(at, _OBJECT) if word == value}
            agreed = here if agreed is None else agreed & here
        if not agreed:
            raise _unknown(what)
        return min(agreed)

    def _int(self, what: str, pairs: _Pairs) -> int:
        """As `_offset`, of a 32-bit number."""
        agreed: set[int] | None = None
        for at, value in pairs:
            raw = self._memory.read(at, _OBJECT * WORD)
            here = {o for o in range(0, len(raw) - 3, 4) if _int32(raw, o) == value}
            agreed = here if agreed is None else agreed & here
        if not agreed:
            raise _unknown(what)
        return min(agreed)


def _encoding_of(text: str) -> str:
    """How CPython writes a string: in the narrowest of its forms."""
    widest = max(map(ord, text))
    limits = (0x80, 0x100, 0x10000)
    return _ENCODINGS[sum(widest >= limit for limit in limits)][0]


def _int32(raw: bytes, at: int) -> int:
    return int(struct.unpack_from("<i", raw, at)[0])


def _int64(raw: bytes, at: int) -> int:
    return int(struct.unpack_from("<q", raw, at)[0])


def _unknown(what: str) -> AttachFailed:
    return AttachFailed(f"This build of Python does not keep {what} where any known one does")
