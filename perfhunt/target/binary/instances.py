"""For what a generic function of a Rust program was made, without debug information: the type, as
the table says that has its method beside what drops that type; and which lines of the application
it has within itself, as the places say that panics in its code name (core::panic::Location).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

from perfhunt.analysis.blame.frames import INLINED, OF_ANY_TYPE, Code
from perfhunt.model.units import Bytes
from perfhunt.target.binary.crates import is_of_others, linked_crates
from perfhunt.target.binary.elf import CompiledFunction, Elf
from perfhunt.target.binary.panics import PanicPlaces

# In the names of symbols that every program of Rust has, of both schemes.
_OF_RUST = b"9panicking"
_METHODS: Bytes = 24  # of a table, before its first method: what drops the type, size, alignment
_DROPS = re.compile(r"^core::ptr::drop_(?:in_place|glue)<(.*)>$")
_CLOSURE = re.compile(r"(?:::\{+closure\}+)+$")
_TOLD = 2  # files of a function that are told


class RustInstances:
    """Reads one file, as it is asked; it may be no program of Rust (`is_rust`)."""

    def __init__(self, elf: Elf) -> None:
        self._elf, self.is_rust = elf, _OF_RUST in elf.part(".strtab")
        self._panics = PanicPlaces(elf)
        self._made: dict[int, str] = {}
        self._within: dict[int, str] = {}

    @cached_property
    def code(self) -> Code:
        """How to tell the application's functions in it from those of others."""
        return Code(libraries=linked_crates(self._elf.path))

    def close(self) -> None:
        """Let the file go. Idempotent."""
        self._panics.close()

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
            places = self._panics.within(function.begin, function.end)
            told = _spelled([place for place in places if not is_of_others(place[0])])
            name = f"{function.name} ({told}{INLINED}" if told else function.name
            self._within[function.begin] = name
        return self._within[function.begin]

    def _by_tables(self, function: CompiledFunction) -> str:
        tables = self._panics.tables_with(function.begin)
        drops = (self._panics.pointer(where - _METHODS) for where in tables)
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
