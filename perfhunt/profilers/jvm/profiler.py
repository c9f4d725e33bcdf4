"""JVM: stacks by the JVM's own flight recorder, started and stopped in a live process by jcmd."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import Frame, FrameKind, Profile, ProfileMode, Stack
from perfhunt.model.units import Seconds
from perfhunt.profilers.profiler_thread import ThreadCapture

_EVENT = "jdk.ExecutionSample"
_RATE_HZ = 100  # of the recorder's own `profile` settings (10 ms)
_ANSWER: Seconds = 30.0
_DEAD_MAN: Seconds = 60.0  # after its time, the recorder stops by itself
# the recorder looks at no more running threads per tick than this (HotSpot, jfrThreadSampler.cpp)
_FEW = 5
_FRAME = re.compile(
    r"(?P<class>[^()]+)\.(?P<method>[^.()]+)\((?P<arguments>.*?)\)(?:\s+line:\s*(?P<line>\d+))?"
)


class JfrError(ValueError):
    """A line was not what `jfr print` prints; the message holds its number."""


def parse_jfr_print(text: str) -> tuple[dict[Stack, float], int]:
    """(stacks to samples, stacks that were cut) of `jfr print --events jdk.ExecutionSample`. Raises
    JfrError.
    """
    stacks: Counter[Stack] = Counter()
    frames: list[Frame] | None = None
    cut = 0
    for number, line in enumerate(text.splitlines(), 1):
        text_of = line.strip()
        if frames is None:
            if text_of == "stackTrace = [":
                frames = []
        elif text_of == "]":
            stacks[tuple(reversed(frames))] += 1
            frames = None
        elif text_of == "...":
            cut += 1
        else:
            frames.append(_frame(text_of, number))
    return dict(stacks), cut


def _frame(text: str, number: int) -> Frame:
    match = _FRAME.fullmatch(text)
    if match is None:
        raise JfrError(f"Line {number} is not a Java frame: {text[:80]!r}")
    line = int(match["line"]) if match["line"] else None
    return Frame(f"{match['class']}.{match['method']}", match["class"], line, kind=FrameKind.JVM)


def _run(*command: str) -> str:
    """What a tool of the JDK prints. Raises AttachFailed when it fails."""
    try:
        said = subprocess.run(
            command, capture_output=True, text=True, timeout=_ANSWER, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise AttachFailed(
            f"{' '.join(command[:3])} did not answer within {_ANSWER:.0f} s"
        ) from error
    if said.returncode != 0:
        raise AttachFailed(
            f"{' '.join(command[:3])} failed: {(said.stderr or said.stdout).strip()[:200]}",
            "Run as the owner of the JVM.",
        )
    return said.stdout


class _Recording:
    """Flight recordings of some JVMs under way."""

    def __init__(self, pids: Sequence[int], seconds: int, out: Path) -> None:
        self._pids, self._seconds, self._out = tuple(pids), seconds, out
        self._name = f"perfhunt-{os.getpid()}"

    def record(self, ask_stop: threading.Event) -> Profile:
        """The profile of all of them. Raises AttachFailed."""
        started: list[int] = []
        try:
            for pid in self._pids:
                limit = round(self._seconds + _DEAD_MAN)
                said = _run(
                    "jcmd",
                    str(pid),
                    "JFR.start",
                    f"name={self._name}",
                    "settings=profile",
                    f"duration={limit}s",
                )
                if "Started recording" not in said:
                    raise AttachFailed(
                        f"the JVM of pid {pid} records nothing: {said.strip()[:200]}"
                    )
                started.append(pid)
            began = time.monotonic()
            ask_stop.wait(self._seconds)
            seconds = time.monotonic() - began
            files = [self._stopped(pid) for pid in self._pids]
        except AttachFailed:
            for pid in started:
                with suppress(AttachFailed):
                    _run("jcmd", str(pid), "JFR.stop", f"name={self._name}")
            raise
        return self._profile(files, seconds)

    def _stopped(self, pid: int) -> Path:
        # The JVM writes the file itself, as its own user.
        file = (self._out / f"jvm-cpu-{pid}.jfr").resolve()
        _run("jcmd", str(pid), "JFR.stop", f"name={self._name}", f"filename={file}")
        if not file.exists():
            raise AttachFailed(
                f"the JVM of pid {pid} could not write {file}",
                "Choose a run directory that its user may write.",
            )
        return file

    def _profile(self, files: Sequence[Path], seconds: Seconds) -> Profile:
        stacks: Counter[Stack] = Counter()
        cut = 0
        for file in files:
            try:
                some, lost = parse_jfr_print(
                    _run("jfr", "print", "--events", _EVENT, "--stack-depth", "256", str(file))
                )
            except JfrError as error:
                raise AttachFailed(f"{file.name}: {error}") from error
            stacks.update(some)
            cut += lost
        notes = [
            f"the recorder looks at {_FEW} running threads at a time: with more, samples are fewer"
            " than the time on CPU"
        ]
        if cut:
            notes.append(f"{cut} stacks were deeper than the recorder keeps and lack their roots")
        return Profile(
            tool="jvm",
            version=_version(self._pids[0]),
            mode=ProfileMode.CPU,
            rate_hz=_RATE_HZ,
            seconds=seconds,
            stacks={stack: float(n) for stack, n in stacks.items()},
            pids=self._pids,
            ticks=round(seconds * _RATE_HZ),
            command=("jcmd", ",".join(map(str, self._pids)), "JFR.start", "settings=profile"),
            notes=tuple(notes),
            raw=files[0].name,
        )


def _version(pid: int) -> str:
    try:
        lines = _run("jcmd", str(pid), "VM.version").splitlines()
    except AttachFailed:
        return ""
    return next(
        (line.removeprefix("JDK ").strip() for line in lines if line.startswith("JDK ")), ""
    )


class JvmProfiler:
    """On-CPU Java stacks by the flight recorder, with its `profile` settings."""

    name = "jvm"
    needs: tuple[str, ...] = ("jcmd", "jfr")
    help = "Java stacks of a live JVM, by its flight recorder"
    runtimes: tuple[str, ...] = ("jvm",)
    modes: tuple[str, ...] = ("cpu",)
    opens = ""

    def available(self, pids: Sequence[int] = ()) -> str:
        """Why it cannot be used; "" when it can."""
        missing = [tool for tool in self.needs if shutil.which(tool) is None]
        return (
            f"{' and '.join(missing)} not found: put a JDK's bin directory on PATH"
            if missing
            else ""
        )

    def attach(
        self, pids: Sequence[int], seconds: int, rate_hz: int, mode: str, out: Path
    ) -> ThreadCapture:
        """Start recording; returns at once. The rate is the recorder's own. Raises AttachFailed,
        ValueError.
        """
        if mode not in self.modes:
            raise ValueError(f"jvm has no mode {mode!r}; it has {', '.join(self.modes)}")
        if why := self.available():
            raise AttachFailed(why)
        out.mkdir(parents=True, exist_ok=True)
        return ThreadCapture(_Recording(pids, seconds, out).record, "perfhunt-jvm")
