"""Two versions of a service, checked out and put on a bench: cleared, locked, stoppable."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from perfhunt.analysis.verdict.pairs import BASE, HEAD
from perfhunt.analysis.verdict.rounds import AnalysisPlan
from perfhunt.change.git.repository import Repository
from perfhunt.change.git.worktree import checkout
from perfhunt.errors import UsageError
from perfhunt.jobs.setup import clear_question, stopping
from perfhunt.jobs.stored.run import host_noise
from perfhunt.jobs.verify.starter import CommandStarter
from perfhunt.load.engines import ENGINES
from perfhunt.model.knee import Knee
from perfhunt.model.question import Question, TargetEnvironment
from perfhunt.model.run import EventWatcher, Noted, Run, unwatched
from perfhunt.model.verdict.change import Change
from perfhunt.safety.killswitch import KillswitchWatch
from perfhunt.safety.lock import LockHolder, target_lock
from perfhunt.store.digest_key import mark_of
from perfhunt.store.files import make_directory, open_store
from perfhunt.store.testfile import read_question
from perfhunt.stories.pair_bench import PairBench
from perfhunt.stories.paired_question import PairedQuestion, paired_question_of, survey
from perfhunt.target.launch import ServiceCommand
from perfhunt.target.leash import scratch

# The versions' own ports are chosen later; what must be cleared is the host.
LOCAL = "http://127.0.0.1:80"


@dataclass(frozen=True, slots=True)
class VersionPair:
    """The bench with what starts the versions on it."""

    bench: PairBench
    starter: CommandStarter


def local_question(file: Path | None, store: Path) -> Question:
    """The test file's question, aimed at versions that are started on this host, whatever the file
    aims at. Raises QuestionError.
    """
    question = read_question(file, Path.cwd(), os.environ, mark=mark_of(store))
    return replace(
        question, target=replace(question.target, url=LOCAL, environment=TargetEnvironment.LOCAL)
    )


def analysis_plan(store: Path, watch: EventWatcher = unwatched) -> AnalysisPlan:
    """How comparisons go on this host, from what is known of its noise. Raises UsageError when it
    is known to be unfit for verdicts.
    """
    calibration = host_noise(store, watch)
    if calibration is None:
        return AnalysisPlan()
    if calibration.refused:
        raise UsageError(
            f"no verdict can be trusted on this host: {calibration.refused}",
            "; ".join([*calibration.advice, "then calibrate again: perfhunt calibrate -- COMMAND"]),
        )
    return AnalysisPlan(priors=calibration.priors(), noise=calibration.sentence())


def paired_question(stored: Run | None, question: Question, bench: PairBench) -> PairedQuestion:
    """The rates to compare at: from a stored run of the base version that asked this question on
    this host, else from a survey of the base version.
    """
    if stored is not None and _answers(stored, question):
        return paired_question_of(stored, question)
    return survey(question, bench)


def _answers(stored: Run, question: Question) -> bool:
    return (
        isinstance(stored.knee, Knee)
        and stored.environment.host in ("", platform.node())
        and stored.question.fingerprint() == question.fingerprint()
    )


@contextmanager
def versions(
    repository: Repository,
    base: str,
    head: str,
    words: tuple[str, ...],
    prepare: tuple[str, ...],
    watch: EventWatcher = unwatched,
) -> Iterator[Mapping[str, ServiceCommand]]:
    """Both versions checked out beside the user's tree, each command in its directory there."""
    here = repository.inside(Path.cwd())

    def say(sentence: str) -> None:
        watch(Noted(sentence))

    with (
        checkout(repository, base, prepare, say=say) as older,
        checkout(repository, head, prepare, say=say) as newer,
    ):
        places = {BASE: older / here, HEAD: newer / here}
        for name, place in places.items():
            if not place.is_dir():
                raise UsageError(
                    f"{here} is not in the {name} version",
                    "Run it from a directory that both versions have.",
                )
        yield {
            name: ServiceCommand(name=name, words=from_here(words, place), directory=place)
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


@contextmanager
def paired_bench(
    question: Question,
    commands: Mapping[str, ServiceCommand],
    directory: Path,
    watch: EventWatcher,
    change: Change | None = None,
) -> Iterator[VersionPair]:
    """A bench for versions started by command: cleared, locked and stoppable, with logs and samples
    under `directory`. With a `change` the two must run different code.
    """
    open_store(directory.parent.parent)
    make_directory(directory)
    with ExitStack() as held:
        switch = held.enter_context(KillswitchWatch(question.safety.killswitch, Path.cwd()))
        cleared = clear_question(question, switch)
        stamp = datetime.now(UTC).isoformat(timespec="seconds")
        # Ports are chosen by the starter, so the lock is on the pair bench of this host as such:
        # two would disturb each other.
        holder = LockHolder.ourselves(directory.name, "paired versions", stamp)
        held.enter_context(target_lock(cleared.addresses, 0, holder))
        watchdog = held.enter_context(stopping(question, switch))
        # What a service prints may hold anything: it is kept only when that was asked for.
        kept = question.keep_error_text
        logs = directory if kept else held.enter_context(scratch("perfhunt-versions-"))
        starter = CommandStarter(commands, logs, change)
        starter.prepare()
        bench = PairBench(
            starter=starter,
            engine=lambda: ENGINES[question.engine](
                directory.name, addresses=cleared.addresses, connects=cleared.connects
            ),
            clock=time.monotonic,
            directory=directory,
            stop=watchdog.stop,
            watch=watch,
        )
        if change is not None:
            starter.require_head(watchdog.stop)
        held.callback(bench.close)
        yield VersionPair(bench, starter)
