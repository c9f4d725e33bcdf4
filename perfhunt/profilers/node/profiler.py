"""Node: V8's own sampler, switched on in live processes through their inspectors, and what the
event loop says of itself meanwhile.

An inspector is a door into the target: it is used only when asked for, and closed again afterwards,
by the target itself if this process should die in between.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial, reduce
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from perfhunt.errors import AttachFailed, Unreadable
from perfhunt.model.document.bounded import json_value
from perfhunt.model.profile import Profile, ProfileMode, regrouped
from perfhunt.model.profiles.readers.cpuprofile import parse_cpuprofile, without_code
from perfhunt.model.run import TargetProcess
from perfhunt.model.text.escaping import json_text
from perfhunt.model.units import Seconds, Share, format_duration, format_share
from perfhunt.profilers.node.awaits import with_names
from perfhunt.profilers.node.door import closed_by, open_door, script
from perfhunt.profilers.node.inspector import InspectorError
from perfhunt.profilers.node.workers import WorkerThreads
from perfhunt.profilers.profiler import Profiler, own_file
from perfhunt.profilers.thread_capture import ProfileReader, ThreadCapture

_TEND: Seconds = 0.5  # between looks for worker threads that were begun meanwhile
_ANSWER: Seconds = 60.0  # a long profile is a large message
_Given = TypeVar("_Given")


class _Loop(msgspec.Struct):
    """What the event loop says of itself: see loop.js."""

    p50: Seconds
    p99: Seconds
    worst: Seconds
    used: Share
    collecting: Share
    longest: Seconds

    def note(self, pid: int) -> str:
        """The same in a sentence. The timer that measures the delay has 10 ms of its own."""
        return (
            f"the event loop of pid {pid} was in use {format_share(self.used)} of the time; its"
            f" timer of 10 ms came after {format_duration(self.p50)} (median),"
            f" {format_duration(self.p99)} (p99), {format_duration(self.worst)} (longest);"
            f" collecting garbage took {format_share(self.collecting)} of the time, at most"
            f" {format_duration(self.longest)} at once"
        )


class _Session:
    """Sampling of one Node process, its door open from when it is made to when it has ended."""

    def __init__(self, pid: int, rate_hz: int, raw: Path) -> None:
        """Raises AttachFailed."""
        self._pid, self._rate_hz, self._raw = pid, rate_hz, raw
        self._door = open_door(pid)
        try:
            self._inspector = self._door.session()
            loop = f"{script('loop')}(require)"
            self._version = str(self._inspector.evaluate(loop, requires=True))
            self._inspector.call("Profiler.enable")
            self._inspector.call("Profiler.setSamplingInterval", interval=round(1e6 / rate_hz))
            self._inspector.call("Profiler.start")
            self._workers = WorkerThreads(self._inspector, rate_hz)
        except InspectorError as error:
            self._door.leave()
            raise self._failed(error) from error
        self._began = time.monotonic()

    def _failed(self, error: Exception) -> AttachFailed:
        return AttachFailed(f"the inspector of Node process {self._pid} gave no profile: {error}")

    def taken(self) -> ProfileReader:
        """Reads the profile until now; ends the session. Raises AttachFailed."""
        try:
            with closing(self._inspector):
                seconds = time.monotonic() - self._began
                told = self._inspector.call("Profiler.stop", timeout=_ANSWER)["profile"]
                others = self._workers.taken(_ANSWER)
                notes = (*self._of_loop(), *self._of_workers(len(others)))
        except (InspectorError, KeyError) as error:
            raise self._failed(error) from error
        finally:
            self._door.leave()
        return partial(self._read, seconds, [told, *others], notes)

    def _read(self, seconds: Seconds, told: Sequence[Any], notes: tuple[str, ...]) -> Profile:
        """The profile of what was told of the main thread, and of worker threads after it."""
        try:
            stacks, idle = parse_cpuprofile(told[0])
            for other in told[1:]:
                for stack, samples in parse_cpuprofile(other)[0].items():
                    stacks[stack] = stacks.get(stack, 0.0) + samples
            for n, profile in enumerate(told):
                worker = self._raw.with_suffix(f".worker{n}{self._raw.suffix}")
                (worker if n else self._raw).write_text(json_text(without_code(profile)))
        except (Unreadable, KeyError) as error:
            raise self._failed(error) from error
        return Profile(
            tool="node",
            version=self._version,
            mode=ProfileMode.CPU,
            rate_hz=self._rate_hz,
            seconds=seconds,
            stacks=regrouped(stacks, with_names),
            pids=(self._pid,),
            ticks=round(sum(stacks.values())) + idle,
            command=("SIGUSR1", str(self._pid), "Profiler.start", "Profiler.stop"),
            notes=(*notes, *filter(None, (self._door.note,))),
            raw=self._raw.name,
        )

    def tend(self) -> None:
        """Have worker threads sampled that were begun since."""
        with suppress(InspectorError):  # It is told when the profile is taken.
            self._workers.tend()

    def _of_workers(self, sampled: int) -> Iterator[str]:
        if sampled:
            yield f"worker threads of pid {self._pid} that were sampled: {sampled}"
        if self._workers.unseen:
            yield f"worker threads of pid {self._pid} that were not: {self._workers.unseen}"

    def _of_loop(self) -> tuple[str, ...]:
        with suppress(InspectorError, Unreadable, msgspec.ValidationError):
            told = self._inspector.evaluate("globalThis.__perfhunt.loop()")
            return (
                msgspec.convert(json_value(str(told), "the event loop"), _Loop).note(self._pid),
            )
        return ()


def _together(
    sessions: Sequence[_Session], ask_stop: threading.Event, seconds: Seconds
) -> ProfileReader:
    """Reads the profiles of all, after their time or when asked to stop. Raises AttachFailed when
    none of them gave one.
    """
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not ask_stop.wait(min(left, _TEND)):
        for session in sessions:
            session.tend()
    return partial(_merged, _worked([session.taken for session in sessions]))


def _merged(readers: Sequence[ProfileReader]) -> Profile:
    return reduce(Profile.merged, _worked(readers))


def _worked(steps: Sequence[Callable[[], _Given]]) -> list[_Given]:
    """What those of some steps give that work. Raises AttachFailed when none does."""
    given, failures = list[_Given](), list[AttachFailed]()
    for step in steps:
        try:
            given.append(step())
        except AttachFailed as failed:
            failures.append(failed)
    if not given:
        raise failures[0]
    return given


class NodeProfiler(Profiler):
    """On-CPU JavaScript stacks of live Node processes, by V8's sampler."""

    name = "node"
    needs: tuple[str, ...] = ()
    suffix = ".cpuprofile"
    help = "JavaScript stacks of a live Node process, through its inspector"
    runtimes: tuple[str, ...] = ("node",)
    modes: tuple[ProfileMode, ...] = (ProfileMode.CPU,)
    at_once = 8  # the rest of many like workers tells nothing new
    cost = "3 % of throughput with 16 and with 60 that wait; more where requests make 100 promises"
    blind = (
        "who is next in queues of callbacks that are not for a connection, promises awaited before"
        " it was attached, and what worker threads wait for"
    )
    opens = (
        "opens Node's inspector on a port of 127.0.0.1 while it looks, and whoever can reach that"
        " port can run code"
    )

    def available(self, pids: Sequence[int] = ()) -> str:
        """Why it cannot be used here; "" when it can."""
        return next(filter(None, map(closed_by, pids)), "")

    def mode_for(self, target: TargetProcess) -> tuple[ProfileMode, str]:
        """There is one mode, for every target."""
        return ProfileMode.CPU, "V8's own sampler, through the inspector"

    def attach(
        self, pids: Sequence[int], seconds: int, rate_hz: int, mode: ProfileMode, out: Path
    ) -> ThreadCapture:
        """Start sampling, into the directory `out`. Raises AttachFailed, ValueError for an unknown
        mode.
        """
        raws = [own_file(self, mode, out, pid) for pid in pids]
        sessions: list[_Session] = []
        try:
            for pid, raw in zip(pids, raws, strict=True):
                sessions.append(_Session(pid, rate_hz, raw))
        except AttachFailed:
            for session in sessions:
                with suppress(AttachFailed):
                    session.taken()
            raise
        return ThreadCapture(
            lambda ask_stop: _together(sessions, ask_stop, seconds), f"perfhunt-node-{pids[0]}"
        )
