"""`verify --pid`: git first, then the running code, then the load, then the word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from perfhunt import verify
from perfhunt.analysis.change.one_change import require_one
from perfhunt.change.git.repository import Repository, find_repository
from perfhunt.change.read import read_change
from perfhunt.change.running import differences, stale
from perfhunt.cli import console
from perfhunt.cli.verbs.calibrate import load_calibration
from perfhunt.cli.verbs.change import hot_stacks
from perfhunt.cli.view.watchers import watching
from perfhunt.errors import ChangeRefused, UsageError
from perfhunt.investigate import Options, investigate
from perfhunt.jobs.setup import InvestigateRequest, surroundings, target_of, workbench
from perfhunt.jobs.verify.attribution import attributed, difference_picture, gain_of, sides_of
from perfhunt.jobs.verify.revert import refuse_to_rewrite, undo_of
from perfhunt.jobs.verify.verify import (
    VerifyRequest,
    VerifyResult,
    base_revision,
    question_again,
    stored_run,
)
from perfhunt.model.run import Run, RunKind, TargetProcess
from perfhunt.model.verdict.change import Kind, OneChange
from perfhunt.model.verdict.verdict import Verdict, Word
from perfhunt.store.files import write_atomic

AGAIN = (
    "Start it as it was when it was investigated, with the edit as the only difference; then verify"
    " its pid."
)


def verify_process(wanted: VerifyRequest) -> VerifyResult:
    """The verdict on a restarted service, from one new run of the stored question. Raises
    ChangeRefused (exit 92).
    """
    if wanted.head:
        raise UsageError(
            "--head needs both versions to be started",
            "perfhunt verify --base REV --head REV -- COMMAND",
        )
    refuse_to_rewrite(wanted.revert, wanted.head)
    stored = stored_run(wanted)
    asked = InvestigateRequest(
        wanted.pid,
        wanted.port,
        wanted.url,
        wanted.file,
        wanted.store,
        profile=wanted.profile,
        allow_busy=wanted.allow_busy,
    )
    question, target = target_of(asked, question_again(stored, wanted.file))
    repository = (
        Repository(Path(target.git_root)) if target.git_root else find_repository(Path.cwd())
    )
    change = read_change(repository, base_revision(repository, stored, wanted))
    back = undo_of(repository, change, repository.worktree_tree())
    one = require_one(change, hot_stacks(stored), wanted.compound)
    if doubts := stale(change, target):
        raise ChangeRefused(
            "the running process is not the changed code: " + "; ".join(doubts),
            "Restart the service, then verify its new pid.",
        )
    if moved := unlike(one, stored, target):
        reason = "the change is not the only difference: " + "; ".join(moved)
        return VerifyResult(
            Verdict(Word.INVALID, reason, "rerun", next_step=AGAIN),
            one,
            back,
        )
    calibration, note = load_calibration(wanted.store)
    if note and not wanted.quiet:
        console.note(note)
    with (
        watching(as_json=wanted.as_json, quiet=wanted.quiet) as watch,
        workbench(asked, question, target, RunKind.VERIFY, watch) as lab,
    ):
        options = Options(quick=wanted.quick, profile=wanted.profile != "off")
        verdict, new = verify.verify_rerun(
            replace(stored, question=question),
            lambda again: investigate(again, lab, options),
            calibration,
            explained(one),
        )
    directory = wanted.store / "runs" / new.id
    outcome = VerifyResult(verdict, one, back, directory)
    return outcome if verdict.word is Word.INVALID else with_attribution(outcome, stored, new)


def unlike(one: OneChange, stored: Run, target: TargetProcess) -> tuple[str, ...]:
    """What besides the change is not as it was when the run was made."""
    # The edit is counted from the very tree that was measured, committed or not.
    then = replace(stored.environment, git_revision=one.change.base, git_dirty=False)
    return differences(one.change, then, surroundings(target), stored.target, target)


def with_attribution(outcome: VerifyResult, stored: Run, new: Run) -> VerifyResult:
    """The outcome with the edited functions' share in it, and a differential flame graph beside the
    run.
    """
    before, after = sides_of(stored), sides_of(new)
    found = attributed(outcome.one, before, after, gain_of(outcome.verdict), stored, new.knee)
    picture = difference_picture(before, after, f"{stored.id} to {new.id}")
    if picture and outcome.directory is not None:
        write_atomic(outcome.directory / "difference.svg", picture)
    return replace(outcome, attribution=found)


def explained(one: OneChange) -> frozenset[str]:
    """The fields of the environment that the change accounts for."""
    kinds = {kind for piece in one.pieces for kind in piece.kinds}
    return frozenset({"distributions"} if Kind.DEPENDENCY in kinds else ()) | (
        frozenset({"env_sha256", "workers"}) if Kind.CONFIG in kinds else frozenset()
    )
