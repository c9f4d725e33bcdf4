"""perf: on-CPU stacks of any process, native and kernel frames, by the kernel's own timer."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import Profile, ProfileMode, Stack
from perfhunt.model.units import Seconds
from perfhunt.profilers.perf.script import (
    FIELDS,
    UNKNOWN,
    PerfSample,
    PerfScriptError,
    parse_perf_script,
)
from perfhunt.profilers.profiler_process import ProfilerProcess

_EVENT = "cpu-clock"  # there in virtual machines too, where hardware counters are not
_LOST = re.compile(r"lost (\d+)", re.IGNORECASE)
_SCRIPT_LIMIT: Seconds = 120.0
_MANY_BROKEN = 0.2
_HINT = (
    "sudo sysctl kernel.perf_event_paranoid=1, or run as root, or give perf the capability"
    " CAP_PERFMON"
)


@cache
def version() -> str:
    """`6.1.192`, or "" when perf cannot be run."""
    try:
        said = subprocess.run(["perf", "--version"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.rpartition(" ")[2].strip() if said.returncode == 0 else ""


@cache
def _refusal() -> str:
    """What perf says when asked to sample a command that does nothing; "" when it works."""
    with tempfile.TemporaryDirectory() as directory:
        command = [
            "perf",
            "record",
            "-q",
            "-e",
            _EVENT,
            "-o",
            f"{directory}/perf.data",
            "--",
            "true",
        ]
        try:
            said = subprocess.run(
                command, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    return (
        ""
        if said.returncode == 0
        else said.stderr.strip().partition("\n")[0] or f"exit code {said.returncode}"
    )


class PerfCapture:
    """A recording under way."""

    def __init__(
        self, recording: ProfilerProcess, raw: Path, pids: tuple[int, ...], rate_hz: int
    ) -> None:
        self._recording, self._raw, self._pids, self._rate_hz = recording, raw, pids, rate_hz

    def stop(self) -> None:
        """End it now; what was sampled is still given by `wait`."""
        self._recording.stop()

    def wait(self) -> Profile:
        """The profile. Raises AttachFailed when perf recorded nothing that can be read."""
        recording = self._recording
        recording.wait()
        if recording.killed or not self._raw.exists():
            raise AttachFailed(
                f"perf recorded nothing: {recording.killed or recording.output.strip()[:200]}",
                _HINT,
            )
        text, said = self._script()
        try:
            samples = list(parse_perf_script(text))
        except PerfScriptError as error:
            raise AttachFailed(f"{self._raw.name}: {error}") from error
        seconds = max(recording.seconds, 1e-9)
        lost = sum(int(n) for n in _LOST.findall(recording.output + said))
        weights: Counter[Stack] = Counter(sample.stack for sample in samples)
        return Profile(
            tool="perf",
            version=version(),
            mode=ProfileMode.CPU,
            rate_hz=self._rate_hz,
            seconds=seconds,
            stacks=dict(weights),
            pids=self._pids,
            ticks=round(seconds * self._rate_hz),
            dropped=lost,
            command=recording.command,
            notes=(
                *recording.notes,
                *_doubts(samples),
                f"perf used {recording.cpu / seconds:.1%} of one core",
            ),
            raw=self._raw.with_suffix(".txt").name,
        )

    def _script(self) -> tuple[str, str]:
        """perf's text, kept beside its data: only this machine, with these binaries, can make it
        again.
        """
        command = ["perf", "script", "-i", str(self._raw), "-F", FIELDS]
        try:
            made = subprocess.run(
                command, capture_output=True, timeout=_SCRIPT_LIMIT, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired as error:
            raise AttachFailed(f"perf script did not end within {_SCRIPT_LIMIT:.0f} s") from error
        text, said = made.stdout.decode(errors="replace"), made.stderr.decode(errors="replace")
        if made.returncode != 0:
            raise AttachFailed(f"perf script failed: {said.strip()[:200]}")
        self._raw.with_suffix(".txt").write_text(text)
        self._raw.unlink()
        return text, said


def _doubts(samples: Sequence[PerfSample]) -> list[str]:
    """What cannot be believed in these samples, in sentences."""
    doubts = []
    total = max(1, len(samples))
    broken = sum(sample.broken for sample in samples) / total
    nameless = sum(sample.stack[-1].function == UNKNOWN for sample in samples) / total
    if broken > _MANY_BROKEN:
        doubts.append(
            f"{broken:.0%} of the call chains are cut: the target keeps no frame pointers, so"
            " believe the last function of a stack but not its callers"
        )
    if nameless > _MANY_BROKEN:
        doubts.append(f"{nameless:.0%} of the samples are in code without symbols")
    return doubts


class PerfProfiler:
    """On-CPU stacks by perf's cpu-clock event: every thread of every runtime, native and kernel
    frames.
    """

    name = "perf"
    needs: tuple[str, ...] = ("perf",)
    help = "on-CPU stacks of any process, native and kernel frames"
    runtimes: tuple[str, ...] = ("native", "go", "node", "jvm", "cpython")
    modes: tuple[str, ...] = ("cpu",)
    opens = ""

    def available(self, pids: Sequence[int] = ()) -> str:
        """Why perf cannot be used here, with the command that mends it; "" when it can."""
        if shutil.which("perf") is None:
            return (
                "perf is not installed: apt install linux-perf (Debian) or linux-tools-generic"
                " (Ubuntu)"
            )
        if not version():
            return (
                "perf does not run: install the package that fits this kernel (linux-tools-$(uname"
                " -r))"
            )
        if refusal := _refusal():
            return f"perf may not sample here ({refusal}): {_HINT}"
        return ""

    def attach(
        self, pids: Sequence[int], seconds: int, rate_hz: int, mode: str, out: Path
    ) -> PerfCapture:
        """Start one recording of all pids, into the directory `out`; returns at once. Raises
        AttachFailed, ValueError.
        """
        if mode not in self.modes:
            raise ValueError(f"perf has no mode {mode!r}; it has {', '.join(self.modes)}")
        if why := self.available():
            raise AttachFailed(why)
        out.mkdir(parents=True, exist_ok=True)
        raw = out / f"perf-{mode}.data"
        raw.unlink(missing_ok=True)
        command = [
            "perf",
            "record",
            "-e",
            _EVENT,
            "-F",
            str(rate_hz),
            "-g",
            "-p",
            ",".join(map(str, pids)),
            "-o",
            str(raw),
        ]
        recording = ProfilerProcess(
            command, pids, out / f"perf-{mode}.log", seconds=seconds, limit=seconds + 15
        )
        return PerfCapture(recording, raw, tuple(pids), rate_hz)
