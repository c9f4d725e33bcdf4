"""`verify -- COMMAND`: both versions started from git, restarted side by side, judged, then
profiled at the same load.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from perfhunt.analysis.change.one_change import require_one
from perfhunt.analysis.verdict.pairs import BASE, HEAD
from perfhunt.change.git.repository import find_repository
from perfhunt.change.read import read_change
from perfhunt.errors import (
    AttachFailed,
    LoadFailed,
    PerfhuntError,
    Stopped,
    StoreError,
    TargetDied,
    UsageError,
)
from perfhunt.jobs.stored.run import base_of, hot_stacks
from perfhunt.jobs.verify.attribution import VersionProfiles, scored, with_attribution
from perfhunt.jobs.verify.edit_patch import edit_patch, refuse_to_rewrite
from perfhunt.jobs.verify.keeping import cautioned, keep
from perfhunt.jobs.verify.profiles import profile_versions
from perfhunt.jobs.verify.request import VerifyRequest, VerifyResult
from perfhunt.jobs.verify.stored import base_revision, stored_or_none
from perfhunt.jobs.verify.versions import (
    VersionPair,
    analysis_plan,
    local_question,
    paired_bench,
    paired_question,
    versions,
)
from perfhunt.model.finding import CautionCode
from perfhunt.model.profile import ProfilePolicy
from perfhunt.model.run import EventWatcher, Noted
from perfhunt.model.verdict.change import Change
from perfhunt.model.verdict.verdict import Word
from perfhunt.store.rundir import fresh_id
from perfhunt.stories.paired_question import PairedQuestion
from perfhunt.stories.verification import verify_paired

IMPORTED = (
    "The package is installed from your tree. Let the command import what lies beside it (env"
    " PYTHONPATH=src ...), or install each checkout for itself: --prepare COMMAND"
)


def verify_command(request: VerifyRequest, watch: EventWatcher) -> VerifyResult:
    """The verdict on two versions from git, side by side. Raises ChangeRefused (92), UsageError."""
    refuse_to_rewrite(request.revert, request.head)
    repository = find_repository(Path.cwd(), request.trust_repository, request.store)
    stored = stored_or_none(request)
    base = base_revision(repository, stored, request)
    change = read_change(repository, base, request.head)
    patch = edit_patch(repository, change)
    one_change = require_one(change, hot_stacks(stored), request.compound)
    question, analysis = (
        local_question(request.file, request.store),
        analysis_plan(request.store, watch),
    )
    directory = request.store / "verify" / fresh_id()
    measured: list[VerifyResult] = []
    try:
        with (
            versions(
                repository, base, request.head, request.command, request.prepare, watch
            ) as commands,
            paired_bench(question, commands, directory, watch, change) as pair,
        ):
            of_base = stored if base_of(stored) == base else None
            paired = paired_question(of_base, question, pair.bench)
            verdict = verify_paired(paired, pair.bench, request.budget, analysis)
            result = VerifyResult(
                verdict=verdict,
                change=one_change,
                patch=patch,
                directory=directory,
                target=question.target.name or question.target.url,
            )
            # From here on nothing can lose the verdict: what is still to come explains it.
            measured.append(keep(result))
            if request.profile is not ProfilePolicy.OFF:
                measured.append(with_profiles(measured[-1], paired, pair))
            measured.append(scored(measured[-1], of_base))
    except PerfhuntError as error:
        if not measured:
            raise
        watch(Noted(f"after the verdict: {error.message}"))
    return measured[-1]


def of_own_tree(change: Change, profiles: VersionProfiles) -> str:
    """The edited file that was met in a profile where the user has it, and not in a checkout: an
    installed copy leads there; "" for none.
    """
    edited = {str(Path(change.root, edit.path)) for edit in change.files}
    sampled = [measured.profile for measured in (profiles.wall, profiles.cpu) if measured]
    met = {frame.file for each in sampled for stack in each.stacks for frame in stack}
    return min(edited & met, default="")


def with_profiles(result: VerifyResult, paired: PairedQuestion, pair: VersionPair) -> VerifyResult:
    """The result with a profile of each version at the same load: which functions moved, and a
    differential flame graph.

    The verdict stands whatever happens here, a stop included: the rounds behind it are done. What
    went wrong becomes a caution.
    """
    if result.verdict.word is Word.INVALID or result.directory is None:
        return result
    try:
        profiles = profile_versions(paired, pair.bench, pair.starter)
    except (AttachFailed, LoadFailed, StoreError, Stopped, TargetDied, UsageError) as error:
        pair.bench.watch(Noted(f"no attribution: {error.message}"))
        what = "the effect could not be tied to functions"
        return cautioned(result, what, error, CautionCode.NO_ATTRIBUTION)
    if file := of_own_tree(result.change.change, profiles[HEAD]):
        reason = f"both versions ran {file} of your own tree, not what is in their checkouts"
        invalid = replace(result.verdict, word=Word.INVALID, reason=reason, next_step=IMPORTED)
        return replace(result, verdict=invalid)
    title = "base to head at the same load"
    return with_attribution(result, profiles[BASE], profiles[HEAD], title)
