"""From options to a finished run: everything that must hold is checked in order, and nothing is
sent before all of it does.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from perfhunt import __version__
from perfhunt.change.git.worktree import kept_work
from perfhunt.errors import PerfhuntError, UsageError
from perfhunt.investigate import Options, investigate
from perfhunt.jobs.publish import publish
from perfhunt.lab import Lab
from perfhunt.load.engines import DEFAULT_ENGINE, ENGINES
from perfhunt.model.question import ProcessSelector, Question
from perfhunt.model.run import (
    Environment,
    EventWatcher,
    Noted,
    Run,
    RunKind,
    TargetProcess,
    unwatched,
)
from perfhunt.model.slo import Judgement
from perfhunt.model.testfile.testfile import aim
from perfhunt.profilers.probes import LiveProbes
from perfhunt.profilers.table import versions
from perfhunt.safety.guard import Clearance, Consent, clear
from perfhunt.safety.killswitch import KillswitchWatch
from perfhunt.safety.lock import LockHolder, refuse_foreign, target_lock
from perfhunt.safety.watchdog import Watchdog
from perfhunt.store import ledger
from perfhunt.store.listing import find
from perfhunt.store.rundir import RunDirectory, fresh_id, read_directory
from perfhunt.store.testfile import read_question
from perfhunt.target.address import locate
from perfhunt.target.find import find_target
from perfhunt.target.host.environment import environment
from perfhunt.target.resources.prior_activity import prior_activity


@dataclass(frozen=True, slots=True)
class InvestigateRequest:
    """What the command line said about an investigation."""

    pid: int | None = None
    port: int | None = None
    url: str | None = None
    file: Path | None = None
    store: Path = Path(".perfhunt")
    artifacts: Path | None = None
    workers: int = 1
    bind: str = ""
    budget: float | None = None
    seed: int | None = None
    quick: bool = False
    profile: str = "auto"
    open_target: bool = False
    allow_busy: bool = False
    warm_up: bool = False
    resume: str | None = None


def question_of(asked: InvestigateRequest) -> Question:
    """The question of the test file, with what the command line changes. Raises QuestionError (exit
    104).
    """
    question = read_question(asked.file, Path.cwd(), os.environ, asked.pid)
    ramp = question.ramp if asked.budget is None else replace(question.ramp, budget=asked.budget)
    return replace(question, ramp=ramp, seed=question.seed if asked.seed is None else asked.seed)


def target_of(asked: InvestigateRequest, question: Question) -> tuple[Question, TargetProcess]:
    """The live target, and the question aimed at it. Raises TargetNotFound, UsageError.

    A pid or port given by hand wins over the url of the file, unless the file's url is one of its
    ports.
    """
    question = aim(question, asked.url or "")
    if asked.pid is None and asked.port is None:
        target, url = locate(question.target.process, question.target.url)
        return aim(question, url), target
    selector = ProcessSelector(pid=asked.pid, port=asked.port)
    written = urlsplit(question.target.url)
    if asked.url or written.port in [
        one.port for one in find_target(selector, question.target.url or None).listeners
    ]:
        return question, find_target(selector, question.target.url)
    target, url = locate(selector)
    return aim(question, url), target


def clear_question(question: Question, switch: KillswitchWatch) -> Clearance:
    """The addresses load may go to. Raises UnsafeTarget (exit 93)."""
    return clear(
        question,
        Consent(
            os.environ,
            datetime.now(UTC).date(),
            _confirm if sys.stdin.isatty() else None,
            switch.test,
        ),
    )


def _confirm(prompt: str) -> str:
    return input(prompt)


def run_investigation(asked: InvestigateRequest, watch: EventWatcher = unwatched) -> Run:
    """One investigation from options to a stored Run. Raises PerfhuntError; what was measured until
    then is stored.
    """
    question, target = target_of(asked, question_of(asked))
    options = Options(asked.quick, asked.profile != "off", asked.warm_up, resumed(asked, question))
    with ExitStack() as held:
        lab = held.enter_context(workbench(asked, question, target, RunKind.INVESTIGATE, watch))
        return investigate(question, lab, options)


def resumed(asked: InvestigateRequest, question: Question) -> Run | None:
    """The interrupted run to go on with, if one was named. Raises UsageError when it asked another
    question.
    """
    if asked.resume is None:
        return None
    run = read_directory(find(asked.store, asked.resume))
    if run.question.fingerprint() != question.fingerprint():
        raise UsageError(
            f"run {run.id} asked another question, so its trials answer nothing here",
            "Start anew, without --resume.",
        )
    return run


@contextmanager
def workbench(
    asked: InvestigateRequest,
    question: Question,
    target: TargetProcess,
    kind: RunKind,
    watch: EventWatcher,
) -> Iterator[Lab]:
    """A Lab for a target that load may be sent to, held for as long as the block lasts.

    Raises UnsafeTarget, TargetBusy, AttachFailed or StoreError before anything is sent.
    """
    started, run_id = datetime.now(UTC), fresh_id()
    stamp = started.isoformat(timespec="seconds")
    with ExitStack() as held:
        switch = held.enter_context(KillswitchWatch(question.safety.killswitch, Path.cwd()))
        cleared = clear_question(question, switch)
        held.enter_context(
            target_lock(
                cleared.addresses,
                cleared.port,
                LockHolder.ourselves(run_id, question.redacted().target.url, stamp),
            )
        )
        watchdog = held.enter_context(
            Watchdog(
                switch.tripped, max_duration=question.safety.max_duration, clock=time.monotonic
            )
        )
        if not asked.allow_busy:
            refuse_foreign(prior_activity(target))
        engine = ENGINES[DEFAULT_ENGINE](run_id, asked.workers, asked.bind, cleared.addresses)
        start = blank_run(run_id, kind, stamp, question, surroundings(target), target)
        directory = RunDirectory.create(asked.store, start)
        probes = LiveProbes(
            target, directory.path / "profiles", time.monotonic, asked.profile, asked.open_target
        )
        lab = Lab(engine, probes, directory, start, time.monotonic, watchdog.stop, watch)
        lab.publish = publisher(asked, lab)
        try:
            yield lab
        finally:
            lab.close()
            _record(asked.store, lab, watch)


def surroundings(target: TargetProcess) -> Environment:
    """The environment of a run; uncommitted work is kept as a commit of its own, so that `verify`
    can tell the next edit.
    """
    found = environment(target, versions())
    return (
        replace(found, git_snapshot=kept_work(target.git_root))
        if target.git_root and found.git_revision
        else found
    )


def publisher(asked: InvestigateRequest, lab: Lab) -> Callable[[Run, RunDirectory], Run]:
    """What writes the reports into the run, and copies the pictures where CI looks for them."""
    return lambda run, directory: publish(run, directory, asked.artifacts)


def blank_run(
    run_id: str,
    kind: RunKind,
    started: str,
    question: Question,
    found: Environment,
    target: TargetProcess | None,
) -> Run:
    """A run before anything was measured."""
    return Run(run_id, kind, started, __version__, question, found, target, Judgement.UNKNOWN)


def _record(store: Path, lab: Lab, watch: EventWatcher) -> None:
    if lab.run is None:
        return
    try:
        ledger.record(store, lab.run, lab.directory.path)
    except PerfhuntError as error:
        watch(
            Noted(
                f"the run is stored, but the ledger is not: {error.message}; perfhunt history"
                " --rebuild"
            )
        )
