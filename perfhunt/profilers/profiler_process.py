"""A profiler as a child process: started on a leash, watched, and never allowed to leave its target
stopped.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from perfhunt.model.units import Seconds
from perfhunt.target.proc import proc

_PR_SET_PDEATHSIG = 1  # prctl(2)
_LIBC = ctypes.CDLL(None, use_errno=True)
_POLL: Seconds = 0.1
_TERM_GRACE: Seconds = 0.5

# The kernel sends the death signal when the *thread* that forked ends, so all children come from
# one that never does.
_SPAWNER = ThreadPoolExecutor(1, "perfhunt-spawn")


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def spawn(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """The command running in its own session, its output in `log`; killed by the kernel when this
    process dies.
    """

    def start() -> subprocess.Popen[bytes]:
        with open(log, "wb") as sink:
            return subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    return _SPAWNER.submit(start).result()


def release(pid: int, was_held: bool) -> str:
    """Make sure a process that ran before a capture runs after it; a sentence about what had to be
    done, or "".

    Waits up to half a second for a tracer to let go, then sends SIGCONT to a process left stopped.
    """
    deadline = time.monotonic() + 0.5
    while proc.tracer(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    if holder := proc.tracer(pid):
        return f"Process {pid} is still traced by process {holder}"
    if was_held or not proc.is_held(pid):
        return ""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGCONT)
    deadline = time.monotonic() + 0.5
    while proc.is_held(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    if proc.is_held(pid):
        return f"Process {pid} was left stopped, and SIGCONT did not wake it: run kill -CONT {pid}"
    return f"Process {pid} was left stopped by the profiler and was woken with SIGCONT"


class ProfilerProcess:
    """One profiler at work on one or more target processes.

    A watcher ends it when it outlives `seconds` (politely, by `interrupt`, so that it still writes
    its file), when it outlives `limit`, or when it makes no progress for `stall` seconds (0: do not
    ask), by SIGTERM and then SIGKILL.
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
        interrupt: signal.Signals = signal.SIGINT,
    ) -> None:
        self.command = tuple(command)
        self.log = log
        self.cpu: Seconds = 0.0  # its own, for the cost of looking
        self.seconds: Seconds = 0.0  # how long it sampled: until it ended or was asked to
        self.interrupted = False  # by us, before it had finished by itself
        self.killed = ""  # why it had to be killed
        self.notes: list[str] = []
        self._held = {pid: proc.is_held(pid) for pid in pids}
        self._seconds, self._limit, self._stall = seconds, limit, stall
        self._signal = interrupt
        self._ask_stop = threading.Event()
        self._started = time.monotonic()
        self._child = spawn(command, log)
        self._watcher = threading.Thread(
            target=self._watch, name=f"perfhunt-watch-{self._child.pid}", daemon=True
        )
        self._watcher.start()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def output(self) -> str:
        """What it printed so far."""
        return self.log.read_text(errors="replace")

    def wait(self) -> int:
        """Its exit code (negative: the signal that ended it), once it has ended and the target is
        seen to run.
        """
        self._watcher.join()
        return self._child.returncode

    def ask_stop(self) -> None:
        """Have it ended soon; returns at once."""
        self._ask_stop.set()

    def stop(self) -> None:
        """End it now, politely first, and see that the target runs. Idempotent."""
        self.ask_stop()
        self._watcher.join()

    def _watch(self) -> None:
        try:
            progress, progressed = -1, self._started
            while not self._ended():
                self._ask_stop.wait(_POLL)
                now = time.monotonic()
                seen = proc.switches(self.pid)
                if seen != progress:
                    progress, progressed = seen, now
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

    def _ended(self) -> bool:
        """Whether it has ended. It is left a zombie, so that its CPU time can still be read."""
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def _ends_within(self, seconds: Seconds) -> bool:
        deadline = time.monotonic() + seconds
        while not self._ended():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def _interrupt(self) -> None:
        self.interrupted = True
        self.seconds = time.monotonic() - self._started
        os.kill(self.pid, self._signal)
        grace = max(3.0, self._limit - self._seconds)
        if not self._ends_within(grace):
            self._kill(f"it did not stop within {grace:.0f} s of being asked")

    def _kill(self, why: str) -> None:
        self.killed = why
        os.killpg(self.pid, signal.SIGTERM)
        if not self._ends_within(_TERM_GRACE):
            os.killpg(self.pid, signal.SIGKILL)

    def _reap(self) -> None:
        self._ends_within(5.0)
        self.seconds = self.seconds or time.monotonic() - self._started
        if (last := proc.stat(self.pid)) is not None:
            self.cpu = last.cpu + last.children_cpu
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # whatever it started itself
        self._child.wait()
        self.notes += [note for pid, held in self._held.items() if (note := release(pid, held))]
