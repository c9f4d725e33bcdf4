"""The page of a history: what it says, what it links to, and that nothing in it runs."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

from typer.testing import CliRunner

from perfhunt.analysis.verdict.change_points import FEWEST
from perfhunt.cli.app import app
from perfhunt.errors import UsageError
from perfhunt.jobs.stored.history_page import write_history_page
from perfhunt.model.knee import Knee
from perfhunt.store.ledger import PredictionRow, history
from tests.sample_run import keep, sample_run

RUN = sample_run()
SPREAD = (0.99, 1.02, 1.0, 0.98, 1.01, 1.03, 0.97)  # of the knees of one build
PREDICTION = PredictionRow(
    verification="20261124T000000Z-000001",
    run=RUN.id,
    function="<script>alert(1)</script>",
    file="shop.py",
    of="knee",
    predicted=240.0,
    low=200.0,
    high=280.0,
    observed=200.0,
    observed_low=190.0,
    observed_high=210.0,
    at_least=0,
    observed_at_least=0,
    removed=1.0,
    error=0.2,
)


def kept(root: Path, rates: list[float], revision: str = "3f9c1d2ab44e") -> list[str]:
    """Runs of one question with these knees, a day each; their ids."""
    assert isinstance(RUN.knee, Knee)
    ids = []
    for day, rate in enumerate(rates, start=1):
        run = replace(
            RUN,
            id=f"202611{day:02d}T000000Z-{day:06x}",
            started=f"2026-11-{day:02d}T00:00:00Z",
            knee=replace(RUN.knee, rate=rate, low=rate * 0.95, high=rate * 1.05),
            environment=replace(RUN.environment, git_revision=revision),
        )
        keep(root, run)
        ids.append(run.id)
    return ids


def page(root: Path, *predictions: PredictionRow) -> str:
    path = root.parent / "history.html"
    write_history_page(history(root, limit=100), predictions, root, path)
    return path.read_text()


def section(text: str, title: str) -> str:
    """The section of a page with this heading."""
    (found,) = [part for part in text.split("<section>") if f"<h2>{title} " in part]
    return found


def test_a_knee_that_moved_is_told_with_the_run_it_moved_at(tmp_path: Path) -> None:
    store = tmp_path / ".perfhunt"
    ids = kept(store, [100 * x for x in SPREAD] + [130 * x for x in SPREAD])
    text = page(store)
    assert "A level changed: knee." in text
    knee = section(text, "knee")
    assert f'href="#{ids[7]}"' in knee
    assert "+30 %, p = " in knee
    assert [f'<tr id="{each}">' in text for each in ids] == [True] * 14
    assert f"<title>{ids[0]}, " in knee


def test_few_runs_are_said_to_be_too_few(tmp_path: Path) -> None:
    store = tmp_path / ".perfhunt"
    kept(store, [100.0, 101.0, 200.0])
    text = page(store)
    assert "Whether anything changed cannot be told yet." in text
    assert f"cannot tell: 3 runs have it, {FEWEST} are needed" in section(text, "knee")


def test_runs_of_another_question_are_left_out_and_counted(tmp_path: Path) -> None:
    store = tmp_path / ".perfhunt"
    other = replace(RUN, id="20261031T000000Z-00ffff", question=replace(RUN.question, seed=99))
    keep(store, other)
    kept(store, [100.0, 101.0])
    text = page(store)
    assert "2 of 3 runs were asked this question" in text
    assert other.id not in text


def test_a_run_with_a_report_is_linked_from_where_the_page_is(tmp_path: Path) -> None:
    store = tmp_path / ".perfhunt"
    first, second = kept(store, [100.0, 101.0])
    (store / "runs" / first / "report.html").write_text("x")
    text = page(store)
    assert f'<a href=".perfhunt/runs/{first}/report.html">{first}</a>' in text
    assert f"/{second}/report.html" not in text


def test_predictions_of_these_runs_are_drawn_and_listed_with_what_came(tmp_path: Path) -> None:
    store = tmp_path / ".perfhunt"
    made, _ = kept(store, [100.0, 101.0])
    ours = replace(PREDICTION, run=made, function="query")
    other = replace(PREDICTION, function="elsewhere")
    text = page(store, ours, other)
    told = section(text, "Predictions")
    assert "240/s</td>" in told and "200/s</td>" in told and "20 %</td>" in told
    # 200 of the 240 that were predicted.
    assert "outcome 0.83 (0.79 to 0.88)" in told and "2026-11-24" in told
    assert "elsewhere" not in text
    assert "Predictions" not in page(store, other)


def test_numbers_that_no_run_has_are_left_out(tmp_path: Path) -> None:
    store = tmp_path / ".perfhunt"
    made, *_ = kept(store, [100.0, 1e400, -5.0, 0.0])
    text = page(store, replace(PREDICTION, run=made, predicted=0.0))
    assert section(text, "knee").count("<circle") == 1
    assert section(text, "knee").count("no knee") == 3


def test_nothing_in_the_page_runs_or_asks_for_anything(tmp_path: Path) -> None:
    store = tmp_path / ".perfhunt"
    made, _ = kept(store, [100.0, 101.0], revision="<img src=x>")
    text = page(store, replace(PREDICTION, run=made))
    assert "<script" not in text and "<img" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in section(text, "Predictions")
    assert "default-src 'none'" in unescape(text) and "script-src" not in text
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", text)


def test_the_verb_writes_it_and_says_of_how_many_runs(tmp_path: Path) -> None:
    store = tmp_path / ".perfhunt"
    kept(store, [100.0, 101.0])
    words = ["history", "--store", str(store), "--html", str(tmp_path / "h.html")]
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, "2 of 2 runs" in done.output) == (0, True)
    assert (tmp_path / "h.html").read_text().startswith("<!DOCTYPE html>")
    done = CliRunner().invoke(app, [*words, "--predictions"])
    assert isinstance(done.exception, UsageError)
