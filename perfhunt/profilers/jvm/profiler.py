"""JVM: stacks by the JVM's own flight recorder, started and stopped in a live process by jcmd."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO

from perfhunt.errors import AttachFailed, Unreadable
from perfhunt.model.profile import LockWait, Profile, ProfileMode, Stack
from perfhunt.model.profiles.readers.jfr import (
    EVENT,
    MONITOR_EVENT,
    PARK_EVENT,
    parse_jfr_print,
    parse_lock_waits,
)
from perfhunt.model.run import TargetProcess
from perfhunt.model.units import Seconds
from perfhunt.profilers.child_process import print_into
from perfhunt.profilers.profiler import Profiler, own_file
from perfhunt.profilers.thread_capture import ThreadCapture

_RATE_HZ = 100  # of the recorder's own `profile` settings (10 ms)
_DEPTH = 256  # frames of a stack that are printed; the recorder keeps 64 unless told otherwise
_ANSWER: Seconds = 30.0  # of a tool that starts a JVM of its own
_DEAD_MAN: Seconds = 60.0  # after its time, the recorder stops by itself
# The recorder looks at no more running threads per tick than this (HotSpot, jfrThreadSampler.cpp).
_FEW_THREADS = 5


_HEAD = 1 << 16  # characters of what jcmd says, which is a few lines


@contextmanager
def _printed(*command: str) -> Iterator[IO[str]]:
    """What a tool of the JDK prints, as a file of text. Raises AttachFailed when it fails."""
    with tempfile.TemporaryFile() as file:
        try:
            print_into(file, command, _ANSWER)
        except AttachFailed as error:
            raise AttachFailed(error.message, "Run as the owner of the JVM.") from error
        number = file.fileno()
        with open(number, encoding="utf-8", errors="replace", newline="\n", closefd=False) as lines:
            yield lines


def samples_printed(file: Path) -> AbstractContextManager[IO[str]]:
    """The text of `EVENT` in a recording, by the JDK's `jfr`. Raises AttachFailed when it fails."""
    return _printed("jfr", "print", "--events", EVENT, "--stack-depth", str(_DEPTH), str(file))


def _run(*command: str) -> str:
    """What a tool of the JDK says. Raises AttachFailed when it fails."""
    with _printed(*command) as said:
        return said.read(_HEAD)


class _Recording:
    """Flight recordings of some JVMs under way."""

    def __init__(self, files: Mapping[int, Path], seconds: int) -> None:
        self._files, self._seconds = files, seconds
        self._name = f"perfhunt-{os.getpid()}"

    def record(self, ask_stop: threading.Event) -> Profile:
        """The profile of all of them. Raises AttachFailed."""
        started: list[int] = []
        try:
            for pid in self._files:
                self._start(pid)
                started.append(pid)
            began = time.monotonic()
            ask_stop.wait(self._seconds)
            seconds = time.monotonic() - began
            for pid in self._files:
                self._stop(pid)
        except AttachFailed:
            for pid in started:
                with suppress(AttachFailed):
                    _run("jcmd", str(pid), "JFR.stop", f"name={self._name}")
            raise
        return self._profile(seconds)

    def _start(self, pid: int) -> None:
        # Without a file, one whose time is over is kept in the JVM for good.
        until = (f"duration={round(self._seconds + _DEAD_MAN)}s", "filename=/dev/null")
        how = ("settings=profile", *until)
        printed = _run("jcmd", str(pid), "JFR.start", f"name={self._name}", *how)
        if "Started recording" not in printed:
            raise AttachFailed(f"the JVM of pid {pid} records nothing: {printed.strip()[:200]}")

    def _stop(self, pid: int) -> None:
        # The JVM writes the file itself, as its own user and from its own directory.
        file = self._files[pid].resolve()
        _run("jcmd", str(pid), "JFR.stop", f"name={self._name}", f"filename={file}")
        if not file.exists():
            raise AttachFailed(
                f"the JVM of pid {pid} could not write {file}",
                "Choose a run directory that its user may write.",
            )

    def _profile(self, seconds: Seconds) -> Profile:
        stacks: Counter[Stack] = Counter()
        waits: list[LockWait] = []
        cut = 0
        depth = ("--stack-depth", str(_DEPTH))
        for file in self._files.values():
            try:
                sampled, shortened, locks = _kept(file, depth, seconds)
                waits += locks
            except Unreadable as error:
                raise AttachFailed(f"{file.name}: {error}") from error
            stacks.update(sampled)
            cut += shortened
        pids = tuple(self._files)
        notes = [
            f"the recorder looks at {_FEW_THREADS} running threads at a time: with more, samples"
            " are fewer than the time on CPU"
        ]
        if cut:
            notes.append(f"{cut} stacks were deeper than the recorder keeps and lack their roots")
        return Profile(
            tool="jvm",
            version=_version(pids[0]),
            mode=ProfileMode.CPU,
            rate_hz=_RATE_HZ,
            seconds=seconds,
            stacks={stack: float(n) for stack, n in stacks.items()},
            pids=pids,
            ticks=round(seconds * _RATE_HZ),
            command=("jcmd", ",".join(map(str, pids)), "JFR.start", "settings=profile"),
            notes=tuple(notes),
            raw=self._files[pids[0]].with_suffix(".txt").name,
            lock_waits=tuple(waits),
        )


