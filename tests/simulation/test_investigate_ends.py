"""A story that is ended: by whoever uses perfhunt, or by its target."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from perfhunt.errors import Stopped, TargetDied, TrafficError
from perfhunt.model.knee import NoKnee, NoKneeCode
from perfhunt.model.run import Run
from perfhunt.model.trial import SecondRow, Step, Trial
from perfhunt.stories.investigation import investigate
from tests.simulation.test_investigate import Blind, lab, question_of, stored


def code_of(run: Run) -> NoKneeCode:
    assert isinstance(run.knee, NoKnee)
    return run.knee.code


def test_a_stop_keeps_what_was_measured_and_marks_the_run(tmp_path: Path) -> None:
    question, probes = question_of(), Blind()
    bench = lab(
        tmp_path, question, probes, stop=lambda: "stopped by Ctrl-C" if probes.trials > 8 else ""
    )
    with pytest.raises(Stopped):
        investigate(question, bench)
    run = stored(tmp_path)
    assert run.ended.startswith("stopped")
    assert run.trials
    assert run.exit_code == 105
    assert run.next_step == f"Go on with it: perfhunt investigate --pid PID --resume {run.id}"
    assert code_of(run) is NoKneeCode.STOPPED
    assert probes.closed


def test_a_dead_target_ends_the_run_with_its_own_error(tmp_path: Path) -> None:
    question = question_of()
    with pytest.raises(TargetDied, match="gone"):
        investigate(question, lab(tmp_path, question, Blind(dies_after=6)))
    run = stored(tmp_path)
    assert run.exit_code == 96 and code_of(run) is NoKneeCode.TARGET_LOST


def test_a_locustfile_that_cannot_be_used_is_not_the_targets_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise TrafficError("locustfile.py cannot be imported: KeyError", "Mend it.")

    question = question_of()
    bench = lab(tmp_path, question, Blind())
    monkeypatch.setattr(bench.engine, "open", refused)
    with pytest.raises(TrafficError):
        investigate(question, bench)
    run = stored(tmp_path)
    assert run.exit_code == 104 and code_of(run) is NoKneeCode.FAILED


@pytest.mark.parametrize("after", [6, 7])
def test_a_target_that_dies_before_a_step_begins_is_no_stop(
    tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = question_of()
    bench = lab(tmp_path, question, Blind(dies_after=after))
    run = bench.engine.run

    def refusing(step: Step, watch: Callable[[SecondRow], None], stop: Callable[[], str]) -> Trial:
        if reason := stop():
            raise Stopped(reason, "No load began after that.")
        return run(step, watch, stop)

    monkeypatch.setattr(bench.engine, "run", refusing)
    with pytest.raises(TargetDied, match="gone"):
        investigate(question, bench)
    assert stored(tmp_path).exit_code == 96
