"""The summary of a step: added to, never more than a step takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfhunt.cli.view.ci import tell_run, tell_verdict
from perfhunt.errors import StoreError
from perfhunt.jobs.ci.step_summary import LARGEST, add_summary, cut
from tests.sample_run import judged_change, sample_run


def actions(summary: Path) -> dict[str, str]:
    return {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}


def test_a_summary_is_added_below_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / "summary"
    file.write_text("before\n")
    assert add_summary("after\n", actions(file))
    assert file.read_text() == "before\nafter\n"


def test_outside_of_actions_nothing_is_written(tmp_path: Path) -> None:
    file = tmp_path / "summary"
    assert not add_summary("text\n", {"GITHUB_STEP_SUMMARY": str(file)})
    assert not add_summary("text\n", {"GITHUB_ACTIONS": "true"})
    assert not file.exists()


def test_a_summary_never_outgrows_what_a_step_takes(tmp_path: Path) -> None:
    file = tmp_path / "summary"
    for _ in range(4):
        add_summary("line é\n" * 60_000, actions(file))
    raw = file.read_bytes()
    assert LARGEST - 1000 < len(raw) <= LARGEST
    assert raw.decode().rstrip().endswith("as much as a step's summary takes._")


@pytest.mark.parametrize("room", [-5, 0, 3, 70, 80])
def test_what_is_cut_is_cut_at_a_line_and_says_so(room: int) -> None:
    kept = cut("a\n" * 500, room).decode()
    assert len(kept.encode()) <= max(room, 0)
    assert kept == "" or kept.endswith("takes._\n")


def test_a_summary_that_cannot_be_written_is_an_error_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=str(tmp_path)):
        add_summary("text\n", actions(tmp_path))


def test_a_step_is_told_of_a_run_and_of_a_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "summary"
    for name, value in actions(file).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GITHUB_EVENT_NAME", raising=False)
    tell_run(sample_run())
    tell_verdict(judged_change())
    text = file.read_text()
    assert "## SLO MISSED" in text and "perfhunt: REVERT" in text
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("::error file=shop/pricing.py,line=77,")


def test_elsewhere_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    tell_run(sample_run())
    tell_verdict(judged_change())
    assert capsys.readouterr() == ("", "")
