"""The verdict on one change, kept on disk, with what to do about the edit; done at once on REVERT
when that was asked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from perfhunt.errors import PerfhuntError, StoreError, UsageError
from perfhunt.jobs.ci.verdict_files import write_verdict
from perfhunt.jobs.publish import UNRENDERED
from perfhunt.jobs.request import Confirm, require_time
from perfhunt.jobs.verify.command import verify_command
from perfhunt.jobs.verify.keeping import PATCH_FILE, cautioned, keep, page
from perfhunt.jobs.verify.process import verify_process
from perfhunt.jobs.verify.request import VerifyRequest, VerifyResult
from perfhunt.jobs.verify.stored import with_baseline
from perfhunt.model.finding import CautionCode
from perfhunt.model.run import EventWatcher, unwatched
from perfhunt.model.verdict.verdict import Word
from perfhunt.store.files import write_atomic

# Verdicts after which the edit is better taken out again.
TAKEN_OUT = (Word.REVERT, Word.NO_CHANGE, Word.NOT_WORTH_IT)


def run_verification(
    request: VerifyRequest, watch: EventWatcher = unwatched, confirm: Confirm | None = None
) -> VerifyResult:
    """The verdict, stored beside what was measured as `verdict.json`, the edit as `change.patch`.

    Raises ChangeRefused (exit 92) when not exactly one thing changed, UsageError, and whatever ends
    a measurement.
    """
    check(request)
    request = with_baseline(request)
    if request.command:
        result = verify_command(request, watch)
    else:
        result = verify_process(request, watch, confirm)
    # Kept before anything is done to the working tree, and again with what was.
    kept = keep(concluded(keep(result), request.revert))
    return handed_out(paged(kept, request.page), request.artifacts)


def paged(result: VerifyResult, place: Path | None) -> VerifyResult:
    """The result, with its page at `place`, if that is given; where it could not be written a
    caution says so, and the verdict stands.
    """
    if place is None:
        return result
    try:
        write_atomic(place, page(result))
    except StoreError as error:
        return cautioned(result, "no page", error, CautionCode.NOT_KEPT)
    except UNRENDERED as error:
        refused = StoreError(f"it could not be rendered ({error!r})")
        return cautioned(result, "no page", refused, CautionCode.NOT_KEPT)
    return result


def handed_out(
    result: VerifyResult, artifacts: Path | None, environ: Mapping[str, str] = os.environ
) -> VerifyResult:
    """The result, with its files in the directory `artifacts`, if one is given; what could not be
    written there is a caution, and the verdict stands.
    """
    if artifacts is None:
        return result
    refused = write_verdict(result.judged, result.directory, artifacts, environ)
    if not refused:
        return result
    missing = StoreError("; ".join(dict.fromkeys(refused.values())))
    what = f"copies in {artifacts} are missing ({', '.join(refused)})"
    return cautioned(result, what, missing, CautionCode.NOT_KEPT)


def check(request: VerifyRequest) -> None:
    """Raises UsageError when the request makes no sense."""
    if request.command and (request.pid is not None or request.port is not None):
        raise UsageError(
            "--pid is of a service that runs already; after -- comes a command that starts one",
            "Give one of them.",
        )
    require_time("--budget", request.budget)


def concluded(result: VerifyResult, revert: bool = False) -> VerifyResult:
    """The result with what to do about the edit; with `revert`, a REVERT is carried out."""
    step = _next_step(result, revert)
    if not step:
        return result
    return replace(result, verdict=replace(result.verdict, next_step=step))


def _next_step(result: VerifyResult, revert: bool) -> str:
    word, directory = result.verdict.word, result.directory
    if word is Word.KEEP:
        step = "commit the change, then look for the next bottleneck: perfhunt investigate"
        if directory is None or result.verdict.method != "rerun":
            return step
        run = directory.name
        return f"{step}, or let the next edit be compared with this run: perfhunt verify {run}"
    if word not in TAKEN_OUT or directory is None:
        return ""
    if word is Word.REVERT and revert:
        return _taken_out(result)
    put_back = "" if result.patch.revision else " (git apply, without -R, puts it back)"
    return f"take it out again: {result.patch.command(directory / PATCH_FILE)}{put_back}"


def _taken_out(result: VerifyResult) -> str:
    """What was done about the edit, as a sentence; why it could not be, where it could not."""
    try:
        return result.patch.take_out()
    except PerfhuntError as error:
        return " ".join(("the edit could not be taken out:", error.message, error.hint)).strip()
