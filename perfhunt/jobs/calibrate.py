"""Rounds of one build against itself: the working tree, started twice, judged as two versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from perfhunt.analysis.verdict.calibration import Calibration
from perfhunt.analysis.verdict.pairs import BASE, HEAD
from perfhunt.change.git.repository import find_repository
from perfhunt.errors import ChangeRefused, StoreError, UsageError
from perfhunt.jobs.stored.run import last_investigation
from perfhunt.jobs.verify.versions import local_question, paired_bench, paired_question, versions
from perfhunt.model.run import EventWatcher, Noted, unwatched
from perfhunt.store.calibration import save_calibration
from perfhunt.store.rundir import fresh_id
from perfhunt.stories.verification import CALIBRATION_ROUNDS, calibrate
from perfhunt.target.launch import ServiceCommand


@dataclass(frozen=True, slots=True)
class CalibrateRequest:
    """The command that starts the service, and how many pairs of identical builds to measure."""

    command: tuple[str, ...]
    file: Path | None = None
    prepare: tuple[str, ...] = ()
    rounds: int = CALIBRATION_ROUNDS
    store: Path = Path(".perfhunt")


def run_calibration(request: CalibrateRequest, watch: EventWatcher = unwatched) -> Calibration:
    """The noise of this host, kept in the store; where that refuses it, that is noted. Raises
    UsageError, QuestionError, Stopped, TargetDied.
    """
    if not request.command:
        raise UsageError(
            "calibrate starts the service itself",
            "perfhunt calibrate -- COMMAND, which must listen on $PORT",
        )
    question = local_question(request.file, request.store)
    directory = request.store / "calibrate" / fresh_id()
    with (
        same_build(request.command, request.prepare) as commands,
        paired_bench(question, commands, directory, watch) as pair,
    ):
        paired = paired_question(last_investigation(request.store), question, pair.bench)
        calibration = calibrate(paired, pair.bench, request.rounds)
    try:
        save_calibration(request.store, calibration, request.command, datetime.now(UTC))
    except StoreError as error:
        watch(Noted(f"later verdicts will not know of it: {error.message}"))
    return calibration


@contextmanager
def same_build(
    words: tuple[str, ...], prepare: tuple[str, ...]
) -> Iterator[Mapping[str, ServiceCommand]]:
    """The working tree twice, in checkouts as `verify` makes them; outside git, in place."""
    try:
        repository = find_repository(Path.cwd())
    except ChangeRefused:
        yield {
            name: ServiceCommand(name=name, words=words, directory=Path.cwd(), prepare=prepare)
            for name in (BASE, HEAD)
        }
        return
    with versions(repository, "", "", words, prepare) as commands:
        yield commands
