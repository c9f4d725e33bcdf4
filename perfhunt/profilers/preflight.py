"""The checklist before a run: every tool, permission and limit, each failure with the command that
mends it.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from perfhunt.errors import AttachFailed
from perfhunt.model.question import Question
from perfhunt.model.run import TargetProcess
from perfhunt.profilers.profiler import PROFILERS, Profiler
from perfhunt.target import host_limits
from perfhunt.target.environment import package_version
from perfhunt.target.proc import proc


class Status(StrEnum):
    """`warn`: the run is possible, and something about it will be worse; `fail`: it is not, or not
    truthfully.
    """

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the checklist. `mend` is a command, or a sentence; empty when there is nothing to
    mend.
    """

    name: str
    status: Status
    sentence: str
    mend: str = ""


def checks(
    target: TargetProcess | None = None, question: Question | None = None
) -> tuple[Check, ...]:
    """Every check that applies, in the order they matter. Takes about a second per profiler that is
    tried on a target.

    Sends nothing to the target but one connection, opened and closed, when there is a url.
    """
    found: list[Check] = [_locust()]
    found += _profilers(target)
    found += _limits(question)
    found += [
        _to_check(one)
        for one in (host_limits.cgroup_seen(target), host_limits.pressure(), host_limits.clock())
    ]
    if target is not None:
        found += [*_one_profiler_for(target), _held(target)]
    if question is not None and question.target.url:
        found.append(reachable(question.target.url))
    return tuple(found)


def failures(found: tuple[Check, ...]) -> tuple[Check, ...]:
    """Those that make a run impossible."""
    return tuple(one for one in found if one.status is Status.FAIL)


def _to_check(reading: host_limits.HostFact) -> Check:
    status = Status.OK if reading.good else Status.FAIL if reading.needed else Status.WARN
    return Check(reading.name, status, reading.sentence, "" if reading.good else reading.mend)


def _locust() -> Check:
    version = package_version("locust")
    if not version:
        return Check(
            "locust",
            Status.FAIL,
            "locust is not installed, so there is nothing to send load with",
            "pip install locust",
        )
    return Check("locust", Status.OK, f"locust {version}")


def _profilers(target: TargetProcess | None) -> Iterator[Check]:
    """One check per profiler that could serve the target; those that are for another runtime are
    left out.
    """
    for profiler in PROFILERS.values():
        if target is not None and target.runtime not in profiler.runtimes:
            continue
        why = profiler.available()
        if why:
            sentence, _, mend = why.partition(": ")
            yield Check(profiler.name, Status.WARN, sentence, mend)
        elif target is not None and not profiler.opens:
            yield _attach(profiler, target)
        else:
            yield Check(profiler.name, Status.OK, f"{profiler.name} is here: {profiler.help}")
    for reading in (
        host_limits.ptrace_scope(),
        host_limits.ptrace_capability(),
        host_limits.perf_paranoid(),
    ):
        yield _to_check(reading)


def _attach(profiler: Profiler, target: TargetProcess) -> Check:
    """Whether the profiler gives samples of the first worker: tried for one second."""
    pid = target.workers[0]
    mode = (
        "wall" if "wall" in profiler.modes else profiler.modes[0]
    )  # an idle target has no stack on CPU to show
    with tempfile.TemporaryDirectory(prefix="perfhunt-doctor-") as scratch:
        try:
            capture = profiler.attach([pid], 1, 50, mode, Path(scratch))
            try:
                profile = capture.wait()
            finally:
                capture.stop()
        except AttachFailed as error:
            return Check(profiler.name, Status.WARN, error.message, error.hint)
    samples = sum(profile.stacks.values())
    return Check(
        profiler.name,
        Status.OK,
        f"{profiler.name} {profile.version} attached to pid {pid} for 1 s ({samples:g} samples)",
    )


def _one_profiler_for(target: TargetProcess) -> Iterator[Check]:
    usable = [
        one for one in PROFILERS.values() if target.runtime in one.runtimes and not one.available()
    ]
    if not usable:
        names = (
            ", ".join(one.name for one in PROFILERS.values() if target.runtime in one.runtimes)
            or "none is known"
        )
        sentence = (
            f"no profiler here can sample {target.runtime or 'this runtime'} (would do: {names})"
        )
        yield Check(
            "profiler",
            Status.WARN,
            sentence,
            "The knee is still found; thread states still say where time goes.",
        )


def _held(target: TargetProcess) -> Check:
    stopped = [pid for pid in target.workers if proc.is_held(pid)]
    if stopped:
        tracer = proc.tracer(stopped[0])
        by = f" by pid {tracer}, which traces it" if tracer else ""
        mend = f"kill -TERM {tracer}" if tracer else f"kill -CONT {stopped[0]}"
        return Check("target runs", Status.FAIL, f"pid {stopped[0]} is stopped{by}", mend)
    return Check(
        "target runs",
        Status.OK,
        f"pid {target.root} and its {len(target.workers)} working process(es) run",
    )


def _limits(question: Question | None) -> Iterator[Check]:
    rate = question.safety.max_rate if question else 5000.0
    timeout = question.ramp.timeout if question else 10.0
    readings: tuple[Callable[[], host_limits.HostFact], ...] = (
        lambda: host_limits.descriptors(rate, timeout),
        host_limits.ephemeral_ports,
        host_limits.core_count,
    )
    for reading in readings:
        yield _to_check(reading())


def reachable(url: str) -> Check:
    """Whether a connection to the url's host and port opens within two seconds; nothing is sent
    over it.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((host, port), 2.0).close()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        return Check(
            "target answers",
            Status.FAIL,
            f"{host}:{port} does not take connections ({reason})",
            f"curl -v {url}/",
        )
    return Check("target answers", Status.OK, f"{host}:{port} takes connections")
