"""The checklist before a run: every tool, permission and limit, each failure with the command that
mends it.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import ProfileMode
from perfhunt.model.question import Question, Ramp, Safety
from perfhunt.model.run import TargetProcess
from perfhunt.model.units import Seconds
from perfhunt.profilers.profiler import Profiler
from perfhunt.profilers.table import PROFILERS
from perfhunt.target.host import limits
from perfhunt.target.host.check import Check, CheckStatus, fail, ok, warn
from perfhunt.target.host.environment import package_version
from perfhunt.target.proc.threads import is_held, tracer

_TRIED_FOR, _TRIED_HZ = 1, 50  # seconds and samples per second: enough to see that there are some
_CONNECTS: Seconds = 2.0


def checks(
    target: TargetProcess | None = None, question: Question | None = None
) -> tuple[Check, ...]:
    """Every check that applies, in the order they matter. Takes about a second per profiler that is
    tried on a target.

    Sends nothing to the target but one connection, opened and closed, when there is a url.
    """
    made = [_locust(), *_profilers(target), *_limits(target, question)]
    if target is not None:
        made += [*_one_profiler_for(target), _runs(target)]
    if question is not None and question.target.url:
        made.append(reachable(question.target.url))
    return tuple(made)


def failures(made: tuple[Check, ...]) -> tuple[Check, ...]:
    """Those that make a run impossible."""
    return tuple(check for check in made if check.status is CheckStatus.FAIL)


def _locust() -> Check:
    version = package_version("locust")
    if version:
        return ok("locust", f"locust {version}")
    return fail(
        "locust",
        "locust is not installed, so there is nothing to send load with",
        "pip install locust",
    )


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
            yield warn(profiler.name, sentence, mend)
        elif target is not None and not profiler.opens:
            yield _attach(profiler, target)
        else:
            yield ok(profiler.name, f"{profiler.name} is here: {profiler.help}")
    yield from (limits.ptrace_scope(), limits.ptrace_capability(), limits.perf_paranoid())


def _attach(profiler: Profiler, target: TargetProcess) -> Check:
    """Whether the profiler gives samples of the first worker: tried for one second."""
    pid = target.workers[0]
    # An idle target has no stack on the CPU to show.
    mode = ProfileMode.WALL if ProfileMode.WALL in profiler.modes else profiler.modes[0]
    with tempfile.TemporaryDirectory(prefix="perfhunt-doctor-") as scratch:
        try:
            capture = profiler.attach([pid], _TRIED_FOR, _TRIED_HZ, mode, Path(scratch))
            try:
                profile = capture.wait()
            finally:
                capture.stop()
        except AttachFailed as error:
            return warn(profiler.name, error.message, error.hint)
    attached = f"{profiler.name} {profile.version} attached to pid {pid}"
    return ok(profiler.name, f"{attached} for {_TRIED_FOR} s ({profile.total:g} samples)")


def _limits(target: TargetProcess | None, question: Question | None) -> Iterator[Check]:
    rate = (question.safety if question else Safety()).max_rate
    timeout = (question.ramp if question else Ramp()).timeout
    yield from (limits.descriptors(rate, timeout), limits.ephemeral_ports(), limits.core_count())
    yield from (limits.cgroup_seen(target), limits.pressure(), limits.clock())


def _one_profiler_for(target: TargetProcess) -> Iterator[Check]:
    """A check that fails when no profiler can sample the target; nothing when one can."""
    fitting = [tool for tool in PROFILERS.values() if target.runtime in tool.runtimes]
    if any(not tool.available() for tool in fitting):
        return
    names = ", ".join(tool.name for tool in fitting) or "none is known"
    runtime = target.runtime or "this runtime"
    yield warn(
        "profiler",
        f"no profiler here can sample {runtime} (would do: {names})",
        "The knee is still found; thread states still say where time goes.",
    )


def _runs(target: TargetProcess) -> Check:
    """Whether nobody holds a worker of the target stopped."""
    name, stopped = "target runs", [pid for pid in target.workers if is_held(pid)]
    if not stopped:
        workers = len(target.workers)
        return ok(name, f"pid {target.root} and its {workers} working process(es) run")
    holder = tracer(stopped[0])
    by = f" by pid {holder}, which traces it" if holder else ""
    mend = f"kill -TERM {holder}" if holder else f"kill -CONT {stopped[0]}"
    return fail(name, f"pid {stopped[0]} is stopped{by}", mend)


def reachable(url: str) -> Check:
    """Whether a connection to the url's host and port opens within two seconds; nothing is sent
    over it.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((host, port), _CONNECTS).close()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        return fail(
            "target answers",
            f"{host}:{port} does not take connections ({reason})",
            f"curl -v {url}/",
        )
    return ok("target answers", f"{host}:{port} takes connections")
