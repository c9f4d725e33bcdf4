"""For what a generic function of a Rust program was made, without debug information: the type, as
the table says that has its method beside what drops that type; and which lines of the application
it has within itself, as the places say that panics in its code name (core::panic::Location).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from perfhunt.analysis.blame.frames import INLINED, OF_ANY_TYPE, Code
from perfhunt.model.units import Bytes
from perfhunt.target.binary.crates import is_of_others, linked_crates
from perfhunt.target.binary.elf import CompiledFunction, Elf
from perfhunt.target.proc.files import FileBytes

_Table: TypeAlias = tuple[NDArray[np.uint64], NDArray[np.uint64]]

# In the names of symbols that every program of Rust has, of both schemes.
_OF_RUST = b"9panicking"
_RELOCATION = np.dtype([("at", "<u8"), ("kind", "<u8"), ("value", "<u8")])
_RELATIVE = 8  # R_X86_64_RELATIVE: an address of the program's own
_MOST: Bytes = 64 << 20  # of those: 24 bytes for each
_MOST_CODE: Bytes = 64 << 10  # of a function
# lea REGISTER, [rip + distance]: how code has the address of a constant.
_ADDRESS_TAKEN = re.compile(
    rb"(?=[\x48\x4c]\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d](.{4}))", re.DOTALL
)
_INSTRUCTION: Bytes = 7
# Of a place: where the name of its file is and how long, the line, the column.
_PLACE = np.dtype([("name", "<u8"), ("length", "<u8"), ("line", "<u4"), ("column", "<u4")])
_LONGEST_PATH, _MOST_LINE = 1024, 1_000_000
_METHODS: Bytes = 24  # of a table, before its first method: what drops the type, size, alignment
_DROPS = re.compile(r"^core::ptr::drop_(?:in_place|glue)<(.*)>$")
_CLOSURE = re.compile(r"(?:::\{+closure\}+)+$")
_TOLD = 2  # files of a function that are told


class RustInstances:
    """Reads one file, as it is asked; it may be no program of Rust (`is_rust`)."""

    def __init__(self, elf: Elf) -> None:
        self._elf, self.is_rust = elf, _OF_RUST in elf.part(".strtab")
        self._made: dict[int, str] = {}
        self._within: dict[int, str] = {}

    @cached_property
    def code(self) -> Code:
        """How to tell the application's functions in it from those of others."""
        return Code(libraries=linked_crates(self._elf.path))

    def made_for(self, function: CompiledFunction) -> str:
        """The function's name with the type that it was made for in place of a letter, where all
        tables with the function say the same; else as `within` has it.
        """
        if not OF_ANY_TYPE.search(function.name):
            return function.name
        if function.begin not in self._made:
            self._made[function.begin] = self._by_tables(function) or self.within(function)
        return self._made[function.begin]

    def within(self, function: CompiledFunction) -> str:
        """The name of a function of others with the application's lines that are within it, from
        the first to the last: `tokio::runtime::task::raw::poll (src/main.rs:30-34 inlined)`; its
        name where none are.
        """
        if function.begin not in self._within:
            told = _spelled(self._places(function))
            name = f"{function.name} ({told}{INLINED}" if told else function.name
            self._within[function.begin] = name
        return self._within[function.begin]

    def _by_tables(self, function: CompiledFunction) -> str:
        at, value = self._pointers
        drops = (self._pointer(int(where) - _METHODS) for where in at[value == function.begin])
        names = {name for begin in drops if begin for name in self._elf.names_at(begin)}
        dropped = _DROPS.match(names.pop()) if len(names) == 1 else None
        if dropped is None:
            return ""
        method = function.name.rpartition("::")[2]
        of_method = _CLOSURE.sub("", dropped[1])  # what an async method made is of that
        if of_method.endswith(f">::{method}"):
            return _without_arguments(of_method)
        begun = OF_ANY_TYPE.match(function.name)
        rest = function.name[begun.end() :] if begun else ""
        return _without_arguments(f"{begun[1]}{dropped[1]}{rest}") if begun else ""

    def _places(self, function: CompiledFunction) -> list[tuple[str, int]]:
        """(file, line) of each, in their order."""
        size = min(function.end - function.begin, _MOST_CODE)
        try:
            with FileBytes(self._elf.path) as file:
                code = self._bytes(file, ".text", function.begin, size)
                taken = {
                    function.begin
                    + found.start()
                    + _INSTRUCTION
                    + int.from_bytes(found[1], "little", signed=True)
                    for found in _ADDRESS_TAKEN.finditer(code)
                }
                places = {self._place(file, address) for address in taken}
        except OSError:
            return []
        return sorted(place for place in places if place[0] and not is_of_others(place[0]))

    def _place(self, file: FileBytes, address: int) -> tuple[str, int]:
        """(file, line) of a place; ("", 0) for what is none."""
        name = self._pointer(address)
        raw = self._bytes(file, ".data.rel.ro", address, _PLACE.itemsize) if name else b""
        if len(raw) < _PLACE.itemsize:
            return "", 0
        _, length, line, _ = np.frombuffer(raw, _PLACE)[0].item()
        if not (0 < length <= _LONGEST_PATH and 0 < line < _MOST_LINE):
            return "", 0
        path = self._bytes(file, ".rodata", name, length)
        return (path.decode(errors="replace"), line) if path.endswith(b".rs") else ("", 0)

    def _pointer(self, address: int) -> int:
        """The address of the program's own that stands at another; 0 for none."""
        at, value = self._pointers
        n = int(np.searchsorted(at, np.uint64(address))) if address > 0 else len(at)
        return int(value[n]) if n < len(at) and at[n] == address else 0

    @cached_property
    def _pointers(self) -> _Table:
        """(where addresses of the program's own stand, which), in the order of where."""
        try:
            with FileBytes(self._elf.path) as file:
                part = self._elf.sections.get(".rela.dyn")
                raw = self._bytes(file, ".rela.dyn", part.address, _MOST) if part else b""
        except OSError:
            raw = b""
        size = _RELOCATION.itemsize
        rows = np.frombuffer(raw[: len(raw) // size * size], _RELOCATION)
        rows = rows[rows["kind"] == _RELATIVE]
        rows = rows[np.argsort(rows["at"], kind="stable")]
        return rows["at"], rows["value"]

    def _bytes(self, file: FileBytes, section: str, address: int, size: Bytes) -> bytes:
        """So many bytes of a section, or fewer where it ends."""
        part = self._elf.sections.get(section)
        begin = address - part.address if part is not None else -1
        if part is None or not 0 <= begin < part.size:
            return b""
        return file.at(part.offset + begin, min(size, part.size - begin))


def _spelled(places: Sequence[tuple[str, int]]) -> str:
    """`src/main.rs:30-34, src/db.rs:7`."""
    lines: dict[str, list[int]] = {}
    for file, line in places:
        lines.setdefault(file, []).append(line)
    told = [
        f"{file}:{min(of)}-{max(of)}" if len(of) > 1 else f"{file}:{of[0]}"
        for file, of in lines.items()
    ]
    return ", ".join((*told[:_TOLD], "...") if len(told) > _TOLD else told)


def _without_arguments(name: str) -> str:
    """`<shop::order as axum::Handler>::call` of `<shop::order as axum::Handler<(M,), S>>::call`."""
    kept, depth = list[str](), 0
    for at, sign in enumerate(name):
        if sign == "<" and (depth or name[at - 1 : at].isalnum()):
            depth += 1
        elif depth:
            depth -= sign == ">" and name[at - 1] != "-"
        else:
            kept.append(sign)
    return "".join(kept)
