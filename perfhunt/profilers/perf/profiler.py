"""perf: on-CPU stacks of any process, native and kernel frames, by the kernel's own timer."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from perfhunt.errors import AttachFailed, Unreadable
from perfhunt.model.profile import Profile, ProfileMode, Stack
from perfhunt.model.profiles.readers.perf_script import (
    FIELDS,
    UNKNOWN,
    CallsAt,
    PerfSample,
    parse_perf_script,
    without_titles,
)
from perfhunt.model.run import TargetProcess
from perfhunt.model.units import Seconds
from perfhunt.profilers.child_process import STALL, ProfilerProcess, print_into
from perfhunt.profilers.go.functions import go_calls
from perfhunt.profilers.native.image import CodeFiles
from perfhunt.profilers.native.inlining import calls_in, inlining
from perfhunt.profilers.perf.call_graph import CallGraph, call_graph
from perfhunt.profilers.perf.heartbeat import PerfHeartbeat, answers_pings
from perfhunt.profilers.profiler import Capture, Profiler, own_file
from perfhunt.target.binary.names import spelled
from perfhunt.target.host.environment import printed
from perfhunt.target.runtime import runtime_of

_EVENT = "cpu-clock"  # there in virtual machines too, where hardware counters are not
_LOST = re.compile(r"lost ([0-9]{1,9})", re.IGNORECASE)
_TRIAL_LIMIT: Seconds = 20.0  # of a recording of nothing, which loads the kernel's symbols
_SCRIPT_LIMIT: Seconds = 120.0  # with every binary's symbols to be read
_SLACK: Seconds = 15.0  # beyond its time, to write its file
_MANY_BROKEN = 0.2  # of the samples; below it, rankings by function hardly move
_REASONS: Mapping[str, str] = {
    "cpython": "native frames only: py-spy cannot be used",
    "node": "native frames only: the inspector was not opened",
    "go": "Go keeps frame pointers and the names of its functions",
    "jvm": "native frames only: compiled Java has no symbols for perf",
    **dict.fromkeys(("ruby", "php", "dotnet", "pypy"), "frames of the interpreter alone"),
}
_HINT = (
    "sudo sysctl kernel.perf_event_paranoid=1, or run as root,"
    " or give perf the capability CAP_PERFMON"
)


@cache
def _version() -> str:
    """`6.1.192`, or "" when perf cannot be run."""
    return printed(["perf", "--version"]).rpartition(" ")[2].strip()


@cache
def _refusal() -> str:
    """What perf says when asked to sample a command that does nothing; "" when it works."""
    with tempfile.TemporaryDirectory() as directory:
        where = ["-o", f"{directory}/perf.data"]
        try:
            done = subprocess.run(
                ["perf", "record", "-q", "-e", _EVENT, *where, "--", "true"],
                capture_output=True,
                text=True,
                timeout=_TRIAL_LIMIT,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    if done.returncode == 0:
        return ""
    return done.stderr.strip().partition("\n")[0] or f"exit code {done.returncode}"


class PerfCapture:
    """A recording under way."""

    def __init__(
        self,
        recording: ProfilerProcess,
        raw: Path,
        pids: tuple[int, ...],
        rate_hz: int,
        heartbeat: PerfHeartbeat | None,
        graph: CallGraph,
        files: CodeFiles | None,
    ) -> None:
        self._recording, self._raw, self._pids, self._rate_hz = recording, raw, pids, rate_hz
        self._heartbeat, self._graph, self._files = heartbeat, graph, files

    def stop(self) -> None:
        """End it now; what was sampled is still given by `wait`."""
        self._recording.stop()

    def wait(self) -> Profile:
        """The profile. Raises AttachFailed when perf recorded nothing that can be read."""
        recording = self._recording
        recording.wait()
        if self._heartbeat is not None:
            self._heartbeat.close()
        try:
            if recording.killed or not self._raw.exists():
                why = recording.killed or recording.output.strip()[:200]
                raise AttachFailed(f"perf recorded nothing: {why}", _HINT)
            complaints = self._script()
        finally:
            self._raw.unlink(missing_ok=True)  # It may hold copies of the target's stacks.
        try:
            calls_at = self._calls_at()
            with self._text.open(encoding="utf-8", errors="replace", newline="\n") as lines:
                samples = list(parse_perf_script(lines, calls_at))
        except Unreadable as error:
            raise AttachFailed(f"{self._text.name}: {error}") from error
        finally:
            if self._files is not None:
                self._files.close()
        seconds = max(recording.seconds, 1e-9)
        lost = sum(int(n) for n in _LOST.findall(recording.output + complaints))
        weights: Counter[Stack] = Counter(_named(sample.stack) for sample in samples)
        return Profile(
            tool="perf",
            version=_version(),
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
                *_doubts(samples, self._graph),
                f"perf used {recording.cpu / seconds:.1%} of one core",
            ),
            raw=self._text.name,
        )

    def _calls_at(self) -> CallsAt | None:
        """What says which calls a place is in: debug information, or Go's own table."""
        if self._files is not None:
            return calls_in(self._files)
        return go_calls(self._pids[0]) if len(self._pids) == 1 else None

    def _script(self) -> str:
        """The complaints of `perf script`. Its text is kept in place of perf's data, which only
        this machine, with these binaries, can read.
        """
        # Names are spelled here, as those that are read from memory are, and so is what was inlined
        # told: perf asks another program for each address of each sample.
        plain = ["--no-demangle", "--no-inline"]
        command = ["perf", "script", "-i", str(self._raw), *plain, "-F", FIELDS]
        with self._text.open("w+b") as file:
            complaints = print_into(file, command, _SCRIPT_LIMIT)
        named = self._text.with_suffix(".part")
        with (
            self._text.open(encoding="utf-8", errors="replace", newline="\n") as printed_lines,
            named.open("w", encoding="utf-8") as file_named,
        ):
            file_named.writelines(without_titles(printed_lines))
        named.replace(self._text)
        return complaints

    @property
    def _text(self) -> Path:
        return self._raw.with_suffix(".txt")


