"""A profiler as a child process: started on a leash, watched, and never allowed to leave its target
stopped.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from perfhunt.errors import AttachFailed
from perfhunt.model.units import Bytes, Seconds
from perfhunt.profilers.release import capture_targets, release, wait_until
from perfhunt.target.leash import spawn
from perfhunt.target.proc.files import tail
from perfhunt.target.proc.process import stat
from perfhunt.target.proc.threads import switches

_POLL: Seconds = 0.1
_TERM_GRACE: Seconds = 0.5  # a profiler that is asked to go has no file to write any more
STALL: Seconds = 2.0  # a profiler at work does something ten times a second, or twenty
_LEAST_GRACE: Seconds = 3.0  # to write its file, after an interrupt
_TAIL: Bytes = 1 << 16  # of what a profiler printed: its complaints and its summary come last
# A minute of samples, each with its whole stack, is a fifth of this.
LARGEST_TEXT: Bytes = 512 << 20
_LOOK_AT_TOOL: Seconds = 0.02


class ProfilerProcess:
    """One profiler at work on one or more target processes.

    A watcher ends it when it outlives `seconds` (politely, by SIGINT, so that it still writes its
    file), when it outlives `limit`, or when it makes no progress for `stall` seconds (0: do not
    ask), by SIGINT, SIGTERM and then SIGKILL. Progress is that it was scheduled, or took CPU time;
    or that `heartbeat` counts on, for one that may well sleep.
    """

    def __init__(
        self,
        command: Sequence[str],
        pids: Sequence[int],
        log: Path,
        *,
        seconds: Seconds,
        limit: Seconds,
        stall: Seconds = 0.0,
        heartbeat: Callable[[], int] = lambda: 0,
    ) -> None:
        self.command = tuple(command)
        self.log = log
        self.cpu: Seconds = 0.0  # its own, for the cost of looking
        self.seconds: Seconds = 0.0  # how long it sampled: until it ended or was asked to
        self.killed = ""  # why it had to be killed
        self.notes: list[str] = []
        self._targets = capture_targets(pids)
        self._seconds, self._limit, self._stall = seconds, limit, stall
        self._heartbeat = heartbeat
        self._ask_stop = threading.Event()
        self._started = time.monotonic()
        with log.open("wb") as sink:
            self._child = spawn(command, sink)
        self._watcher = threading.Thread(
            target=self._watch, name=f"perfhunt-watch-{self._child.pid}", daemon=True
        )
        self._watcher.start()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def output(self) -> str:
        """The end of what it printed so far."""
        return tail(self.log, _TAIL).decode(errors="replace")

    def wait(self) -> int:
        """Its exit code (negative: the signal that ended it), once it has ended and the target is
        seen to run.
        """
        self._watcher.join()
        return self._child.ended.code if self._child.ended else -signal.SIGKILL

    def ask_stop(self) -> None:
        """Have it ended soon; returns at once."""
        self._ask_stop.set()

    def stop(self) -> None:
        """End it now, politely first, and see that the target runs. Idempotent."""
        self.ask_stop()
        self._watcher.join()

    def _watch(self) -> None:
        try:
            progress, progressed = self._progress(), self._started
            while not self._ended():
                self._ask_stop.wait(_POLL)
                now = time.monotonic()
                if (done := self._progress()) != progress:
                    progress, progressed = done, now
                if self._ask_stop.is_set() or now - self._started > self._seconds:
                    self._interrupt()
                    return
                if now - self._started > self._limit:
                    self._kill(f"it ran for more than {self._limit:.0f} s")
                    return
                if self._stall and now - progressed > self._stall:
                    self._kill(f"it made no progress for {self._stall:.0f} s")
                    return
        finally:
            self._reap()

    def _progress(self) -> tuple[int, Seconds, int]:
        """What it has done so far: another one means that it goes on."""
        now = stat(self.pid)
        return switches(self.pid), now.cpu if now else 0.0, self._heartbeat()

    def _ended(self) -> bool:
        return self._child.poll() is not None

    def _interrupt(self) -> None:
        self.seconds = time.monotonic() - self._started
        self._child.signal(signal.SIGINT)
        grace = max(_LEAST_GRACE, self._limit - self._seconds)
        if not wait_until(self._ended, grace):
            self._kill(f"it did not stop within {grace:.0f} s of being asked")

    def _kill(self, why: str) -> None:
        self.killed = why
        self._child.signal(signal.SIGINT)
        wait_until(self._ended, _TERM_GRACE)
        self._child.end(_TERM_GRACE)

    def _reap(self) -> None:
        self.seconds = self.seconds or time.monotonic() - self._started
        self._child.end(0.0)  # This ends whatever it started itself.
        if (last := self._child.ended) is not None:
            self.cpu = last.user + last.system
        self.notes += release(self._targets)


def print_into(file: IO[bytes], command: Sequence[str], within: Seconds) -> str:
    """Run a tool that prints what it recorded, into a file, so that none of it need fit into
    memory; its complaints. Raises AttachFailed when it fails, does not end within so many seconds,
    or prints more than LARGEST_TEXT.
    """
    name = " ".join(command[:2])
    with tempfile.TemporaryFile() as errors:
        try:
            tool = spawn(command, file, errors=errors.fileno())
        except OSError as error:
            raise AttachFailed(f"{name} cannot be started: {error}") from error
        end, why = time.monotonic() + within, ""
        while tool.wait(_LOOK_AT_TOOL) is None and not why:
            if time.monotonic() > end:
                why = f"{name} did not end within {within:.0f} s"
            elif os.fstat(file.fileno()).st_size > LARGEST_TEXT:
                why = f"{name} printed over {LARGEST_TEXT >> 20} MiB, which is no profile"
        tool.end(0.0)
        code = tool.wait()
        errors.seek(max(0, os.fstat(errors.fileno()).st_size - _TAIL))
        complaints = errors.read(_TAIL).decode(errors="replace")
    if why or code != 0:
        raise AttachFailed(why or f"{name} failed: {complaints.strip()[:200]}")
    file.seek(0)
    return complaints
