"""How perf is to find the callers of what runs: by frame pointers where the program keeps them,
else by its unwind tables and a copy of the stack with each sample.
"""

from __future__ import annotations

from dataclasses import dataclass

from perfhunt.analysis.blame.frames import Code, Origin
from perfhunt.model.profile import Frame, FrameKind
from perfhunt.model.units import Bytes, Share
from perfhunt.target.binary.crates import linked_crates
from perfhunt.target.binary.elf import Elf
from perfhunt.target.binary.tables import FRAME_POINTER, UnwindTables

# Of a stack, copied with each sample: what perf takes by default ends the deeper ones of servers.
_COPIED: Bytes = 16 << 10
_PROBED = 500  # functions of a program; 20 to 30 ms
# Of its own functions, from which a program keeps frame pointers: some are stubs, or call nothing.
_KEEPS: Share = 0.75
_BY_POINTERS = "fp"


@dataclass(frozen=True, slots=True)
class CallGraph:
    """perf's word for a way to find callers, and why it is taken."""

    way: str
    why: str

    @property
    def by_tables(self) -> bool:
        """Whether the stack is copied with each sample."""
        return self.way != _BY_POINTERS

    @property
    def words(self) -> str:
        """The way in words."""
        copied = f"unwind tables and {_COPIED >> 10} KiB of the stack with each sample"
        return copied if self.by_tables else "frame pointers"


def call_graph(pid: int, runtime: str) -> CallGraph:
    """The way for a process. A runtime that makes code as it runs has no tables for it."""
    if runtime != "native":
        return CallGraph(_BY_POINTERS, "")
    path = f"/proc/{pid}/exe"
    try:
        share, n = _keeping(path)
    except (OSError, ValueError) as error:
        return CallGraph(_BY_POINTERS, f"its program cannot be read: {error}")
    by_tables = f"dwarf,{_COPIED}"
    if not n:
        return CallGraph(_BY_POINTERS, "its program has no unwind tables")
    seen = f"{share:.0%} of {n} functions keep frame pointers"
    return CallGraph(_BY_POINTERS if share >= _KEEPS else by_tables, seen)


def _keeping(path: str) -> tuple[Share, int]:
    """(the share of a program's functions that keep frame pointers, of how many): of its own, where
    those have names. The language's library is built in its own way.
    """
    elf = Elf(path)
    code, own, every = Code(libraries=linked_crates(path)), list[bool](), list[bool]()
    for address, row in UnwindTables(elf).sampled(_PROBED):
        keeps = row.register == FRAME_POINTER
        every.append(keeps)
        function = elf.function_at(address)
        if function is not None:
            frame = Frame(function.name, path, kind=FrameKind.NATIVE)
            own += [keeps] * (code.origin(frame) is Origin.APP)
    counted = own or every
    return sum(counted) / max(1, len(counted)), len(counted)
