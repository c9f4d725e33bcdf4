"""`verify --pid`: git first, then the running code, then the load, then the word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from perfhunt.analysis.change.one_change import require_one
from perfhunt.analysis.verdict.comparable import was_looked_at
from perfhunt.change.git.kept import code_state
from perfhunt.change.git.repository import find_repository
from perfhunt.change.read import read_change
from perfhunt.change.running import differences, same_code, stale
from perfhunt.errors import ChangeRefused, UsageError
from perfhunt.jobs.request import Confirm, InvestigateRequest
from perfhunt.jobs.setup import aimed, surroundings, workbench
from perfhunt.jobs.stored.run import host_noise, hot_stacks
from perfhunt.jobs.verify.attribution import profiles_of, scored, with_attribution
from perfhunt.jobs.verify.edit_patch import edit_patch
from perfhunt.jobs.verify.request import VerifyRequest, VerifyResult
from perfhunt.jobs.verify.stored import base_revision, question_again, stored_run
from perfhunt.model.profile import ProfilePolicy
from perfhunt.model.question import Question
from perfhunt.model.run import Environment, EventWatcher, Noted, Run, RunKind, TargetProcess
from perfhunt.model.verdict.change import Kind, OneChange
from perfhunt.model.verdict.verdict import Verdict, Word
from perfhunt.store.digest_key import mark_of
from perfhunt.stories.investigation import Options, investigate
from perfhunt.stories.verification import verify_rerun

AGAIN = (
    "Start it as it was when it was investigated, with the edit as the only difference;"
    " then verify its pid."
)

ELSEWHERE = (
    "The run before is of another host, where the same code has another speed: let both versions be"
    " started here, with -- COMMAND in the place of --pid, or investigate the old version here."
)

SAME = (
    "what it runs is byte for byte what run {} measured: it was not built from the edit, or the"
    " edit changes nothing in it"
)

UNWATCHED = (
    "profilers looked at the service in the stored run, and --profile off keeps them away now:"
    " leave it out, or investigate the old version again with it"
)


def verify_process(
    request: VerifyRequest, watch: EventWatcher, confirm: Confirm | None
) -> VerifyResult:
    """The verdict on a restarted service, from one new run of the stored question. Raises
    ChangeRefused (exit 92).
    """
    if request.head:
        raise UsageError(
            "--head needs both versions to be started",
            "perfhunt verify --base REV --head REV -- COMMAND",
        )
    stored = stored_run(request)
    asked = question_again(stored, request.file, request.store)
    with aimed(_again(request), asked) as (question, target):
        return _verified(request, stored, question, target, watch, confirm)


def _verified(
    request: VerifyRequest,
    stored: Run,
    question: Question,
    target: TargetProcess,
    watch: EventWatcher,
    confirm: Confirm | None,
) -> VerifyResult:
    place = Path(target.git_root) if target.git_root else Path.cwd()
    repository = find_repository(place, request.trust_repository, request.store)
    change = read_change(repository, base_revision(repository, stored, request))
    patch = edit_patch(repository, change)
    one_change = require_one(change, hot_stacks(stored), request.compound)
    _require_changed(stale(change, target, repository.keeps))
    code = code_state(target.git_root, None, request.trust_repository)
    now = surroundings(target, code, mark_of(request.store))
    if same_code(change, target, stored.environment.code_sha256, now.code_sha256):
        _require_changed((SAME.format(stored.id),))
    name = question.target.name or question.target.url
    if moved := unlike(one_change, stored, target, now):
        verdict = _invalid(moved)
        if stored.environment.host and now.host and stored.environment.host != now.host:
            verdict = replace(verdict, next_step=ELSEWHERE)
        return VerifyResult(verdict=verdict, change=one_change, patch=patch, target=name)
    stored = replace(stored, question=question)
    looked = was_looked_at(stored)
    if looked and request.profile is ProfilePolicy.OFF:
        invalid = _invalid((UNWATCHED,))
        return VerifyResult(verdict=invalid, change=one_change, patch=patch, target=name)
    if not looked and request.profile is ProfilePolicy.AUTO:
        watch(Noted("no profiler attaches: none did in the run that this is compared with"))
        request = replace(request, profile=ProfilePolicy.OFF)
    verdict, new, kept = _asked_again(request, stored, target, one_change, watch, confirm)
    result = VerifyResult(
        verdict=verdict,
        change=one_change,
        patch=patch,
        directory=kept,
        target=name,
        runs=(stored, new),
    )
    if verdict.word is Word.INVALID:
        return result
    before, after, title = profiles_of(stored), profiles_of(new), f"{stored.id} to {new.id}"
    return scored(with_attribution(result, before, after, title), stored, new.knee)


def _require_changed(doubts: tuple[str, ...]) -> None:
    """Raises ChangeRefused when there are doubts whether the changed code runs."""
    if doubts:
        raise ChangeRefused(
            "the running process is not the changed code: " + "; ".join(doubts),
            "Restart the service, built anew where it is compiled, then verify its new pid.",
        )


def _again(request: VerifyRequest) -> InvestigateRequest:
    """The investigation that asks once more."""
    return InvestigateRequest(
        pid=request.pid,
        port=request.port,
        url=request.url,
        file=request.file,
        store=request.store,
        profile=request.profile,
        allow_busy=request.allow_busy,
        trust_repository=request.trust_repository,
        artifacts=request.artifacts,
    )


def _asked_again(
    request: VerifyRequest,
    stored: Run,
    target: TargetProcess,
    one_change: OneChange,
    watch: EventWatcher,
    confirm: Confirm | None,
) -> tuple[Verdict, Run, Path | None]:
    """The verdict, the new run, and where that is kept."""
    calibration = host_noise(request.store, watch)
    options = Options(quick=request.quick, profile=request.profile is not ProfilePolicy.OFF)
    with workbench(_again(request), stored.question, target, RunKind.VERIFY, watch, confirm) as lab:

        def ask(question: Question) -> Run:
            return investigate(question, lab, options)

        verdict, new = verify_rerun(stored, ask, calibration, explained(one_change))
        return verdict, new, lab.place


def _invalid(differences: tuple[str, ...]) -> Verdict:
    reason = "the change is not the only difference: " + "; ".join(differences)
    return Verdict(
        word=Word.INVALID,
        reason=reason,
        method="rerun",
        next_step=AGAIN,
    )


def unlike(
    one_change: OneChange, stored: Run, target: TargetProcess, now: Environment
) -> tuple[str, ...]:
    """What besides the change is not as it was when the run was made."""
    # The edit is counted from the very tree that was measured, committed or not.
    then = replace(stored.environment, git_revision=one_change.change.base, git_dirty=False)
    return differences(one_change.change, then, now, stored.target, target)


def explained(one_change: OneChange) -> frozenset[str]:
    """The fields of the environment that the change accounts for."""
    kinds = {kind for piece in one_change.pieces for kind in piece.kinds}
    return frozenset({"distributions"} if Kind.DEPENDENCY in kinds else ()) | (
        frozenset({"env_sha256", "workers"}) if Kind.CONFIG in kinds else frozenset()
    )
