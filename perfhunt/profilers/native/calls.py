"""Calls of a few functions of a process as they happen, by uprobes of the kernel: see
perf_event_open(2) and Documentation/trace/uprobetracer.rst of Linux.

Nothing stops and nothing is left behind: the kernel puts a breakpoint before each function for as
long as a descriptor is open, also when perfhunt is killed, and takes it away with it.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import platform
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import NamedTuple

from perfhunt.errors import AttachFailed
from perfhunt.model.units import Bytes, Seconds
from perfhunt.profilers.native.one_sample import (
    ATTRIBUTES,
    CALLS,
    CLOSE_ON_EXEC,
    DWARF_OF,
    REGISTERS,
    STACK,
)
from perfhunt.profilers.native.unwind import Registers
from perfhunt.target.proc.files import number, read

_UPROBES = "/sys/bus/event_source/devices/uprobe/type"
_THREAD, _TIME = 1 << 1, 1 << 2  # PERF_SAMPLE_TID, PERF_SAMPLE_TIME
_DISABLED, _BY_CLOCK = 1, 1 << 25  # flags of perf_event_attr
_ENABLE, _INTO = 0x2400, 0x2405  # PERF_EVENT_IOC_ENABLE, _SET_OUTPUT
# Of a CPU: five hundred calls with their stacks between two readings; a hundred, of many CPUs.
_RING, _SMALL_RING, _MANY = 8 << 20, 2 << 20, 16
# Until a call that began is in its ring, whole: the kernel is not interrupted in that.
WRITTEN: Seconds = 0.001
_ONLINE = "/sys/devices/system/cpu/online"
_COPIED: Bytes = 16 << 10  # of a stack: a web framework has 10 KiB on it above a future
_HEAD, _TAIL = 1024, 1032  # where in a ring's first page they stand
_RECORD = struct.Struct("<IHH")
_LOST, _SAMPLE = 2, 9  # kinds of records
# perf's numbers of rdi, rsi, rdx, rip, rsp
_FIRST, _SECOND, _THIRD, _CODE, _STACK_AT = 5, 4, 3, 8, 7
_KEPT = sorted((*DWARF_OF, _FIRST, _SECOND, _THIRD, _CODE, _STACK_AT))
_MASK = sum(1 << number for number in _KEPT)
_FIXED = struct.Struct(f"<IIQQ{len(_KEPT)}Q")  # pid, tid, time, form of the registers, those
_BEGAN = attrgetter("at")
_SIZE = struct.Struct("<Q")  # of a copy, before it and behind it
_NANOSECONDS = 1e-9
# Where in what was kept each of them stands.
_ARGUMENTS = itemgetter(*(_KEPT.index(number) for number in (_FIRST, _SECOND, _THIRD)))
_CODE_IS, _STACK_IS = _KEPT.index(_CODE), _KEPT.index(_STACK_AT)
_OTHERS = [(_KEPT.index(number), dwarf) for number, dwarf in DWARF_OF.items()]
_NO_REGISTERS = Registers(0, 0, {})


@dataclass(frozen=True, slots=True)
class WatchedFunction:
    """A function to watch: where it begins in its file, and in the process; `stack` asks for a copy
    of the stack with each call.
    """

    name: str
    offset: int
    address: int
    stack: bool = False


class SeenCall(NamedTuple):
    """A call as it began: when (time.monotonic), by which thread, its first three arguments, and of
    functions that ask for it the registers and the top of the stack.
    """

    function: str
    at: Seconds
    tid: int
    arguments: tuple[int, int, int]
    registers: Registers
    raw: bytes


class WatchedCalls:
    """Watches functions of the file that a process runs, in all of its threads."""

    def __init__(self, pid: int, path: str, functions: Sequence[WatchedFunction]) -> None:
        """`path` leads to the file. Raises AttachFailed where the kernel does not let us."""
        self._pid, self._functions = pid, functions
        self._names = {function.address: function.name for function in functions}
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._path = ctypes.create_string_buffer(os.fsencode(path))
        self._kind = _kind()
        self._descriptors: list[int] = []
        self._rings: list[mmap.mmap] = []
        self._late: list[SeenCall] = []
        self.came = 0  # calls so far, of other processes that run the same file as well
        self.lost = 0  # of those, what came faster than it was read
        try:
            cpus = _online_cpus()
            self._size: Bytes = _RING if len(cpus) < _MANY else _SMALL_RING
            for cpu in cpus:
                self._watch(cpu)
        except OSError as error:
            self.close()
            raise AttachFailed(f"The kernel does not let us: {error.strerror}") from error

    def taken(self) -> list[SeenCall]:
        """The calls since the last time, of all threads in the order they began; those of this very
        moment come with the next.
        """
        until = time.monotonic() - WRITTEN
        for ring in self._rings:
            self._late += self._read(ring)
        self._late.sort(key=_BEGAN)
        early = [call for call in self._late if call.at <= until]
        del self._late[: len(early)]
        return early

    def close(self) -> None:
        """Watch no longer. Idempotent."""
        for ring in self._rings:
            ring.close()
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._rings.clear()
        self._descriptors.clear()

    def _watch(self, cpu: int) -> None:
        """Raises OSError."""
        first = -1
        for function in self._functions:
            descriptor = self._event(cpu, function)
            if descriptor < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            self._descriptors.append(descriptor)
            if first < 0:
                first = descriptor
                self._rings.append(mmap.mmap(descriptor, mmap.PAGESIZE + self._size))
            else:
                fcntl.ioctl(descriptor, _INTO, first)
            fcntl.ioctl(descriptor, _ENABLE, 0)

    def _event(self, cpu: int, function: WatchedFunction) -> int:
        kind = _THREAD | _TIME | REGISTERS | (STACK if function.stack else 0)
        copied = _COPIED if function.stack else 0
        attributes = ATTRIBUTES.pack(
            *(self._kind, ATTRIBUTES.size, 0, 1, kind, 0, _DISABLED | _BY_CLOCK, 0, 0),
            *(ctypes.addressof(self._path), function.offset, 0, _MASK, copied),
            *(time.CLOCK_MONOTONIC, 0, 0, 0, 0),
        )
        call = CALLS[platform.machine()]
        return int(self._libc.syscall(call, attributes, -1, cpu, -1, CLOSE_ON_EXEC))

    def _read(self, ring: mmap.mmap) -> Iterator[SeenCall]:
        (end,) = struct.unpack_from("<Q", ring, _HEAD)
        (begin,) = struct.unpack_from("<Q", ring, _TAIL)
        written, at = _part(ring, begin, end - begin), 0
        struct.pack_into("<Q", ring, _TAIL, end)
        while at < len(written):
            kind, _, size = _RECORD.unpack_from(written, at)
            if kind == _SAMPLE:
                self.came += 1
                if (call := self._call(written, at + _RECORD.size, at + size)) is not None:
                    yield call
            elif kind == _LOST:
                (lost,) = _SIZE.unpack_from(written, at + 16)
                self.came, self.lost = self.came + lost, self.lost + lost
            at += max(size, _RECORD.size)

    def _call(self, written: bytes, at: int, end: int) -> SeenCall | None:
        """The call of a record; None for one of another process."""
        pid, tid, nanoseconds, _, *values = _FIXED.unpack_from(written, at)
        name = self._names.get(values[_CODE_IS])
        if pid != self._pid or name is None:
            return None
        registers, copy, at = _NO_REGISTERS, b"", at + _FIXED.size
        (size,) = _SIZE.unpack_from(written, at) if at < end else (0,)
        if size:
            at += _SIZE.size
            (copied,) = _SIZE.unpack_from(written, at + size)
            copy = written[at : at + min(size, copied)]
            others = {dwarf: values[n] for n, dwarf in _OTHERS}
            registers = Registers(values[_CODE_IS], values[_STACK_IS], others)
        return SeenCall(name, nanoseconds * _NANOSECONDS, tid, _ARGUMENTS(values), registers, copy)


def _kind() -> int:
    """The kernel's number of this kind of event. Raises AttachFailed where it has none."""
    if platform.machine() not in CALLS:
        raise AttachFailed(f"Calls are not watched on {platform.machine()}")
    if (kind := number(_UPROBES)) is None:
        raise AttachFailed("This kernel has no uprobes")
    return kind


def _part(ring: mmap.mmap, at: int, size: Bytes) -> bytes:
    """A piece of what was written, which begins anew at the end of the ring."""
    room = len(ring) - mmap.PAGESIZE
    begin = at % room
    first = ring[mmap.PAGESIZE + begin : mmap.PAGESIZE + min(begin + size, room)]
    return first + ring[mmap.PAGESIZE : mmap.PAGESIZE + size - len(first)]


def _online_cpus() -> list[int]:
    """The numbers of this host's CPUs, as the kernel writes them: 0-3,6. Raises OSError."""
    ranges = (part.split("-") for part in read(_ONLINE).decode().split(","))
    return [cpu for ends in ranges for cpu in range(int(ends[0]), int(ends[-1]) + 1)]
