"""Node: V8's own CPU sampler, switched on in a live process through its inspector.

SIGUSR1 makes Node listen for a debugger on 127.0.0.1:9229, so this opens a door into the target: it
is used only when asked for, and closed again afterwards, by a guard if this process should die in
between, and by the target itself should the guard die too.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from perfhunt.errors import AttachFailed, Unreadable
from perfhunt.model.profile import Profile, ProfileMode
from perfhunt.model.profiles.readers.cpuprofile import parse_cpuprofile, without_code
from perfhunt.model.run import ProcessIdentity, TargetProcess
from perfhunt.model.text.escaping import json_text
from perfhunt.model.units import Seconds
from perfhunt.profilers.node.guard import DoorGuard
from perfhunt.profilers.node.inspector import PORT, Inspector, InspectorError, is_open, session_url
from perfhunt.profilers.profiler import Profiler, own_file
from perfhunt.profilers.release import wait_until
from perfhunt.profilers.thread_capture import ThreadCapture
from perfhunt.target.proc.files import link
from perfhunt.target.proc.process import identity, lives
from perfhunt.target.proc.threads import own_pid

_OPENS_WITHIN: Seconds = 5.0
_CLOSES_WITHIN: Seconds = 3.0
_DEAD_MAN: Seconds = 30.0  # after its time, the target closes the door by itself
_ANSWER: Seconds = 60.0  # a long profile is a large message
# JavaScript for the target: a timer that closes the inspector when nobody else does, and that does
# not keep the process alive; and its end, 20 ms late so that the answer still gets out.
_ARM = """\
globalThis.__perfhunt = setTimeout(() => process._debugEnd(), {milliseconds});
globalThis.__perfhunt.unref();
process.pid"""
_CLOSE = """\
clearTimeout(globalThis.__perfhunt);
delete globalThis.__perfhunt;
setTimeout(() => process._debugEnd(), 20);
0"""


class _Session:
    """Sampling of one Node process, from the signal that opens its inspector to the inspector
    closed again.
    """

    def __init__(self, process: ProcessIdentity, seconds: Seconds, rate_hz: int, raw: Path) -> None:
        self._process, self._pid = process, process.pid
        self._seconds, self._rate_hz, self._raw = seconds, rate_hz, raw
        self._notes: list[str] = []
        self._guard = DoorGuard(self._pid)
        try:
            self._version, self._inspector = self._open()
        except (InspectorError, OSError) as error:
            self._guard.dismiss(closed=False)
            raise AttachFailed(
                f"the inspector of Node process {self._pid} could not be used: {error}"
            ) from error
        self._began = time.monotonic()

    def _open(self) -> tuple[str, Inspector]:
        if not lives(self._process):  # Another program may have its pid, and die of the signal.
            raise InspectorError("it has ended")
        os.kill(self._pid, signal.SIGUSR1)
        if not wait_until(is_open, _OPENS_WITHIN):
            raise InspectorError(
                f"it did not listen on port {PORT} within {_OPENS_WITHIN:.0f} s of SIGUSR1"
            )
        inspector = Inspector(session_url())
        try:
            milliseconds = round((self._seconds + _DEAD_MAN) * 1000)
            if inspector.evaluate(_ARM.format(milliseconds=milliseconds)) != own_pid(self._pid):
                raise InspectorError(f"port {PORT} is the inspector of another process")
            version = str(inspector.evaluate("process.version"))
            inspector.call("Profiler.enable")
            inspector.call("Profiler.setSamplingInterval", interval=round(1e6 / self._rate_hz))
            inspector.call("Profiler.start")
        except InspectorError:
            inspector.close()
            raise
        return version, inspector

    def sample(self, ask_stop: threading.Event) -> Profile:
        """The profile of the session's time, or less when asked to stop. Raises AttachFailed."""
        ask_stop.wait(self._seconds)
        try:
            seconds = time.monotonic() - self._began
            taken = self._inspector.call("Profiler.stop", timeout=_ANSWER)["profile"]
            stacks, idle = parse_cpuprofile(taken)
            self._raw.write_text(json_text(without_code(taken)))
        except (InspectorError, Unreadable, KeyError) as error:
            raise AttachFailed(
                f"the inspector of Node process {self._pid} gave no profile: {error}"
            ) from error
        finally:
            self._shut()
        return Profile(
            tool="node",
            version=self._version,
            mode=ProfileMode.CPU,
            rate_hz=self._rate_hz,
            seconds=seconds,
            stacks=stacks,
            pids=(self._pid,),
            ticks=round(sum(stacks.values())) + idle,
            command=("SIGUSR1", str(self._pid), "Profiler.start", "Profiler.stop"),
            notes=tuple(self._notes),
            raw=self._raw.name,
        )

    def _shut(self) -> None:
        with suppress(InspectorError):
            self._inspector.evaluate(_CLOSE)
        self._inspector.close()
        closed = wait_until(lambda: not is_open(), _CLOSES_WITHIN)
        self._guard.dismiss(closed)
        if not closed:
            self._notes.append(
                f"the inspector on port {PORT} is still open;"
                f" process {self._pid} was asked to close it"
            )


def _not_node(pid: int) -> str:
    program = os.path.basename(link(pid, "exe"))
    if not program:
        return f"process {pid} is gone or not ours to look at"
    return "" if program.startswith("node") else f"process {pid} runs {program}, not node"


class NodeProfiler(Profiler):
    """On-CPU JavaScript stacks of one live Node process, by V8's sampler."""

    name = "node"
    needs: tuple[str, ...] = ()
    suffix = ".cpuprofile"
    help = "JavaScript stacks of a live Node process, through its inspector"
    runtimes: tuple[str, ...] = ("node",)
    modes: tuple[ProfileMode, ...] = (ProfileMode.CPU,)
    at_once = 1  # all of them want one inspector port
    opens = (
        f"opens Node's inspector on 127.0.0.1:{PORT} while it samples, and whoever can reach that"
        " port can run code"
    )

    def available(self, pids: Sequence[int] = ()) -> str:
        """Why it cannot be used here; "" when it can."""
        if is_open():
            return (
                f"port {PORT} is taken: another Node inspector is open, and its process would be"
                " sampled instead"
            )
        return _not_node(pids[0]) if pids else ""

    def mode_for(self, target: TargetProcess) -> tuple[ProfileMode, str]:
        """There is one mode, for every target."""
        return ProfileMode.CPU, "V8's own sampler, through the inspector"

    def attach(
        self, pids: Sequence[int], seconds: int, rate_hz: int, mode: ProfileMode, out: Path
    ) -> ThreadCapture:
        """Start sampling the first pid, into the directory `out`. Raises AttachFailed, ValueError
        for an unknown mode.

        To any process but Node the signal sent is deadly, so the program is looked at first.
        """
        pid = pids[0]
        raw, process = own_file(self, mode, out, pid), identity(pid)
        if why := self.available(pids):
            raise AttachFailed(why)
        if process is None:
            raise AttachFailed(f"process {pid} has ended")
        session = _Session(process, seconds, rate_hz, raw)
        return ThreadCapture(session.sample, f"perfhunt-node-{pid}")
