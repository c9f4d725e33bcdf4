"""Starts a command on a leash: in a session of its own, with a keeper beside it that ends it and
whatever it started when it is told to, or when this process is no more, however it went. So do the
directories that this process makes for a while.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from perfhunt.model.units import Bytes, Seconds
from perfhunt.target import keeper
from perfhunt.target.proc.files import awaited

_STARTED_WITHIN: Seconds = 30.0  # an interpreter without packages starts in 20 ms, on a calm host
_KILLED_WITHIN: Seconds = 12.0  # longer than a keeper goes on killing
_LEAVES_WITHIN: Seconds = 0.1  # a keeper with nothing to keep
_KIB: Bytes = 1024  # the unit of ru_maxrss on Linux (getrusage(2))
# The end of its input is the end of whoever made the directory, or of the need for it. What keepers
# end may write there for a while yet: they have killed it within the seconds that are tried here.
_SWEEPER = """
import os, shutil, sys, time
sys.stdin.buffer.read()
until = time.monotonic() + 10
while os.path.lexists(sys.argv[1]) and time.monotonic() < until:
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    time.sleep(0.02)
"""
SECRET_VARIABLE = "PERFHUNT_WORKERS_SECRET"  # read by `load.trust.secret`

# Commands that have ended, while something that they started (a daemon) goes on: it is kept as long
# as this process lives, and no longer.
_left: list[KeptCommand] = []


def inherited() -> dict[str, str]:
    """What of our environment goes on to what we start: all but the secret of load workers."""
    return {name: value for name, value in os.environ.items() if name != SECRET_VARIABLE}


@dataclass(frozen=True, slots=True)
class CommandEnd:
    """How a command ended: its exit code (negative: the signal that ended it), and what it took,
    with the children it waited for. `peak` is None where it cannot be told from the keeper's own;
    `left`: something that it started went on.
    """

    code: int
    wall: Seconds = 0.0
    user: Seconds = 0.0
    system: Seconds = 0.0
    peak: Bytes | None = None
    left: bool = False


class KeptCommand:
    """A command that was started, and all that comes of it, until `end`."""

    def __init__(self, process: subprocess.Popen[bytes], line: socket.socket) -> None:
        """Raises OSError when the command cannot be started."""
        self._keeper, self._line = process, line
        self._told = b""
        self.pid = 0
        self.ended: CommandEnd | None = None
        try:
            self.pid = self._started()
        except OSError:
            self.end(0.0)
            raise

    def _started(self) -> int:
        word, value = (self._next_line(_STARTED_WITHIN) or "error 0").split()
        if word == "pid":
            return int(value)
        if int(value):
            raise OSError(int(value), os.strerror(int(value)))
        raise OSError(errno.ECHILD, "its keeper did not start")

    def poll(self) -> int | None:
        """The command's exit code; None while it runs."""
        return self.wait(0.0)

    def wait(self, within: Seconds | None = None) -> int | None:
        """The command's exit code once it has ended; None when it has not within so many seconds
        (None: for ever).
        """
        if self.ended is None and (line := self._next_line(within)) is not None:
            self.ended = _read_end(line) if line else CommandEnd(-signal.SIGKILL)
        return None if self.ended is None else self.ended.code

    def _next_line(self, within: Seconds | None) -> str | None:
        """What the keeper says next; "" when it is gone, None when it is silent for so long."""
        until = None if within is None else time.monotonic() + within
        while b"\n" not in self._told:
            left = None if until is None else max(0.0, until - time.monotonic())
            if not awaited(self._line.fileno(), left):
                return None
            try:
                more = self._line.recv(4096)
            except ConnectionError:
                more = b""
            if not more:
                return ""
            self._told += more
        line, _, self._told = self._told.partition(b"\n")
        return line.decode()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command, if it still runs: its keeper knows that for certain."""
        self._order(number)

    def end(self, grace: Seconds) -> None:
        """End the command and everything below it: asked, and killed after `grace`. Idempotent."""
        if self._line.fileno() < 0:
            return
        if grace:
            self._order(keeper.ASK_ALL)
        if not self._is_gone(grace):
            self._order(keeper.KILL_ALL)
            self._is_gone(_KILLED_WITHIN)
        if self.poll() is None:
            self.ended = CommandEnd(-signal.SIGKILL)
        self._line.close()
        if self._keeper.returncode and self.pid:
            # It was killed itself: the command went with it, and not what the command had started.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def leave(self) -> bool:
        """Go on, once the command has ended: what it left behind ends with this process. Whether
        there is anything.
        """
        _left[:] = [command for command in _left if not command._is_gone(0.0)]
        if self._is_gone(_LEAVES_WITHIN):
            self._line.close()
            return False
        _left.append(self)
        return self.ended is not None and self.ended.left

    def _order(self, order: int) -> None:
        with suppress(OSError):
            self._line.send(bytes([order]))

    def _is_gone(self, within: Seconds) -> bool:
        """Whether the keeper has nothing left to keep."""
        try:
            self._keeper.wait(within)
        except subprocess.TimeoutExpired:
            return False
        return True


def _read_end(line: str) -> CommandEnd:
    _, status, wall, user, system, peak, left = line.split()
    return CommandEnd(
        code=os.waitstatus_to_exitcode(int(status)),
        wall=float(wall),
        user=float(user),
        system=float(system),
        peak=int(peak) * _KIB or None,
        left=left == "1",
    )


def spawn(
    words: Sequence[str],
    sink: IO[bytes] | int,
    *,
    errors: int | None = None,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> KeptCommand:
    """The command running, without input, all that it prints in `sink`, but its standard error in
    `errors` where that is given; `environment` is all that it has (None: ours). Raises OSError when
    it cannot be started.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            # The command is no argument, so that a kill by its name leaves the keeper to its work.
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-"],
                cwd=directory,
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=sink if errors is None else errors,
                start_new_session=True,
                pass_fds=[theirs.fileno()],
            )
        except OSError:
            ours.close()
            raise
        assert process.stdin is not None
        with suppress(BrokenPipeError), process.stdin as program:
            its_own = inherited() if environment is None else environment
            program.write(_program(theirs.fileno(), words, its_own))
    return KeptCommand(process, ours)


@contextmanager
def scratch(prefix: str) -> Iterator[Path]:
    """A new directory in the place for temporary files, gone with the block, or with this process,
    however it goes. Raises OSError.
    """
    with (
        tempfile.TemporaryDirectory(prefix=prefix) as directory,
        subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _SWEEPER, directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ),
    ):
        yield Path(directory)


def _program(line: int, words: Sequence[str], environment: Mapping[str, str]) -> bytes:
    """The keeper's own text, and the call that begins its work."""
    source = Path(keeper.__file__).read_text(encoding="utf-8")
    encoded = {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
    call = f"main({line}, {[os.fsencode(word) for word in words]!a}, {encoded!a})"
    return f"{source}\n\n{call}\n".encode()


def run(
    words: Sequence[str],
    *,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    within: Seconds | None = None,
) -> tuple[int, bytes]:
    """The exit code of a command that ends by itself, and what it printed, both streams as one.
    What it leaves running ends with this process.

    Raises TimeoutError when it does not end in time, and has then been ended; OSError when it
    cannot be started.
    """
    with tempfile.TemporaryFile() as printed:
        command = spawn(words, printed, directory=directory, environment=environment)
        try:
            if command.wait(within) is None:
                raise TimeoutError(f"{words[0]} did not end within {within:g} s")
        finally:
            if command.ended is None:
                command.end(0.0)
        command.leave()
        assert command.ended is not None
        printed.seek(0)
        return command.ended.code, printed.read()
