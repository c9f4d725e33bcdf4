"""A verdict as the files that a job of CI keeps, under names that stay."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from perfhunt.errors import StoreError
from perfhunt.jobs.ci.renderers import as_png
from perfhunt.reports.ci.annotations import annotation_text
from perfhunt.reports.ci.comment import verdict_comment
from perfhunt.reports.ci.judged_change import JudgedChange
from perfhunt.reports.ci.links import links
from perfhunt.reports.ci.metrics import readings_text
from perfhunt.reports.ci.readings import verdict_readings
from perfhunt.reports.ci.trackers import bencher_text, charted_text
from perfhunt.reports.ci.verdict_junit import verdict_junit
from perfhunt.store.copies import copy_into
from perfhunt.store.files import read_text

# Written beside the verdict, where it is kept.
KEPT = ("verdict.json", "change.patch", "difference.svg")
COMMENT = "comment.md"


def write_verdict(
    judged: JudgedChange, kept: Path | None, directory: Path, environ: Mapping[str, str]
) -> dict[str, str]:
    """Write the verdict's files into a directory, those beside it (in `kept`) with them; why those
    that were not written were not, by name.
    """
    texts = _beside(kept)
    drawn = {name: text for name, text in texts.items() if name.endswith(".svg")}
    pngs, refused = as_png(drawn)
    target, readings = judged.target, verdict_readings(judged.verdict)
    if judged.verdict.method == "paired":  # else there is a run that has them, and more
        texts["metrics.txt"] = readings_text(target, readings)
        texts["bencher.json"] = bencher_text(target, readings)
        texts["benchmark-bigger.json"] = charted_text(target, readings, higher=True)
        texts["benchmark-smaller.json"] = charted_text(target, readings, higher=False)
    texts["junit-verdict.xml"] = verdict_junit(judged)
    texts["annotations.txt"] = annotation_text(judged)
    linked = links(environ, str(directory), texts)
    texts[COMMENT] = verdict_comment(judged) + (f"\n{linked}\n" if linked else "")
    return refused | copy_into(directory, {**texts, **pngs})


def _beside(kept: Path | None) -> dict[str, str]:
    texts: dict[str, str] = {}
    if kept is None:
        return texts
    for name in KEPT:
        try:
            texts[name] = read_text(kept / name)
        except StoreError:
            continue  # a picture, or a patch, that there is none of
    return texts
