"""An ELF file: where its parts are, and which function an address belongs to.

Format: System V ABI, chapter 4 and 5 (gabi); 64 bits, little endian.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
from numpy.typing import NDArray

from perfhunt.model.units import Bytes
from perfhunt.target.binary.names import spelled
from perfhunt.target.proc.files import FileBytes

X86_64 = 62  # EM_X86_64
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_LITTLE_64 = b"\x7fELF\x02\x01"
_LOAD, _LINKER, _NOBITS = 1, 3, 8  # PT_LOAD, PT_INTERP, SHT_NOBITS
_EXECUTABLE = 1  # PF_X
_FUNCTION, _INDIRECT = 2, 10  # STT_FUNC, STT_GNU_IFUNC
_SYMBOL = np.dtype(
    [
        *(("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2")),
        *(("at", "<u8"), ("size", "<u8")),
    ]
)
_LONGEST_NAME: Bytes = 4096  # of a symbol: generic code has names of kilobytes
_BUILD_ID = struct.Struct("<III")  # the head of a note: lengths of name and content, and its kind
_PARTS = (  # that are kept; the file is not, so that who changes it changes nothing here
    *(".symtab", ".strtab", ".dynsym", ".dynstr", ".eh_frame", ".eh_frame_hdr"),
    *(".note.gnu.build-id", ".gnu_debuglink"),
)
_DEBUG = "/usr/lib/debug"  # where distributions put what they strip
_ADDRESSES = 1 << 63  # and beyond only the kernel's, on every machine of 64 bits
_MOST_PARTS = 4096  # sections or segments; those of a large program are a hundred


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the file: its address in memory, where its bytes begin, and how many they are."""

    address: int
    offset: int
    size: Bytes


@dataclass(frozen=True, slots=True)
class CompiledFunction:
    """A function of a file: its name as people write it, and where it begins and ends."""

    name: str
    begin: int
    end: int


