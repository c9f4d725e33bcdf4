"""py-spy: Python stacks of a live process, read from its memory without stopping it.

The target runs on while a stack is read, from the leaf up. The leaf and the long-lived callers near
the root are right; where calls last microseconds, a frame between them may be of a moment later
(one stack in ten of a loop of 50 us calls).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from perfhunt.errors import AttachFailed, Unreadable
from perfhunt.model.profile import Profile, ProfileMode
from perfhunt.model.profiles.readers.folded import Folded, read_folded
from perfhunt.model.run import TargetProcess
from perfhunt.model.units import Seconds
from perfhunt.profilers.child_process import STALL, ProfilerProcess
from perfhunt.profilers.profiler import Profiler, own_file
from perfhunt.profilers.py_spy import program
from perfhunt.profilers.py_spy.torn import intact
from perfhunt.target.proc.threads import has_own_pids, tids

# Beyond this many threads, walking all of them costs the target too much: 0.4 to 0.6 of its
# throughput at 60 threads.
_FEW_THREADS = 8
# Threads of a process that hardly contend for the GIL: the main thread and one that works.
_ALONE = 2
# The first version that tells py-spy which threads are idle (py-spy src/python_spy.rs).
_TELLS_IDLE = (3, 11)
_TOTAL_RATE = 200  # samples per second over all workers together
_SLOWEST = 20  # samples per second; fewer say too little of a hold of half a minute
_OPTIONS: Mapping[ProfileMode, tuple[str, ...]] = {
    ProfileMode.CPU: (),
    ProfileMode.GIL: ("--gil",),
    ProfileMode.WALL: ("--idle",),
}
_SUMMARY = re.compile(r"Samples: ([0-9]{1,9}) Errors: ([0-9]{1,9})")
_BEHIND = re.compile(r"(?<![0-9.])([0-9]{1,9}(?:\.[0-9]{1,9})?)s behind in sampling")
_NO_STACK = re.compile(r" [0-9]{1,9}")
# So many lines, or this share of them, may be torn; with more the file is not to be trusted.
_FEW_BAD, _BAD_SHARE = 3, 0.01
_SLACK: Seconds = 10.0  # beyond its time, to find the interpreter's symbols and to write its file
_SLOW_TARGET = 1.5  # times its time: py-spy falls behind where a stack takes long to read


class PySpyCapture:
    """Recordings of one or more workers under way."""

    def __init__(
        self,
        recordings: Mapping[int, tuple[ProfilerProcess, Path]],
        mode: ProfileMode,
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
            failed = program.failure(pid, output, code)
            if recording.killed:
                raise AttachFailed(f"{failed.message}: {recording.killed}", failed.hint)
            raise failed
        try:
            with raw.open(encoding="utf-8", errors="replace", newline="\n") as lines:
                folded = read_folded(lines)
        except Unreadable as error:
            raise AttachFailed(f"{raw.name}: {error}") from error
        lost = _lost_in(folded, raw.name)
        stacks, torn = intact(folded.stacks)
        summary = _SUMMARY.search(output)
        behind = [float(seconds) for seconds in _BEHIND.findall(output)]
        seconds = max(recording.seconds, 1e-9)
        notes = [
            *recording.notes,
            f"py-spy used {recording.cpu / seconds:.1%} of one core on pid {pid}",
        ]
        if behind:
            notes.append(f"py-spy fell behind by up to {max(behind):.1f} s on pid {pid}")
        return Profile(
            tool=program.NAME,
            version=program.version(),
            mode=self._mode,
            rate_hz=self._rate_hz,
            seconds=seconds,
            stacks=stacks,
            pids=(pid,),
            ticks=None if behind else round(seconds * self._rate_hz),
            errors=int(summary[2]) if summary else 0,
            dropped=round(torn) + lost,
            late=len(behind),
            command=recording.command,
            notes=tuple(notes),
            raw=raw.name,
        )


def _lost_in(folded: Folded, name: str) -> int:
    """How many samples of a file are without a stack. Raises AttachFailed when the file is not to
    be trusted.
    """
    # A thread that is just starting has no frames yet, and py-spy writes it as a count alone.
    empty = [line for _, line in folded.bad if _NO_STACK.fullmatch(line)]
    bad = [(number, line) for number, line in folded.bad if not _NO_STACK.fullmatch(line)]
    if len(bad) > max(_FEW_BAD, _BAD_SHARE * len(folded.stacks)):
        number, line = bad[0]
        raise AttachFailed(f"Line {number} of {name} is not a folded stack: {line[:80]!r}")
    return len(bad) + sum(map(int, empty))


class PySpyProfiler(Profiler):
    """Python stacks by py-spy."""

    name = program.NAME
    needs: tuple[str, ...] = (program.NAME,)
    suffix = ".folded"
    help = "Python stacks of a live process, without stopping it"
    runtimes: tuple[str, ...] = ("cpython",)
    modes: tuple[ProfileMode, ...] = tuple(_OPTIONS)
    cost = "1 % of the throughput of 16 threads, looks included (benchmarks/profile.md)"
    blind = "native code, and in a container which threads are idle"
    at_once = 8  # the rest of many like workers tells nothing new

    def __init__(self, several_interpreters: Callable[[int], str] = lambda _: "") -> None:
        """`several_interpreters` says of a process that it has more than one, of which py-spy reads
        the newest alone.
        """
        self._several_interpreters = several_interpreters

    def version(self) -> str:
        """Its version, `0.4.3`, or ""."""
        return program.version()

    def available(self, pids: Sequence[int] = ()) -> str:
        """Why it cannot be used here, and on `pids`, with what mends it; "" when it can."""
        whys = map(program.unusable_on, pids) if pids else (program.unusable(),)
        if why := next(filter(None, whys), ""):
            return why
        several = next(filter(None, map(self._several_interpreters, pids)), "")
        return f"{several}, of which {self.name} reads one" if several else ""

    def mode_for(self, target: TargetProcess) -> tuple[ProfileMode, str]:
        """`cpu` for a process of few threads, else `gil`, which walks only the GIL's holder."""
        if _minor(target.runtime_version) < _TELLS_IDLE:
            return (
                ProfileMode.GIL,
                f"Python {target.runtime_version} does not tell py-spy which threads are idle, so"
                " only the GIL's holder is sampled",
            )
        if any(map(has_own_pids, target.workers)):
            return (
                ProfileMode.GIL,
                "the target has a pid namespace of its own, where py-spy cannot tell which threads"
                " are idle, so only the GIL's holder is sampled",
            )
        threads = _most_threads(target)
        if threads > _FEW_THREADS:
            return (
                ProfileMode.GIL,
                f"{threads} threads: only the GIL's holder is sampled, since walking all of them"
                " would slow the target",
            )
        return (
            ProfileMode.CPU,
            f"{threads} thread{'' if threads == 1 else 's'}: all of them are sampled, those off the"
            " CPU left out",
        )

    def mode_under_load(self, mode: ProfileMode, threads: int) -> ProfileMode:
        """`gil` in place of `cpu` once more than two threads are there.

        Threads that contend for the GIL wake again and again to ask for it, and the `cpu` mode
        counts them as running: seen with 24 threads, a function that used 60 % of the CPU had 18 %
        of such samples, and its due share of the GIL's holders.
        """
        return ProfileMode.GIL if mode == ProfileMode.CPU and threads > _ALONE else mode

    def rate_for(self, rate_hz: int, processes: int, threads: int, seconds: Seconds) -> int:
        """Lower with several processes, so that all together cost what one costs."""
        each = _TOTAL_RATE // max(1, min(processes, self.at_once))
        return max(_SLOWEST, min(rate_hz, each))

    def attach(
        self, pids: Sequence[int], seconds: int, rate_hz: int, mode: ProfileMode, out: Path
    ) -> PySpyCapture:
        """Start recording each pid into the directory `out`; returns at once.

        Raises AttachFailed when py-spy is not there, ValueError for an unknown mode.
        """
        files = {pid: own_file(self, mode, out, pid) for pid in pids}
        if why := self.available(pids):
            raise AttachFailed(why)
        notes = []
        threads = max((len(tids(pid)) for pid in pids), default=0)
        if mode == ProfileMode.CPU and threads > _FEW_THREADS:
            # A thread pool fills up only under load, after the mode was chosen.
            mode = ProfileMode.GIL
            files = {pid: own_file(self, mode, out, pid) for pid in pids}
            notes.append(
                f"a worker has {threads} threads by now, so only the holder of the GIL was sampled"
            )
        recordings = {
            pid: (_record(pid, seconds, rate_hz, mode, raw), raw) for pid, raw in files.items()
        }
        return PySpyCapture(recordings, mode, rate_hz, notes)


def _record(pid: int, seconds: Seconds, rate: int, mode: ProfileMode, raw: Path) -> ProfilerProcess:
    # The duration counts intervals, not seconds: it is set beyond the end, and the recording is
    # interrupted on time.
    beyond = str(int(seconds + _SLACK))
    what = ["record", "--pid", str(pid), "--format", "raw", "--output", str(raw)]
    how = ["--rate", str(rate), "--duration", beyond, "--nonblocking", "--full-filenames"]
    return ProfilerProcess(
        [program.binary(), *what, *how, *_OPTIONS[mode]],
        [pid],
        raw.with_suffix(".log"),
        seconds=seconds,
        limit=seconds * _SLOW_TARGET + _SLACK,
        stall=STALL,
    )


def _most_threads(target: TargetProcess) -> int:
    """Threads of the worker that has the most."""
    workers = (process for process in target.processes if process.pid in target.workers)
    return max((worker.threads for worker in workers), default=1)


def _minor(version: str) -> tuple[int, int]:
    """(3, 12) of `3.12.1`; a version that nobody could tell is taken for a new one."""
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else _TELLS_IDLE
