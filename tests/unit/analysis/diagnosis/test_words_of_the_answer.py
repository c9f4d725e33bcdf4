"""What is said of a run agrees with what the run saw: the class with the waterfall, the advice with
why there is no knee, the doubts with what was asked for.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.answer.advice import next_step
from perfhunt.analysis.diagnosis.cautions import cautions
from perfhunt.analysis.diagnosis.diagnosis import _weighed
from perfhunt.analysis.trial.probe import probe_effect
from perfhunt.model.finding import (
    Bottleneck,
    BottleneckClass,
    Caution,
    CautionCode,
    LatencyPart,
    Rise,
    Waterfall,
)
from perfhunt.model.interval import Interval
from perfhunt.model.knee import Knee, NoKnee, NoKneeCode
from perfhunt.model.trial import Trial
from tests.unit.analysis.diagnosis.field import KNEE
from tests.unit.scenes import profile, ranked, series, used
from tests.unit.trials import HELD

LOST = replace(HELD, invalid="the load child ended with code 7")
LATE = replace(HELD, invalid="half of the requests were sent late")


def part(kind: LatencyPart, ms: float, meanwhile: LatencyPart | None = None) -> Rise:
    added = Interval(ms / 1e3, 0.9 * ms / 1e3, 1.1 * ms / 1e3, 100)
    return Rise(kind, "a part", 0.0, ms / 1e3, added, meanwhile=meanwhile)


def weighed(category: BottleneckClass, *parts: Rise) -> Bottleneck:
    left = part(LatencyPart.UNEXPLAINED, 0.1)
    fall = Waterfall(base=0.016, knee=0.032, parts=parts, unexplained=left)
    return _weighed(Bottleneck(category, 0.98, ("seen",)), fall)


def test_other_work_that_load_added_nothing_of_is_not_what_stops_the_service() -> None:
    sleeping = part(LatencyPart.QUEUED, 14.9, LatencyPart.SLEEP)
    found = weighed(BottleneckClass.HOST, sleeping, part(LatencyPart.NEIGHBOURS, -0.6))
    assert (found.category, found.score) == (BottleneckClass.UNDETERMINED, 0.0)
    assert (found.runner_up, found.runner_up_score) == (None, 0.0)


def test_other_work_that_load_added_most_of_stands() -> None:
    found = weighed(BottleneckClass.HOST, part(LatencyPart.NEIGHBOURS, 14.9))
    assert (found.category, found.score) == (BottleneckClass.HOST, 0.98)


def test_a_class_that_the_waterfall_contradicts_keeps_less_of_its_score() -> None:
    third = weighed(BottleneckClass.LOCK, part(LatencyPart.SLEEP, 10), part(LatencyPart.LOCK, 5))
    assert third.category is BottleneckClass.LOCK
    assert third.score == pytest.approx(0.35)  # 0.98 / 3 is less than any answer has


def test_sleep_that_load_added_is_what_a_lock_is_about_that_is_asked_for_again_and_again() -> None:
    slept = part(LatencyPart.SLEEP, 4.9)
    assert weighed(BottleneckClass.LOCK, slept).score == 0.98
    assert weighed(BottleneckClass.LOCK, slept, part(LatencyPart.LOCK, 0.2)).score < 0.98


def doubts(knee: Knee | NoKnee, *trials: Trial, watched: bool = True) -> dict[CautionCode, Caution]:
    evidence = Evidence(knee=Span.of(HELD), watched=watched)
    return {c.code: c for c in cautions(read_evidence(evidence), knee, (), None, None, trials)}


def no_knee(code: NoKneeCode, reason: str = "it is so") -> NoKnee:
    return NoKnee(code, reason)


def test_without_a_knee_its_interval_and_findings_are_not_spoken_of() -> None:
    found = doubts(no_knee(NoKneeCode.BUDGET), LATE)
    assert found[CautionCode.TRIALS_SPOILED].next == "Run again on a quieter machine."
    assert "Findings" not in found[CautionCode.NO_KNEE].next
    assert "interval" in doubts(KNEE, LATE)[CautionCode.TRIALS_SPOILED].next


def test_a_load_child_that_ended_is_no_matter_of_quiet() -> None:
    found = doubts(no_knee(NoKneeCode.GENERATOR_LIMITED), LOST)[CautionCode.TRIALS_SPOILED]
    assert "locust -f FILE --headless" in found.next and "quiet" not in found.next


def test_a_profile_that_was_not_asked_for_is_not_missing() -> None:
    found = doubts(KNEE, watched=False)[CautionCode.NO_PROFILE]
    assert "as was asked for" in found.sentence and "doctor" not in found.next
    assert "doctor" in doubts(KNEE)[CautionCode.NO_PROFILE].next
    assert CautionCode.NO_PROFILE not in doubts(no_knee(NoKneeCode.TEST_ITSELF))


def advised(knee: NoKnee, bottleneck: Bottleneck | None = None, watched: bool = True) -> str:
    evidence = Evidence(knee=Span.of(HELD), watched=watched)
    return next_step((), frozenset(), bottleneck, knee, evidence)


def test_advice_says_whose_doing_it_was() -> None:
    raised = "6 of 6 tasks failed: U.t: ValueError at locustfile.py:6 in t"
    step = advised(no_knee(NoKneeCode.TEST_ITSELF, raised))
    assert "the locustfile decides" in step and raised in step and "budget" not in step
    generator = Bottleneck(BottleneckClass.GENERATOR, 0.9, ("seen",))
    lost = advised(no_knee(NoKneeCode.GENERATOR_LIMITED, LOST.invalid), generator)
    assert LOST.invalid in lost and "--workers" not in lost


def test_the_ceiling_that_is_to_be_raised_is_the_one_that_was_met() -> None:
    reason = "every criterion held up to 20/s, the ceiling ([ramp] max)"
    step = advised(no_knee(NoKneeCode.BELOW_MAX_RATE, reason))
    assert "[ramp] max" in step and "[safety]" not in step


def test_what_profiling_cost_is_not_said_to_be_unknown_twice() -> None:
    effect = probe_effect((replace(HELD, invalid="late"),), (HELD,))
    assert effect.note == "no quiet span was whole"


def test_callers_of_a_function_are_on_the_stack_as_often_whoever_they_are_of() -> None:
    moments = [["serve>view>pay sleep"]] * 20 + [["serve on_cpu*"]] * 4
    findings = ranked(Evidence(Span(100.0, instants=series(*moments))))
    shares = {f.function: f.total_share for f in findings}
    assert shares["serve"] == pytest.approx(1.0)
    assert shares["pay"] == pytest.approx(20 / 24)


def test_a_function_that_only_the_profile_met_is_on_the_stack_by_its_cpu() -> None:
    # Half of 0.2 cores is 0.1 thread of the one that sleeps.
    knee = Span(
        100.0,
        profile=profile(pay=50, tax=50),
        instants=series(*[["serve>view>pay sleep"]] * 24),
        resources=used(0.2),
    )
    shares = {f.function: f.total_share for f in ranked(Evidence(knee))}
    assert shares["tax"] == pytest.approx(0.1)
