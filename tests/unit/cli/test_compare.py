"""`perfhunt compare` and `history --plot` over stored runs."""

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from perfhunt.cli.app import app
from perfhunt.errors import UsageError
from perfhunt.model.knee import NoKnee, NoKneeCode
from perfhunt.model.units import format_rate
from tests.sample_run import KNEE, keep, moved, sample_run

A, B = "20261123T043000Z-aaaaaa", "20261123T053000Z-bbbbbb"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    first = replace(sample_run(), id=A)
    keep(tmp_path / "kept", first)
    return tmp_path / "kept"


def compare(store: Path, *words: str) -> tuple[int, str, object]:
    done = CliRunner().invoke(app, ["compare", A[-6:], B[-6:], *words, "--store", str(store)])
    return done.exit_code, done.output, done.exception


def test_a_run_of_a_service_half_as_fast_is_worse_with_exit_code_90(store: Path) -> None:
    keep(store, moved(sample_run(), 0.5, B))
    code, said, _ = compare(store)
    assert code == 90
    assert "VERDICT REVERT" in said


def test_unlike_questions_are_refused_with_the_difference(store: Path) -> None:
    other = moved(sample_run(), 2.0, B)
    keep(
        store,
        replace(
            other, question=replace(other.question, ramp=replace(other.question.ramp, budget=60.0))
        ),
    )
    _, _, error = compare(store)
    assert isinstance(error, UsageError)
    assert int(error.exit_code) == 2
    assert "ramp.budget: 420.0 -> 60.0" in error.message
    assert error.hint == "Ask one of them again: perfhunt investigate"


def test_json_and_one_line_say_the_same_word(store: Path) -> None:
    keep(store, moved(sample_run(), 2.0, B))
    _, as_json, _ = compare(store, "--json")
    _, line, _ = compare(store, "--quiet")
    assert json.loads(as_json)["word"] == line.partition(":")[0] == "KEEP"
    assert line.count("\n") == 1


def test_a_differential_flame_graph_is_written_on_request(store: Path, tmp_path: Path) -> None:
    keep(store, moved(sample_run(), 2.0, B))
    compare(store, "--flamegraph", str(tmp_path / "d.svg"))
    assert ElementTree.parse(tmp_path / "d.svg").getroot().tag.endswith("svg")


def test_a_page_of_both_runs_is_written_on_request(store: Path, tmp_path: Path) -> None:
    keep(store, moved(sample_run(), 2.0, B))
    code, _, _ = compare(store, "--html", str(tmp_path / "both.html"))
    page = (tmp_path / "both.html").read_text()
    assert code == 0
    assert '<span class="pill met">KEEP</span>' in page
    assert (
        page.index("KEEP") < page.index(f"what run {A} measured before") < page.index("SLO MISSED<")
    )
    assert '<s><span class="unseen">before: </span>71.2 ms</s>' in page


def test_a_page_that_cannot_be_written_is_a_caution_of_the_verdict(
    store: Path, tmp_path: Path
) -> None:
    keep(store, moved(sample_run(), 2.0, B))
    code, said, _ = compare(store, "--html", str(tmp_path / "none" / "both.html"))
    assert code == 0
    assert "caution: no page: " in said


def test_the_history_is_drawn_with_a_mark_for_each_run_that_asked_the_same(
    store: Path, tmp_path: Path
) -> None:
    keep(store, moved(sample_run(), 2.0, B))
    other = moved(sample_run(), 3.0, "20261123T013000Z-cccccc")
    keep(
        store,
        replace(other, started="2026-11-23T01:30:00Z", question=replace(other.question, seed=99)),
    )
    none = replace(
        other,
        id="20261123T023000Z-dddddd",
        started="2026-11-23T02:30:00Z",
        knee=NoKnee(NoKneeCode.BUDGET, "out of time"),
    )
    keep(store, none)
    picture = tmp_path / "knees.svg"
    done = CliRunner().invoke(app, ["history", "--plot", str(picture), "--store", str(store)])
    assert "3 of 4 runs" in done.output
    root = ElementTree.parse(picture).getroot()
    titles = [e.text or "" for e in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0] == "no knee: budget"
    assert [f"knee {format_rate(2 * KNEE)}" in t for t in titles] == [False, False, True]


def test_a_run_is_not_compared_with_itself(store: Path) -> None:
    for words in (["last"], [A, A[-6:]]):
        done = CliRunner().invoke(app, ["compare", *words, "--store", str(store)])
        assert isinstance(done.exception, UsageError)
        assert f"are one run, {A}" in done.exception.message
