"""One sample of a thread that runs: its registers and its stack, taken by the kernel's own timer.

Nothing stops: the kernel interrupts the thread as it does for its clock, once. See
perf_event_open(2).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import select
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from perfhunt.model.units import Bytes, Seconds
from perfhunt.profilers.native.unwind import Registers
from perfhunt.target.binary.tables import FRAME_POINTER

CALLS = {"x86_64": 298}  # the number of perf_event_open
ATTRIBUTES = struct.Struct("<IIQQQQQIIQQQQIiQIHH")
_SOFTWARE, _CPU_CLOCK = 1, 0
REGISTERS, STACK = 1 << 12, 1 << 13  # PERF_SAMPLE_REGS_USER, PERF_SAMPLE_STACK_USER
_USER_ONLY = 1 << 5 | 1 << 6  # exclude_kernel, exclude_hv
CLOSE_ON_EXEC = 1 << 3  # PERF_FLAG_FD_CLOEXEC
_ENABLE_ONCE = 0x2402  # PERF_EVENT_IOC_REFRESH: until so many samples
_PERIOD = 20_000  # ns of its own CPU time until the sample
_PATIENCE: Seconds = 0.01  # for threads that queue for a CPU
_COPIED: Bytes = 32 << 10
_DATA: Bytes = 64 << 10  # of the ring, which holds one sample
_HEAD = 1024  # where in its first page the kernel says how far it wrote
_RECORD = struct.Struct("<IHH")
_SAMPLE = 9  # PERF_RECORD_SAMPLE
# perf's numbers of registers (arch/x86/include/uapi/asm/perf_regs.h), and DWARF's of the same.
_STACK_AT, _CODE_AT = 7, 8
DWARF_OF = {1: 3, 6: FRAME_POINTER, 20: 12, 21: 13, 22: 14, 23: 15}
_MASK = sum(1 << number for number in (*DWARF_OF, _STACK_AT, _CODE_AT))
_ORDER = sorted((*DWARF_OF, _STACK_AT, _CODE_AT))


@dataclass(frozen=True, slots=True)
class RunningThread:
    """A thread as it ran: its registers and the top of its stack."""

    at: Registers
    raw: bytes


class OneSample:
    """Takes single samples of running threads, as far as the kernel allows."""

    def __init__(self) -> None:
        self._number = CALLS.get(platform.machine(), 0)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._only_user = False
        self.refused = "" if self._number else f"perf_event_open on {platform.machine()}"

    def of(self, tids: Sequence[int]) -> dict[int, RunningThread]:
        """Those of these threads that ran, by tid, within a hundredth of a second."""
        events: dict[int, tuple[int, mmap.mmap]] = {}
        try:
            for tid in tids:
                if not self.refused and (event := self._opened(tid)) is not None:
                    events[tid] = event
            return self._taken(events)
        finally:
            for descriptor, ring in events.values():
                ring.close()
                os.close(descriptor)

    def _opened(self, tid: int) -> tuple[int, mmap.mmap] | None:
        descriptor = self._event(tid)
        if descriptor < 0 and ctypes.get_errno() == errno.EACCES and not self._only_user:
            self._only_user = True
            descriptor = self._event(tid)
        if descriptor < 0:
            if ctypes.get_errno() != errno.ESRCH:
                self.refused = os.strerror(ctypes.get_errno())
            return None
        try:
            ring = mmap.mmap(descriptor, mmap.PAGESIZE + _DATA)
            fcntl.ioctl(descriptor, _ENABLE_ONCE, 1)
        except OSError as error:
            os.close(descriptor)
            self.refused = str(error)
            return None
        return descriptor, ring

    def _event(self, tid: int) -> int:
        flags = 1 | (_USER_ONLY if self._only_user else 0)  # not before it is asked for
        kind = REGISTERS | STACK
        attributes = ATTRIBUTES.pack(
            *(_SOFTWARE, ATTRIBUTES.size, _CPU_CLOCK, _PERIOD, kind, 0, flags, 1, 0),
            *(0, 0, 0, _MASK, _COPIED, 0, 0, 0, 0, 0),
        )
        call = self._libc.syscall
        return int(call(self._number, attributes, tid, -1, -1, CLOSE_ON_EXEC))

    def _taken(self, events: dict[int, tuple[int, mmap.mmap]]) -> dict[int, RunningThread]:
        poll, waiting = select.poll(), {}
        for tid, (descriptor, _) in events.items():
            poll.register(descriptor, select.POLLIN)
            waiting[descriptor] = tid
        end, taken = time.monotonic() + _PATIENCE, dict[int, RunningThread]()
        while waiting and (left := end - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(left * 1000):
                poll.unregister(descriptor)
                tid = waiting.pop(descriptor)
                with suppress(struct.error):
                    sample = _read(events[tid][1])
                    if sample is not None:
                        taken[tid] = sample
        return taken


def _read(ring: mmap.mmap) -> RunningThread | None:
    """The first sample in a ring; None when it holds none, or one of a thread without user code."""
    (written,) = struct.unpack_from("<Q", ring, _HEAD)
    at = 0
    while at + _RECORD.size <= written:
        kind, _, size = _RECORD.unpack_from(ring, mmap.PAGESIZE + at)
        if kind == _SAMPLE:
            return _sample(ring[mmap.PAGESIZE + at + _RECORD.size : mmap.PAGESIZE + at + size])
        at += max(size, _RECORD.size)
    return None


def _sample(raw: bytes) -> RunningThread | None:
    (form,) = struct.unpack_from("<Q", raw)
    if form != 2:  # PERF_SAMPLE_REGS_ABI_64
        return None
    values = dict(zip(_ORDER, struct.unpack_from(f"<{len(_ORDER)}Q", raw, 8), strict=True))
    begin = 8 + 8 * len(_ORDER)
    (size,) = struct.unpack_from("<Q", raw, begin)
    (copied,) = struct.unpack_from("<Q", raw, begin + 8 + size) if size else (0,)
    others = {dwarf: values[number] for number, dwarf in DWARF_OF.items()}
    at = Registers(values[_CODE_AT], values[_STACK_AT], others)
    return RunningThread(at, raw[begin + 8 : begin + 8 + min(size, copied)])
