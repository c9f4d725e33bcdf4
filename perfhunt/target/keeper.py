"""The keeper of one command: a program of its own that stands between perfhunt and what it starts,
so that nothing of it is left when perfhunt is gone, however it went.

`perfhunt.target.leash` gives this text to an interpreter of its own, which has the standard library
and no package. The keeper is the subreaper (prctl(2)) of whatever the command starts: a daemon that
leaves its session, or loses its parent, becomes a child of the keeper and of nobody else. It ends
when no child is left; until then it obeys one line, a socket to its owner. The end of that line is
the end of the owner: then all that is below is asked to end, and after ORPHANED killed.

Told to the owner, a line of text each: `pid N`, or `error ERRNO`; then `ended STATUS WALL USER
SYSTEM PEAK LEFT`, of wait4(2), in seconds and KiB: from its execve(2) on, for the fork before it is
ours; PEAK 0 where it cannot be seen, LEFT 1 when what it started goes on. Obeyed, a byte each:
ASK_ALL, KILL_ALL, or the number of a signal for the command alone.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
import select
import signal
import struct
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType

ASK_ALL, KILL_ALL = 200, 201  # beyond every signal's number
ORPHANED = 0.5  # seconds between SIGTERM and SIGKILL when the owner is gone
_GIVE_UP = 10.0  # seconds; what SIGKILL has not ended by then is not ours to end
_POLL = 0.01  # seconds between two looks at what is left to kill
_BEGUN = struct.Struct("3d")  # on the clock, and the user and system time of the fork: seconds
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)


def below(top: int) -> list[int]:
    """Every process below one, in this moment: by the parents that /proc tells."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue  # it ended meanwhile
            children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    waiting = [top]
    while waiting:
        own = children.get(waiting.pop(), [])
        found += own
        waiting += own
    return found


