"""The stored run that a change is held against: which one, what its edit is counted from, and its
question asked again.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from perfhunt.change.git.repository import Repository
from perfhunt.errors import ChangeRefused, QuestionError, UsageError
from perfhunt.jobs.stored.baseline import packed_baseline, require_same_question, require_whole
from perfhunt.jobs.stored.run import base_of, load_run, newest_investigation
from perfhunt.jobs.verify.request import VerifyRequest
from perfhunt.model.question import Question
from perfhunt.model.run import Environment, Run
from perfhunt.store.digest_key import mark_of
from perfhunt.store.rundir import read_directory
from perfhunt.store.testfile import read_question

NEWEST = ("last", "latest")


def with_baseline(request: VerifyRequest) -> VerifyRequest:
    """The request with the run of its packed baseline as what to compare with, if it names one.
    Raises StoreError; UsageError when that is no whole investigation, or a run is named as well;
    QuestionError when the test file asks something else.
    """
    if request.against is None:
        return request
    if request.run not in NEWEST:
        raise UsageError(
            "--against FILE and RUN both name what to compare with", "Give one of them."
        )
    run = packed_baseline(request.against)
    written = _written(request.file, request.store)
    if written is not None:
        require_same_question(run, written)
    return replace(request, run=run)


def stored_run(request: VerifyRequest) -> Run:
    """The run to compare with: the newest investigation, or the one named. Raises UsageError when
    it cannot be compared with.
    """
    run = _named(request)
    require_whole(run)
    return run


def _named(request: VerifyRequest) -> Run:
    if isinstance(request.run, Run):
        return request.run
    if request.run not in NEWEST:
        return load_run(request.run, request.store)
    path = newest_investigation(request.store)
    if path is None:
        raise UsageError(
            f"there is no investigation to compare with in {request.store.absolute()}",
            "Make one first: perfhunt investigate --pid PID; or say where they are: --store PATH",
        )
    return read_directory(path)


def stored_or_none(request: VerifyRequest) -> Run | None:
    """The run to compare with where there is one: it saves the survey, and its profile joins edits
    on one hot path.
    """
    try:
        return stored_run(request)
    except UsageError:
        if request.run not in NEWEST:
            raise
        return None


def base_revision(repository: Repository, stored: Run | None, request: VerifyRequest) -> str:
    """The id of the commit an edit is counted from. Raises ChangeRefused when a run's uncommitted
    work is not to be had.
    """
    if request.base or stored is None:
        return repository.resolve(request.base or "HEAD")
    if doubt := _uncommitted(repository, stored.environment):
        raise ChangeRefused(
            f"run {stored.id} measured uncommitted work, {doubt}",
            "Commit what you start from, investigate that, then make the one edit and verify it.",
        )
    measured = base_of(stored)
    if repository.attempt("cat-file", "-e", f"{measured}^{{commit}}").returncode:
        raise UsageError(
            f"the commit that run {stored.id} measured, {measured[:12]}, is not in this clone",
            "Fetch it: git fetch --unshallow (in CI: fetch-depth: 0), or name another: --base REV",
        )
    return repository.resolve(measured)


def _uncommitted(repository: Repository, measured: Environment) -> str:
    """Why the tree that a run measured is not to be had; "" when it is."""
    snapshot = measured.git_snapshot
    if not snapshot:
        return "so the edit since then cannot be told from it" if measured.git_dirty else ""
    if repository.attempt("cat-file", "-e", f"{snapshot}^{{commit}}").returncode:
        return "which git has tidied away since"
    return ""


def question_again(stored: Run, file: Path | None, store: Path) -> Question:
    """The stored question; header values and bodies, which no run of a store holds, are the test
    file's.

    Raises QuestionError when they are needed and the test file's traffic is not the run's any more.
    """
    question = stored.question
    written = _written(file, store)
    if written is not None:
        whole = replace(
            question,
            traffic=written.traffic,
            login=written.login,
            safety=written.safety,
            locustfile=written.locustfile,
            locustfile_sha256=written.locustfile_sha256,
            locust_options=written.locust_options,
            locust_withheld=written.locust_withheld,
            k6_script=written.k6_script,
            k6_script_sha256=written.k6_script_sha256,
            keep_error_text=written.keep_error_text,
        )
        if whole.fingerprint() == question.fingerprint():
            return whole
    if question.is_redacted():
        raise QuestionError(
            f"the test file does not ask what run {stored.id} asked, and a stored run keeps no"
            " bodies or secrets to send again",
            "Take the edit out of perfhunt.toml (git diff shows it),"
            " or investigate again with the new question.",
        )
    return question


def _written(file: Path | None, store: Path) -> Question | None:
    """The test file's question; None when there is none where one is looked for."""
    try:
        return read_question(file, Path.cwd(), os.environ, mark=mark_of(store))
    except QuestionError:
        if file is not None:
            raise
        return None
