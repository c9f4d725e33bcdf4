"""A profile without load of ours: the live target as it is, ranked and stored as a run."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import files_of, read_evidence
from perfhunt.analysis.diagnosis.cautions import loss_cautions
from perfhunt.analysis.diagnosis.classify import classify
from perfhunt.analysis.diagnosis.known.at_rest import is_idle
from perfhunt.analysis.diagnosis.ranking import rank
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.change.git.kept import CodeState, code_state
from perfhunt.errors import AttachFailed, ExitCode, Stopped, TargetDied
from perfhunt.jobs.launched.service import launched
from perfhunt.jobs.publish import publish
from perfhunt.jobs.request import one_service, require_one_target, words_of
from perfhunt.jobs.setup import blank_run, surroundings, with_doubt
from perfhunt.load.seam import StopSignal
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.inside.look import StartedService
from perfhunt.model.knee import NoKnee, NoKneeCode
from perfhunt.model.profile import ProfilePolicy, SpanName
from perfhunt.model.question import Question, Target
from perfhunt.model.run import Run, RunEnd, RunKind, TargetProcess
from perfhunt.model.slo import Slo
from perfhunt.model.units import Seconds
from perfhunt.profilers.probes import LiveProbes
from perfhunt.profilers.remote.link import FarHost
from perfhunt.profilers.remote.probes import FarProbes
from perfhunt.safety.watchdog import Watchdog
from perfhunt.store.digest_key import mark_of
from perfhunt.store.rundir import RunDirectory, fresh_id, keep_run
from perfhunt.target.address import beside, local_url
from perfhunt.target.code.sources import SourceTexts, sources
from perfhunt.target.find import find_target
from perfhunt.target.resources.life import TargetLife
from perfhunt.version import __version__

_ASKED_EVERY: Seconds = 0.1  # as whatever sends load asks
_NO_LOAD = NoKnee(
    NoKneeCode.NO_LOAD, "nothing was sent: this is a profile of the load the service had"
)
_IDLE = Caution(
    CautionCode.IDLE,
    "The service was idle: it used hardly any CPU and its threads waited where they were, so no"
    " function leads.",
)
_PER_SECOND = Caution(
    CautionCode.PER_SECOND,
    "No requests were counted, so the times are per second of the clock, not per request.",
    "perfhunt investigate --pid PID",
)


@dataclass(frozen=True, slots=True)
class ProfileRequest:
    """Which service, by pid, by port or by the command that starts it, and for how many seconds;
    with `exec_prefix` one that is looked at by way of that command.
    """

    command: tuple[str, ...] = ()
    pid: int | None = None
    port: int | None = None
    seconds: int = 20
    open_target: bool = False
    store: Path = Path(".perfhunt")
    trust_repository: bool = False
    exec_prefix: str = ""


def run_profile(request: ProfileRequest) -> Run:
    """The stored run of a profile taken now. Raises UsageError, TargetNotFound, AttachFailed;
    Stopped for a signal, after what was seen until then was stored.
    """
    require_one_target(request.command, request.pid, request.port)
    with Watchdog() as watchdog:
        stop = watchdog.stop
        if request.command:
            with launched(request.command, "", stop, loaded=False) as service:
                return _profiled(request, stop, service.target, service.started)
        named = one_service("profile", request.pid, request.port)
        if request.exec_prefix:
            with FarHost(words_of("--exec-prefix", request.exec_prefix)) as far:
                return _profiled_there(request, stop, far)
        with beside(named, needed=False) as entered:
            return _profiled(request, stop, find_target(named, serves=False).noted(entered))


def _profiled_there(request: ProfileRequest, stop: StopSignal, far: FarHost) -> Run:
    there = far.target(request.pid, request.port)
    target = there.target.noted(f"it was looked at by way of {far.prefix}")
    around = replace(far.environment(), perfhunt=__version__)
    question = Question(target=Target(there.url), traffic=(), slo=Slo(()))
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    start = blank_run(fresh_id(), RunKind.PROFILE, stamp, question, around, target)
    directory = RunDirectory.create(request.store, start)
    again = f"perfhunt doctor --pid {target.root} --exec-prefix {shlex.quote(request.exec_prefix)}"

    def seen() -> Run:
        with closing(FarProbes(far, there, ProfilePolicy.REQUIRED)) as probes:
            span = span_of(probes, request.seconds, stop)
            run = diagnosed(start, span, target, probes.sources)
        return replace(run, next_step=f"What is seen there: {again}")

    return _kept(directory, start, stop, seen)


def _profiled(
    request: ProfileRequest,
    stop: StopSignal,
    target: TargetProcess,
    started: StartedService | None = None,
) -> Run:
    url = local_url(target) if target.listeners else ""
    question = Question(target=Target(url), traffic=(), slo=Slo(()))
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    code = code_state(target.git_root, None, request.trust_repository)
    around = surroundings(target, code, mark_of(request.store))
    target = with_doubt(target, code)
    start = blank_run(fresh_id(), RunKind.PROFILE, stamp, question, around, target)
    start = replace(start, launched=started)
    directory = RunDirectory.create(request.store, start)

    def seen() -> Run:
        profiles, life = directory.path / "profiles", TargetLife(target)
        try:
            span = look(target, profiles, request.seconds, request.open_target, stop)
        except AttachFailed as failed:
            if gone := life.ended():
                raise TargetDied(f"{gone}, before anything was seen of it", _WHY_GONE) from failed
            raise
        run = diagnosed(start, span, target)
        return replace(run, cautions=(*_ended(life), *run.cautions, *code_cautions(code)))

    return _kept(directory, start, stop, seen)


def _kept(directory: RunDirectory, start: Run, stop: StopSignal, seen: Callable[[], Run]) -> Run:
    """The run that was `seen`, stored. Raises Stopped once it is, when it was to end early."""
    began = time.monotonic()
    try:
        run = seen()
    except AttachFailed:
        if not stop():
            raise
        run = replace(start, knee=_NO_LOAD)  # There was no time to see anything.
    run = replace(run, seconds=time.monotonic() - began)
    why = stop()
    if why:
        run = replace(run, ended=f"{RunEnd.STOPPED}: {why}", exit_code=int(ExitCode.STOPPED))
    run, place = keep_run(directory, run)
    run = publish(run, place, None) if place is not None else run
    if why:
        kept = f"What was seen until then is kept: perfhunt report {place}"
        raise Stopped(why, kept if place is not None else run.cautions[0].sentence)
    return run


_WHY_GONE = "Its log and `dmesg` may say why; start it again, then profile it."


def _ended(life: TargetLife) -> tuple[Caution, ...]:
    """A caution when the target lived no longer than a part of the time."""
    gone = life.ended()
    told = f"{gone}: what is told is of the time until then."
    return (Caution(CautionCode.EVIDENCE_LOST, told, _WHY_GONE),) if gone else ()


def code_cautions(code: CodeState) -> tuple[Caution, ...]:
    """A caution when the state of the code was not read."""
    return (Caution(CautionCode.EVIDENCE_LOST, code.doubt),) if code.doubt else ()


def look(
    target: TargetProcess, directory: Path, seconds: int, opened: bool, stop: StopSignal
) -> Span:
    """One span of the live target: on-CPU stacks, instants and states together, per second. It ends
    early when `stop` gives a reason.
    """
    policy = ProfilePolicy.REQUIRED
    with closing(LiveProbes(target, directory, time.monotonic, policy, opened)) as probes:
        return span_of(probes, seconds, stop)


def span_of(probes: LiveProbes | FarProbes, seconds: int, stop: StopSignal) -> Span:
    """One span of whatever these probes look at, until `stop` gives a reason."""
    probes.open()
    probes.resources()
    with probes.during(SpanName.KNEE, seconds, on_cpu=True, waits=True) as attached:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not stop():
            time.sleep(min(left, _ASKED_EVERY))
    used = probes.resources()
    return Span(
        1.0,
        profile=attached.profile,
        instants=attached.instants,
        states=attached.states,
        resources=used,
        peers=attached.peers,
        losses=attached.losses,
    )


def diagnosed(start: Run, span: Span, target: TargetProcess, texts: SourceTexts = sources) -> Run:
    """The run with what the span shows: ranked functions, the class of bottleneck, no knee. `texts`
    gives those of the target's files.
    """
    evidence = Evidence(
        knee=span,
        runtime=target.runtime,
        version=target.runtime_version,
        cpu_limit=target.cpu_limit,
        application=target.application,
    )
    evidence = replace(evidence, sources=texts(target, files_of(evidence)))
    reading = read_evidence(evidence)
    suspects = suspects_of(reading)
    run = replace(
        start,
        knee=_NO_LOAD,
        states={SpanName.KNEE: span.states} if span.states else {},
        peers={SpanName.KNEE: span.peers} if span.peers is not None else {},
        profiles={SpanName.KNEE: span.profile} if span.profile else {},
    )
    again = f"perfhunt init --pid {target.root}, then perfhunt investigate --pid {target.root}"
    if not target.listeners:  # nobody can send it any
        again = f"perfhunt profile --pid {target.root}, while it is at work"
    if start.launched is not None:  # it has ended when this is read
        again = "perfhunt investigate -- COMMAND, with a test file"
    if is_idle(span):
        return replace(
            run,
            cautions=(_IDLE, *loss_cautions(span)),
            next_step=f"Put load on it: {again}; or profile again while it is used.",
        )
    return replace(
        run,
        findings=rank(reading, suspects),
        bottleneck=classify(reading, suspects),
        cautions=(_PER_SECOND, *loss_cautions(span)),
        next_step=again,
    )
