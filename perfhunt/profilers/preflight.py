"""The checklist before a run: every tool, permission and limit, each failure with the command that
mends it.
"""

from __future__ import annotations

import os
import shlex
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import ProfileMode
from perfhunt.model.question import Question, Ramp, Safety
from perfhunt.model.run import TargetProcess
from perfhunt.model.text.socket_url import socket_path
from perfhunt.model.units import Seconds
from perfhunt.profilers.choose import RATE_HZ, choose
from perfhunt.profilers.profiler import Profiler, stacks_read
from perfhunt.profilers.state_sampler import Pace
from perfhunt.profilers.table import PROFILERS, looker_maker
from perfhunt.target.host import limits
from perfhunt.target.host.check import Check, CheckStatus, fail, ok, warn
from perfhunt.target.host.environment import package_version
from perfhunt.target.host.standing import standing
from perfhunt.target.leash import scratch

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
        made += [
            *_one_profiler_for(target),
            *_looks(target),
            *_plan(target),
            *(ok("target", note) for note in target.notes),
            *standing(target),
        ]
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
        if target is not None and not profiler.is_for(target):
            continue
        why = profiler.available()
        if why:
            sentence, _, mend = why.partition(": ")
            yield warn(profiler.name, sentence, mend)
        elif target is not None and not profiler.opens:
            yield _attach(profiler, target)
        else:
            asks = f"; it is used with --open-target only, since it {profiler.opens}"
            asks = asks if target is None else "; --open-target allows it"
            yield ok(
                profiler.name,
                f"{profiler.name} is here: {profiler.help}{asks if profiler.opens else ''}",
            )
    yield from (limits.ptrace_scope(), limits.ptrace_capability(), limits.perf_paranoid())


def _attach(profiler: Profiler, target: TargetProcess) -> Check:
    """Whether the profiler gives samples of the first worker: tried for one second."""
    pid = target.workers[0]
    # An idle target has no stack on the CPU to show.
    mode = ProfileMode.WALL if ProfileMode.WALL in profiler.modes else profiler.modes[0]
    with scratch("perfhunt-doctor-") as place:
        try:
            capture = profiler.attach([pid], _TRIED_FOR, _TRIED_HZ, mode, place)
            try:
                profile = capture.wait()
            finally:
                capture.stop()
        except AttachFailed as error:
            return warn(profiler.name, error.message, error.hint)
    attached = f"{profiler.name} {profile.version} attached to pid {pid}"
    seen = f"{attached} for {_TRIED_FOR} s ({profile.counted})"
    return ok(profiler.name, seen + _terms(profiler))


def _terms(profiler: Profiler) -> str:
    """What the use of a profiler costs and what it does not see, to end a sentence with."""
    cost = f"; it costs {profiler.cost}" if profiler.cost else ""
    return cost + (f"; not seen: {profiler.blind}" if profiler.blind else "")


def _plan(target: TargetProcess) -> Iterator[Check]:
    """What a run would attach, and why that."""
    plan = choose(target)
    if plan.profiler is not None:
        how = f"{plan.profiler.name} at up to {RATE_HZ}/s ({plan.mode}): {plan.because}"
        yield ok("what runs", how)
    else:
        yield ok("what runs", f"nothing samples {target.runtime or 'this runtime'}")
    yield from (ok("not used", reason) for reason in plan.reasons)
    stacks = "all that `looks` reads, over and over" if plan.looks else "no stacks"
    states = f"thread states are read for {Pace().cost:.0%} of a core at most"
    alone = (
        "" if plan.looks else ": how long threads wait and for what kind of thing, in no function"
    )
    yield ok("what waits", f"{stacks}; {states}{alone}")


def _limits(target: TargetProcess | None, question: Question | None) -> Iterator[Check]:
    rate = (question.safety if question else Safety()).max_rate
    timeout = (question.ramp if question else Ramp()).timeout
    yield from (limits.descriptors(rate, timeout), limits.ephemeral_ports(), limits.core_count())
    yield from (limits.cgroup_seen(target), limits.pressure(), limits.clock())


def _one_profiler_for(target: TargetProcess) -> Iterator[Check]:
    """A check that fails when no profiler can sample the target; nothing when one can."""
    fitting = [tool for tool in PROFILERS.values() if tool.is_for(target)]
    if any(not tool.available() for tool in fitting):
        return
    names = ", ".join(tool.name for tool in fitting) or "none is known"
    runtime = target.runtime or "this runtime"
    yield warn(
        "profiler",
        f"no profiler here can sample {runtime} (would do: {names})",
        "The knee is still found; thread states still say where time goes.",
    )


def _looks(target: TargetProcess) -> Iterator[Check]:
    """How the threads and tasks of the first worker can be looked at; nothing where the runtime has
    no such way.
    """
    make = looker_maker(target.runtime)
    if make is None:
        return
    name, pid = "looks", target.workers[0]
    try:
        looker, why = make(pid)
        try:
            samples = looker.look()
        finally:
            looker.close()
    except AttachFailed as error:
        yield warn(name, error.message, error.hint)
        return
    kind = "goroutine" if target.runtime == "go" else "task"
    read_how = f"the stacks of {stacks_read(samples, kind)} of pid {pid} were read {looker.how}"
    blind = f"; they cost {looker.cost_limit:.0%} of a core at most"
    blind += f"; not seen: {looker.unseen}" if looker.unseen else ""
    if why:
        yield warn(name, f"{why}; {read_how}{blind}", "Threads are seen all the same.")
    else:
        yield ok(name, f"{read_how}{blind}")


def reachable(url: str) -> Check:
    """Whether a connection to the url's host and port opens within two seconds; nothing is sent
    over it.
    """
    parts, path = urlsplit(url), socket_path(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    place = path or f"{host}:{port}"
    asking = f"curl -v --unix-socket {shlex.quote(path)} http://localhost/" if path else ""
    try:
        if path:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(_CONNECTS)
                link.connect(path)
        else:
            socket.create_connection((host, port), _CONNECTS).close()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        return fail(
            "target answers",
            f"{place} does not take connections ({reason})",
            asking or f"curl -v {url}/",
        )
    return ok("target answers", f"{place} takes connections")
