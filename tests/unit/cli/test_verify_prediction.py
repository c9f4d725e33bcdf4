"""What `verify` and `history --predictions` say of a prediction that was checked."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from perfhunt.change.git.repository import Repository
from perfhunt.cli.app import app
from perfhunt.jobs.stored.history import read_predictions
from perfhunt.jobs.stored.page import stored_page
from perfhunt.jobs.verify.attribution import scored
from perfhunt.jobs.verify.edit_patch import EditPatch
from perfhunt.jobs.verify.keeping import keep
from perfhunt.jobs.verify.request import VerifyResult
from perfhunt.jobs.verify.verify import paged
from perfhunt.model.finding import WhatIf
from perfhunt.model.interval import Interval
from perfhunt.model.knee import Knee, KneeLabel
from perfhunt.model.run import Run, RunKind
from perfhunt.model.verdict.attribution import Attribution, Demand
from perfhunt.model.verdict.change import Atom, Change, Kind, OneChange, Piece
from perfhunt.model.verdict.verdict import Effect, Verdict, Word
from perfhunt.reports.format import FORMATS
from perfhunt.reports.verdict_text import prediction_sentence, verdict_lines
from perfhunt.store.predictions import VERDICT_FILE
from tests.sample_run import judged_change, sample_run
from tests.sample_run import keep as kept_run

ATOM = Atom(Kind.CODE, "shop/warehouse.py", "stock_level")
ONE = OneChange(Change("/srv/shop", "a" * 40, "", (ATOM,)), (Piece((ATOM,)),), "one-atom", "")
PATCH = EditPatch(Repository(Path("/srv/shop")), b"patch")


def predicting() -> Run:
    """A stored run that predicts what taking stock_level out would bring."""
    run = sample_run()
    finding = replace(run.findings[0], function="stock_level", file="/srv/shop/shop/warehouse.py")
    what_if = WhatIf(
        300.0,
        250.0,
        350.0,
        1.0,
        saturated=400.0,
        saturated_low=330.0,
        saturated_high=450.0,
    )
    return replace(run, findings=(replace(finding, what_if=what_if),))


def result_of(*effects: Effect, word: Word = Word.KEEP) -> VerifyResult:
    verdict = Verdict(word, "", "paired", effects=effects)
    return VerifyResult(verdict, ONE, PATCH)


def test_the_stored_prediction_is_held_against_the_knee_that_was_measured() -> None:
    knee = Knee(290.0, 280.0, 300.0, 0.95, "latency.p99", 0.1, 10.0, KneeLabel.SHARP)
    took = Interval(0.08, 0.07, 0.09, 400)
    gone = Demand("stock_level", "shop/warehouse.py", took, took.scaled(0.01), "shrunk")
    attribution = Attribution((ATOM,), (gone,), None, None, None, None)
    score = scored(replace(result_of(), attribution=attribution), predicting(), knee).prediction
    assert score is not None
    assert (score.of, score.predicted, score.observed) == ("knee", 300.0, 290.0)
    assert score.error == pytest.approx(300 / 290 - 1)
    assert score.within
    assert score.removed == pytest.approx(0.99)
    assert prediction_sentence(score) == (
        "knee predicted 300/s (250 to 350), observed 290/s (280 to 300): as predicted, 3.45 % off."
    )
    assert scored(result_of(), sample_run(), knee).prediction is None  # nothing was edited there


def test_two_versions_side_by_side_are_held_against_the_capacity_that_was_predicted() -> None:
    gain = Interval(1.0, 0.9, 1.1, 6)
    capacity = Effect("capacity", "capacity", "/s", 260.0, 520.0, gain, 0.001)
    score = scored(result_of(capacity), predicting()).prediction
    assert score is not None
    assert (score.of, score.predicted, score.observed) == ("capacity", 400.0, 520.0)
    assert (score.observed_low, score.observed_high) == pytest.approx((494.0, 546.0))
    assert score.within is False
    assert "above the prediction" in prediction_sentence(score)
    assert scored(result_of(), predicting()).prediction is None  # no capacity was measured
    assert scored(result_of(capacity, word=Word.INVALID), predicting()).prediction is None


def test_a_verdict_says_and_keeps_how_the_prediction_did(tmp_path: Path) -> None:
    knee = Knee(290.0, 280.0, 300.0, 0.95, "latency.p99", 0.1, 10.0, KneeLabel.SHARP)
    directory = tmp_path / "runs" / "20261124T043000Z-1f3a9c"
    directory.mkdir(parents=True)
    result = scored(replace(result_of(), directory=directory), predicting(), knee)
    keep(result)
    kept = json.loads((directory / VERDICT_FILE).read_text())["prediction"]
    assert (kept["predicted"], kept["observed"], kept["within"]) == (300.0, 290.0, True)
    lines = verdict_lines(result.verdict, result.change, None, result.prediction)
    assert "  knee predicted 300/s (250 to 350)" in "\n".join(lines)
    history = read_predictions(tmp_path)
    assert [row.observed for row in history.rows] == [290.0]


def test_history_lists_what_was_predicted_and_how_good_that_was(tmp_path: Path) -> None:
    knee = Knee(290.0, 280.0, 300.0, 0.95, "latency.p99", 0.1, 10.0, KneeLabel.SHARP)
    ask = ["history", "--predictions", "--store", str(tmp_path)]
    assert "no prediction was checked yet" in CliRunner().invoke(app, ask).stdout
    for directory in ("runs/20261124T043000Z-1f3a9c", "verify/20261125T043000Z-222222"):
        (tmp_path / directory).mkdir(parents=True)
        keep(scored(replace(result_of(), directory=tmp_path / directory), predicting(), knee))
    said = CliRunner().invoke(app, ask)
    assert said.exit_code == 0, said.output
    first, newest, oldest = said.stdout.splitlines()
    assert first == "predictions: median error 3.45 %, 100 % within their interval (n=2)"
    assert newest.startswith("20261125T043000Z-222222  stock_level  knee predicted 300/s")
    assert oldest.startswith("20261124T043000Z-1f3a9c")
    (row, _) = json.loads(CliRunner().invoke(app, [*ask, "--json"]).stdout)
    assert row["error"] == pytest.approx(300 / 290 - 1)


def test_the_report_of_a_checked_change_has_the_verdict_and_its_atoms(tmp_path: Path) -> None:
    before, after = sample_run(), replace(sample_run(), id="after")
    page = tmp_path / "report.html"
    keep(replace(result_of(), directory=tmp_path, runs=(before, after)))
    text = page.read_text()
    assert ">KEEP</span>" in text
    assert str(ATOM) in text
    assert text.index(str(ATOM)) < text.index("SLO MISSED<")


def test_a_page_that_is_rendered_again_has_the_verdict(tmp_path: Path) -> None:
    before = replace(sample_run(), id="20261123T043000Z-aaaaaa")
    after = replace(sample_run(), id="20261123T050000Z-bbbbbb", kind=RunKind.VERIFY)
    directory = kept_run(tmp_path, after)
    kept_run(tmp_path, before)
    judged = replace(result_of(), directory=directory, runs=(before, after))
    keep(replace(judged, attribution=judged_change().attribution))
    page = stored_page(after.id, tmp_path)
    assert page == (directory / "report.html").read_text()
    assert "what run 20261123T043000Z-aaaaaa measured before" in page
    shutil.rmtree(tmp_path / "runs" / before.id)
    assert "The run before it is not in this store." in stored_page(after.id, tmp_path)
    (directory / "verdict.json").write_text('{"verdict": 3}')
    torn = stored_page(after.id, tmp_path)
    assert "The verdict is not shown: verdict.json cannot be read" in torn


def test_a_run_without_a_verdict_is_rendered_as_it_was(tmp_path: Path) -> None:
    kept_run(tmp_path, sample_run())
    assert stored_page("last", tmp_path) == FORMATS["html"].render(sample_run())


def test_versions_measured_side_by_side_have_a_page_of_their_verdict(tmp_path: Path) -> None:
    judged = judged_change()
    result = replace(
        result_of(),
        verdict=judged.verdict,
        directory=tmp_path / "<b>",
        target="<shop>",
        attribution=judged.attribution,
    )
    (tmp_path / "<b>").mkdir()
    assert paged(keep(result), tmp_path / "page.html").verdict.cautions == judged.verdict.cautions
    page = (tmp_path / "page.html").read_text()
    assert page == (tmp_path / "<b>" / "report.html").read_text()
    assert ">REVERT</span>" in page and "saturated capacity" in page and str(ATOM) in page
    assert "One round was slower than the others." in page
    assert "<b>&lt;shop&gt;</b>" in page and "<shop>" not in page
    assert "check of a change · &lt;b&gt;</div>" in page
    refused = paged(result, tmp_path / "none" / "here" / "page.html")
    assert refused.verdict.word is judged.verdict.word
