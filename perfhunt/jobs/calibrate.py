"""Rounds of one build against itself: the working tree, started twice, judged as if it were two
versions.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from perfhunt import verify
from perfhunt.analysis.verdict.calibration import Calibration
from perfhunt.analysis.verdict.pairs import BASE, HEAD
from perfhunt.change.git.repository import find_repository
from perfhunt.cli.verbs.calibrate import save_calibration
from perfhunt.cli.verbs.change import last_investigation
from perfhunt.cli.view.watchers import watching
from perfhunt.errors import ChangeRefused
from perfhunt.jobs.verify.command import locally, paired_bench, versions
from perfhunt.model.knee import Knee
from perfhunt.store.rundir import fresh_id
from perfhunt.store.testfile import read_question
from perfhunt.target.launch import ServiceCommand


def measure(
    words: tuple[str, ...],
    file: Path | None,
    prepare: tuple[str, ...],
    rounds: int,
    store: Path,
    *,
    as_json: bool,
    quiet: bool,
) -> Calibration:
    """The noise of this host, kept in the store. Raises UsageError, QuestionError, Stopped,
    TargetDied.
    """
    question = locally(read_question(file, Path.cwd(), os.environ))
    directory = store / "calibrate" / fresh_id()
    with watching(as_json=as_json, quiet=quiet) as watch, ExitStack() as held:
        commands = held.enter_context(same_build(words, prepare))
        pair = held.enter_context(paired_bench(question, commands, directory, watch))
        run = last_investigation(store)
        if (
            run is not None
            and isinstance(run.knee, Knee)
            and run.question.fingerprint() == question.fingerprint()
        ):
            asking = replace(verify.asked_of(run), question=question)
        else:
            asking = verify.survey(question, pair.bench)
        found = verify.calibrate(asking, pair.bench, rounds)
    save_calibration(store, found, words, datetime.now(UTC))
    return found


@contextmanager
def same_build(
    words: tuple[str, ...], prepare: tuple[str, ...]
) -> Iterator[Mapping[str, ServiceCommand]]:
    """The working tree twice, in checkouts of their own as `verify` makes them; outside git, in
    place.
    """
    try:
        repository = find_repository(Path.cwd())
    except ChangeRefused:
        yield {
            name: ServiceCommand(name, words, Path.cwd(), prepare=prepare) for name in (BASE, HEAD)
        }
        return
    with versions(repository, "", "", words, prepare) as commands:
        yield commands
