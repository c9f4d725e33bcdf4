"""The half that looks, where the target lives: does what it is asked on its standard input, answers
on its standard output, and is gone as soon as nobody is left to ask.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

from perfhunt.errors import AttachFailed, PerfhuntError, TargetNotFound, Unreadable
from perfhunt.model.document.bounded import json_value
from perfhunt.model.profile import EvidenceKind, Loss
from perfhunt.model.question import ProcessSelector
from perfhunt.model.run import TargetProcess
from perfhunt.model.units import Seconds
from perfhunt.profilers.cpython.looks import CpythonLooker
from perfhunt.profilers.instants import InstantsCapture
from perfhunt.profilers.peer_watch import PeerWatch
from perfhunt.profilers.profiler import Looker, stacks_read
from perfhunt.profilers.remote.messages import (
    FarSpan,
    FarTarget,
    FarUse,
    framed,
    packed,
    read_frame,
)
from perfhunt.profilers.state_sampler import StateSampler
from perfhunt.target.address import beside, local_url
from perfhunt.target.code.sources import text_of
from perfhunt.target.find import find_target
from perfhunt.target.host import limits
from perfhunt.target.host.check import Check, ok, warn
from perfhunt.target.host.environment import environment
from perfhunt.target.host.standing import standing
from perfhunt.target.resources.monitor import ResourceMonitor

_UNTIL_STOPPED: Seconds = 1e9
_LOOKED_AT = "cpython"  # the runtime whose stacks are read with no tool


def looker(pid: int) -> tuple[Looker, str]:
    """As `table.cpython_looker`, without a tool to fall back on. Raises AttachFailed."""
    return CpythonLooker(pid), ""


class FarHalf:
    """One target, from the first word to the last."""

    def __init__(self) -> None:
        self._network = ExitStack()
        self._target: TargetProcess | None = None
        self._monitor: ResourceMonitor | None = None
        self._sampler: StateSampler | None = None
        self._peers: PeerWatch | None = None
        self._instants: InstantsCapture | None = None
        self._losses: list[Loss] = []

    def answer(self, asked: Mapping[str, Any]) -> object:
        """What is answered to one word. Raises PerfhuntError."""
        answers: dict[str, Callable[..., object]] = {
            "target": self.find,
            "environment": lambda: environment(self.target, {}, lambda _: ""),
            "checks": self.checks,
            "open": self.open,
            "resources": self.resources,
            "begin": self.begin,
            "settled": self.settled,
            "end": self.end,
            "dead": lambda: self._monitor.dead() if self._monitor else "",
            "sources": self.sources,
        }
        word, *rest = asked.get("ask", ""), asked.get("with", {})
        if word not in answers:
            raise Unreadable(f"nobody knows here what {word!r} is")
        return answers[word](**rest[0])

    @property
    def target(self) -> TargetProcess:
        """The target, once it was found. Raises TargetNotFound."""
        if self._target is None:
            raise TargetNotFound("no target was named yet", "Name it: --pid PID")
        return self._target

    def find(self, pid: int | None, port: int | None) -> FarTarget:
        """The target as it is now, whose network is entered where that is allowed."""
        named = ProcessSelector(pid=pid, port=port)
        entered = self._network.enter_context(beside(named, needed=False))
        self._target = find_target(named, serves=False).noted(entered)
        url = local_url(self._target) if self._target.listeners else ""
        return FarTarget(self._target, url, time.monotonic())

    def open(self) -> None:
        """Watch resources, thread states and peers from now on."""
        target = self.target
        self._monitor = ResourceMonitor(target)
        self._monitor.start()
        self._sampler = StateSampler(target.workers, root=target.root).__enter__()
        self._peers = PeerWatch(target.root, waited_on=self._sampler.waited_on)
        self._peers.open()
        self._monitor.take()

    def begin(self, waits: bool) -> None:
        """A span begins here; with `waits` all threads are looked at."""
        self._losses = []
        self.settled()
        if waits and self.target.runtime != _LOOKED_AT:
            why = f"the stacks of {self.target.runtime} are read by tools, which are not there"
            self._lose(EvidenceKind.WAITS, why)
        elif waits:
            try:
                self._instants = InstantsCapture(
                    self.target.workers, _UNTIL_STOPPED, make=looker, root=self.target.root
                )
            except AttachFailed as failed:
                self._lose(EvidenceKind.WAITS, failed.message.rstrip("."), failed.hint)

    def settled(self) -> None:
        """States and peers are counted from here."""
        for watcher in (self._sampler, self._peers):
            if watcher is not None:
                watcher.mark()

    def end(self, phase: str) -> FarSpan:
        """What was captured since the span began."""
        assert self._sampler is not None
        series, capture = None, self._instants
        if capture is not None:
            self._instants = None
            capture.stop()
        peers = None
        try:
            peers = self._peers.take() if self._peers is not None else None
        except AttachFailed as failed:
            self._lose(EvidenceKind.PEERS, failed.message.rstrip("."))
        states = self._sampler.take(phase)
        if capture is not None:
            try:
                series = packed(capture.wait())
                self._losses += capture.losses()
            except AttachFailed as failed:
                self._lose(EvidenceKind.WAITS, failed.message.rstrip("."), failed.hint)
        return FarSpan(
            states=states,
            instants=series,
            peers=peers,
            losses=tuple(self._losses),
        )

    def resources(self) -> FarUse:
        """What the target used since the last call."""
        assert self._monitor is not None
        used = self._monitor.take()
        return FarUse(used, self._monitor.unread)

    def sources(self, files: list[str]) -> dict[str, str]:
        """The texts of the target's files that can be read."""
        lead = next((p for p in self.target.processes if p.pid in self.target.workers), None)
        wanted = [file for file in files if os.path.isabs(file)] if lead is not None else []
        texts = {file: text_of(lead, file) for file in wanted if lead is not None}
        return {file: text for file, text in texts.items() if text}

    def checks(self) -> list[Check]:
        """What works there, and how to mend what does not."""
        target = self.target
        return [
            ok("python", f"python {platform.python_version()} runs the half that looks"),
            limits.ptrace_scope(),
            limits.ptrace_capability(),
            limits.cgroup_seen(target),
            limits.pressure(),
            _looks(target),
            *standing(target),
        ]

    def _lose(self, what: EvidenceKind, why: str, then: str = "") -> None:
        self._losses.append(Loss(what, 1.0, why, then))


