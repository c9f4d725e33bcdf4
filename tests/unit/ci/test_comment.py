"""The comment on a pull request, and the orders to the log: nothing in them is anybody else's."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from perfhunt.model.text.escaping import workflow_command
from perfhunt.model.verdict.attribution import Attribution, HotLine
from perfhunt.model.verdict.verdict import Word
from perfhunt.reports.ci.annotations import MOST, annotation_text
from perfhunt.reports.ci.comment import mark, run_comment, verdict_comment
from perfhunt.reports.ci.links import links
from perfhunt.reports.markdown import LIMIT
from tests.sample_run import judged_change, sample_run
from tests.unit.reports.test_reports import HOSTILE, hostile

JUDGED = judged_change()
ORDERS = ("::error::x", "::set-env name=A::b", "a\n::stop-commands::t", "##[error]", "50 %0A,:")


def test_the_first_line_is_the_mark_and_the_title_says_the_verdict() -> None:
    first, title, *_ = verdict_comment(JUDGED).splitlines()
    assert first == "<!-- perfhunt shop -->" == run_comment(sample_run()).splitlines()[0]
    assert title == "## ❌ perfhunt: REVERT · shop"


def test_before_and_after_stand_in_one_row() -> None:
    assert "| CPU per request | 3.4 ms | 5.1 ms |" in verdict_comment(JUDGED)


@pytest.mark.parametrize("name", ["a-->b", "--", "", "\n## x", "é" * 300, "a/b c"])
def test_a_name_cannot_end_its_mark(name: str) -> None:
    assert re.fullmatch(r"<!-- perfhunt [A-Za-z0-9-]* -->", mark(name))
    assert "--" not in mark(name)[4:-3]


@pytest.mark.parametrize("attack", (*HOSTILE, "@team #1 https://evil.example"))
def test_names_bring_no_markup_into_a_comment(attack: str) -> None:
    text = run_comment(hostile(attack))
    assert text.count("<!-- perfhunt") == 1
    assert "<script" not in re.sub(r"`[^`\n]*`", "", text).replace("\\<", "")
    assert not re.search(r"(?<!\\)\]\(", text)


def test_a_comment_fits_however_much_there_is_to_say() -> None:
    assert JUDGED.attribution is not None
    demand = replace(JUDGED.attribution.demands[0], function="f" * 9000, file="g" * 9000)
    long = replace(JUDGED.attribution, demands=(demand,) * 50)
    text = verdict_comment(replace(JUDGED, target="s" * 70_000, attribution=long))
    assert len(text.encode()) < LIMIT + 1000
    assert text.startswith("<!-- perfhunt s")
    assert "REVERT" in text.splitlines()[1]


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({}, ""),
        (
            {
                "GITHUB_SERVER_URL": "https://github.com",
                "GITHUB_REPOSITORY": "o/r",
                "GITHUB_RUN_ID": "7",
            },
            "[flame graph · report · all files](https://github.com/o/r/actions/runs/7#artifacts)",
        ),
        (
            {"CI_JOB_URL": "https://gitlab.example/g/p/-/jobs/5"},
            "[flame graph](https://gitlab.example/g/p/-/jobs/5/artifacts/file/out/flamegraph.svg)"
            " · [report](https://gitlab.example/g/p/-/jobs/5/artifacts/file/out/report.html)",
        ),
        (
            {"JENKINS_URL": "http://ci/", "BUILD_URL": "http://ci/job/a/3/"},
            "[flame graph](http://ci/job/a/3/artifact/out/flamegraph.svg)"
            " · [report](http://ci/job/a/3/artifact/out/report.html)",
        ),
        ({"CI_JOB_URL": "javascript:alert(1)"}, ""),
        ({"CI_JOB_URL": "https://x/) [y](https://evil"}, ""),
    ],
)
def test_links_lead_where_each_system_shows_files(environ: dict[str, str], line: str) -> None:
    assert links(environ, "./out/", ["report.html", "flamegraph.svg", "run.json"]) == line


@pytest.mark.parametrize("given", ["out", "./out/", "/builds/g/p/out"])
def test_a_folder_is_linked_from_the_projects_own(given: str) -> None:
    environ = {"CI_JOB_URL": "https://gitlab.example/-/jobs/5", "CI_PROJECT_DIR": "/builds/g/p"}
    there = "https://gitlab.example/-/jobs/5/artifacts/file/out/knee.svg"
    assert links(environ, given, ["knee.svg"]) == f"[knee]({there})"


def test_hot_lines_of_the_change_are_annotated_hottest_first() -> None:
    first, second = annotation_text(JUDGED).splitlines()
    assert first.startswith("::error file=shop/pricing.py,line=77,")
    assert "41 %25 of the samples" in first
    assert ",line=73," in second


def attribution_of(*hot: HotLine) -> Attribution:
    assert JUDGED.attribution is not None
    return replace(JUDGED.attribution, hot=hot)


def test_no_more_is_annotated_than_github_shows() -> None:
    many = attribution_of(*(HotLine("a.py", n, "f", 0.1) for n in range(1, 99)))
    assert len(annotation_text(replace(JUDGED, attribution=many)).splitlines()) == MOST == 10


def test_a_change_that_is_kept_gets_notices() -> None:
    kept = replace(JUDGED, verdict=replace(JUDGED.verdict, word=Word.KEEP))
    assert {line.split()[0] for line in annotation_text(kept).splitlines()} == {"::notice"}


@pytest.mark.parametrize("attack", ORDERS)
def test_a_name_gives_no_order_of_its_own(attack: str) -> None:
    hot = attribution_of(HotLine(attack, 3, attack, 0.5))
    (line,) = annotation_text(replace(JUDGED, attribution=hot)).splitlines()
    head, _, _ = line.removeprefix("::").partition("::")
    assert re.fullmatch(r"error (?:[a-z]+=[^:,]*,?)+", head)


@pytest.mark.parametrize("text", ORDERS)
def test_what_the_runner_decodes_is_what_was_meant(text: str) -> None:
    """The runner turns %25, %3A and %2C back, and the order's name ends at the first space."""
    line = workflow_command("notice", text, title=text)
    found = re.fullmatch(r"::notice title=(?P<title>[^:,]*)::(?P<message>.*)", line)
    assert found is not None
    meant = text.replace("\n", " ")
    title = found["title"].replace("%3A", ":").replace("%2C", ",").replace("%25", "%")
    assert title == meant
    assert found["message"].replace("%25", "%") == meant
