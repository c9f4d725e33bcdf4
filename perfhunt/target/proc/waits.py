"""What a thread is waiting for, read from outside: state and, where there is one, the endpoint,
file or lock address.

The method and its check on CPython 3.8 to 3.13: a thread that waits for the GIL sleeps in a futex
whose address lies in the data of the interpreter's own image (`_PyRuntime` holds the main GIL),
every other lock lives on the heap or on a stack.
"""

from __future__ import annotations

import os
import re
import select
import struct
import time
from dataclasses import dataclass

from perfhunt.model.states import ThreadState
from perfhunt.model.units import Seconds
from perfhunt.target.proc.files import FileBytes, link, read
from perfhunt.target.proc.process import memory, stat
from perfhunt.target.proc.sockets import SocketTable, socket_inode
from perfhunt.target.proc.syscalls import WAITING_FCNTL, SyscallKind, syscalls

# Of a build without a GIL (its ABI ends in `t`), no address is the GIL's.
_IMAGE = re.compile(r"(lib)?python[0-9.]*(?!\d*t)[a-z]*(\.so.*)?$")
# Part of a message that every CPython prints before it gives up: a program that holds it holds the
# interpreter.
_HOLDS_PYTHON = b"Fatal Python error"
_POLLFD = struct.Struct("ihh")  # struct pollfd, poll(2)
# A poll of more descriptors than this is an event loop, not a wait for an answer: client libraries
# poll one connection, with a wake-up pipe or two.
_FEW_DESCRIPTORS = 4
_EPOLLED = re.compile(rb"^tfd:\s+(\d+)", re.MULTILINE)  # a descriptor in fdinfo, proc(5)
_EPOLLED_BYTES = 1024  # read of it: the few take less, an event loop's would be thousands of lines
_PAIR = "unix"  # where a unix socket leads that has no name at either end
_WIDE_FOR: Seconds = 1.0  # how long an epoll of many is taken for one: an event loop keeps its own
_FD_SETSIZE = 1024  # select(2): larger sets are nobody's client library
# A process may exec, or load its interpreter late, so its map is read again after so many addresses
# that lay outside the image; and the set of those is emptied when it has grown to so many.
_MAP_EVERY, _MOST_MISSES = 64, 4096
# Calls of which the line says all: neither a descriptor, nor memory, nor a state of the thread's.
_TOLD_BY_LINE = (SyscallKind.FUTEX, SyscallKind.SLEEP, SyscallKind.ACCEPT)


@dataclass(frozen=True, slots=True)
class Wait:
    """A thread's state at one look, and what it waited on ("" when nothing can be named)."""

    state: ThreadState
    on: str = ""


RUNNING = Wait(ThreadState.ON_CPU)  # It runs or is runnable: only schedstat tells the two apart.
_UNKNOWN = Wait(ThreadState.UNKNOWN)


def interpreter_ranges(maps: str, exe: str = "") -> list[tuple[int, int]]:
    """Address ranges of the interpreter's data and bss, from the text of /proc/PID/maps.

    The image is libpython or python by file name. `exe` is taken as the image when neither is
    mapped (a frozen program).
    """
    lines = [line.split(maxsplit=5) for line in maps.splitlines()]
    paths = {field[5] for field in lines if len(field) > 5}
    images = {path for path in paths if _IMAGE.match(os.path.basename(path))} or ({exe} & paths)
    ranges, end_of_image = [], 0
    for field in lines:
        low, high = (int(part, 16) for part in field[0].split("-"))
        path = field[5] if len(field) > 5 else ""
        if "w" in field[1] and (path in images or (not path and low == end_of_image)):
            ranges.append((low, high))
            end_of_image = high
        elif path in images:
            end_of_image = high
    return ranges


def _holds_python(pid: int) -> bool:
    """Whether a process's program has the interpreter in it: the data of another program, of Go or
    Node, holds locks of its own, and no GIL.
    """
    try:
        with FileBytes(f"/proc/{pid}/exe") as content:
            return content.find(_HOLDS_PYTHON) >= 0
    except OSError:
        return False