def _named(stack: Stack) -> Stack:
    """The stack with its symbols as people write them."""
    return tuple(replace(frame, function=spelled(frame.function)) for frame in stack)


def _doubts(samples: Sequence[PerfSample], graph: CallGraph) -> list[str]:
    """What cannot be believed in these samples, in sentences."""
    doubts = []
    total = max(1, len(samples))
    broken = sum(sample.broken for sample in samples) / total
    nameless = sum(sample.stack[-1].function == UNKNOWN for sample in samples) / total
    if broken > _MANY_BROKEN:
        doubts.append(
            f"{broken:.0%} of the call chains are cut: {_cut_by(graph)}, so believe the last"
            " function of a stack but not its callers"
        )
    if nameless > _MANY_BROKEN:
        doubts.append(f"{nameless:.0%} of the samples are in code without symbols")
    return doubts


def _cut_by(graph: CallGraph) -> str:
    if graph.by_tables:
        return "they are deeper than what is copied of a stack"
    return "the target keeps no frame pointers"


class PerfProfiler(Profiler):
    """On-CPU stacks by perf's cpu-clock event: every thread of every runtime, native and kernel
    frames.
    """

    name = "perf"
    needs: tuple[str, ...] = ("perf",)
    suffix = ".data"
    help = "on-CPU stacks of any process, native and kernel frames"
    runtimes: tuple[str, ...] = (
        *("native", "go", "node", "jvm", "cpython", "ruby", "php", "dotnet", "pypy"),
    )
    modes: tuple[ProfileMode, ...] = (ProfileMode.CPU,)
    # Measured with two busy threads, 99 samples a second of each.
    cost = "a tenth of a core, twice that where it copies stacks"
    blind = "threads that wait, which looks see"

    def version(self) -> str:
        """Its version, `6.1.192`, or ""."""
        return _version()

    def available(self, pids: Sequence[int] = ()) -> str:
        """Why perf cannot be used here, with the command that mends it; "" when it can."""
        if shutil.which("perf") is None:
            return (
                "perf is not installed:"
                " apt install linux-perf (Debian) or linux-tools-generic (Ubuntu)"
            )
        if not _version():
            return (
                "perf does not run:"
                " install the package that fits this kernel (linux-tools-$(uname -r))"
            )
        if refusal := _refusal():
            return f"perf may not sample here ({refusal}): {_HINT}"
        return ""

    def mode_for(self, target: TargetProcess) -> tuple[ProfileMode, str]:
        """There is one mode, for every target."""
        otherwise = "not a runtime with a profiler of its own"
        graph = call_graph(target.workers[0], target.runtime)
        why = [_REASONS.get(target.runtime, otherwise)]
        if graph.why:
            why.append(f"callers by {graph.words}: {graph.why}")
        if target.runtime == "native":
            why.append(inlining(target.workers[0]))
        return ProfileMode.CPU, "; ".join(why)

    def attach(
        self, pids: Sequence[int], seconds: int, rate_hz: int, mode: ProfileMode, out: Path
    ) -> Capture:
        """Start one recording of all pids, into the directory `out`; returns at once. Raises
        AttachFailed, ValueError.
        """
        raw = own_file(self, mode, out, pids[0])
        if why := self.available():
            raise AttachFailed(why)
        runtime = runtime_of(pids[0])[0]
        graph = call_graph(pids[0], runtime)
        files = CodeFiles(pids[0]) if runtime == "native" else None
        what = ["-e", _EVENT, "-F", str(rate_hz), "--call-graph", graph.way]
        where = ["-p", ",".join(map(str, pids)), "-o", str(raw)]
        heartbeat = PerfHeartbeat() if answers_pings(_version()) else None
        recording = ProfilerProcess(
            ["perf", "record", *what, *where, *([heartbeat.option] if heartbeat else [])],
            pids,
            raw.with_suffix(".log"),
            seconds=seconds,
            limit=seconds + _SLACK,
            stall=STALL if heartbeat else 0.0,
            heartbeat=heartbeat or (lambda: 0),
        )
        return PerfCapture(recording, raw, tuple(pids), rate_hz, heartbeat, graph, files)
