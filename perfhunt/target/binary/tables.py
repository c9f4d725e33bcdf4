"""How to get from a function to its caller: the unwind tables that compilers write for exceptions.

Formats: DWARF 5, 6.4 (call frame information); LSB 5.0, 10.6 (`.eh_frame`, `.eh_frame_hdr`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from perfhunt.model.units import Bytes
from perfhunt.target.binary.elf import Elf

STACK_POINTER, FRAME_POINTER, RETURN_ADDRESS = 7, 6, 16  # DWARF's numbers of x86-64's registers
_SORTED = b"\x01\x1b\x03\x3b"  # a table of pairs of 32 bits, relative to its own begin
_PAIRS = 12  # bytes in front of them
_WORD = struct.Struct("<Q")
_ENTRY = struct.Struct("<II")  # length, and the way back to the common entry
_CALLS_OTHERS: Bytes = 64  # of a function; shorter ones are mostly stubs, or call nothing
_MOST_STEPS = 4096  # instructions of one entry, or of one expression
_MOST_BITS = 64  # of a number
# What a table that is cut short, or is none, ends in.
_BROKEN = (struct.error, LookupError, ValueError, OverflowError)
_SIGNED = {0x9: ("<h", 2), 0xA: ("<h", 2), 0xB: ("<i", 4), 0xC: ("<q", 8)}
_PLAIN = {0x0: ("<Q", 8), 0x2: ("<H", 2), 0x3: ("<I", 4), 0x4: ("<Q", 8), **_SIGNED}
_FROM_HERE = 0x10  # DW_EH_PE_pcrel


@dataclass(frozen=True, slots=True)
class UnwindRow:
    """What holds at one address: the caller's stack pointer is `register` plus `offset`, or what
    `expression` says; `saved` are the caller's registers, by how far from there they lie.
    `is_root`: nobody called.
    """

    register: int = STACK_POINTER
    offset: int = 8
    expression: bytes = b""
    saved: dict[int, int] = field(default_factory=dict)
    is_root: bool = False


@dataclass(frozen=True, slots=True)
class _Common:
    """What the entries of a file share."""

    code: int
    data: int
    returns: int
    encoding: int
    augmented: bool
    steps: bytes


class UnwindTables:
    """The rows of one file, read as they are asked for. Addresses are the file's own."""

    def __init__(self, elf: Elf) -> None:
        self._base = self._at = 0
        self._frames, self._rows = elf.part(".eh_frame"), dict[int, UnwindRow | None]()
        self._begins = self._entries = np.zeros(0, np.int64)
        header = elf.part(".eh_frame_hdr")
        if not self._frames:
            return
        if header[:4] != _SORTED or len(header) < _PAIRS:
            self._at = elf.sections[".eh_frame"].address
            self._begins, self._entries = self._sorted()
            return
        base = elf.sections[".eh_frame_hdr"].address
        count = min(struct.unpack_from("<I", header, 8)[0], (len(header) - _PAIRS) // 8)
        pairs = np.frombuffer(header, "<i4", 2 * count, _PAIRS).astype(np.int64) + base
        self._begins, self._entries = pairs[0::2], pairs[1::2]
        self._at = elf.sections[".eh_frame"].address

    def _sorted(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(where functions begin, where their entries are), in order: what the header would say,
        which a program that is linked as one (`-static`) has not.
        """
        pairs, at, encodings = list[tuple[int, int]](), 0, dict[int, int]()
        try:
            while at + _ENTRY.size <= len(self._frames):
                size, back = _ENTRY.unpack_from(self._frames, at)
                if back and size:  # No common entry, and no end of what one object brought.
                    common = at + 4 - back
                    if common not in encodings:
                        encodings[common] = self._common(common).encoding
                    reader = _TableReader(self._frames, at + _ENTRY.size)
                    begin = reader.pointer(encodings[common], self._at)
                    pairs.append((begin, self._at + at))
                at += 4 + size
        except _BROKEN:
            pass
        pairs.sort()
        begins, entries = zip(*pairs, strict=True) if pairs else ((), ())
        return np.array(begins, np.int64), np.array(entries, np.int64)

    def row(self, address: int) -> UnwindRow | None:
        """What holds at an address; None where the file does not say."""
        if address not in self._rows:
            try:
                self._rows[address] = self._read(address)
            except _BROKEN:
                self._rows[address] = None
        return self._rows[address]

    def sampled(self, most: int) -> list[tuple[int, UnwindRow]]:
        """(address, what holds there) in the middle of up to `most` functions, evenly chosen, of
        those that are long enough to call others.
        """
        gaps = np.diff(self._begins, append=self._begins[-1:])
        long = self._begins[gaps >= _CALLS_OTHERS]
        chosen = (self.extent(int(begin)) for begin in long[:: max(1, len(long) // most)])
        middles = [(begin + end) // 2 for begin, end in chosen if end - begin >= _CALLS_OTHERS]
        return [(at, row) for at in middles if (row := self.row(at)) is not None]

    def extent(self, address: int) -> tuple[int, int]:
        """(begin, end) of the function that holds an address; zeros when that is not told."""
        try:
            _, begin, length, _ = self._entry(address)
        except _BROKEN:
            return 0, 0
        return (begin, begin + length) if address < begin + length else (0, 0)

    @property
    def count(self) -> int:
        """How many functions they tell of."""
        return len(self._begins)

    def last_end(self, address: int) -> int:
        """Where the last function ends that is told of at or before an address; 0 for none."""
        try:
            _, begin, length, _ = self._entry(address)
        except _BROKEN:
            return 0
        return begin + length if begin + length <= address else 0

    def _read(self, address: int) -> UnwindRow | None:
        common, begin, length, steps = self._entry(address)
        if not begin <= address < begin + length:
            return None
        program = _Program(common, UnwindRow(), begin, address)
        program.run(common.steps)
        program.initial = program.row
        program.run(steps)
        return program.row

    def _entry(self, address: int) -> tuple[_Common, int, int, bytes]:
        """(what it shares, begin, length, instructions) of the entry nearest below an address."""
        place = int(np.searchsorted(self._begins, address, side="right")) - 1
        if place < 0:
            raise ValueError("before the first function")
        at = int(self._entries[place]) - self._at
        size, back = _ENTRY.unpack_from(self._frames, at)
        common = self._common(at + 4 - back)
        reader = _TableReader(self._frames, at + 8)
        begin = reader.pointer(common.encoding, self._at)
        length = reader.pointer(common.encoding & 0xF, 0)
        if common.augmented:
            skipped = reader.unsigned()
            reader.at += skipped
        return common, begin, length, self._frames[reader.at : at + 4 + size]

    def _common(self, at: int) -> _Common:
        size, _ = _ENTRY.unpack_from(self._frames, at)
        reader = _TableReader(self._frames, at + 8)
        reader.at += 1  # its version
        words = reader.string()
        code, data = reader.unsigned(), reader.signed()
        returns, encoding = reader.unsigned(), 0
        if words.startswith("z"):
            length = reader.unsigned()
            end = reader.at + length
            for letter in words[1:]:
                if letter == "R":
                    encoding = reader.byte()
                elif letter == "P":
                    reader.pointer(reader.byte(), 0)
                elif letter == "L":
                    reader.byte()
            reader.at = end
        return _Common(
            code=code,
            data=data,
            returns=returns,
            encoding=encoding,
            augmented=words.startswith("z"),
            steps=self._frames[reader.at : at + 4 + size],
        )


class _TableReader:
    """Reads numbers of the kinds that DWARF has. Raises what is in _BROKEN at the end."""

    def __init__(self, raw: bytes, at: int = 0) -> None:
        self.raw, self.at = raw, at

    def byte(self) -> int:
        self.at += 1
        return self.raw[self.at - 1]

    def number(self, form: str, size: int) -> int:
        self.at += size
        return int(struct.unpack_from(form, self.raw, self.at - size)[0])

    def unsigned(self) -> int:
        return self._variable()[0]

    def signed(self) -> int:
        value, bits = self._variable()
        return value - (1 << bits) if value >> bits - 1 else value

    def _variable(self) -> tuple[int, int]:
        """(a number of seven bits a byte, how many bits it was written in): LEB128, DWARF 5, 7.6.
        Raises ValueError for one of more bits than any has.
        """
        value = bits = 0
        while bits < _MOST_BITS:
            byte = self.byte()
            value |= (byte & 0x7F) << bits
            bits += 7
            if byte < 0x80:
                return value, bits
        raise ValueError("a number without an end")

    def string(self) -> str:
        end = self.raw.index(b"\0", self.at)
        text, self.at = self.raw[self.at : end].decode("ascii", "replace"), end + 1
        return text

    def block(self) -> bytes:
        size = self.unsigned()
        self.at += size
        return self.raw[self.at - size : self.at]

    def pointer(self, encoding: int, section: int) -> int:
        """A pointer in one of the forms of LSB 5.0, 10.5; relative ones from `section` on."""
        here = section + self.at
        form, size = _PLAIN[encoding & 0xF]
        value = self.number(form, size)
        return value + here if encoding & 0x70 == _FROM_HERE else value


class _Program:
    """Runs the instructions of an entry up to an address; `row` is what holds there."""

    def __init__(self, common: _Common, row: UnwindRow, at: int, until: int) -> None:
        self._common, self.row, self.initial = common, row, row
        self._at, self._until = at, until
        self._kept: list[UnwindRow] = []

    def run(self, steps: bytes) -> None:
        """Raises ValueError at an instruction that is not known."""
        reader = _TableReader(steps)
        for _ in range(_MOST_STEPS):
            if reader.at >= len(steps):
                return
            step = reader.byte()
            operand = step & 0x3F
            match step & 0xC0:
                case 0x40:
                    self._at += operand * self._common.code
                case 0x80:
                    self._save(operand, reader.unsigned() * self._common.data)
                case 0xC0:
                    self._restore(operand)
                case _:
                    self._other(operand, reader)
            if self._at > self._until:
                return

    def _other(self, step: int, reader: _TableReader) -> None:
        common, row = self._common, self.row
        match step:
            case 0x00:
                pass
            case 0x01:
                self._at = reader.number("<Q", 8)
            case 0x02 | 0x03 | 0x04:
                form, size = {2: ("<B", 1), 3: ("<H", 2), 4: ("<I", 4)}[step]
                self._at += reader.number(form, size) * common.code
            case 0x05:
                self._save(reader.unsigned(), reader.unsigned() * common.data)
            case 0x06:
                self._restore(reader.unsigned())
            case 0x07:
                self._unknown(reader.unsigned(), gone=True)
            case 0x08:
                self._unknown(reader.unsigned())
            case 0x09:
                self._unknown(reader.unsigned())
                reader.unsigned()
            case 0x0A:
                self._kept.append(row)
            case 0x0B:
                self.row = self._kept.pop()
            case 0x0C:
                self._caller(reader.unsigned(), reader.unsigned())
            case 0x0D:
                self._caller(reader.unsigned(), row.offset)
            case 0x0E:
                self._caller(row.register, reader.unsigned())
            case 0x0F:
                self.row = replace(row, expression=reader.block())
            case 0x10 | 0x16:
                self._unknown(reader.unsigned())
                reader.block()
            case 0x11:
                self._save(reader.unsigned(), reader.signed() * common.data)
            case 0x12:
                self._caller(reader.unsigned(), reader.signed() * common.data)
            case 0x13:
                self._caller(row.register, reader.signed() * common.data)
            case 0x14 | 0x15:
                self._unknown(reader.unsigned())
                reader.unsigned() if step == 0x14 else reader.signed()
            case 0x2E:
                reader.unsigned()  # GNU: the size of arguments
            case _:
                raise ValueError(f"unwind instruction {step:#x}")

    def _caller(self, register: int, offset: int) -> None:
        self.row = replace(self.row, register=register, offset=offset, expression=b"")

    def _save(self, register: int, offset: int) -> None:
        self.row = replace(self.row, saved={**self.row.saved, register: offset})

    def _restore(self, register: int) -> None:
        saved = {r: offset for r, offset in self.row.saved.items() if r != register}
        if register in self.initial.saved:
            saved[register] = self.initial.saved[register]
        self.row = replace(self.row, saved=saved)

    def _unknown(self, register: int, gone: bool = False) -> None:
        saved = {r: offset for r, offset in self.row.saved.items() if r != register}
        root = self.row.is_root or (gone and register == RETURN_ADDRESS)
        self.row = replace(self.row, saved=saved, is_root=root)


def evaluated(
    expression: bytes, registers: dict[int, int], word: Callable[[int], int | None]
) -> int | None:
    """What an expression of a table gives; None where it needs what is not known. DWARF 5, 2.5."""
    reader, stack = _TableReader(expression), list[int]()
    try:
        for _ in range(_MOST_STEPS):
            if reader.at >= len(expression):
                return stack[-1]
            _step(reader.byte(), reader, stack, registers, word)
    except _BROKEN:
        pass
    return None


def _step(
    step: int,
    reader: _TableReader,
    stack: list[int],
    registers: dict[int, int],
    word: Callable[[int], int | None],
) -> None:
    if 0x70 <= step <= 0x8F:  # a register plus a number
        stack.append(registers[step - 0x70] + reader.signed())
    elif 0x30 <= step <= 0x4F:
        stack.append(step - 0x30)
    elif step == 0x06:
        value = word(stack.pop())
        if value is None:
            raise KeyError("memory")
        stack.append(value)
    elif step in (0x08, 0x09, 0x0A, 0x0B):
        form, size = {8: ("<B", 1), 9: ("<b", 1), 10: ("<H", 2), 11: ("<h", 2)}[step]
        stack.append(reader.number(form, size))
    elif step == 0x23:
        stack.append(stack.pop() + reader.unsigned())
    else:
        right, left = stack.pop(), stack.pop()
        value = {
            0x1A: left & right,
            0x1C: left - right,
            0x22: left + right,
            0x24: left << min(right, 64),
            0x2A: int(left >= right),
        }[step]
        stack.append(value)