def _kept(
    file: Path, depth: Sequence[str], seconds: Seconds
) -> tuple[Mapping[Stack, float], int, tuple[LockWait, ...]]:
    """What ran and what waited in a recording. Its text is kept in its place: the recording itself
    holds the JVM's environment, its properties and its command line.
    """
    locks = f"{MONITOR_EVENT},{PARK_EVENT}"
    try:
        with file.with_suffix(".txt").open("w", encoding="utf-8") as kept:
            with _printed("jfr", "print", "--events", EVENT, *depth, str(file)) as events:
                sampled, shortened = parse_jfr_print(events)
                events.seek(0)
                shutil.copyfileobj(events, kept)
            with _printed("jfr", "print", "--events", locks, *depth, str(file)) as events:
                waits = parse_lock_waits(events, seconds)
                events.seek(0)
                shutil.copyfileobj(events, kept)
    finally:
        file.unlink(missing_ok=True)
    return sampled, shortened, waits


def _version(pid: int) -> str:
    try:
        lines = _run("jcmd", str(pid), "VM.version").splitlines()
    except AttachFailed:
        return ""
    return next(
        (line.removeprefix("JDK ").strip() for line in lines if line.startswith("JDK ")), ""
    )


class JvmProfiler(Profiler):
    """On-CPU Java stacks by the flight recorder, with its `profile` settings."""

    name = "jvm"
    needs: tuple[str, ...] = ("jcmd", "jfr")
    suffix = ".jfr"
    help = "Java stacks of a live JVM, by its flight recorder"
    runtimes: tuple[str, ...] = ("jvm",)
    modes: tuple[ProfileMode, ...] = (ProfileMode.CPU,)

    def available(self, pids: Sequence[int] = ()) -> str:
        """Why it cannot be used; "" when it can."""
        missing = [tool for tool in self.needs if shutil.which(tool) is None]
        if not missing:
            return ""
        return f"{' and '.join(missing)} not found: put a JDK's bin directory on PATH"

    def mode_for(self, target: TargetProcess) -> tuple[ProfileMode, str]:
        """There is one mode, for every target."""
        return ProfileMode.CPU, "the JVM's own flight recorder"

    def attach(
        self, pids: Sequence[int], seconds: int, rate_hz: int, mode: ProfileMode, out: Path
    ) -> ThreadCapture:
        """Start recording; returns at once. The rate is the recorder's own. Raises AttachFailed,
        ValueError.
        """
        files = {pid: own_file(self, mode, out, pid) for pid in pids}
        if why := self.available():
            raise AttachFailed(why)
        return ThreadCapture(_Recording(files, seconds).record, "perfhunt-jvm")
