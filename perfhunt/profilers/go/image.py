"""The image of a Go program: where the runtime keeps what it knows of itself, found without symbols
or debug information, so that stripped programs can be read too.

Every Go program carries the table that its own tracebacks are made from (pclntab: Go's
`runtime/symtab.go`, as it is since 1.20), and a record of where the parts of the image lie, its
`moduledata`, which begins with the address of that table.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from perfhunt.errors import AttachFailed
from perfhunt.model.units import Bytes
from perfhunt.target.proc.files import FileBytes, link, text
from perfhunt.target.proc.memory import WORD, Extent, ProcessMemory

# The head of pclntab: a magic number, two zeros, instructions of one byte (those of amd64),
# pointers of eight.
_HEAD = struct.pack("<IBBBB", 0xFFFFFFF1, 0, 0, 1, WORD)
_MACHINE_AT, _AMD64 = 18, 62  # where an ELF header has its machine, and the number of amd64 (elf.h)
_LARGEST: Bytes = 1 << 26  # of a segment that is searched; large programs have some MiB of data
_LONGEST_TEXT: Bytes = 1 << 14  # of names and paths; those of generic functions have some hundreds
_MODULE = struct.Struct("<41Q")  # the words of moduledata that are read
HINT = "What runs is profiled all the same; waits are told by the states of threads alone."


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A part of the program's file, as it is mapped."""

    begin: int
    end: int
    offset: Bytes
    writable: bool


@dataclass(frozen=True, slots=True)
class GoModule:
    """Where the parts of a Go image lie: addresses, as its moduledata has them. `names` to `index`
    are tables of pclntab; `variables` are those that may hold pointers, as (address, size).
    """

    names: int
    units: int
    files: int
    values: int
    functions: int
    index: int
    count: int
    text: int
    code: tuple[int, int]
    variables: tuple[Extent, ...]
    types: tuple[int, int]
    go_data: int

    @staticmethod
    def of(words: tuple[int, ...]) -> GoModule | None:
        """The module whose record has these words; None when they are no such record."""
        module = GoModule(
            names=words[1],
            units=words[4],
            files=words[7],
            values=words[10],
            functions=words[13],
            index=words[16],
            count=words[17] - 1,  # Its last entry ends the last function.
            text=words[22],
            code=(words[20], words[21]),
            variables=((words[26], words[27] - words[26]), (words[28], words[29] - words[28])),
            types=(words[37], words[38]),
            go_data=words[40],
        )
        tables = (words[0], words[1], words[4], words[7], words[10], words[13])
        fits = (
            sorted(tables) == list(tables)
            and words[22] <= words[20] < words[21] <= words[23]
            and words[26] <= words[27] <= words[28] <= words[29]
            and module.count > 0
            and module.types[0] < module.types[1]
        )
        return module if fits else None


class GoImage:
    """The program of a live process: its file and its module."""

    def __init__(self, memory: ProcessMemory) -> None:
        """Raises AttachFailed, with the reason, where it is no program that can be read."""
        self._memory = memory
        self._parts = _parts(memory.pid)
        try:
            self._content = FileBytes(f"/proc/{memory.pid}/exe")
        except OSError as error:
            raise AttachFailed(
                f"The program of pid {memory.pid} may not be read: {error}", HINT
            ) from error
        try:
            self.module = self._module()
        except AttachFailed:
            self.close()
            raise

    def close(self) -> None:
        """Let its file go. Idempotent."""
        self._content.close()

    def addresses(self, offset: Bytes) -> Iterator[int]:
        """Where a byte of the file is in memory: parts may overlap."""
        for part in self._parts:
            if part.offset <= offset < part.offset + part.end - part.begin:
                yield part.begin + offset - part.offset

    def table(self, address: int, size: Bytes) -> bytes:
        """A piece of pclntab, which is in memory as it is in the file."""
        for part in self._parts:
            if part.begin <= address < part.end:
                at = part.offset + address - part.begin
                return self._content.at(at, size)
        return b""

    def string(self, address: int) -> str:
        """What stands there up to a zero; "" outside of the file."""
        for part in self._parts:
            if part.begin <= address < part.end:
                at = part.offset + address - part.begin
                text, zero, _ = self._content.at(at, _LONGEST_TEXT).partition(b"\0")
                return text.decode("utf-8", "replace") if zero else ""
        return ""

    def _module(self) -> GoModule:
        if self._content.at(_MACHINE_AT, 2) != struct.pack("<H", _AMD64):
            raise AttachFailed("Goroutines are read from memory on amd64 only", HINT)
        for table in self._tables():
            wanted = struct.pack("<Q", table)
            for raw in self._segments():
                at = raw.find(wanted)
                while at >= 0:
                    if at + _MODULE.size <= len(raw):
                        found = GoModule.of(_MODULE.unpack_from(raw, at))
                        if found is not None:
                            return found
                    at = raw.find(wanted, at + 1)
        raise AttachFailed(
            f"What the program of pid {self._memory.pid} knows of its own functions was not found:"
            " it is of a Go before 1.20, or of one that keeps it in another way",
            HINT,
        )

    def _tables(self) -> Iterator[int]:
        """Addresses at which a table of functions may begin."""
        at = self._content.find(_HEAD)
        while at >= 0:
            yield from self.addresses(at)
            at = self._content.find(_HEAD, at + 1)

    def _segments(self) -> Iterator[bytes]:
        """The memory of the mapped parts, those that are variable first."""
        for part in sorted(self._parts, key=lambda part: not part.writable):
            if part.end - part.begin <= _LARGEST:
                yield self._memory.read(part.begin, part.end - part.begin)


def _parts(pid: int) -> tuple[ImagePart, ...]:
    program, parts = link(pid, "exe"), list[ImagePart]()
    for line in text(f"/proc/{pid}/maps").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) > 5 and fields[5] == program:
            begin, _, end = fields[0].partition("-")
            parts.append(
                ImagePart(int(begin, 16), int(end, 16), int(fields[2], 16), "w" in fields[1])
            )
    return tuple(parts)
