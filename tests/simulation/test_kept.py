"""A finished run is never lost: whatever refuses to be written, its verdict and its measurements
stand, and what is missing is said.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perfhunt.errors import ExitCode, LoadFailed, StoreError
from perfhunt.jobs import publish as publishing
from perfhunt.jobs.ci.renderers import renderer
from perfhunt.jobs.publish import STORED, publish
from perfhunt.lab import Lab
from perfhunt.model.finding import CautionCode
from perfhunt.model.knee import Knee
from perfhunt.model.run import Event, Finished, Noted, Run, RunEnd
from perfhunt.reports.format import FOR_CI, FORMATS
from perfhunt.store.rundir import RunDirectory, read_directory
from perfhunt.stories.investigation import investigate
from tests.simulation.test_investigate import Blind, lab, question_of, stored


def bench(root: Path, artifacts: Path | None = None, events: list[Event] | None = None) -> Lab:
    made = lab(root, question_of(), Blind(), events=events)
    made.publish = lambda run, place: publish(run, place, artifacts)
    return made


def assert_kept(run: Run, kept: Run) -> None:
    """The run is on the disk as it was told, whole and closed."""
    assert isinstance(kept.knee, Knee)
    assert (kept.ended, kept.verdict, kept.exit_code) == (RunEnd.COMPLETE, "MET", ExitCode.OK)
    assert (run.verdict, run.exit_code, run.knee) == (kept.verdict, kept.exit_code, kept.knee)
    assert kept.judged and kept.trials


def unkept(run: Run) -> list[str]:
    return [c.sentence for c in run.cautions if c.code is CautionCode.NOT_KEPT]


def test_a_run_leaves_its_reports_and_their_copies(tmp_path: Path) -> None:
    run = investigate(question_of(), bench(tmp_path, tmp_path / "copies"))
    assert_kept(run, stored(tmp_path))
    assert unkept(run) == []
    copies = {path.name for path in (tmp_path / "copies").iterdir()}
    pictures = {f"{name.removesuffix('.svg')}.png" for name in copies if name.endswith(".svg")}
    assert copies - pictures == {*run.artifacts.values()} | {FORMATS[n].file_name for n in FOR_CI}
    assert copies & pictures == (pictures if renderer() is not None else set())
    assert stored(tmp_path).artifacts == run.artifacts


def test_artifacts_that_cannot_be_written_cost_no_run(tmp_path: Path) -> None:
    (tmp_path / "copies").write_text("a file")
    events: list[Event] = []
    run = investigate(question_of(), bench(tmp_path, tmp_path / "copies", events))
    assert_kept(run, stored(tmp_path))
    (sentence,) = unkept(run)
    assert sentence == run.cautions[0].sentence  # a terminal shows the first ones
    assert sentence in [event.sentence for event in events if isinstance(event, Noted)]
    assert str(tmp_path / "copies") in sentence
    assert unkept(stored(tmp_path)) == [sentence]
    assert "html" in run.artifacts


def full(*_: object, **__: object) -> None:
    raise StoreError("report.html cannot be written: No space left on device")


def refusing(*_: object) -> str:
    raise KeyError("a template is broken")


@pytest.mark.parametrize("seam", ["write_artifact", "write_document", "render"])
def test_reports_that_cannot_be_written_cost_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seam: str
) -> None:
    if seam == "render":
        broken = {name: replace(FORMATS[name], text=refusing) for name in STORED}
        monkeypatch.setattr(publishing, "FORMATS", broken)
    else:
        monkeypatch.setattr(publishing, seam, full)
    run = investigate(question_of(), bench(tmp_path))
    assert_kept(run, stored(tmp_path))
    assert unkept(run)


@pytest.mark.parametrize("method", ["append_trial", "append_drain", "event", "phase"])
def test_a_store_that_refuses_meanwhile_ends_no_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    events: list[Event] = []
    made = bench(tmp_path, events=events)
    with monkeypatch.context() as patched:
        patched.setattr(RunDirectory, method, full)
        patched.setattr(RunDirectory, "finish", healed(patched, RunDirectory.finish))
        run = investigate(question_of(), made)
    assert_kept(run, stored(tmp_path))
    told = [e.sentence for e in events if isinstance(e, Noted) and "No space left" in e.sentence]
    assert len(told) == 1  # and not once for each of many


def healed(patched: pytest.MonkeyPatch, finish: Callable[..., Path]) -> Callable[..., Path]:
    """There is room again at the end, as there is where some was kept."""

    def finished(directory: RunDirectory, run: Run) -> Path:
        patched.undo()
        return finish(directory, run)

    return finished


def test_a_store_that_is_gone_at_the_end_costs_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    events: list[Event] = []
    made = bench(tmp_path, events=events)
    finish = made.finish

    def gone(*args: Any, **named: Any) -> Run:
        shutil.rmtree(tmp_path / ".perfhunt")
        return finish(*args, **named)

    monkeypatch.setattr(Lab, "finish", lambda _, *args, **named: gone(*args, **named))
    run = investigate(question_of(), made)
    assert made.place is not None
    assert_kept(run, read_directory(made.place))
    assert str(made.place) in unkept(run)[0]
    (finished,) = [event for event in events if isinstance(event, Finished)]
    assert finished.directory == str(made.place)


def test_what_fails_on_leaving_costs_no_run(tmp_path: Path) -> None:
    made = bench(tmp_path)

    def failing() -> None:
        raise LoadFailed("the load child does not end")

    made.engine.close = failing  # type: ignore[method-assign]
    run = investigate(question_of(), made)
    assert_kept(run, stored(tmp_path))
