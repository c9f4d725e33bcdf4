"""CPython's objects in the memory of a live process: text, code, dictionaries, sets, types."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import PurePath

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import Frame
from perfhunt.profilers.cpython.layouts.layout import Layout
from perfhunt.target.proc.files import text
from perfhunt.target.proc.memory import WORD, ProcessMemory

_INT = struct.Struct("<i")
_LONG_TEXT = 4096  # characters; no name or path is longer (PATH_MAX)
_LARGE = 1 << 20  # bytes of a table that is read at once: 40,000 modules or members
_NAME = 64  # bytes of a type's name
_MOST_COPIES = 1 << 14  # of a code's instructions, each a thread's


@dataclass(slots=True)
class CodeObject:
    """One code object: its function, and the lines of its instructions once they were asked for."""

    function: str
    file: str
    first_line: int
    table: bytes
    frames: dict[int, Frame] = field(default_factory=dict)  # by where the instruction is


class Objects:
    """Reads the objects of one process; what it finds of code and types it keeps, for they stay."""

    def __init__(self, memory: ProcessMemory, layout: Layout) -> None:
        """Raises AttachFailed where the image of the layout is not mapped."""
        self.memory, self.layout = memory, layout
        self.runtime = image_begin(memory.pid, layout.image) + layout.runtime
        self.types = {name: self.runtime + offset for name, offset in layout.types.items()}
        self._codes: dict[int, CodeObject | None] = {}
        self._type_names: dict[int, str] = {}

    def text(self, at: int) -> str:
        """A string; "" when it is none."""
        layout = self.layout.text
        head = self.memory.read(at, 2 * WORD * WORD)
        if len(head) < layout.state + WORD:
            return ""
        length = int.from_bytes(head[layout.length : layout.length + WORD], "little")
        state = int.from_bytes(head[layout.state : layout.state + 4], "little") & layout.mask
        kind = next((kind for kind in layout.kinds if kind.state == state), None)
        if kind is None or not 0 < length <= _LONG_TEXT:
            return ""
        return self.memory.read(at + kind.data, length * kind.width).decode(
            kind.encoding, "replace"
        )

    def is_text(self, at: int, text: str) -> bool:
        """Whether a string is that very text: one read for most that are not."""
        return self.memory.word(at + self.layout.text.length) == len(text) and self.text(at) == text

    def code(self, at: int) -> CodeObject | None:
        """The code object at an address; None when there is none."""
        if at not in self._codes:
            self._codes[at] = self._read_code(at)
        return self._codes[at]

    def frame(self, at: int, instruction: int) -> Frame | None:
        """The frame of the code object at an address that is at an instruction, by where that is;
        None when there is no code.
        """
        code = self.code(at)
        if code is None:
            return None
        known = code.frames.get(instruction)
        if known is None:
            line = line_of(code.table, code.first_line, instruction - self._begin(at, instruction))
            known = code.frames[instruction] = Frame(code.function, code.file, line)
        return known

    def _begin(self, code: int, instruction: int) -> int:
        """Where the instructions of a code begin that one is of: its own, or a thread's copy."""
        layout = self.layout.code
        own = code + layout.instructions
        if layout.copies is None:
            return own
        array = self.memory.word(code + layout.copies)
        count = min(self.memory.word(array), _MOST_COPIES)
        copies = self.memory.words(array + WORD, count)
        return max((each for each in copies if 0 < each <= instruction), default=own)

    def _read_code(self, at: int) -> CodeObject | None:
        if self.type_of(at) != self.types["code"]:
            return None
        layout, word = self.layout.code, self.memory.word
        name, file = self.text(word(at + layout.name)), self.text(word(at + layout.file))
        line = self.memory.read(at + layout.first_line, 4)
        table = word(at + layout.table)
        size = min(word(table + layout.bytes_length), _LARGE)
        if not name or len(line) < 4:
            return None
        return CodeObject(
            name, file, _INT.unpack(line)[0], self.memory.read(table + layout.bytes_data, size)
        )

    def type_of(self, at: int) -> int:
        """The address of an object's type."""
        return self.memory.word(at + self.layout.object_type)

    def type_name(self, kind: int) -> str:
        """The name of a type, without its module."""
        if kind not in self._type_names:
            raw = self.memory.read(self.memory.word(kind + self.layout.task.type_name), _NAME)
            name = raw.partition(b"\0")[0].decode("ascii", "replace")
            self._type_names[kind] = name.rpartition(".")[2]
        return self._type_names[kind]

    def item(self, dictionary: int, name: str) -> int:
        """The value of a key in a dictionary whose keys are strings; 0 when it is not there."""
        layout = self.layout.dict
        keys = self.memory.word(dictionary + layout.keys)
        head = self.memory.read(keys, layout.header)
        if len(head) < layout.header or head[layout.index_bytes] > 32:
            return 0
        count = int.from_bytes(head[layout.count : layout.count + WORD], "little")
        start = keys + layout.header + (1 << head[layout.index_bytes])
        entries = self.memory.words(start, min(2 * count, _LARGE // WORD))
        for index, (key, value) in enumerate(zip(entries[::2], entries[1::2], strict=False)):
            if key and self.is_text(key, name):
                return value or self._shared(dictionary, index)
        return 0

    def _shared(self, dictionary: int, index: int) -> int:
        """The value of a key that other dictionaries have too, by its position."""
        steps = self.layout.dict.values
        if not steps:
            return 0
        values = self.memory.word(dictionary + steps[0])
        return self.memory.word(values + steps[1] + index * WORD) if values else 0

    def members(self, at: int) -> list[int]:
        """The addresses of the members of a set."""
        layout = self.layout.task
        size = self.memory.word(at + layout.set_mask) + 1
        table = self.memory.word(at + layout.set_table)
        if size > _LARGE // WORD:
            return []
        return list(filter(None, self.memory.words(table, 2 * size)[::2]))


def image_begin(pid: int, image: str) -> int:
    """Where a process has an image mapped. Raises AttachFailed when it has not."""
    for line in text(f"/proc/{pid}/maps").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) > 5 and fields[5] == image:
            return int(fields[0].partition("-")[0], 16)
    raise AttachFailed(f"Process {pid} does not use {PurePath(image).name}")


def line_of(table: bytes, first: int, instruction: int) -> int | None:
    """The line of an instruction (bytes from the first), from a location table (PEP 626, as CPython
    3.11 and later write it: Objects/locations.md); None when it has none.
    """
    line, at, unit = first, 0, instruction // 2
    while at < len(table):
        head = table[at]
        kind, length = (head >> 3) & 15, (head & 7) + 1
        at += 1
        shown: int | None
        if kind == 15:
            shown = None
        elif kind in (13, 14):
            number, shift, byte = 0, 0, 64
            while byte & 64 and at < len(table):
                byte = table[at]
                number |= (byte & 63) << shift
                shift, at = shift + 6, at + 1
            line += -(number >> 1) if number & 1 else number >> 1
            shown = line
        else:
            line += max(0, kind - 10) if kind >= 10 else 0
            shown = line
        while at < len(table) and not table[at] & 128:
            at += 1
        if unit < length:
            return shown
        unit -= length
    return None
