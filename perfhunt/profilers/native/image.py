"""What a process is made of: which file's code is at an address, and what the file says of it."""

from __future__ import annotations

import os
from bisect import bisect_right
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from perfhunt.analysis.blame.frames import Code, Origin
from perfhunt.model.profile import Frame, FrameKind, Stack
from perfhunt.model.profiles.readers.perf_script import frame_of
from perfhunt.model.units import Seconds
from perfhunt.target.binary.elf import X86_64, Elf
from perfhunt.target.binary.inlined import InlinedCalls
from perfhunt.target.binary.instances import RustInstances
from perfhunt.target.binary.linked_in import LinkedIn
from perfhunt.target.binary.names import source_name
from perfhunt.target.binary.perf_map import PerfMap
from perfhunt.target.binary.tables import UnwindRow, UnwindTables
from perfhunt.target.proc.files import link, read
from perfhunt.target.proc.threads import own_pid

_DELETED = " (deleted)"
UNNAMED = "[unknown]"  # as perf calls it
_C_LIBRARY = "[C library]"  # in the place of a file, where it is within the program


@dataclass(frozen=True, slots=True)
class MappedCode:
    """A piece of memory that holds code: where, of which file, and how far into it."""

    begin: int
    end: int
    file: str
    offset: int


@dataclass(frozen=True, slots=True)
class CodeFile:
    """A file that code comes from. `calls` are there where it has debug information, `instances`
    where it is none of the system's, `linked_in` where the C library is within it.
    """

    elf: Elf
    tables: UnwindTables
    calls: InlinedCalls | None
    instances: RustInstances | None
    linked_in: LinkedIn | None = None

    def stack(self, own: int, name: str) -> Stack:
        """The calls that an address of the file is in, root first: the function that holds it, and
        what was inlined there; empty where the file does not say.
        """
        function = self.elf.function_at(own)
        if self.linked_in is not None and self.linked_in.is_in_c_library(function, own):
            known = function.name if function is not None else UNNAMED
            return (Frame(known, _C_LIBRARY, kind=FrameKind.NATIVE),)
        told = self.calls.at(own) if self.calls is not None else ()
        if told:
            names = [source_name(call.symbol) for call in told]
            if function is not None:
                names[-1] = function.name  # As it is called where nothing is inlined.
            # What has no name in the source counts for the function that it was inlined into.
            return tuple(
                Frame(of, call.file, call.line, FrameKind.NATIVE)
                for of, call in zip(reversed(names), reversed(told), strict=True)
                if of
            )
        if function is None:
            return ()
        frame = Frame(function.name, name, kind=FrameKind.NATIVE)
        if self.instances is not None and self.instances.is_rust:
            theirs = self.instances.code.origin(frame) is not Origin.APP
            of = self.instances.within if theirs else self.instances.made_for
            frame = replace(frame, function=of(function))
        return (frame,)


class CodeFiles:
    """The files of one process, each opened once. What is the system's is read for its names
    alone: what was inlined in there says nothing about the service.
    """

    def __init__(self, pid: int) -> None:
        self._pid, self._files = pid, dict[str, CodeFile | None]()
        self._unread: list[str] = []
        self._program = link(pid, "exe").removesuffix(_DELETED)

    def of(self, file: str) -> CodeFile | None:
        """The file by the name it has in the process; None where it cannot be read."""
        if file not in self._files:
            self._files[file] = self._opened(file) if file.startswith("/") else None
        return self._files[file]

    @property
    def cpu(self) -> Seconds:
        """What asking for inlined calls used so far, in other processes."""
        return sum(calls.cpu for calls in self._asked())

    @property
    def refused(self) -> str:
        """Why inlined calls are not told, as a clause; "" where they are, or nobody knows them."""
        return "; ".join(dict.fromkeys(calls.refused for calls in self._asked() if calls.refused))

    @property
    def unread(self) -> str:
        """Which files' functions have no names, and why, as a clause; "" for none."""
        return "; ".join(self._unread)

    def close(self) -> None:
        """End what was asked. Idempotent."""
        for file in self._files.values():
            if file is not None and file.calls is not None:
                file.calls.close()
            if file is not None and file.instances is not None:
                file.instances.close()

    def _asked(self) -> list[InlinedCalls]:
        files = (file for file in self._files.values() if file is not None)
        return [file.calls for file in files if file.calls is not None]

    def _opened(self, file: str) -> CodeFile | None:
        root = f"/proc/{self._pid}/root"
        is_program = file.removesuffix(_DELETED) == self._program
        path = f"/proc/{self._pid}/exe" if is_program else f"{root}{file}"
        try:
            elf = Elf(path, root, file)
        except (OSError, ValueError) as error:
            # What is gone from the disk may have had no name at all, as code made at run time.
            self._unread += [f"{file}: {error}"] if not isinstance(error, FileNotFoundError) else []
            return None
        if elf.machine != X86_64:
            return None
        systems = Code().origin(Frame("", file, kind=FrameKind.NATIVE)) is Origin.NATIVE
        described = "" if systems else elf.described
        tables = UnwindTables(elf)
        return CodeFile(
            elf=elf,
            tables=tables,
            calls=InlinedCalls(described) if described else None,
            instances=None if systems else RustInstances(elf),
            linked_in=LinkedIn(elf, tables) if is_program and not elf.is_linked_later else None,
        )


