"""`verify -- COMMAND`: both versions started from git, restarted side by side, judged, then
profiled at the same load.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from perfhunt import verify
from perfhunt.analysis.change.one_change import require_one
from perfhunt.analysis.verdict.pairs import BASE, HEAD
from perfhunt.analysis.verdict.rounds import AnalysisPlan
from perfhunt.change.git.repository import Repository, find_repository
from perfhunt.change.git.worktree import checkout
from perfhunt.change.read import read_change
from perfhunt.cli import console
from perfhunt.cli.verbs.calibrate import load_calibration
from perfhunt.cli.verbs.change import base_of, hot_stacks
from perfhunt.cli.view.watchers import watching
from perfhunt.errors import AttachFailed, LoadFailed, PerfhuntError, Stopped, TargetDied, UsageError
from perfhunt.jobs.setup import clear_question
from perfhunt.jobs.verify.attribution import attributed, difference_picture, gain_of
from perfhunt.jobs.verify.profiles import profile_versions
from perfhunt.jobs.verify.revert import refuse_to_rewrite, undo_of
from perfhunt.jobs.verify.verify import (
    VerifyRequest,
    VerifyResult,
    base_revision,
    budget_of,
    stored_run,
)
from perfhunt.load.engines import DEFAULT_ENGINE, ENGINES
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.knee import Knee
from perfhunt.model.question import Question, TargetEnvironment
from perfhunt.model.run import EventWatcher, Noted, Run
from perfhunt.model.verdict.verdict import Verdict, Word
from perfhunt.safety.killswitch import KillswitchWatch
from perfhunt.safety.lock import LockHolder, target_lock
from perfhunt.safety.watchdog import Watchdog
from perfhunt.store.files import write_atomic
from perfhunt.store.rundir import fresh_id
from perfhunt.store.testfile import read_question
from perfhunt.target.launch import ServiceCommand

# the versions' own ports are chosen later; what must be cleared is the host
LOCAL = "http://127.0.0.1:80"


@dataclass(frozen=True, slots=True)
class VersionPair:
    """The bench with what starts the versions on it."""

    bench: verify.PairBench
    starter: verify.CommandStarter


def verify_command(wanted: VerifyRequest, words: tuple[str, ...]) -> VerifyResult:
    """The verdict on two versions from git, started side by side. Raises ChangeRefused (exit 92),
    UsageError.
    """
    refuse_to_rewrite(wanted.revert, wanted.head)
    budget, repository = budget_of(wanted.budget), find_repository(Path.cwd())
    stored = stored_or_none(wanted)
    base = base_revision(repository, stored, wanted)
    change = read_change(repository, base, wanted.head)
    back = undo_of(
        repository,
        change,
        repository.tree(change.head) if change.head else repository.worktree_tree(),
    )
    one = require_one(change, hot_stacks(stored), wanted.compound)
    question, analysis = (
        locally(read_question(wanted.file, Path.cwd(), os.environ)),
        looking_of(wanted),
    )
    directory = wanted.store / "verify" / fresh_id()
    with watching(as_json=wanted.as_json, quiet=wanted.quiet) as watch, ExitStack() as held:
        commands = held.enter_context(
            versions(repository, base, wanted.head, words, wanted.prepare)
        )
        pair = held.enter_context(paired_bench(question, commands, directory, watch))
        asking = asked_of(stored, question, base) or verify.survey(question, pair.bench)
        verdict = verify.verify_paired(asking, pair.bench, budget, analysis)
        outcome = VerifyResult(verdict, one, back, directory)
        return outcome if wanted.profile == "off" else with_profiles(outcome, asking, pair, stored)


def stored_or_none(wanted: VerifyRequest) -> Run | None:
    """The run to compare with where there is one: it saves the survey, and its profile joins edits
    on one hot path.
    """
    try:
        return stored_run(wanted)
    except UsageError:
        if wanted.run not in ("last", "latest"):
            raise
        return None


def locally(question: Question) -> Question:
    """The question aimed at versions that are started on this host, whatever its test file aims
    at.
    """
    return replace(
        question, target=replace(question.target, url=LOCAL, environment=TargetEnvironment.LOCAL)
    )


def looking_of(wanted: VerifyRequest) -> AnalysisPlan:
    """What is known of this host's noise. Raises UsageError when it is known to be unfit for
    verdicts.
    """
    calibration, note = load_calibration(wanted.store)
    if note and not wanted.quiet:
        console.note(note)
    if calibration is None:
        return AnalysisPlan()
    if calibration.refused:
        raise UsageError(
            f"no verdict can be trusted on this host: {calibration.refused}",
            "; ".join([*calibration.advice, "then calibrate again: perfhunt calibrate -- COMMAND"]),
        )
    return AnalysisPlan(calibration.priors(), noise=calibration.sentence())


def asked_of(stored: Run | None, question: Question, base: str) -> verify.PairedQuestion | None:
    """The rates to compare at, from a stored run of the base version with this question on this
    host; None without one.
    """
    if (
        stored is None
        or not isinstance(stored.knee, Knee)
        or stored.environment.host not in ("", platform.node())
    ):
        return None
    if stored.question.fingerprint() != question.fingerprint() or base_of(stored) != base:
        return None
    return replace(verify.asked_of(stored), question=question)


@contextmanager
def versions(
    repository: Repository, base: str, head: str, words: tuple[str, ...], prepare: tuple[str, ...]
) -> Iterator[Mapping[str, ServiceCommand]]:
    """Both versions checked out beside the user's tree, each command set in the directory it was
    typed in.
    """
    here = inside(repository)
    with checkout(repository, base, prepare) as older, checkout(repository, head, prepare) as newer:
        places = {BASE: older.path / here, HEAD: newer.path / here}
        for name, place in places.items():
            if not place.is_dir():
                raise UsageError(
                    f"{here} is not in the {name} version",
                    "Run it from a directory that both versions have.",
                )
        yield {
            name: ServiceCommand(name, from_here(words, place), place)
            for name, place in places.items()
        }


def from_here(words: tuple[str, ...], place: Path) -> tuple[str, ...]:
    """The command with its program named in full when it lies in the user's tree only:
    `.venv/bin/gunicorn` is in no checkout.
    """
    program = Path.cwd() / words[0]
    if "/" in words[0] and not (place / words[0]).exists() and program.exists():
        return (str(program), *words[1:])
    return words


def inside(repository: Repository) -> Path:
    """Where the current directory lies in the repository."""
    return Path.cwd().resolve().relative_to(repository.root.resolve())


@contextmanager
def paired_bench(
    question: Question, commands: Mapping[str, ServiceCommand], directory: Path, watch: EventWatcher
) -> Iterator[VersionPair]:
    """A bench for versions started by command: cleared, locked and stoppable, with logs and samples
    under `directory`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    store = directory.parent.parent
    if not (store / ".gitignore").exists():
        write_atomic(store / ".gitignore", "*\n")
    with ExitStack() as held:
        switch = held.enter_context(KillswitchWatch(question.safety.killswitch, Path.cwd()))
        cleared = clear_question(question, switch)
        stamp = datetime.now(UTC).isoformat(timespec="seconds")
        # Ports are chosen by the starter, so the lock is on the pair bench of this host as such:
        # two would disturb each other.
        held.enter_context(
            target_lock(
                cleared.addresses,
                0,
                LockHolder.ourselves(directory.name, "paired versions", stamp),
            )
        )
        watchdog = held.enter_context(
            Watchdog(
                switch.tripped, max_duration=question.safety.max_duration, clock=time.monotonic
            )
        )
        starter = verify.CommandStarter(commands, directory)
        starter.prepare()
        bench = verify.PairBench(
            starter,
            lambda: ENGINES[DEFAULT_ENGINE](directory.name),
            time.monotonic,
            directory,
            watchdog.stop,
            watch,
        )
        held.callback(bench.close)
        yield VersionPair(bench, starter)