def _epolled(pid: int, epoll: int) -> list[int]:
    """The first descriptors that an epoll of a process watches; none when that cannot be told."""
    try:
        with open(f"/proc/{pid}/fdinfo/{epoll}", "rb", buffering=0) as file:
            return [int(fd) for fd in _EPOLLED.findall(file.read(_EPOLLED_BYTES))]
    except OSError:
        return []


def slept_on(line: bytes) -> tuple[int, int] | None:
    """(the address that a thread sleeps on, its stack pointer), by its line of /proc; None where it
    is in no futex.
    """
    field = line.split()
    if len(field) < 9 or syscalls().get(int(field[0])) is not SyscallKind.FUTEX:
        return None
    return int(field[1], 16), int(field[-2], 16)


class ProcessWaits:
    """Reads what the threads of one process wait for. Keeps its memory map and its socket table
    between looks.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._syscalls = syscalls()
        self._sockets = SocketTable(pid)
        self._ranges: list[tuple[int, int]] = []
        self._known_misses: set[int] = set()
        self._wide: dict[int, Seconds] = {}  # epolls of many descriptors, when that was seen
        self._frozen: bool | None = None  # whether the program holds the interpreter; None: unread
        self._by_line: dict[bytes, Wait] = {}  # of calls of which the line is all there is to know

    def wait(self, tid: int, line: bytes) -> Wait:
        """The meaning of a line of /proc/PID/task/TID/syscall. `running` is RUNNING: on a CPU or
        waiting for one.
        """
        if (known := self._by_line.get(line)) is not None:
            return known
        field = line.split()
        if not field:
            return _UNKNOWN
        if field[0] == b"running":
            # The kernel says so too of a thread that woke while it was being asked: frequent in
            # short waits for a disk.
            return Wait(ThreadState.DISK) if self._asleep(tid) is ThreadState.DISK else RUNNING
        number = int(field[0])
        if number == -1:  # The thread is asleep outside any call: a page fault, or stopped.
            return Wait(self._asleep(tid))
        kind = self._syscalls.get(number)
        if kind is None:
            return Wait(self._asleep(tid), f"syscall {number}")
        wait = self._named(kind, [int(part, 16) for part in field[1:7]], tid)
        if kind in _TOLD_BY_LINE:
            if len(self._by_line) > _MOST_MISSES:
                self._by_line.clear()
            self._by_line[line] = wait
        return wait

    def _named(self, kind: SyscallKind, args: list[int], tid: int) -> Wait:
        match kind:
            case SyscallKind.FUTEX:
                if self._in_interpreter(args[0]):
                    return Wait(ThreadState.GIL, f"futex:{args[0]:#x}")
                return Wait(ThreadState.LOCK, f"futex:{args[0]:#x}")
            case SyscallKind.RECEIVE | SyscallKind.SEND:
                return self._descriptor(args[0], tid, sending=kind is SyscallKind.SEND)
            case SyscallKind.EPOLL:
                return self._epoll(args[0] & 0xFFFFFFFF)
            case SyscallKind.ACCEPT:
                return Wait(ThreadState.POLL)
            case SyscallKind.POLL:
                return self._poll(args)
            case SyscallKind.SELECT:
                return self._select(args)
            case SyscallKind.SLEEP:
                return Wait(ThreadState.SLEEP)
            case SyscallKind.FILE_LOCK:
                return Wait(ThreadState.LOCK, self._link(args[0]))
            case SyscallKind.FCNTL:
                waits = args[1] in WAITING_FCNTL
                return Wait(ThreadState.LOCK if waits else self._asleep(tid), self._link(args[0]))
            case SyscallKind.SEMAPHORE:
                return Wait(ThreadState.LOCK, f"semaphore:{args[0]}")
            case SyscallKind.STORAGE:
                return Wait(ThreadState.DISK, self._link(args[0]))
            case SyscallKind.STORAGE_PATH:
                return Wait(ThreadState.DISK)

    def _in_interpreter(self, address: int) -> bool:
        if any(low <= address < high for low, high in self._ranges):
            return True
        if address in self._known_misses:
            return False
        if len(self._known_misses) > _MOST_MISSES:
            self._known_misses.clear()
        self._known_misses.add(address)
        if len(self._known_misses) % _MAP_EVERY == 1:  # The first address is one of them.
            self._read_maps()
        return any(low <= address < high for low, high in self._ranges)

    def _read_maps(self) -> None:
        try:
            maps = read(f"/proc/{self.pid}/maps").decode(errors="replace")
        except OSError:
            return
        self._by_line.clear()  # It may lie in the interpreter now.
        if exe := link(self.pid, "exe"):
            if self._frozen is None:
                self._frozen = _holds_python(self.pid)
            self._ranges = interpreter_ranges(maps, exe if self._frozen else "")

    def _link(self, descriptor: int) -> str:
        return link(self.pid, f"fd/{descriptor & 0xFFFFFFFF}")  # The kernel passes it as an int.

    def _descriptor(self, descriptor: int, tid: int, *, sending: bool) -> Wait:
        file = self._link(descriptor)
        if (inode := socket_inode(file)) is not None:
            endpoint, inbound = self._sockets.describe(inode, descriptor)
            # To wait for a client's next request is to wait for work; to wait for a client to take
            # an answer is not.
            return Wait(
                ThreadState.POLL if inbound and not sending else ThreadState.SOCKET, endpoint
            )
        if file.startswith("/") and not file.startswith(("/dev/", "/proc/")):
            return Wait(ThreadState.DISK, file)
        return Wait(self._asleep(tid), file)

    def _poll(self, args: list[int]) -> Wait:
        count = args[1] & 0xFFFFFFFF
        if count == 0:
            return Wait(ThreadState.SLEEP)
        if count > _FEW_DESCRIPTORS:
            return Wait(ThreadState.POLL)
        raw = memory(self.pid, args[0], _POLLFD.size * count)
        polled = [(fd, events) for fd, events, _ in _POLLFD.iter_unpack(raw) if fd >= 0]
        reads = not any(events & select.POLLOUT for _, events in polled)
        return self._any_of([fd for fd, _ in polled], reads=reads)

    def _select(self, args: list[int]) -> Wait:
        count = args[0] & 0xFFFFFFFF
        if count == 0 or not any(args[1:4]):
            return Wait(ThreadState.SLEEP)
        if count > _FD_SETSIZE:
            return Wait(ThreadState.POLL)
        size = (count + 63) // 64 * 8  # bytes: an fd_set is an array of 64-bit words
        bits = 0
        for address in filter(None, args[1:4]):
            bits |= int.from_bytes(memory(self.pid, address, size), "little")
        reads = not any(args[2:4])
        return self._any_of([fd for fd in range(count) if bits >> fd & 1], reads=reads)

    def _epoll(self, epoll: int) -> Wait:
        """An epoll of a few descriptors is the newer form of a poll of them."""
        now = time.monotonic()
        if now - self._wide.get(epoll, float("-inf")) < _WIDE_FOR:
            return Wait(ThreadState.POLL)
        descriptors = _epolled(self.pid, epoll)
        if len(descriptors) > _FEW_DESCRIPTORS:
            self._wide[epoll] = now
        wait = self._any_of(descriptors)
        # A pair without a name is how an event loop is woken: with nothing else it waits for work.
        return wait if wait.on != _PAIR else Wait(ThreadState.POLL)

    def _any_of(self, descriptors: list[int], *, reads: bool = False) -> Wait:
        """A client library that polls its one connection waits for that endpoint, and so does a
        server that polls a client's to read from it; anything wider waits for work.
        """
        if not descriptors or len(descriptors) > _FEW_DESCRIPTORS:
            return Wait(ThreadState.POLL)
        endpoints = set()
        for descriptor in descriptors:
            inode = socket_inode(self._link(descriptor))
            if inode is None:
                return Wait(ThreadState.POLL)
            endpoint, inbound = self._sockets.describe(inode, descriptor)
            if inbound and reads and len(descriptors) == 1:
                return Wait(ThreadState.POLL, endpoint)
            if inbound or endpoint == "socket":
                return Wait(ThreadState.POLL)
            endpoints.add(endpoint)
        if len(endpoints) > 1:
            return Wait(ThreadState.POLL)
        return Wait(ThreadState.SOCKET, endpoints.pop())

    def _asleep(self, tid: int) -> ThreadState:
        now = stat(self.pid, tid)
        if now is None:
            return ThreadState.UNKNOWN
        return ThreadState.DISK if now.state == "D" else ThreadState.OTHER
