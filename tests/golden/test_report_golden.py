"""The text of every report of the sample run, kept as files: a change is seen before it is shipped.

Write them anew with PERFHUNT_BLESS=1 and look at the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from perfhunt.model.run import Run
from perfhunt.reports.ci.annotations import annotation_text
from perfhunt.reports.ci.comment import verdict_comment
from perfhunt.reports.ci.verdict_junit import verdict_junit
from perfhunt.reports.format import FOR_CI, FORMATS
from perfhunt.reports.pictures.flamegraph import differential
from tests.sample_run import aborted_run, judged_change, sample_run

HERE = Path(__file__).parent / "reports"
RUNS = {"whole": sample_run(), "aborted": aborted_run()}


def compare(name: str, text: str) -> None:
    kept = HERE / name
    if os.environ.get("PERFHUNT_BLESS") == "1":
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(text, encoding="utf-8")
    assert kept.exists(), f"{kept} is missing: PERFHUNT_BLESS=1 writes it"
    assert text == kept.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "form",
    ["terminal", "markdown", "junit", "json", "flamegraph", "folded", "speedscope", *FOR_CI],
)
@pytest.mark.parametrize(("name", "run"), RUNS.items(), ids=RUNS)
def test_a_report_reads_as_it_did(name: str, run: Run, form: str) -> None:
    compare(f"{name}-{FORMATS[form].file_name}", FORMATS[form].render(run))


def test_what_ci_is_told_of_a_verdict_reads_as_it_did() -> None:
    compare("verdict-comment.md", verdict_comment(judged_change()))
    compare("verdict-junit.xml", verdict_junit(judged_change()))
    compare("verdict-annotations.txt", annotation_text(judged_change()))


def test_a_differential_reads_as_it_did() -> None:
    run = RUNS["whole"]
    compare(
        "differential.svg",
        differential(
            run.profiles["baseline"], run.profiles["knee"], "baseline to knee", (2e-6, 5e-6)
        ),
    )
