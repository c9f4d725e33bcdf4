"""From a request to a bench that may be worked at: everything that must hold is checked in order,
and nothing is sent before all of it does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from perfhunt.change.git.kept import CodeState, code_state, prune_kept
from perfhunt.change.git.program import version as git_version
from perfhunt.errors import StoreError, UsageError
from perfhunt.jobs.publish import publish
from perfhunt.jobs.request import (
    Confirm,
    InvestigateRequest,
    require_time,
    require_within,
    words_of,
)
from perfhunt.lab import Lab
from perfhunt.load.engines import ENGINES
from perfhunt.load.programs.facts import FACTS, NOT_DRIVEN, require_program, version_of
from perfhunt.load.seam import LoadEngine
from perfhunt.load.trust.address import REMOTE_JOIN_WITHIN, master_address
from perfhunt.load.trust.grant import MOST_WORKERS
from perfhunt.load.trust.secret import find_secret, named_place
from perfhunt.model.question import EngineName, ProcessSelector, Question
from perfhunt.model.redact import Mark
from perfhunt.model.run import Environment, EventWatcher, Noted, Run, RunKind, TargetProcess
from perfhunt.model.slo import Judgement
from perfhunt.model.testfile.engine_keys import engine_problems, evenly
from perfhunt.model.testfile.testfile import aim
from perfhunt.model.units import format_duration
from perfhunt.profilers.probes import LiveProbes
from perfhunt.profilers.remote.link import FarHost
from perfhunt.profilers.remote.probes import FarProbes
from perfhunt.profilers.table import versions
from perfhunt.safety.guard import Clearance, Consent, clear
from perfhunt.safety.killswitch import KillswitchWatch
from perfhunt.safety.lock import LockHolder, refuse_foreign, target_lock
from perfhunt.safety.watchdog import Watchdog
from perfhunt.store.digest_key import FORGOTTEN, mark_of
from perfhunt.store.ledger import snapshots
from perfhunt.store.rundir import RunDirectory, fresh_id
from perfhunt.store.testfile import read_question
from perfhunt.target.address import beside, locate
from perfhunt.target.code.sources import sources
from perfhunt.target.find import find_target, is_aimed_at
from perfhunt.target.host.environment import environment
from perfhunt.target.resources.prior_activity import prior_activity
from perfhunt.version import __version__


def question_of(request: InvestigateRequest) -> Question:
    """The question of the test file, with what the request changes. Raises QuestionError (exit
    104), UsageError for a budget that is no time.
    """
    mark = mark_of(request.store)
    question = read_question(request.file, Path.cwd(), os.environ, request.pid, mark)
    budget = question.ramp.budget if request.budget is None else request.budget
    require_time("--budget", budget)
    seed = question.seed if request.seed is None else request.seed
    require_within("--seed", seed, 0, 2**32 - 1)
    require_within("--workers", request.workers, 1, MOST_WORKERS)
    question = replace(question, ramp=replace(question.ramp, budget=budget), seed=seed)
    return question if request.engine is None else with_engine(question, request.engine)


def with_engine(question: Question, name: str) -> Question:
    """The question, asked by another engine. Raises UsageError for one that there is not, or that
    cannot ask it.
    """
    if name not in ENGINES:
        raise UsageError(
            f"--engine {name} is none of {', '.join(ENGINES)}",
            f"{NOT_DRIVEN[name]}: what it would send, the locust engine sends, timed from when it"
            " was due. Leave --engine out."
            if name in NOT_DRIVEN
            else "Leave --engine out: the locust engine is always there.",
        )
    asked = replace(question, engine=EngineName(name))
    for _, what, instead in engine_problems(asked):
        raise UsageError(f"--engine {name}: {what}", f"In the test file: {instead}.")
    return evenly(asked)


@contextmanager
def aimed(
    request: InvestigateRequest, question: Question
) -> Iterator[tuple[Question, TargetProcess]]:
    """The question aimed at the live target, and the target; the block stands in the network that
    load comes to it in. Raises TargetNotFound, UsageError.
    """
    if request.exec_prefix:
        yield _aimed_there(request, question)
        return
    given = request.pid is not None or request.port is not None
    selector = question.target.process
    if given:
        selector = ProcessSelector(pid=request.pid, port=request.port)
    question = aim(question, request.url or "")
    url = question.target.url if request.url or not given else ""
    with beside(selector, url) as entered:
        if entered:
            _refuse_at_home(request, question, entered)
        question, target = target_of(request, question)
        yield question, target.noted(entered)


def _aimed_there(request: InvestigateRequest, question: Question) -> tuple[Question, TargetProcess]:
    """The same of a target that is looked at by way of a command: load goes from here to a url."""
    question = aim(question, request.url or "")
    named = question.target.process
    pid, port = request.pid or named.pid, request.port or named.port
    if not question.target.url or pid is port is None:
        raise UsageError(
            "--exec-prefix needs a process to look at there, and the url that it has from here",
            "Give both: --pid PID --url http://HOST:PORT",
        )
    with far_host(request) as far:
        target = far.target(pid, port).target.noted(f"it was looked at by way of {far.prefix}")
    return question, replace(target, git_root="")


def far_host(request: InvestigateRequest) -> FarHost:
    """Where the target lives. Raises AttachFailed, with the way out."""
    return FarHost(words_of("--exec-prefix", request.exec_prefix))


def _far_probes(
    request: InvestigateRequest, target: TargetProcess, held: ExitStack
) -> FarProbes | None:
    """The probes of a target that does not live here; None for one that does."""
    if not request.exec_prefix:
        return None
    far = held.enter_context(far_host(request))
    return FarProbes(far, far.target(target.root, None), request.profile)


def _refuse_at_home(request: InvestigateRequest, question: Question, entered: str) -> None:
    """Raises UsageError for what is only to be had from our own network."""
    what, instead = "", ""
    if question.safety.killswitch.url:
        what = f"the killswitch's url {question.safety.killswitch.url}"
        instead = "Name a file instead: killswitch = { file = ... } in [safety]"
    if request.bind:
        what, instead = "load workers of other hosts (--bind)", "Leave --bind out"
    if what:
        raise UsageError(
            f"{entered}; {what} cannot be reached from there",
            f"{instead}; or say where the service is published: --url http://HOST:PORT",
        )


def target_of(request: InvestigateRequest, question: Question) -> tuple[Question, TargetProcess]:
    """The live target, and the question aimed at it. Raises TargetNotFound, UsageError.

    A pid or port given by hand wins over the url of the file, unless the file's url is one of its
    ports, or its unix socket.
    """
    question = aim(question, request.url or "")
    if request.pid is None and request.port is None:
        target, url = locate(question.target.process, question.target.url)
        return aim(question, url), target
    selector = ProcessSelector(pid=request.pid, port=request.port)
    url = question.target.url
    target = find_target(selector, url or None)
    if request.url or any(is_aimed_at(listener, url) for listener in target.listeners):
        return question, target
    target, url = locate(selector)
    return aim(question, url), target


def clear_question(
    question: Question, switch: KillswitchWatch, confirm: Confirm | None = None
) -> Clearance:
    """The addresses load may go to. Without `confirm` nobody is asked, so production is refused.
    Raises UnsafeTarget (exit 93).
    """
    consent = Consent(
        env=os.environ, today=datetime.now(UTC).date(), confirm=confirm, switch_works=switch.test
    )
    return clear(question, consent)


@contextmanager
def workbench(
    request: InvestigateRequest,
    question: Question,
    target: TargetProcess,
    kind: RunKind,
    watch: EventWatcher,
    confirm: Confirm | None = None,
) -> Iterator[Lab]:
    """A Lab for a target that load may be sent to, held for as long as the block lasts.

    Raises UnsafeTarget, TargetBusy, AttachFailed or StoreError before anything is sent.
    """
    run_id, stamp = fresh_id(), datetime.now(UTC).isoformat(timespec="seconds")
    if question.engine in FACTS:
        require_program(question.engine, alone=request.workers == 1 and not request.bind)
    with ExitStack() as held:
        switch = held.enter_context(KillswitchWatch(question.safety.killswitch, Path.cwd()))
        cleared = clear_question(question, switch, confirm)
        if cleared.guess:
            watch(Noted(cleared.guess))
        holder = LockHolder.ourselves(run_id, question.redacted().target.url, stamp)
        locked = target_lock(cleared.addresses, cleared.port, holder, path=cleared.path)
        held.enter_context(locked)
        stop = held.enter_context(stopping(question, switch)).stop
        far = _far_probes(request, target, held)
        if not request.allow_busy and far is None:
            refuse_foreign(prior_activity(target))
        engine = ENGINES[question.engine](
            run_id,
            request.workers,
            request.bind,
            cleared.addresses,
            _secret(request),
            cleared.connects,
        )
        code = code_state(target.git_root, request.store, request.trust_repository)
        if code.doubt:
            watch(Noted(code.doubt))
        described = with_doubt(target, code)
        now = surroundings(target, code, mark_of(request.store), far)
        if question.engine in FACTS:
            tools = {**now.tools, question.engine: version_of(question.engine)}
            now = replace(now, tools=tools)
        start = blank_run(run_id, kind, stamp, question, now, described)
        lab = _lab(request, engine, start, target, stop, watch, far)
        with suppress(StoreError):  # a run that cannot be read may need any of them
            prune_kept(request.store, lambda: snapshots(request.store), time.time())
        if request.bind:
            watch(Noted(_who_is_awaited(request)))
        try:
            yield lab
        finally:
            lab.close()


def _secret(request: InvestigateRequest) -> str:
    """What workers from other hosts must know; "" where none can come. Raises UsageError."""
    return find_secret(request.secret, os.environ, make=True) if request.bind else ""


def _who_is_awaited(request: InvestigateRequest) -> str:
    at, secret = master_address(request.bind), named_place(request.secret, os.environ)
    only = " (reached from this machine only)" if at.on_this_machine else ""
    return (
        f"waits up to {format_duration(REMOTE_JOIN_WITHIN)} at {at}{only} for {request.workers} x"
        f" `{at.worker_command}` with the secret that is in {secret}"
    )


def stopping(question: Question, switch: KillswitchWatch) -> Watchdog:
    """What ends a run from outside: a signal, the killswitch, or the longest time it may take."""
    return Watchdog(switch.tripped, max_duration=question.safety.max_duration, clock=time.monotonic)


def _lab(
    request: InvestigateRequest,
    engine: LoadEngine,
    start: Run,
    target: TargetProcess,
    stop: Callable[[], str],
    watch: EventWatcher,
    far: FarProbes | None,
) -> Lab:
    directory = RunDirectory.create(request.store, start)
    profiles = directory.path / "profiles"
    here = LiveProbes(target, profiles, time.monotonic, request.profile, request.open_target)
    return Lab(
        engine=engine,
        probes=far or here,
        texts=sources if far is None else far.sources,
        directory=directory,
        start=start,
        clock=time.monotonic,
        stop=stop,
        watch=watch,
        publish=lambda run, place: publish(run, place, request.artifacts),
    )


def surroundings(
    target: TargetProcess,
    code: CodeState,
    mark: Mark = FORGOTTEN,
    far: FarProbes | None = None,
) -> Environment:
    """The environment of a run whose code is in this state, where the target lives; `mark` stands
    for what its store does not keep.
    """
    if far is not None:
        return replace(far.far.environment(), perfhunt=__version__)
    now = environment(target, versions(), mark)
    git = git_version()
    return replace(
        now,
        tools={**now.tools, "git": git} if git else now.tools,
        git_revision=code.revision,
        git_dirty=code.dirty,
        git_diff_sha256=mark(code.diff_sha256),
        git_snapshot=code.snapshot,
    )


def with_doubt(target: TargetProcess, code: CodeState) -> TargetProcess:
    """The target, with a note when the state of its code was not read."""
    return target.noted(code.doubt)


def blank_run(
    run_id: str,
    kind: RunKind,
    started: str,
    question: Question,
    surroundings: Environment,
    target: TargetProcess | None,
) -> Run:
    """A run before anything was measured."""
    return Run(
        id=run_id,
        kind=kind,
        started=started,
        perfhunt=__version__,
        question=question,
        environment=surroundings,
        target=target,
        verdict=Judgement.UNKNOWN,
    )
