"""What both ways of verifying share: the stored run, its question, and the verdict kept and
told.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

from perfhunt.change.git.repository import Repository
from perfhunt.cli import console
from perfhunt.cli.verbs.change import base_of
from perfhunt.errors import ChangeRefused, QuestionError, UsageError
from perfhunt.jobs.verify.revert import Undo, undo
from perfhunt.model.document.plain import to_plain
from perfhunt.model.document.writing import verdict_document
from perfhunt.model.question import Question
from perfhunt.model.run import Run, RunEnd, RunKind
from perfhunt.model.units import Seconds, UnitError, parse_duration
from perfhunt.model.verdict.attribution import Attribution
from perfhunt.model.verdict.change import OneChange
from perfhunt.model.verdict.verdict import Verdict, Word
from perfhunt.reports.verdict_text import verdict_lines
from perfhunt.store import ledger
from perfhunt.store.files import write_atomic
from perfhunt.store.listing import find
from perfhunt.store.rundir import read_directory
from perfhunt.store.testfile import read_question


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """What the command line said about a verification."""

    run: str = "last"
    pid: int | None = None
    port: int | None = None
    url: str | None = None
    file: Path | None = None
    base: str = ""
    head: str = ""
    prepare: tuple[str, ...] = ()
    budget: str = "14m"
    quick: bool = False
    profile: str = "auto"
    compound: str = ""
    revert: bool = False
    allow_busy: bool = False
    as_json: bool = False
    quiet: bool = False
    store: Path = Path(".perfhunt")


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """A verdict with what it is about, and the directory it is kept in (None: nothing was
    measured).
    """

    verdict: Verdict
    one: OneChange
    undo: Undo
    directory: Path | None = None
    attribution: Attribution | None = None


def stored_run(wanted: VerifyRequest) -> Run:
    """The run to compare with: the newest investigation, or the one named. Raises UsageError when
    it cannot be compared with.
    """
    if wanted.run in ("last", "latest"):
        rows = (
            ledger.history(wanted.store, kind=RunKind.INVESTIGATE, limit=1)
            if wanted.store.is_dir()
            else ()
        )
        if not rows:
            raise UsageError(
                "there is no investigation to compare with",
                "Make one first: perfhunt investigate --pid PID",
            )
        run = read_directory(wanted.store / rows[0].path)
    else:
        run = read_directory(find(wanted.store, wanted.run))
    if run.kind == RunKind.PROFILE:
        raise UsageError(
            f"run {run.id} is a profile: it measured no rate",
            "Name an investigation: perfhunt history",
        )
    if run.ended != RunEnd.COMPLETE:
        raise UsageError(
            f"run {run.id} was cut short ({run.ended})",
            "Name a whole one; they are listed by: perfhunt history",
        )
    return run


def base_revision(repository: Repository, stored: Run | None, wanted: VerifyRequest) -> str:
    """The id of the commit an edit is counted from. Raises ChangeRefused when a run's uncommitted
    work is not to be had.
    """
    if wanted.base or stored is None:
        return repository.resolve(wanted.base or "HEAD")
    found, advice = (
        stored.environment,
        "Commit what you start from, investigate that, then make the one edit and verify it.",
    )
    if (
        found.git_snapshot
        and repository.attempt("cat-file", "-e", f"{found.git_snapshot}^{{commit}}").returncode
    ):
        raise ChangeRefused(
            f"run {stored.id} measured uncommitted work, which git has tidied away since", advice
        )
    if found.git_dirty and not found.git_snapshot:
        raise ChangeRefused(
            f"run {stored.id} measured uncommitted work, so the edit since then cannot be told"
            " from it",
            advice,
        )
    return repository.resolve(base_of(stored))


def question_again(stored: Run, file: Path | None) -> Question:
    """The stored question, with the header values and bodies that a run may not hold taken from the
    test file.

    Raises QuestionError when they are needed and the test file's traffic is not the run's any more.
    """
    asked = stored.question
    try:
        written = read_question(file, Path.cwd(), os.environ)
    except QuestionError:
        if file is not None:
            raise
        written = None
    if written is not None:
        locust = {"locustfile": written.locustfile, "locustfile_sha256": written.locustfile_sha256}
        whole = replace(asked, traffic=written.traffic, safety=written.safety, **locust)  # type: ignore[arg-type]
        if whole.fingerprint() == asked.fingerprint():
            return whole
    if "sha256:" in json.dumps([[e.path, e.headers, e.body] for e in asked.traffic]):
        raise QuestionError(
            f"the test file does not ask what run {stored.id} asked, and a stored run keeps no"
            " bodies or secrets to send again",
            "Take the edit out of perfhunt.toml (git diff shows it), or investigate again with the"
            " new question.",
        )
    return asked


def budget_of(text: str) -> Seconds:
    """Seconds of a --budget. Raises UsageError."""
    try:
        return parse_duration(text)
    except UnitError as error:
        raise UsageError(f"--budget: {error}") from error


def keep(outcome: VerifyResult) -> None:
    """Store a verdict as verdict.json, and the edit it is about as change.patch, beside what was
    measured.
    """
    if outcome.directory is None:
        return
    write_atomic(outcome.directory / "change.patch", outcome.undo.patch)
    write_atomic(outcome.directory / "verdict.json", json.dumps(plain(outcome), indent=2) + "\n")


def plain(outcome: VerifyResult) -> dict[str, object]:
    """A verdict as JSON values."""
    return {
        "schema": 1,
        "word": str(outcome.verdict.word),
        "exit_code": int(outcome.verdict.exit_code),
        "verdict": verdict_document(outcome.verdict, outcome.one),
        "change": to_plain(outcome.one),
        "attribution": to_plain(outcome.attribution) if outcome.attribution else None,
    }


def tell(outcome: VerifyResult, wanted: VerifyRequest) -> list[str]:
    """The verdict as it was asked for, a line each; on REVERT the edit is taken out first if that
    was wanted.
    """
    step = _next(outcome, wanted)
    verdict = replace(outcome.verdict, next_step=step or outcome.verdict.next_step)
    outcome = replace(outcome, verdict=verdict)
    keep(outcome)
    if wanted.as_json:
        where = str(outcome.directory) if outcome.directory else None
        return [json.dumps({"event": "verdict", **plain(outcome), "directory": where})]
    if wanted.quiet:
        label = f" ({outcome.one.label})" if outcome.one.label else ""
        return [console.clean(f"{verdict.word}{label}: {verdict.reason}")]
    lines = verdict_lines(verdict, outcome.one, outcome.attribution)
    if outcome.directory is not None:
        lines += ["", f"stored: {outcome.directory / 'verdict.json'}"]
    return [console.clean(line) for line in lines]


def _next(outcome: VerifyResult, wanted: VerifyRequest) -> str:
    """What to do about the edit; on REVERT with --revert it is done here."""
    word, directory = outcome.verdict.word, outcome.directory
    if word is Word.KEEP:
        again = (
            f", or let the next edit be compared with this run: perfhunt verify {directory.name}"
            if directory
            else ""
        )
        return "commit the change, then look for the next bottleneck: perfhunt investigate" + (
            again if outcome.verdict.method == "rerun" else ""
        )
    if word not in (Word.REVERT, Word.NO_CHANGE, Word.NOT_WORTH_IT) or directory is None:
        return ""
    if word is Word.REVERT and wanted.revert:
        return undo(outcome.undo)
    return f"take it out again: {outcome.undo.command(directory / 'change.patch')}" + (
        "" if outcome.undo.revision else " (git apply, without -R, puts it back)"
    )