def with_profiles(
    outcome: VerifyResult, asking: verify.PairedQuestion, pair: VersionPair, stored: Run | None
) -> VerifyResult:
    """The outcome with a profile of each version at the same load: which functions moved, and a
    differential flame graph.

    The verdict stands whatever happens here, a stop included: the rounds behind it are done. What
    went wrong becomes a caution.
    """
    if outcome.verdict.word is Word.INVALID or outcome.directory is None:
        return outcome
    try:
        seen = profile_versions(asking, pair.bench, pair.starter)
    except (AttachFailed, LoadFailed, Stopped, TargetDied, UsageError) as error:
        pair.bench.watch(Noted(f"no attribution: {error.message}"))
        return replace(outcome, verdict=doubted(outcome.verdict, error))
    before, after = seen[BASE], seen[HEAD]
    picture = difference_picture(before, after, "base to head at the same load")
    if picture:
        write_atomic(outcome.directory / "difference.svg", picture)
    return replace(
        outcome,
        attribution=attributed(outcome.one, before, after, gain_of(outcome.verdict), stored),
    )


def doubted(verdict: Verdict, error: PerfhuntError) -> Verdict:
    """The verdict with a caution that no function could be tied to it."""
    caution = Caution(
        CautionCode.NO_ATTRIBUTION,
        f"the effect could not be tied to functions: {error.message}",
        error.hint,
    )
    return replace(verdict, cautions=(*verdict.cautions, caution))