class Elf:
    """One file. Addresses are the file's own, before it is placed in memory."""

    def __init__(self, path: str, root: str = "", place: str = "") -> None:
        """Raises OSError when it cannot be read, ValueError when it is no such file. `root` is
        where files are looked for that hold what was stripped, and `place` the file's own name
        below it.
        """
        with FileBytes(path) as file:
            try:
                self._read_header(file)
            except (struct.error, OverflowError) as error:
                raise ValueError("it is cut short") from error
            self._parts = {
                name: file.at(self.sections[name].offset, self.sections[name].size)
                for name in _PARTS
                if name in self.sections
            }
        self.path, self._root, self._place = path, root, place
        self._known: dict[int, CompiledFunction | None] = {}

    def _read_header(self, file: FileBytes) -> None:
        head = file.at(0, _HEADER.size)
        if head[:6] != _LITTLE_64:
            raise ValueError("not an ELF file of 64 bits")
        header = _HEADER.unpack(head)
        self.machine: int = header[2]
        segments, sections, names = header[5], header[6], header[13]
        if max(header[10], header[12]) > _MOST_PARTS:
            raise ValueError("more parts than any program has")
        rows = [
            _SEGMENT.unpack(file.at(segments + n * header[9], _SEGMENT.size))
            for n in range(header[10])
        ]
        # Whether another program is to bring its libraries to it.
        self.is_linked_later = any(row[0] == _LINKER for row in rows)
        # (address, offset in the file, size in the file) of code
        self._code: list[tuple[int, int, int]] = [
            (row[3], row[2], row[5]) for row in rows if row[0] == _LOAD and row[1] & _EXECUTABLE
        ]
        heads = [
            _SECTION.unpack(file.at(sections + n * header[11], _SECTION.size))
            for n in range(header[12])
        ]
        self.sections: dict[str, Section] = {}
        for row in heads:
            if row[1] != _NOBITS and names < len(heads) and row[3] < _ADDRESSES:
                name = _name_at(file.at(heads[names][4] + row[0], _LONGEST_NAME), 0)
                self.sections.setdefault(name, Section(row[3], row[4], row[5]))

    def part(self, name: str) -> bytes:
        """The bytes of one of the sections that are kept; none where there is no such."""
        return self._parts.get(name, b"")

    def address_of(self, offset: int) -> int | None:
        """The address of the code at an offset in the file; None where there is none."""
        for address, begin, size in self._code:
            low = begin & -mmap.PAGESIZE
            if low <= offset < begin + size:
                return address + offset - begin
        return None

    def offset_of(self, address: int) -> int | None:
        """Where in the file the code at an address stands; None where there is none."""
        for begins, offset, size in self._code:
            if begins <= address < begins + size:
                return address - begins + offset
        return None

    def function_at(self, address: int) -> CompiledFunction | None:
        """The function that holds an address; None where nobody named one."""
        if address not in self._known:
            self._known[address] = self._function_at(address)
        return self._known[address]

    def names_at(self, address: int) -> frozenset[str]:
        """Every name of the functions that begin there: a linker gives those of the same code one
        address.
        """
        symbols, strings = self._symbols
        there = symbols["name"][symbols["at"] == address]
        return frozenset(spelled(_name_at(strings, int(at))) for at in there)

    def exported(self) -> frozenset[str]:
        """The names of functions that others may call, as they are in the file."""
        symbols, strings = self._table(".dynsym", ".dynstr")
        return frozenset(_name_at(strings, int(at)) for at in symbols["name"])

    def last_begin(self, address: int) -> int:
        """Where the last function begins that is named at or before an address; 0 for none."""
        begins: NDArray[np.uint64] = self._symbols[0]["at"]
        last = int(np.searchsorted(begins, address, side="right")) - 1
        return int(begins[last]) if last >= 0 else 0

    def containing(self, word: str, most: int) -> list[CompiledFunction]:
        """Up to `most` functions in whose symbols a word stands: `main`, `shop::main`. Of several
        names of one, it has the plainest.
        """
        functions = (self.function_at(at) for _, at in self.symbols_with(word, most))
        return [function for function in functions if function is not None]

    def symbols_with(self, word: str, most: int) -> list[tuple[str, int]]:
        """Up to `most` symbols of functions in which a word stands, as people write them, each with
        its address: a linker gives functions of the same code one.
        """
        symbols, strings = self._symbols
        wanted, found = word.encode(), list[tuple[str, int]]()
        for row in symbols:
            begin = int(row["name"])
            if wanted in strings[begin : strings.find(b"\0", begin)]:
                found.append((spelled(_name_at(strings, begin)), int(row["at"])))
                if len(found) == most:
                    break
        return found

    def _function_at(self, address: int) -> CompiledFunction | None:
        symbols, strings = self._symbols
        begins: NDArray[np.uint64] = symbols["at"]
        last = int(np.searchsorted(begins, address, side="right")) - 1
        if last < 0:
            return None
        begin = int(begins[last])
        first = int(np.searchsorted(begins, begin, side="left"))
        alike = symbols[first : last + 1]
        end = begin + int(alike["size"].max())
        if end == begin:  # Written in assembler, without a size: it lasts until the next.
            end = int(begins[last + 1]) if last + 1 < len(begins) else begin + 1
        if address >= end:
            return None
        names = [_name_at(strings, int(at)) for at in alike["name"]]
        # The plainest of several names: `write`, not `__libc_write`.
        plain = min(names, key=lambda name: (len(name) - len(name.lstrip("_")), len(name), name))
        return CompiledFunction(spelled(plain), begin, end)

    @property
    def described(self) -> str:
        """The path of the file that has this one's debug information; "" for none."""
        files = (elf for elf in (self, self._stripped_off) if elf is not None)
        return next((elf.path for elf in files if ".debug_info" in elf.sections), "")

    @cached_property
    def _symbols(self) -> tuple[NDArray[np.void], bytes]:
        """(the functions by their address, the names they have), of the fullest table there is."""
        for elf in (self, self._stripped_off):
            if elf is not None and ".symtab" in elf.sections:
                return elf._table(".symtab", ".strtab")
        return self._table(".dynsym", ".dynstr")

    def _table(self, symbols: str, strings: str) -> tuple[NDArray[np.void], bytes]:
        raw = self.part(symbols)
        rows = np.frombuffer(raw[: len(raw) // _SYMBOL.itemsize * _SYMBOL.itemsize], _SYMBOL)
        kind = rows["info"] & 15
        rows = rows[((kind == _FUNCTION) | (kind == _INDIRECT)) & (rows["section"] != 0)]
        return rows[np.argsort(rows["at"], kind="stable")], self.part(strings)

    @cached_property
    def _stripped_off(self) -> Elf | None:
        """The file that holds what was stripped from this one; None for none."""
        for path in (*self._by_build_id(), *self._by_link()):
            if os.path.isfile(path):
                try:
                    return Elf(path)
                except (OSError, ValueError):
                    continue
        return None

    def _by_build_id(self) -> list[str]:
        note = self.part(".note.gnu.build-id")
        if len(note) < _BUILD_ID.size:
            return []
        name, content, _ = _BUILD_ID.unpack_from(note)
        begin = _BUILD_ID.size + (name + 3 & ~3)
        number = note[begin : begin + content].hex()
        return [f"{root}{_DEBUG}/.build-id/{number[:2]}/{number[2:]}.debug" for root in self._roots]

    def _by_link(self) -> list[str]:
        """By the name and the checksum that `objcopy --add-gnu-debuglink` leaves."""
        link = self.part(".gnu_debuglink")
        name = link.partition(b"\0")[0].decode(errors="replace")
        if not name or "/" in name or not self._place.startswith("/"):
            return []
        folder = os.path.dirname(self._place)
        places = [f"{folder}/{name}", f"{folder}/.debug/{name}", f"{_DEBUG}{folder}/{name}"]
        paths = [f"{root}{place}" for root in self._roots for place in places]
        wanted = int.from_bytes(link[-4:], "little")
        return [path for path in paths if os.path.isfile(path) and _checksum(path) == wanted]

    @property
    def _roots(self) -> tuple[str, ...]:
        return (self._root, "") if self._root else ("",)


def _checksum(path: str) -> int:
    try:
        with FileBytes(path) as file:
            return reduce(lambda sum_, piece: zlib.crc32(piece, sum_), file.pieces(), 0)
    except OSError:
        return -1


def _name_at(strings: bytes, at: int) -> str:
    end = strings.find(b"\0", at, at + _LONGEST_NAME)
    return strings[at : end if end >= 0 else at + _LONGEST_NAME].decode(errors="replace")
