"""A soak in virtual time: what grows while a share of the knee is held, and when the service no
longer keeps up.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perfhunt.model.finding import CautionCode
from perfhunt.model.knee import DriftKind, Growing, Knee
from perfhunt.model.run import Run
from perfhunt.model.slo import Judgement, Measure, Objective
from perfhunt.model.trial import Interference, Phase, Resources
from perfhunt.store.rundir import read_directory
from perfhunt.stories.investigation import Options, investigate
from perfhunt.stories.soak import BLOCK, SHARE_OF_KNEE, soak_drift
from tests.simulation.test_investigate import P99, Blind, lab, question_of

MEBIBYTE = 2**20
SOAK = 600.0
GROWTH = Objective(Measure.RESOURCES, "memory_growth", "<=", 10.0 * MEBIBYTE)


class Swelling(Blind):
    """Probes of a process whose memory grows by so much with every look."""

    def __init__(self, each: float) -> None:
        super().__init__()
        self.each = each

    def resources(self) -> Resources:
        self.trials += 1
        rss = int(100 * MEBIBYTE + self.each * self.trials)
        return Resources(1.0, rss=rss, fds=20, threads=4, memory_limit=512 * MEBIBYTE)


def soaked(tmp_path: Path, each: float, *objectives: Objective) -> Run:
    question = question_of(P99, *objectives)
    bench = lab(tmp_path, question, Swelling(each))
    return investigate(question, bench, Options(profile=False, soak=SOAK))


def test_a_share_of_the_knee_is_held_for_as_long_as_was_asked(tmp_path: Path) -> None:
    run = soaked(tmp_path, 0.0)
    blocks = [trial for trial in run.trials if trial.step.phase is Phase.SOAK]
    assert sum(block.seconds for block in blocks) == pytest.approx(SOAK, abs=BLOCK)
    assert isinstance(run.knee, Knee)
    assert {block.step.rate for block in blocks} == {SHARE_OF_KNEE * run.knee.rate}
    assert run.drift is not None and "of soak" in run.drift.sentence
    assert not [c for c in run.cautions if c.code in (CautionCode.GROWTH, CautionCode.DRIFT)]


class Restless(Swelling):
    """Probes beside other work that takes cores from the target every second time they look."""

    def interference(self) -> Interference | None:  # type: ignore[override]
        waited = 1.0 if self.trials % 2 else 0.0
        return Interference(1.0, cores=2.0, target_ran=0.5, target_waited=waited)


def test_other_work_that_spoils_blocks_makes_no_soak_longer_than_was_asked(tmp_path: Path) -> None:
    question = question_of(P99)
    run = investigate(
        question, lab(tmp_path, question, Restless(0.0)), Options(profile=False, soak=SOAK)
    )
    blocks = [trial for trial in run.trials if trial.step.phase is Phase.SOAK]
    assert len({bool(block.invalid) for block in blocks}) == 2
    assert sum(block.seconds for block in blocks) <= SOAK + 3 * BLOCK


def test_memory_that_grows_is_told_with_when_it_is_gone(tmp_path: Path) -> None:
    run = soaked(tmp_path, 2.0 * MEBIBYTE, GROWTH)
    assert run.drift is not None
    (slope,) = run.drift.growing(Growing.RSS)
    blocks = [trial for trial in run.trials if trial.step.phase is Phase.SOAK]
    per_block = slope.per_thousand.value * blocks[0].achieved * BLOCK / 1000
    # The lab looks twice a trial: before it and after.
    assert per_block == pytest.approx(4.0 * MEBIBYTE, rel=0.05)
    (caution,) = [c for c in run.cautions if c.code is CautionCode.GROWTH]
    assert "Resident memory grows by" in caution.sentence
    assert "its limit of 512 MiB is reached in" in caution.sentence
    (judged,) = [j for j in run.judged if j.objective.key == "memory_growth"]
    assert judged.verdict is Judgement.MISSED and run.exit_code == 99


def test_an_objective_of_growth_that_is_kept_is_met(tmp_path: Path) -> None:
    run = soaked(tmp_path, 0.0, GROWTH)
    (judged,) = [j for j in run.judged if j.objective.key == "memory_growth"]
    assert judged.verdict is Judgement.MET


def test_what_a_soak_found_is_stored(tmp_path: Path) -> None:
    run = soaked(tmp_path, MEBIBYTE)
    (path,) = (tmp_path / ".perfhunt" / "runs").iterdir()
    assert read_directory(path).drift == run.drift


def test_a_service_that_falls_behind_ends_the_soak_and_says_so(tmp_path: Path) -> None:
    blocks = [t for t in soaked(tmp_path, 0.0).trials if t.step.phase is Phase.SOAK]
    fell = replace(blocks[1], overload="60 requests in flight")
    at_once, later = soak_drift([fell]), soak_drift([blocks[0], fell])
    assert at_once.kind is None and later.kind is DriftKind.SLOWER
    assert all("fell behind: 60 requests" in drift.sentence for drift in (at_once, later))


def test_a_soak_of_which_nothing_is_left_says_why(tmp_path: Path) -> None:
    blocks = [t for t in soaked(tmp_path, 0.0).trials if t.step.phase is Phase.SOAK]
    spoiled = [replace(block, invalid="sent late") for block in blocks]
    assert soak_drift(spoiled).sentence.endswith("nothing can be said: sent late")
