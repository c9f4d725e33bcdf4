"""JVM: stacks by the JVM's own flight recorder, started and stopped in a live process."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO

from perfhunt.analysis.diagnosis.known.runtimes import is_of_the_jvm
from perfhunt.errors import AttachFailed, Unreadable
from perfhunt.model.profile import LockWait, Profile, ProfileMode, Stack
from perfhunt.model.profiles.readers.jfr import (
    ALLOCATION_EVENT,
    CPU_TIME_EVENT,
    EVENT,
    PAUSE_EVENT,
    Collections,
    parse_collections,
    parse_jfr_print,
)
from perfhunt.model.run import TargetProcess
from perfhunt.model.units import Seconds, Share
from perfhunt.profilers.child_process import print_into
from perfhunt.profilers.jvm.attach import AttachSocket
from perfhunt.profilers.profiler import Profiler, own_file
from perfhunt.profilers.thread_capture import ProfileReader, ThreadCapture
from perfhunt.target.proc.files import text
from perfhunt.target.proc.namespaces import move_out
from perfhunt.target.proc.threads import thread_name, tids

# For each sample the recorder of JDK 17 stops the thread that it is of: for 0.3 ms where there are
# 16 threads, for 0.8 ms where there are 200. It may stop one for so much of its time; more where
# that would be too few samples of a short recording: so many tell a share of a half to 6 points.
_STOPS: Seconds = 0.25e-3
_STOPS_FOR_EACH: Seconds = 2.6e-6  # of all threads
_STOPPED: Share = 0.01
_ENOUGH_SAMPLES = 250
_MOST_HZ = 50.0
_HZ_OF_PROFILE = 100  # of its `profile` settings
# Its `profile` settings enable a hundred kinds of events, each of which costs at the start and at
# the end. Settings can be given one by one since JDK 17; the memory that was taken is sampled often
# enough to tell shares of a tenth in a second.
_FIRST_OWN = 17
_OWN = (
    "settings=none",
    f"+{PAUSE_EVENT}#enabled=true",
    f"+{ALLOCATION_EVENT}#enabled=true",
    f"+{ALLOCATION_EVENT}#throttle=150/s",
)
_BY_CLOCK = f"+{EVENT}#enabled=true +{EVENT}#period="
# Since JDK 25 the kernel's timers of each thread take samples, in native code too (JEP 509).
_FIRST_BY_CPU_TIME = 25
_BY_CPU_TIME = f"+{CPU_TIME_EVENT}#enabled=true +{CPU_TIME_EVENT}#throttle="
_MAJOR = re.compile(r"(?:1\.)?([0-9]{1,3})")
_DEPTH = 256  # frames of a stack that are printed; the recorder keeps 64 unless told otherwise
_ANSWER: Seconds = 30.0  # of a tool that starts a JVM of its own
_DEAD_MAN: Seconds = 60.0  # after its time, the recorder stops by itself
# The recorder looks at no more running threads per tick than this (HotSpot, jfrThreadSampler.cpp).
_FEW_THREADS = 5
_FEW = (
    f"the recorder looks at {_FEW_THREADS} running threads at a time: with more, samples are fewer"
    " than the time on CPU"
)
_MILLISECONDS, _NANOSECONDS = 1e3, 1e9  # per second
_UNSEEN = (
    "the recorder saw less than half of what Java threads ran: it misses native code, and loops"
    " that were compiled without debug information (-XX:+UnlockDiagnosticVMOptions"
    " -XX:+DebugNonSafepoints keeps it)"
)


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
    """The text of the samples in a recording, by the JDK's `jfr`. Raises AttachFailed when it
    fails.
    """
    return _events_printed(file, EVENT, CPU_TIME_EVENT)


def _events_printed(file: Path, *events: str) -> AbstractContextManager[IO[str]]:
    depth = ("--stack-depth", str(_DEPTH))
    return _printed("jfr", "print", "--events", ",".join(events), *depth, str(file))


class _Recording:
    """Flight recordings of some JVMs under way."""

    def __init__(self, files: Mapping[int, Path], seconds: int, rate_hz: int) -> None:
        self._files, self._seconds = files, seconds
        self._period_ms = round(_MILLISECONDS / rate_hz)
        self._name = f"perfhunt-{os.getpid()}"
        self._sockets: dict[int, AttachSocket] = {}
        self._version = ""
        self._ran: Seconds = 0.0

    def record(self, ask_stop: threading.Event) -> ProfileReader:
        """Reads the profile of all of them, by a JVM that takes half a second of CPU. Raises
        AttachFailed.
        """
        started: list[AttachSocket] = []
        try:
            for pid in self._files:
                self._sockets[pid] = jvm = AttachSocket(pid)
                self._version = self._version or _version(jvm)
                _start(pid, jvm, self._name, self._seconds, self._period_ms)
                started.append(jvm)
            began, before = time.monotonic(), self._java_cpu()
            ask_stop.wait(self._seconds)
            seconds, self._ran = time.monotonic() - began, self._java_cpu() - before
            for pid in self._files:
                self._stop(pid)
        except AttachFailed:
            for jvm in started:
                with suppress(AttachFailed):
                    jvm.command(f"JFR.stop name={self._name}")
            raise
        return partial(self._profile, seconds)

    def _java_cpu(self) -> Seconds:
        """What threads that may run Java have run so far."""
        return sum(
            int(text(f"/proc/{pid}/task/{tid}/schedstat").partition(" ")[0] or 0) / _NANOSECONDS
            for pid in self._files
            for tid in tids(pid)
            if not is_of_the_jvm(thread_name(pid, tid))
        )

    def _stop(self, pid: int) -> None:
        # The JVM writes the file itself: as its own user, and in a container into its own tree.
        file, written = self._files[pid], Path(f"/tmp/perfhunt-{secrets.token_hex(8)}.jfr")
        self._sockets[pid].command(f"JFR.stop name={self._name} filename={written}")
        move_out(pid, written, file)
        if not file.exists():
            raise AttachFailed(
                f"the JVM of pid {pid} could not write {written}",
                "Let its user write into its /tmp.",
            )

    def _profile(self, seconds: Seconds) -> Profile:
        stacks: Counter[Stack] = Counter()
        waits: list[LockWait] = []
        cut = 0
        for file in self._files.values():
            try:
                sampled, shortened, collections = _kept(file)
            except Unreadable as error:
                raise AttachFailed(f"{file.name}: {error}") from error
            stacks.update(sampled)
            cut += shortened
            waits += _stood_still(collections, seconds * len(self._files))
        pids, version = tuple(self._files), self._version
        rate_hz = _MILLISECONDS / self._period_ms
        if _major(version) < _FIRST_OWN:
            rate_hz = _HZ_OF_PROFILE
        notes = [_FEW] if _major(version) < _FIRST_BY_CPU_TIME else []
        lost = max(0, round(self._ran * rate_hz) - stacks.total())
        if lost > stacks.total():
            notes.append(_UNSEEN)
        if cut:
            notes.append(f"{cut} stacks were deeper than the recorder keeps and lack their roots")
        return Profile(
            tool="jvm",
            version=version,
            mode=ProfileMode.CPU,
            rate_hz=rate_hz,
            seconds=seconds,
            stacks={stack: float(n) for stack, n in stacks.items()},
            pids=pids,
            ticks=round(seconds * rate_hz),
            dropped=lost,
            command=(
                "jcmd",
                ",".join(map(str, pids)),
                "JFR.start",
                _settings(version, self._period_ms),
            ),
            notes=tuple(notes),
            raw=self._files[pids[0]].with_suffix(".txt").name,
            lock_waits=tuple(waits),
        )


def _kept(file: Path) -> tuple[Mapping[Stack, float], int, Collections]:
    """What ran in a recording, how many stacks were cut, and what it tells of the collector. Its
    text is kept in its place: the recording itself holds the JVM's environment, its properties and
    its command line.
    """
    try:
        with (
            file.with_suffix(".txt").open("w", encoding="utf-8") as kept,
            _events_printed(file, EVENT, CPU_TIME_EVENT, PAUSE_EVENT, ALLOCATION_EVENT) as events,
        ):
            sampled, cut = parse_jfr_print(events)
            events.seek(0)
            collections = parse_collections(events)
            events.seek(0)
            shutil.copyfileobj(events, kept)
    finally:
        file.unlink(missing_ok=True)
    return sampled, cut, collections


def _stood_still(collections: Collections, seconds: Seconds) -> Iterator[LockWait]:
    """The pauses of the collector, parted among those that took the memory."""
    whole = sum(collections.allocated.values())
    share = collections.paused / seconds
    for stack, size in collections.allocated.items():
        if share and size:
            yield LockWait(stack, "gc", share * size / whole, collections.pauses)


def _version(jvm: AttachSocket) -> str:
    try:
        lines = jvm.command("VM.version").splitlines()
    except AttachFailed:
        return ""
    return next(
        (line.removeprefix("JDK ").strip() for line in lines if line.startswith("JDK ")), ""
    )


def _major(version: str) -> int:
    """17 of `17.0.15`, 8 of `1.8.0_402`; 0 where the JVM told none."""
    match = _MAJOR.match(version)
    return int(match[1]) if match else 0


def _settings(version: str, period_ms: int) -> str:
    """What a JVM of a version is to record: no more than is used, where that can be said."""
    if (major := _major(version)) < _FIRST_OWN:
        return "settings=profile"
    samples = _BY_CPU_TIME if major >= _FIRST_BY_CPU_TIME else _BY_CLOCK
    return " ".join((*_OWN, f"{samples}{period_ms}ms"))


def _start(pid: int, jvm: AttachSocket, name: str, seconds: Seconds, period_ms: int) -> None:
    """Begin a recording, which ends by itself some time after its own. Raises AttachFailed."""
    # Without a file, one whose time is over is kept in the JVM for good.
    until = f"duration={round(seconds + _DEAD_MAN)}s filename=/dev/null"
    said = jvm.command(f"JFR.start name={name} {_settings(_version(jvm), period_ms)} {until}")
    if "Started recording" not in said:
        raise AttachFailed(f"the JVM of pid {pid} records nothing: {said.strip()[:200]}")


class JvmProfiler(Profiler):
    """On-CPU Java stacks by the flight recorder."""

    name = "jvm"
    needs: tuple[str, ...] = ("jfr",)
    suffix = ".jfr"
    help = "Java stacks of a live JVM, by its flight recorder"
    runtimes: tuple[str, ...] = ("jvm",)
    modes: tuple[ProfileMode, ...] = (ProfileMode.CPU,)
    cost = (
        "0.5 to 1 s of CPU for a JVM's first recording, before load is sent; then, with looks, 4 to"
        " 7 % of what one busy thread gets done, 14 % with 200 threads"
    )
    blind = "native code, and loops compiled without debug information (then looks tell who runs)"

    def available(self, pids: Sequence[int] = ()) -> str:
        """Why it cannot be used; "" when it can."""
        missing = [tool for tool in self.needs if shutil.which(tool) is None]
        if not missing:
            return ""
        return f"{' and '.join(missing)} not found: put a JDK's bin directory on PATH"

    def mode_for(self, target: TargetProcess) -> tuple[ProfileMode, str]:
        """There is one mode, for every target."""
        return ProfileMode.CPU, "the JVM's own flight recorder"

    def prepare(self, pids: Sequence[int]) -> None:
        """Have each JVM load and compile its recorder: a recording that nobody reads."""
        if self.available():
            return
        for pid in pids:
            with suppress(AttachFailed):
                jvm, name = AttachSocket(pid), f"perfhunt-{os.getpid()}-first"
                _start(pid, jvm, name, 0.0, round(_MILLISECONDS / _MOST_HZ))
                jvm.command(f"JFR.stop name={name}")

    def rate_for(self, rate_hz: int, processes: int, threads: int, seconds: Seconds) -> int:
        """Lower with many threads: each sample stops the one that it is of for longer."""
        spared = _STOPPED / (_STOPS + threads * _STOPS_FOR_EACH)
        return round(min(_MOST_HZ, max(spared, _ENOUGH_SAMPLES / seconds)))

    def attach(
        self, pids: Sequence[int], seconds: int, rate_hz: int, mode: ProfileMode, out: Path
    ) -> ThreadCapture:
        """Start recording; returns at once. Raises AttachFailed, ValueError."""
        files = {pid: own_file(self, mode, out, pid) for pid in pids}
        if why := self.available():
            raise AttachFailed(why)
        return ThreadCapture(_Recording(files, seconds, rate_hz).record, "perfhunt-jvm")
