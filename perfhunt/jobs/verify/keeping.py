"""A verdict on disk, beside what was measured: first of all, and again when more is known."""

from __future__ import annotations

from dataclasses import replace

from perfhunt.errors import PerfhuntError, StoreError, TargetDied, UsageError
from perfhunt.jobs.publish import UNRENDERED
from perfhunt.jobs.verify.request import VerifyResult
from perfhunt.model.document.plain import to_plain
from perfhunt.model.document.writing import verdict_document
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.text.escaping import json_text
from perfhunt.reports.format import FORMATS, page_of_change
from perfhunt.reports.html.compared import BeforeAfter
from perfhunt.reports.html.verdict_page import verdict_page
from perfhunt.store.files import write_atomic
from perfhunt.store.predictions import VERDICT_FILE, prediction_document

PATCH_FILE = "change.patch"
SCHEMA = 1


def keep(result: VerifyResult) -> VerifyResult:
    """The result, stored where its measurements are; not stored when nothing was measured. A disk
    that refuses is a caution of the verdict, which stands.
    """
    if result.directory is None:
        return result
    try:
        write_atomic(result.directory / VERDICT_FILE, json_text(plain(result), indent=2) + "\n")
        write_atomic(result.directory / PATCH_FILE, result.patch.patch)
        write_atomic(result.directory / FORMATS["html"].file_name, page(result))
    except StoreError as error:
        return cautioned(result, "the verdict is not kept in full", error, CautionCode.NOT_KEPT)
    except UNRENDERED as error:
        again = "perfhunt compare A B --html FILE shows both runs, if it can."
        refused = StoreError(f"it could not be rendered ({error!r})", again)
        return cautioned(result, "the page has no verdict", refused, CautionCode.NOT_KEPT)
    return result


def page(result: VerifyResult) -> str:
    """The report of the run after, with the verdict on the change; the verdict's own page where
    both versions were measured side by side.
    """
    before, after = result.runs or (None, None)
    story = BeforeAfter(
        before=before,
        verdict=result.verdict,
        change=result.change,
        attribution=result.attribution,
        prediction=result.prediction,
    )
    if after is not None:
        return page_of_change(after, story)
    return verdict_page(story, result.target, result.judged.id)


def cautioned(
    result: VerifyResult, what: str, error: PerfhuntError, code: CautionCode
) -> VerifyResult:
    """The result with a caution on its verdict, which stands; once, however often it is told. What
    a service printed at its end is a hint for the terminal, and not kept.
    """
    printed = isinstance(error, TargetDied | UsageError)
    caution = Caution(code, f"{what}: {error.message}", "" if printed else error.hint)
    cautions = tuple(dict.fromkeys((*result.verdict.cautions, caution)))
    return replace(result, verdict=replace(result.verdict, cautions=cautions))


def plain(result: VerifyResult) -> dict[str, object]:
    """A verdict as JSON values."""
    before = {} if result.runs is None else {"before": result.runs[0].id}
    return {
        "schema": SCHEMA,
        **before,
        "word": str(result.verdict.word),
        "exit_code": int(result.verdict.exit_code),
        "verdict": verdict_document(result.verdict, result.change),
        "change": to_plain(result.change),
        "attribution": to_plain(result.attribution) if result.attribution else None,
        "prediction": prediction_document(result.prediction) if result.prediction else None,
    }
