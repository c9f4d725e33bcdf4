"""Go: the service's own CPU profile, and who allocates, where it serves net/http/pprof."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from perfhunt.errors import AttachFailed, Unreadable
from perfhunt.model.document.folded import fold
from perfhunt.model.profile import Profile, ProfileMode, Stack
from perfhunt.model.profiles.readers.pprof import Pprof, parse_pprof
from perfhunt.model.run import TargetProcess
from perfhunt.model.units import Seconds
from perfhunt.profilers.go.served import INDEX, get, pprof_address
from perfhunt.profilers.profiler import Profiler, own_file
from perfhunt.profilers.thread_capture import ProfileReader, ThreadCapture

_PATIENCE: Seconds = 15.0  # beyond the profile's own time
_NEARLY: Seconds = 1.0  # a profile that ends so soon is waited for, since Go keeps no part of it
_POLL: Seconds = 0.05
_USUAL_HZ = 100.0  # of runtime/pprof, where a profile does not say its period
_ANSWERS = ("runtime/pprof.", "net/http/pprof.")  # packages that write profiles
_TAKEN = "alloc_space"  # the column of bytes that were allocated, kept or not


class _Download:
    """The profile of one process, on its way."""

    def __init__(self, pid: int, seconds: int, raw: Path) -> None:
        address = pprof_address(pid)
        if address is None:
            raise AttachFailed(
                f"no port of process {pid} serves {INDEX}",
                'import _ "net/http/pprof" and serve http.DefaultServeMux on a loopback port',
            )
        (self._host, self._port), self._pid, self._seconds, self._raw = address, pid, seconds, raw
        self._answers: dict[str, tuple[int, bytes] | str] = {}  # or why there is none

    def fetch(self, ask_stop: threading.Event) -> ProfileReader:
        """Reads the profile, and who allocated meanwhile. Go gives nothing of one that is cut
        short, so `ask_stop` means no profile. Raises AttachFailed.
        """
        running, taking = self._asked("profile"), self._asked("allocs")
        end = time.monotonic() + self._seconds
        while running.is_alive() and not (ask_stop.is_set() and time.monotonic() < end - _NEARLY):
            running.join(_POLL)
        if "profile" not in self._answers:
            raise AttachFailed(
                f"the profile of Go process {self._pid} was stopped before its end,"
                " and Go keeps no part of it"
            )
        taking.join(_NEARLY)
        return self._read

    def _read(self) -> Profile:
        profile = self._profile(self._parsed("profile", "samples"))
        try:
            taken = self._parsed("allocs", _TAKEN).stacks
        except AttachFailed as error:
            return replace(profile, notes=(f"who allocates was not told: {error.message}",))
        allocated = {stack: size for stack, size in taken.items() if size and not _is_ours(stack)}
        self._raw.with_suffix(f".allocated{self._raw.suffix}").write_text(fold(allocated))
        return replace(profile, allocated=allocated)

    def _asked(self, what: str) -> threading.Thread:
        """A thread that asks for a profile over the whole time, already begun."""

        def download() -> None:
            path = f"{INDEX}{what}?seconds={self._seconds}"
            try:
                answer = get(self._host, self._port, path, self._seconds + _PATIENCE)
            except (OSError, http.client.HTTPException, Unreadable) as error:
                self._answers[what] = str(error)
            else:
                self._answers[what] = answer

        helper = threading.Thread(target=download, name=f"perfhunt-go-{self._pid}", daemon=True)
        helper.start()
        return helper

    def _parsed(self, what: str, column: str) -> Pprof:
        """What was answered. Raises AttachFailed."""
        where = f"http://{self._host}:{self._port}{INDEX}{what}"
        answer = self._answers.get(what, "it has not come yet")
        if isinstance(answer, str):
            raise AttachFailed(f"{where}: {answer}")
        status, body = answer
        if status != 200:
            raise AttachFailed(f"{where} answered {status}")
        try:
            return parse_pprof(body, column)
        except Unreadable as error:
            raise AttachFailed(f"{where}: {error}") from error

    def _profile(self, parsed: Pprof) -> Profile:
        # The answer itself may carry labels, which hold whatever the service put there.
        self._raw.write_text(fold(parsed.stacks))
        rate = 1.0 / parsed.period if parsed.period else _USUAL_HZ
        where = f"http://{self._host}:{self._port}{INDEX}profile"
        return Profile(
            tool="go",
            version="",
            mode=ProfileMode.CPU,
            rate_hz=rate,
            seconds=parsed.seconds,
            stacks=parsed.stacks,
            pids=(self._pid,),
            ticks=round(parsed.seconds * rate),
            command=("GET", f"{where}?seconds={self._seconds}"),
            raw=self._raw.name,
        )


def _is_ours(stack: Stack) -> bool:
    """Whether it is what answers us."""
    return any(frame.function.startswith(_ANSWERS) for frame in stack)


class GoProfiler(Profiler):
    """On-CPU stacks of a Go service by its own runtime, inlined functions and lines included."""

    name = "go"
    needs: tuple[str, ...] = ()
    suffix = ".folded"
    help = "a Go service's own CPU profile, where it serves /debug/pprof"
    runtimes: tuple[str, ...] = ("go",)
    modes: tuple[ProfileMode, ...] = (ProfileMode.CPU,)
    cost = "100 samples a second of each busy core, and two profiles of its memory"
    blind = (
        "what runs in C code that is called through cgo, and how long goroutines wait for their"
        " turn (looks at them tell)"
    )
    at_once = 1  # each is asked over HTTP, and answers when its time is over

    def available(self, pids: Sequence[int] = ()) -> str:
        """Why it cannot be used (for `pids`, when given); "" when it can. Asks the ports of the
        process, nothing else.
        """
        if pids and pprof_address(pids[0]) is None:
            return f"no port of process {pids[0]} serves {INDEX}"
        return ""

    def mode_for(self, target: TargetProcess) -> tuple[ProfileMode, str]:
        """There is one mode, for every target."""
        return ProfileMode.CPU, "the service's own /debug/pprof"

    def attach(
        self, pids: Sequence[int], seconds: int, rate_hz: int, mode: ProfileMode, out: Path
    ) -> ThreadCapture:
        """Ask the first pid for its profile; returns at once. The rate is the runtime's own. Raises
        AttachFailed, ValueError.
        """
        raw = own_file(self, mode, out, pids[0])
        download = _Download(pids[0], seconds, raw)
        return ThreadCapture(download.fetch, f"perfhunt-go-{pids[0]}")
