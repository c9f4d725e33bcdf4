"""Whose the functions of a program are that was linked as one (`-static`): the application's, or
those of the C library that is within it.
"""

from __future__ import annotations

from functools import lru_cache

from perfhunt.target.binary.elf import CompiledFunction, Elf
from perfhunt.target.binary.tables import UnwindTables
from perfhunt.target.proc.files import text

# Files of ours that have the C library, as /proc/self/maps names them.
_LIBRARIES = ("/libc.so.", "/libc-2.", "/ld-musl-")
_MAIN = "main"
_MOST_MAINS = 10_000  # functions with that in their names
_FEW = 20  # tables: what begins a program, and ends it, has fewer


class LinkedIn:
    """Tells the C library's functions of one program."""

    def __init__(self, elf: Elf, tables: UnwindTables) -> None:
        self._tables = tables
        named = elf.symbols_with(_MAIN, _MOST_MAINS)
        mains = [at for name, at in named if name == _MAIN]
        # Where the application's own functions have tables, musl's are those that have none.
        told = tables.row(mains[0]) is not None if mains else tables.count > _FEW
        self._are_told = told

    def is_in_c_library(self, function: CompiledFunction | None, address: int) -> bool:
        """Whether an address is in the C library: by a name that is reserved for it (C11, 7.1.3) or
        that ours exports, or where only the application is told of.
        """
        if self._are_told and self._tables.row(address) is None:
            return True
        if function is None:
            return False
        return function.name.startswith("_") or function.name in _exported()


@lru_cache(maxsize=1)
def _exported() -> frozenset[str]:
    """What the C library that we run on exports; empty where that cannot be read."""
    try:
        mapped = text("/proc/self/maps").splitlines()
        files = {line.split()[-1] for line in mapped if any(name in line for name in _LIBRARIES)}
        return frozenset[str]().union(*(Elf(file).exported() for file in files))
    except (OSError, ValueError):
        return frozenset()