class Keeper:
    """One command and all that comes of it, from `start` until `keep` returns."""

    def __init__(self, line: int) -> None:
        self._line, self._command, self._alone = line, 0, False
        self._end = ""  # of the command, until the owner was told
        self._began = self._user = self._system = 0.0  # when it became the command, and its CPU
        os.set_inheritable(line, False)
        self._libc = ctypes.CDLL(None)
        self._libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._woken, wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # What was ignored stays so, for the command inherits it; a handler it does not.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._told_to_end)

    def _told_to_end(self, _number: int, _frame: FrameType | None) -> None:
        self._alone = True

    def start(self, words: Sequence[bytes], environment: Mapping[bytes, bytes]) -> bool:
        """Whether the command runs; the owner is told its pid, or why it does not."""
        refused, refusal = os.pipe()
        programs = _programs(words[0], environment)
        begun = mmap.mmap(-1, _BEGUN.size)  # and no pipe, which would wake us beside the command
        self._command = os.fork()
        if self._command == 0:
            self._become(programs, words, environment, refusal, begun)
        os.close(refusal)
        number = os.read(refused, 16)
        self._began, self._user, self._system = _BEGUN.unpack(begun)
        self._tell(f"error {number.decode()}" if number else f"pid {self._command}")
        return not number

    def _become(
        self,
        programs: Sequence[bytes],
        words: Sequence[bytes],
        environment: Mapping[bytes, bytes],
        refusal: int,
        begun: mmap.mmap,
    ) -> None:
        try:
            os.setsid()
            # The interpreter ignores these two; a command is to find them as they are by default.
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            used = resource.getrusage(resource.RUSAGE_SELF)
            _BEGUN.pack_into(begun, 0, time.perf_counter(), used.ru_utime, used.ru_stime)
            os.write(refusal, str(_execute(programs, words, environment)).encode())
        except OSError as error:
            os.write(refusal, str(error.errno).encode())
        finally:
            os.kill(os.getpid(), signal.SIGKILL)

    def keep(self) -> None:
        """Returns when nothing is left: it ended by itself, as ordered, or after its owner."""
        while self._collect():
            if self._alone:
                self._end_all()
                return
            if self._wait(None):
                self._obey()

    def _obey(self) -> None:
        try:
            orders = os.read(self._line, 64)
        except OSError:
            orders = b""
        self._alone = not orders
        for order in orders:
            if order == ASK_ALL:
                self._signal_all(signal.SIGTERM)
            elif order == KILL_ALL:
                self._kill_all()
            elif self._command:
                _send(self._command, order)

    def _end_all(self) -> None:
        self._signal_all(signal.SIGTERM)
        until = time.monotonic() + ORPHANED
        while self._collect() and (left := until - time.monotonic()) > 0:
            self._wait(left, line=False)
        self._kill_all()

    def _kill_all(self) -> None:
        # What is killed may have started something meanwhile: again, until there is nothing.
        until = time.monotonic() + _GIVE_UP
        while self._collect() and time.monotonic() < until:
            self._signal_all(signal.SIGKILL)
            self._wait(_POLL, line=False)

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in below(os.getpid()):
            _send(pid, number)

    def _wait(self, seconds: float | None, line: bool = True) -> bool:
        """Until a child ended, a signal came, or time is over; whether the line has something."""
        watched = select.poll()
        for descriptor in [self._woken, self._line] if line else [self._woken]:
            watched.register(descriptor, select.POLLIN)
        ready = {at for at, _ in watched.poll(None if seconds is None else seconds * 1000)}
        if self._woken in ready:
            os.read(self._woken, 4096)
        return self._line in ready

    def _collect(self) -> bool:
        """Take in every child that ended; False when none is left."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                self._tell_end(left=False)
                return False
            if pid == 0:
                self._tell_end(left=True)
                return True
            if pid == self._command:
                wall, peak = time.perf_counter() - self._began, usage.ru_maxrss
                # Linux carries the high-water mark of who forked through exec (fs/exec.c,
                # exec_mmap): a peak below our own is ours.
                seen = peak if peak > _own_peak() else 0
                user, system = usage.ru_utime - self._user, usage.ru_stime - self._system
                self._command = 0
                self._end = f"{status} {wall} {max(0.0, user)} {max(0.0, system)} {seen}"

    def _tell_end(self, left: bool) -> None:
        """The owner is told once of the command's end, and whether something goes on after it."""
        if self._end:
            self._tell(f"ended {self._end} {int(left)}")
            self._end = ""

    def _tell(self, words: str) -> None:
        with suppress(OSError):  # nobody is there to be told, which the line says as well
            os.write(self._line, words.encode() + b"\n")


def _programs(name: bytes, environment: Mapping[bytes, bytes]) -> list[bytes]:
    """Every path that a name may stand for, as execvp(3) tries them; looked up before the time."""
    if b"/" in name:
        return [name]
    found = {os.fsdecode(key): os.fsdecode(value) for key, value in environment.items()}
    return [os.path.join(os.fsencode(place), name) for place in os.get_exec_path(found)]


def _execute(
    programs: Sequence[bytes], words: Sequence[bytes], environment: Mapping[bytes, bytes]
) -> int:
    """The number of the error that says why none of the programs could be executed: the first that
    is not for a path that is not there.
    """
    absent, refused = errno.ENOENT, 0
    for program in programs:
        try:
            os.execve(program, list(words), environment)
        except (FileNotFoundError, NotADirectoryError) as error:
            absent = error.errno or absent
        except ValueError:  # a command without a name
            break
        except OSError as error:
            refused = refused or error.errno or 0
    return refused or absent


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # it has ended, or is another user's
        os.kill(pid, number)


def _own_peak() -> int:
    """The most memory this process ever had, in KiB; proc(5)."""
    with open("/proc/self/status", "rb") as file:
        return next((int(row.split()[1]) for row in file if row.startswith(b"VmHWM:")), 0)


def main(line: int, words: Sequence[bytes], environment: Mapping[bytes, bytes]) -> None:
    """Keep one command; its owner's socket is `line`. What it prints goes where ours goes."""
    keeper = Keeper(line)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if keeper.start(words, environment):
        keeper.keep()
