"""A verdict's files in the directory that CI keeps: stable names, and nothing of it costs the
verdict.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from perfhunt.jobs.ci import renderers
from perfhunt.jobs.ci.verdict_files import write_verdict
from perfhunt.model.verdict.verdict import Word
from perfhunt.reports.ci.verdict_junit import verdict_junit
from tests.sample_run import judged_change

JUDGED = judged_change()
ALWAYS = {"annotations.txt", "comment.md", "junit-verdict.xml"}
OF_PAIRS = {"bencher.json", "benchmark-bigger.json", "benchmark-smaller.json", "metrics.txt"}


@pytest.fixture(autouse=True)
def without_renderers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderers, "renderer", lambda: None)


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_a_verdict_leaves_its_files_under_names_that_stay(tmp_path: Path) -> None:
    kept, out = tmp_path / "kept", tmp_path / "out"
    kept.mkdir()
    for name in ("verdict.json", "change.patch", "difference.svg"):
        (kept / name).write_text("text")
    environ = {"CI_JOB_URL": "https://gitlab.example/g/p/-/jobs/5"}
    assert write_verdict(JUDGED, kept, out, environ) == {}
    assert names(out) == ALWAYS | OF_PAIRS | {"verdict.json", "change.patch", "difference.svg"}
    link = f"https://gitlab.example/g/p/-/jobs/5/artifacts/file{tmp_path}/out/difference.svg"
    assert f"[flame graph of the difference]({link})" in (out / "comment.md").read_text()


def test_the_numbers_are_those_after_the_change(tmp_path: Path) -> None:
    write_verdict(JUDGED, None, tmp_path, {})
    (rate,) = json.loads((tmp_path / "benchmark-bigger.json").read_text())
    (cpu,) = json.loads((tmp_path / "benchmark-smaller.json").read_text())
    assert (rate["name"], rate["value"]) == ("shop capacity", 158.0)
    assert (cpu["name"], cpu["value"], cpu["unit"]) == ("shop cpu", pytest.approx(5.1), "ms")


def test_a_run_keeps_the_numbers_of_a_verdict_that_rests_on_one(tmp_path: Path) -> None:
    rerun = replace(JUDGED, verdict=replace(JUDGED.verdict, method="rerun"))
    write_verdict(rerun, None, tmp_path, {})
    assert names(tmp_path) == ALWAYS


def test_a_directory_that_is_none_is_told_for_every_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    refused = write_verdict(JUDGED, None, tmp_path / "out", {})
    assert set(refused) == ALWAYS | OF_PAIRS


@pytest.mark.parametrize(
    ("word", "failures", "errors"),
    [
        (Word.KEEP, 0, 0),
        (Word.NO_CHANGE, 0, 0),
        (Word.REVERT, 1, 0),
        (Word.INCONCLUSIVE, 0, 1),
        (Word.INVALID, 0, 1),
    ],
)
def test_junit_fails_on_a_regression_and_errs_on_doubt(
    word: Word, failures: int, errors: int
) -> None:
    verdict = replace(JUDGED.verdict, word=word, effects=())
    suites = ET.fromstring(verdict_junit(replace(JUDGED, verdict=verdict)))
    assert suites.get("failures") == str(failures) == str(len(list(suites.iter("failure"))))
    assert suites.get("errors") == str(errors) == str(len(list(suites.iter("error"))))
    assert suites.get("tests") == str(len(list(suites.iter("testcase")))) == "1"


def test_junit_names_the_endpoint_that_is_worse() -> None:
    suites = ET.fromstring(verdict_junit(JUDGED))
    worse = [case for case in suites.iter("testcase") if case.find("failure") is not None]
    assert [case.get("name") for case in worse] == ["CPU per request", "the change"]
    (failure,) = worse[0]
    assert failure.text == failure.get("message")
    assert "was 3.4 ms and is 5.1 ms" in (failure.text or "")