def _looks(target: TargetProcess) -> Check:
    name, pid = "looks", target.workers[0]
    if target.runtime != _LOOKED_AT:
        runtime = target.runtime or "this runtime"
        return warn(
            name,
            f"the stacks of {runtime} are read by tools, which are not there: threads are told by"
            " their states alone",
            "Run perfhunt itself on that host.",
        )
    try:
        made, _ = looker(pid)
        try:
            samples = made.look()
        finally:
            made.close()
    except AttachFailed as failed:
        return warn(name, failed.message, failed.hint or "Run it there as root.")
    seen = f"{stacks_read(samples, 'task')} of pid {pid}"
    return ok(name, f"the stacks of {seen} were read {made.how}")


def main(given: int, told: int) -> None:
    """Serve whoever asks on a descriptor, until it ends; then nothing of this process is left."""
    half, read = FarHalf(), partial(os.read, given)
    while (frame := read_frame(read)) is not None:
        try:
            answer = {"answer": half.answer(json_value(frame, "what was asked"))}
        except PerfhuntError as refused:
            kind = type(refused).__name__
            answer = {"error": [kind, refused.message, refused.hint]}
        _write(told, framed(answer))


def _write(told: int, whole: bytes) -> None:
    view = memoryview(whole)
    while view:
        view = view[os.write(told, view) :]
