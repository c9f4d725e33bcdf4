"""perf, with what a tokio service tells of its tasks beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from perfhunt.model.profile import Profile, ProfileMode
from perfhunt.model.run import TargetProcess
from perfhunt.model.units import Seconds
from perfhunt.profilers.perf.profiler import PerfProfiler
from perfhunt.profilers.profiler import Capture
from perfhunt.profilers.tokio.stream import messages, until
from perfhunt.profilers.tokio.updates import ConsoleUpdates, gathered
from perfhunt.target.proc.sockets import held_listening

_METHOD = "/rs.tokio.console.instrument.Instrument/WatchUpdates"
TOKIO, CONSOLE = "tokio::", "console_subscriber::"  # how the functions of those crates begin
_USUAL_PORT = 6669
_ANSWER: Seconds = 2.0  # the subscriber publishes once a second, and at once when it is asked
_LATE: Seconds = 2.0  # more than the second between two updates
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class TokioCapture:
    """A recording of perf, and the stream of a process's console beside it."""

    def __init__(self, perf: Capture, address: tuple[str, int], seconds: Seconds) -> None:
        self._perf, self._updates, self._ended = perf, ConsoleUpdates(), ""
        self._stopped = threading.Event()
        self._goes_on = until(time.monotonic() + seconds, self._stopped.is_set)
        self._worker = threading.Thread(
            target=self._watch, args=(address,), name="perfhunt-tokio", daemon=True
        )
        self._worker.start()

    def stop(self) -> None:
        """End both now. Idempotent."""
        self._stopped.set()
        self._perf.stop()
        self._worker.join()

    def wait(self) -> Profile:
        """perf's profile, with the waits and the long polls of tasks. Raises AttachFailed as perf
        does.
        """
        profile = self._perf.wait()
        self._stopped.set()
        self._worker.join()
        notes = []
        if self._ended:
            notes.append(f"tokio's console ended early: {self._ended}")
        if self._updates.late > _LATE:
            notes.append(
                f"tokio's console is {self._updates.late:.0f} s late with who waits for what, so"
                " that is not told of all of the span: let it publish more often"
                " (ConsoleLayer::builder().publish_interval(Duration::from_millis(10)))"
            )
        if self._updates.dropped:
            notes.append(f"tokio's console lost {self._updates.dropped} events")
        return replace(
            profile,
            lock_waits=self._updates.lock_waits(),
            long_polls=self._updates.long_polls(),
            notes=(*profile.notes, *notes),
        )

    def _watch(self, address: tuple[str, int]) -> None:
        self._ended = gathered(messages(address, _METHOD, b"", self._goes_on), self._updates)


class TokioProfiler(PerfProfiler):
    """perf and tokio's console: what runs, which task keeps a worker to itself, and who waits for
    which of tokio's locks and semaphores.
    """

    name = "tokio-console"
    help = "perf, and the tasks and resources that console-subscriber tells of"
    runtimes: tuple[str, ...] = ("native",)
    blind = "what tasks wait for that is no lock or semaphore of tokio's"

    def is_for(self, target: TargetProcess) -> bool:
        """Whether the program was linked with console-subscriber."""
        return target.runtime == "native" and CONSOLE in target.application.libraries

    def available(self, pids: Sequence[int] = ()) -> str:
        """Why it cannot be used here, with the command that mends it; "" when it can."""
        if why := super().available(pids):
            return why
        if any(console_address(pid) is None for pid in pids[:1]):
            return (
                "tokio's console does not answer:"
                " build with RUSTFLAGS='--cfg tokio_unstable' and start console_subscriber"
            )
        return ""

    def mode_for(self, target: TargetProcess) -> tuple[ProfileMode, str]:
        """As perf has it, and where the console is."""
        mode, why = super().mode_for(target)
        address = console_address(target.workers[0])
        told = f"; tasks by tokio's console on {address[0]}:{address[1]}" if address else ""
        return mode, why + told

    def attach(
        self, pids: Sequence[int], seconds: int, rate_hz: int, mode: ProfileMode, out: Path
    ) -> Capture:
        """Start one recording of all pids and the stream of the first; returns at once. Raises
        AttachFailed, ValueError.
        """
        perf = super().attach(pids, seconds, rate_hz, mode, out)
        address = console_address(pids[0])
        return perf if address is None else TokioCapture(perf, address, seconds)


def console_address(pid: int) -> tuple[str, int] | None:
    """Where a process serves tokio's console, by asking each port it listens on, the usual one
    first; None when none of them answers.
    """
    listeners = sorted(held_listening(pid), key=lambda each: each.local_port != _USUAL_PORT)
    for listener in listeners:
        address = _LOOPBACK.get(listener.local, listener.local), listener.local_port
        if _answers(address):
            return address
    return None


def _answers(address: tuple[str, int]) -> bool:
    updates = ConsoleUpdates()
    goes_on = until(time.monotonic() + _ANSWER, lambda: updates.begin is not None)
    gathered(messages(address, _METHOD, b"", goes_on), updates)
    return updates.begin is not None
