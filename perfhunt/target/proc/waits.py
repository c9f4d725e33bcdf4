"""What a thread is waiting for, read from outside: state and, where there is one, the endpoint,
file or lock address.

The method and its check on CPython 3.8 to 3.13: a thread that waits for the GIL sleeps in a futex
whose address lies in the data of the interpreter's own image (`_PyRuntime` holds the main GIL),
every other lock lives on the heap or on a stack.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass

from perfhunt.model.states import ThreadState
from perfhunt.target.proc.proc import memory, read, stat
from perfhunt.target.proc.sockets import SocketTable
from perfhunt.target.proc.syscalls import F_SETLKW, Call, calls

_IMAGE = re.compile(r"(lib)?python[0-9.]*[a-z]*(\.so.*)?$")
_SOCKET = re.compile(r"socket:\[(\d+)\]$")
_POLLFD = struct.Struct("ihh")
_FEW = 4  # a poll of more descriptors than this is an event loop, not a wait for an answer


@dataclass(frozen=True, slots=True)
class Wait:
    """A thread's state at one look, and what it waited on ("" when nothing can be named)."""

    state: ThreadState
    on: str = ""


RUNNING = Wait(ThreadState.ON_CPU)  # or runnable: only schedstat tells the two apart
_UNKNOWN = Wait(ThreadState.UNKNOWN)


def interpreter_ranges(maps: str, exe: str = "") -> list[tuple[int, int]]:
    """Address ranges of the interpreter's data and bss, from the text of /proc/PID/maps.

    The image is libpython or python by file name. `exe` is taken as the image when neither is
    mapped (a frozen program).
    """
    lines = [line.split(maxsplit=5) for line in maps.splitlines()]
    paths = {field[5] for field in lines if len(field) > 5}
    images = {path for path in paths if _IMAGE.match(os.path.basename(path))} or ({exe} & paths)
    found, end_of_image = [], 0
    for field in lines:
        low, high = (int(part, 16) for part in field[0].split("-"))
        path = field[5] if len(field) > 5 else ""
        if "w" in field[1] and (path in images or (not path and low == end_of_image)):
            found.append((low, high))
            end_of_image = high
        elif path in images:
            end_of_image = high
    return found


