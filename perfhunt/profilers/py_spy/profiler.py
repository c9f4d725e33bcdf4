"""py-spy: Python stacks of a live process, read from its memory without stopping it.

The target runs on while a stack is read, from the leaf up. The leaf and the long-lived callers near
the root are right; where calls last microseconds, a frame between them may be of a moment later
(one stack in ten of a loop of 50 us calls).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import Frame, FrameKind, Profile, ProfileMode, Stack
from perfhunt.model.units import Seconds
from perfhunt.profilers.profiler_process import ProfilerProcess
from perfhunt.profilers.py_spy.folded import read_folded
from perfhunt.target.proc import proc

# beyond this, walking every thread costs the target too much: 0.4 to 0.6 of its throughput at 60
# threads
FEW_THREADS = 8
_TOTAL_RATE = 200  # samples per second over all workers together
_SLOWEST = 20
_MODES: Mapping[str, tuple[str, ...]] = {"cpu": (), "gil": ("--gil",), "wall": ("--idle",)}
_SUMMARY = re.compile(r"Samples: (\d+) Errors: (\d+)")
_BEHIND = re.compile(r"([0-9.]+)s behind in sampling")
_NO_STACK = re.compile(r" \d+")
_FEW_BAD, _BAD_LINES = (
    3,
    0.01,
)  # so many lines, or this share of them, may be torn; more and the file is not to be trusted
# Where a stack of CPython begins: modules run from the top, threads and forked children in their
# bootstrap.
_ROOTS = {
    "<module>",
    "_run_module_as_main",
    "_bootstrap",
    "Thread._bootstrap",
    "_run_code",
    "<shim>",
    "BaseProcess._bootstrap",
}
_SEEN_OFTEN = (
    3  # a root of any other name is believed when it is seen this often, and in 1 % of the samples
)


@cache
def binary() -> str:
    """The py-spy to run: the one installed beside this interpreter, else the one on PATH, else
    "".
    """
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy") or ""


@cache
def version() -> str:
    """Its version, `0.4.3`, or ""."""
    if not binary():
        return ""
    try:
        said = subprocess.run(
            [binary(), "--version"], capture_output=True, text=True, timeout=10
        ).stdout.split()
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said[1] if len(said) == 2 else ""


def mode_for(threads: int) -> str:
    """`cpu` for a process of few threads, `gil` (which walks only the holder of the GIL) for one of
    many.
    """
    return "cpu" if threads <= FEW_THREADS else "gil"


def permission_hint(pid: int) -> str:
    """What to do when py-spy may not read a process."""
    container = "/docker" in _cgroup(pid) or "/kubepods" in _cgroup(pid)
    inside = " In a container: --cap-add SYS_PTRACE, or attach from the host." if container else ""
    return (
        f"Run as root (sudo perfhunt ... --pid {pid}), or as the owner with"
        f" kernel.yama.ptrace_scope=0 (sudo sysctl kernel.yama.ptrace_scope=0).{inside}"
    )


def _cgroup(pid: int) -> str:
    try:
        return proc.read(f"/proc/{pid}/cgroup").decode(errors="replace")
    except OSError:
        return ""


def failure(pid: int, output: str, code: int) -> AttachFailed:
    """What py-spy said about a capture that gave nothing, as a sentence with the way out."""
    said = next((line.strip() for line in output.splitlines() if line.startswith("Error:")), "")
    if proc.stat(pid) is None:
        return AttachFailed(
            f"py-spy found no process {pid}", "Is the service still running? Try: perfhunt doctor"
        )
    if "ermission" in output or "Operation not permitted" in output:
        uid = proc.status_field(pid, "Uid").split()
        owner = f" (owned by uid {uid[0]})" if uid else ""
        return AttachFailed(
            f"py-spy may not read the memory of pid {pid}{owner}", permission_hint(pid)
        )
    if "Unsupported version" in output or "Failed to find python version" in output:
        return AttachFailed(
            f"py-spy {version()} does not know the Python of pid {pid}: {said}",
            "Is it Python at all? If so: pip install --upgrade py-spy",
        )
    return AttachFailed(
        f"py-spy gave no profile of pid {pid} (exit code {code}): {said or 'it said nothing'}", ""
    )


def intact(stacks: Mapping[Stack, float]) -> tuple[dict[Stack, float], float]:
    """(stacks, weight dropped): without those torn by reading a running thread, known by a root no
    thread starts in.
    """
    weights: dict[tuple[str, str], float] = {}
    for stack, n in stacks.items():
        root = _root(stack).key
        weights[root] = weights.get(root, 0.0) + n
    enough = max(float(_SEEN_OFTEN), 0.01 * sum(weights.values()))
    believed = {root for root, weight in weights.items() if root[0] in _ROOTS or weight >= enough}
    kept = {stack: n for stack, n in stacks.items() if _root(stack).key in believed}
    return kept, sum(stacks.values()) - sum(kept.values())


def _root(stack: Stack) -> Frame:
    return next((frame for frame in stack if frame.kind != FrameKind.THREAD), stack[0])


class PySpyCapture:
    """Recordings of one or more workers under way."""

    def __init__(
        self,
        recordings: Mapping[int, tuple[ProfilerProcess, Path]],
        mode: str,
        rate_hz: int,
        notes: Sequence[str],
    ) -> None:
        self._recordings = recordings
        self._mode, self._rate_hz = mode, rate_hz
        self._notes = tuple(notes)

    def wait(self) -> Profile:
        """The profile, all workers together. Raises AttachFailed when none of them could be
        recorded.
        """
        profiles, failures = [], []
        for pid, (recording, raw) in self._recordings.items():
            code = recording.wait()
            try:
                profiles.append(self._profile(pid, recording, raw, code))
            except AttachFailed as failed:
                failures.append(failed)
        if not profiles:
            raise failures[0]
        whole = profiles[0]
        for other in profiles[1:]:
            whole = whole.merged(other)
        return replace(
            whole, notes=(*whole.notes, *self._notes, *(failed.message for failed in failures))
        )

    def stop(self) -> None:
        """End the recordings now; what was sampled so far is still given by `wait`."""
        for recording, _ in self._recordings.values():
            recording.ask_stop()
        for recording, _ in self._recordings.values():
            recording.stop()

    def _profile(self, pid: int, recording: ProfilerProcess, raw: Path, code: int) -> Profile:
        output = recording.output
        if recording.killed or code != 0 or not raw.exists():
            failed = failure(pid, output, code)
            raise (
                AttachFailed(f"{failed.message}: {recording.killed}", failed.hint)
                if recording.killed
                else failed
            )
        folded = read_folded(raw.read_text(errors="replace"))
        # A thread that is just starting has no frames yet, and py-spy writes it as a count alone.
        empty = [line for _, line in folded.bad if _NO_STACK.fullmatch(line)]
        bad = [(number, line) for number, line in folded.bad if not _NO_STACK.fullmatch(line)]
        if len(bad) > max(_FEW_BAD, _BAD_LINES * len(folded.stacks)):
            number, line = bad[0]
            raise AttachFailed(f"Line {number} of {raw.name} is not a folded stack: {line[:80]!r}")
        stacks, torn = intact(folded.stacks)
        summary = _SUMMARY.search(output)
        behind = [float(said) for said in _BEHIND.findall(output)]
        seconds = max(recording.seconds, 1e-9)
        notes = [
            *recording.notes,
            f"py-spy used {recording.cpu / seconds:.1%} of one core on pid {pid}",
        ]
        if behind:
            notes.append(f"py-spy fell behind by up to {max(behind):.1f} s on pid {pid}")
        return Profile(
            tool="py-spy",
            version=version(),
            mode=ProfileMode(self._mode),
            rate_hz=self._rate_hz,
            seconds=seconds,
            stacks=stacks,
            pids=(pid,),
            ticks=None if behind else round(seconds * self._rate_hz),
            errors=int(summary[2]) if summary else 0,
            dropped=round(torn) + len(bad) + sum(map(int, empty)),
            late=len(behind),
            command=recording.command,
            notes=tuple(notes),
            raw=raw.name,
        )


class PySpyProfiler:
    """Python stacks by py-spy. `cpu`: threads that run; `gil`: the holder of the GIL; `wall`: idle
    threads as well.
    """

    name = "py-spy"
    needs: tuple[str, ...] = ("py-spy",)
    help = "Python stacks of a live process, without stopping it"
    runtimes: tuple[str, ...] = ("cpython",)
    modes: tuple[str, ...] = tuple(_MODES)
    opens = ""
    most_processes = 8

    def available(self, pids: Sequence[int] = ()) -> str:
        """ "" when it can be run, else why not."""
        if not binary():
            return "py-spy is not installed: pip install py-spy"
        return "" if version() else f"{binary()} does not run: pip install --force-reinstall py-spy"

    def attach(
        self, pids: Sequence[int], seconds: int, rate_hz: int, mode: str, out: Path
    ) -> PySpyCapture:
        """Start recording each pid into the directory `out`; returns at once.

        With several pids the rate of each is lowered, so that all together cost what one costs.
        Raises AttachFailed when py-spy is not there, ValueError for an unknown mode.
        """
        if mode not in _MODES:
            raise ValueError(f"py-spy has no mode {mode!r}; it has {', '.join(_MODES)}")
        if why := self.available():
            raise AttachFailed(why)
        chosen = list(pids)[: self.most_processes]
        notes = []
        threads = max((len(proc.tids(pid)) for pid in chosen), default=0)
        if mode == "cpu" and mode_for(threads) != mode:
            # A thread pool fills up only under load, after the mode was chosen.
            mode = mode_for(threads)
            notes.append(
                f"a worker has {threads} threads by now, so only the holder of the GIL was sampled"
            )
        if len(pids) > len(chosen):
            notes.append(f"{len(pids) - len(chosen)} more worker processes were not recorded")
        rate = max(_SLOWEST, min(rate_hz, _TOTAL_RATE // max(1, len(chosen))))
        out.mkdir(parents=True, exist_ok=True)
        recordings = {}
        for pid in chosen:
            raw = out / f"py-spy-{mode}-{pid}.folded"
            raw.unlink(missing_ok=True)
            recordings[pid] = (self._record(pid, seconds, rate, mode, raw), raw)
        return PySpyCapture(recordings, mode, rate, notes)

    def _record(
        self, pid: int, seconds: Seconds, rate: int, mode: str, raw: Path
    ) -> ProfilerProcess:
        # -d counts intervals, not seconds: it is set beyond the end, and the recording is
        # interrupted on time.
        command = [
            binary(),
            "record",
            "--pid",
            str(pid),
            "--format",
            "raw",
            "--output",
            str(raw),
            "--rate",
            str(rate),
            "--duration",
            str(int(seconds) + 10),
            "--nonblocking",
            "--full-filenames",
            *_MODES[mode],
        ]
        return ProfilerProcess(
            command,
            [pid],
            raw.with_suffix(".log"),
            seconds=seconds,
            limit=seconds * 1.5 + 10,
            stall=3.0,
        )