class ProcessImage:
    """The code of one process. Files are read once; the map when an address lies outside of it."""

    def __init__(self, pid: int) -> None:
        """Raises OSError when the process is gone or its map may not be read."""
        self._pid = pid
        self.files, self._made = CodeFiles(pid), PerfMap(pid, own_pid(pid))
        self._biases: dict[int, int | None] = {}
        self._rows: dict[int, UnwindRow | None] = {}
        self._frames: dict[int, Stack] = {}
        self._nowhere: set[int] = set()
        self.read_map()

    def read_map(self) -> None:
        """Read the map again. Raises OSError."""
        maps = read(f"/proc/{self._pid}/maps").decode(errors="replace")
        self._mapped = [each for line in maps.splitlines() if (each := _code(line)) is not None]
        self._begins = [each.begin for each in self._mapped]
        ends = [each.end for each in self._mapped]
        self._edges = np.array(self._begins, np.uint64), np.array(ends, np.uint64)
        self._biases.clear()

    def place(self, address: int) -> MappedCode | None:
        """The code that an address lies in; None for what is not code."""
        index = bisect_right(self._begins, address) - 1
        if index >= 0 and address < self._mapped[index].end:
            return self._mapped[index]
        return None

    def address_of(self, file: str, own: int) -> int | None:
        """Where in the process the code is that a file has at an address of its own."""
        for mapping in self._mapped:
            module = self.files.of(mapping.file) if mapping.file == file else None
            first = module.elf.address_of(mapping.offset) if module is not None else None
            if first is not None and 0 <= own - first < mapping.end - mapping.begin:
                return mapping.begin + own - first
        return None

    def is_code(self, address: int) -> bool:
        """Whether an address lies in code; one that does not is looked for again in a new map, a
        single time: programs load libraries late.
        """
        if self.place(address) is not None:
            return True
        if address in self._nowhere or address < os.sysconf("SC_PAGESIZE"):
            return False
        if len(self._nowhere) % 64 == 0:  # a torn stack has many such
            self.read_map()
        self._nowhere.add(address)
        return self.place(address) is not None

    def row(self, address: int) -> UnwindRow | None:
        """How to get from an address to the caller; None where nobody says."""
        if address not in self._rows:
            module, own = self._own(address)
            self._rows[address] = module.tables.row(own) if module is not None else None
        return self._rows[address]

    def extent(self, address: int) -> tuple[int, int]:
        """(begin, end) of the function that holds an address; zeros where nobody says."""
        module, own = self._own(address)
        begin, end = module.tables.extent(own) if module is not None else (0, 0)
        return (begin + address - own, end + address - own) if begin else (0, 0)

    def untold_from(self, address: int) -> int:
        """From where on the function may begin that holds an address, of a file whose tables do not
        tell of it: behind all that is told. 0 where they do, or there is no file.
        """
        module, own = self._own(address)
        mapping = self.place(address)
        if module is None or mapping is None or self.row(address) is not None:
            return 0
        told = max(module.elf.last_begin(own), module.tables.last_end(own))
        return max(told + address - own, mapping.begin) if told else mapping.begin

    def code_among(self, words: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Where, in a piece of memory, there are addresses of code."""
        place = np.searchsorted(self._edges[0], words, side="right") - 1
        return np.nonzero((place >= 0) & (words < self._edges[1][np.maximum(place, 0)]))[0]

    def calls(self, address: int) -> Stack:
        """The calls that an address is in, root first: the function that holds it, with its file as
        the process has it, and where that is known what was inlined there, with the source.
        """
        if address not in self._frames:
            self._frames[address] = self._named(address)
        return self._frames[address]

    def _named(self, address: int) -> Stack:
        mapping = self.place(address)
        file = mapping.file if mapping else UNNAMED
        module, own = self._own(address)
        if module is not None and (calls := module.stack(own, file)):
            return calls
        if module is None and (name := self._made.name(address)):
            return (frame_of(name, self._made.path),)
        # Of what was stripped, the tables still say where each function begins.
        begin, _ = module.tables.extent(own) if module is not None else (0, 0)
        return (Frame(f"{begin:#x}" if begin else UNNAMED, file, kind=FrameKind.NATIVE),)

    def _own(self, address: int) -> tuple[CodeFile | None, int]:
        """(the file that an address is of, the address as the file has it)."""
        mapping = self.place(address)
        if mapping is None:
            return None, address
        module = self.files.of(mapping.file)
        if module is None:
            return None, address
        if mapping.begin not in self._biases:
            own = module.elf.address_of(mapping.offset)
            self._biases[mapping.begin] = None if own is None else mapping.begin - own
        bias = self._biases[mapping.begin]
        return (None, address) if bias is None else (module, address - bias)


def _code(line: str) -> MappedCode | None:
    """A line of /proc/PID/maps; None for what is not code."""
    field = line.split(maxsplit=5)
    if len(field) < 5 or "x" not in field[1]:
        return None
    begin, end = (int(part, 16) for part in field[0].split("-"))
    return MappedCode(begin, end, field[5] if len(field) > 5 else "[anon]", int(field[2], 16))
