"""The verdict on one change, kept on disk, with what to do about the edit; done at once on REVERT
when that was asked.
"""

from __future__ import annotations

from dataclasses import replace

from perfhunt.errors import UsageError
from perfhunt.jobs.request import Confirm, require_time
from perfhunt.jobs.verify.command import verify_command
from perfhunt.jobs.verify.process import verify_process
from perfhunt.jobs.verify.request import VerifyRequest, VerifyResult
from perfhunt.model.document.plain import to_plain
from perfhunt.model.document.writing import verdict_document
from perfhunt.model.run import EventWatcher, unwatched
from perfhunt.model.text.escaping import json_text
from perfhunt.model.verdict.verdict import Word
from perfhunt.store import ledger
from perfhunt.store.files import write_atomic
from perfhunt.store.predictions import VERDICT_FILE, prediction_document

PATCH_FILE = "change.patch"
SCHEMA = 1
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
    if request.command:
        result = verify_command(request, watch)
    else:
        result = verify_process(request, watch, confirm)
    return keep(concluded(result, request.revert))


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
        return result.patch.take_out()
    put_back = "" if result.patch.revision else " (git apply, without -R, puts it back)"
    return f"take it out again: {result.patch.command(directory / PATCH_FILE)}{put_back}"


def keep(result: VerifyResult) -> VerifyResult:
    """The result, stored where its measurements are, a scored prediction in the ledger as well; not
    stored when nothing was measured.
    """
    if result.directory is not None:
        write_atomic(result.directory / PATCH_FILE, result.patch.patch)
        text = json_text(plain(result), indent=2) + "\n"
        write_atomic(result.directory / VERDICT_FILE, text)
        if result.prediction is not None:
            ledger.record_prediction(result.directory, result.prediction)
    return result


def plain(result: VerifyResult) -> dict[str, object]:
    """A verdict as JSON values."""
    return {
        "schema": SCHEMA,
        "word": str(result.verdict.word),
        "exit_code": int(result.verdict.exit_code),
        "verdict": verdict_document(result.verdict, result.change),
        "change": to_plain(result.change),
        "attribution": to_plain(result.attribution) if result.attribution else None,
        "prediction": prediction_document(result.prediction) if result.prediction else None,
    }
