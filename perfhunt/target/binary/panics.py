"""The places in the source that panics of a Rust program name (core::panic::Location), which stay
in release builds.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from perfhunt.model.units import Bytes
from perfhunt.target.binary.elf import Elf
from perfhunt.target.proc.files import FileBytes

_Table: TypeAlias = tuple[NDArray[np.uint64], NDArray[np.uint64]]

_RELOCATION = np.dtype([("at", "<u8"), ("kind", "<u8"), ("value", "<u8")])
_RELATIVE = 8  # R_X86_64_RELATIVE: an address of the program's own
_BEYOND = 1 << 63  # and on there are only the kernel's addresses
_MOST: Bytes = 64 << 20  # of a section: 24 bytes for each of those
_MOST_CODE: Bytes = 64 << 10  # of a function
# lea REGISTER, [rip + distance]: how code has the address of a constant.
_ADDRESS_TAKEN = re.compile(
    rb"(?=[\x48\x4c]\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d](.{4}))", re.DOTALL
)
_INSTRUCTION: Bytes = 7
# Of a place: where the name of its file is and how long, the line, the column.
_PLACE = np.dtype([("name", "<u8"), ("length", "<u8"), ("line", "<u4"), ("column", "<u4")])
_LONGEST_PATH, _MOST_LINE = 1024, 1_000_000


class PanicPlaces:
    """Reads one file, as it is asked."""

    def __init__(self, elf: Elf) -> None:
        self._elf = elf

    def within(self, begin: int, end: int) -> list[tuple[str, int]]:
        """(file, line) of each that the code there leads to, in their order."""
        code = self._bytes(".text", begin, min(end - begin, _MOST_CODE))
        taken = {
            begin + found.start() + _INSTRUCTION + int.from_bytes(found[1], "little", signed=True)
            for found in _ADDRESS_TAKEN.finditer(code)
        }
        places = {self._place(address) for address in taken if self.pointer(address)}
        return sorted(place for place in places if place[0])

    def sources(self) -> frozenset[str]:
        """The files of all of them."""
        at, _ = self._pointers
        part = self._elf.sections.get(".data.rel.ro")
        raw = self._bytes(".data.rel.ro", part.address, _MOST) if part is not None else b""
        begin = part.address if part is not None else 0
        end = begin + len(raw) - _PLACE.itemsize
        there = at[(at >= begin) & (at <= end)] if end >= begin else at[:0]
        known = dict[tuple[int, int], str]()
        for address in there.tolist():
            _, length, line, _ = np.frombuffer(raw, _PLACE, 1, address - begin)[0].item()
            name = self.pointer(address)
            if (
                0 < length <= _LONGEST_PATH
                and 0 < line < _MOST_LINE
                and (name, length) not in known
            ):
                known[name, length] = self._path(name, length)
        return frozenset(known.values()) - {""}

    def pointer(self, address: int) -> int:
        """The address of the program's own that stands at another; 0 for none."""
        at, value = self._pointers
        n = int(np.searchsorted(at, np.uint64(address))) if 0 < address < _BEYOND else len(at)
        return int(value[n]) if n < len(at) and at[n] == address else 0

    def tables_with(self, address: int) -> list[int]:
        """Where the address of a function stands."""
        at, value = self._pointers
        return [int(where) for where in at[value == address]]

    def _place(self, address: int) -> tuple[str, int]:
        """(file, line) of a place; ("", 0) for what is none."""
        raw = self._bytes(".data.rel.ro", address, _PLACE.itemsize)
        if len(raw) < _PLACE.itemsize:
            return "", 0
        _, length, line, _ = np.frombuffer(raw, _PLACE)[0].item()
        if not (0 < length <= _LONGEST_PATH and 0 < line < _MOST_LINE):
            return "", 0
        path = self._path(self.pointer(address), length)
        return (path, line) if path else ("", 0)

    def _path(self, address: int, length: int) -> str:
        raw = self._bytes(".rodata", address, length)
        return raw.decode(errors="replace") if raw.endswith(b".rs") else ""

    @cached_property
    def _pointers(self) -> _Table:
        """(where addresses of the program's own stand, which), in the order of where."""
        part = self._elf.sections.get(".rela.dyn")
        raw = self._bytes(".rela.dyn", part.address, _MOST) if part is not None else b""
        size = _RELOCATION.itemsize
        rows = np.frombuffer(raw[: len(raw) // size * size], _RELOCATION)
        rows = rows[rows["kind"] == _RELATIVE]
        rows = rows[np.argsort(rows["at"], kind="stable")]
        return rows["at"], rows["value"]

    @cached_property
    def _file(self) -> FileBytes | None:
        try:
            return FileBytes(self._elf.path)
        except OSError:
            return None

    def close(self) -> None:
        """Let the file go. Idempotent."""
        if self._file is not None:
            self._file.close()

    def _bytes(self, section: str, address: int, size: Bytes) -> bytes:
        """So many bytes of a section, or fewer where it ends."""
        part = self._elf.sections.get(section)
        begin = address - part.address if part is not None else -1
        if part is None or self._file is None or not 0 <= begin < part.size:
            return b""
        return self._file.at(part.offset + begin, min(size, part.size - begin))