class ProcessWaits:
    """Reads what the threads of one process wait for. Keeps its memory map and its socket table
    between looks.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._calls = calls()
        self._sockets = SocketTable(pid)
        self._ranges: list[tuple[int, int]] = []
        self._known_misses: set[int] = set()

    def wait(self, tid: int, line: bytes) -> Wait:
        """The meaning of a line of /proc/PID/task/TID/syscall. `running` is RUNNING: on a CPU or
        waiting for one.
        """
        field = line.split()
        if not field:
            return _UNKNOWN
        if field[0] == b"running":
            # The kernel says so too of a thread that woke while it was being asked: frequent in
            # short waits for a disk.
            return Wait(ThreadState.DISK) if self._asleep(tid) is ThreadState.DISK else RUNNING
        number = int(field[0])
        if number == -1:  # asleep outside any call: a page fault, or stopped
            return Wait(self._asleep(tid))
        call = self._calls.get(number)
        if call is None:
            return Wait(self._asleep(tid), f"syscall {number}")
        return self._named(call, [int(part, 16) for part in field[1:7]], tid)

    def _named(self, call: Call, args: list[int], tid: int) -> Wait:
        match call:
            case Call.FUTEX:
                if self._in_interpreter(args[0]):
                    return Wait(ThreadState.GIL, f"futex:{args[0]:#x}")
                return Wait(ThreadState.LOCK, f"futex:{args[0]:#x}")
            case Call.RECEIVE | Call.SEND:
                return self._descriptor(args[0], tid, sending=call is Call.SEND)
            case Call.EPOLL | Call.ACCEPT:
                return Wait(ThreadState.POLL)
            case Call.POLL:
                return self._poll(args)
            case Call.SELECT:
                return self._select(args)
            case Call.SLEEP:
                return Wait(ThreadState.SLEEP)
            case Call.FILE_LOCK:
                return Wait(ThreadState.LOCK, self._link(args[0]))
            case Call.FCNTL:
                waits = args[1] in F_SETLKW
                return Wait(ThreadState.LOCK if waits else self._asleep(tid), self._link(args[0]))
            case Call.SEMAPHORE:
                return Wait(ThreadState.LOCK, f"semaphore:{args[0]}")
            case Call.STORAGE:
                return Wait(ThreadState.DISK, self._link(args[0]))
            case Call.STORAGE_PATH:
                return Wait(ThreadState.DISK)

    def _in_interpreter(self, address: int) -> bool:
        if any(low <= address < high for low, high in self._ranges):
            return True
        if address in self._known_misses:
            return False
        # The map is read at the first address, and again now and then: a process may exec, or load
        # its interpreter late.
        if len(self._known_misses) > 4096:
            self._known_misses.clear()
        self._known_misses.add(address)
        if len(self._known_misses) % 64 == 1:
            self._read_maps()
        return any(low <= address < high for low, high in self._ranges)

    def _read_maps(self) -> None:
        try:
            maps = read(f"/proc/{self.pid}/maps").decode(errors="replace")
            exe = os.readlink(f"/proc/{self.pid}/exe")
        except OSError:
            return
        self._ranges = interpreter_ranges(maps, exe)

    def _link(self, descriptor: int) -> str:
        try:
            return os.readlink(f"/proc/{self.pid}/fd/{descriptor & 0xFFFFFFFF}")
        except OSError:
            return ""

    def _descriptor(self, descriptor: int, tid: int, *, sending: bool) -> Wait:
        link = self._link(descriptor)
        if (inode := _SOCKET.match(link)) is not None:
            endpoint, inbound = self._sockets.describe(int(inode[1]))
            # To wait for a client's next request is to wait for work; to wait for a client to take
            # an answer is not.
            return Wait(
                ThreadState.POLL if inbound and not sending else ThreadState.SOCKET, endpoint
            )
        if link.startswith("/") and not link.startswith(("/dev/", "/proc/")):
            return Wait(ThreadState.DISK, link)
        return Wait(self._asleep(tid), link)

    def _poll(self, args: list[int]) -> Wait:
        count = args[1] & 0xFFFFFFFF
        if count == 0:
            return Wait(ThreadState.SLEEP)
        if count > _FEW:
            return Wait(ThreadState.POLL)
        raw = memory(self.pid, args[0], _POLLFD.size * count)
        return self._any_of([fd for fd, _, _ in _POLLFD.iter_unpack(raw) if fd >= 0])

    def _select(self, args: list[int]) -> Wait:
        count = args[0] & 0xFFFFFFFF
        if count == 0 or not any(args[1:4]):
            return Wait(ThreadState.SLEEP)
        if count > 1024:
            return Wait(ThreadState.POLL)
        bits = 0
        for address in args[1:4]:
            bits |= (
                int.from_bytes(memory(self.pid, address, (count + 63) // 64 * 8), "little")
                if address
                else 0
            )
        return self._any_of([fd for fd in range(count) if bits >> fd & 1])

    def _any_of(self, descriptors: list[int]) -> Wait:
        """A client library that polls its one connection waits for that endpoint; anything wider
        waits for work.
        """
        if not descriptors or len(descriptors) > _FEW:
            return Wait(ThreadState.POLL)
        found = set()
        for descriptor in descriptors:
            inode = _SOCKET.match(self._link(descriptor))
            endpoint, inbound = self._sockets.describe(int(inode[1])) if inode else ("", True)
            if inbound or endpoint in ("", "socket"):
                return Wait(ThreadState.POLL)
            found.add(endpoint)
        return Wait(ThreadState.SOCKET, found.pop()) if len(found) == 1 else Wait(ThreadState.POLL)

    def _asleep(self, tid: int) -> ThreadState:
        now = stat(self.pid, tid)
        if now is None:
            return ThreadState.UNKNOWN
        return ThreadState.DISK if now.state == "D" else ThreadState.OTHER
