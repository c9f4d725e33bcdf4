"""Whatever was captured, and however the search ended: what is said does not contradict itself."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.diagnosis.diagnosis import diagnose, failures_there
from perfhunt.model.knee import Knee, KneeLabel, NoKnee, NoKneeCode
from perfhunt.model.states import ThreadState
from perfhunt.model.trial import Interference, Trial
from tests.property.test_ranking_properties import captures
from tests.unit.analysis.diagnosis.agreement import contradictions
from tests.unit.analysis.diagnosis.field import KNEE, climb, span, trial
from tests.unit.scenes import profile

RUNTIMES = ("cpython", "ruby", "node", "go", "jvm", "native")
shares = st.dictionaries(
    st.sampled_from([str(s) for s in ThreadState]), st.floats(0, 1), min_size=1, max_size=3
)
medians = st.sampled_from([0.008, 0.010, 0.012, 0.030, 0.080, 0.500])


@st.composite
def spans(draw: st.DrawFn, rate: float) -> Span:
    stacks = draw(st.none() | st.just(profile(render=500, score=200)))
    held = span(
        rate, draw(medians), draw(st.lists(shares, max_size=6)), draw(st.floats(0, 4)), stacks
    )
    seen = draw(st.none() | st.just(Interference(10.0, target_ran=0.2, target_waited=0.4)))
    assert held.trial is not None
    at = replace(held.trial, interference=seen)
    return replace(held, trial=at, instants=draw(st.none() | captures))


@st.composite
def evidence_of(draw: st.DrawFn) -> Evidence:
    return Evidence(
        draw(spans(95.0)),
        draw(st.none() | spans(10.0)),
        above=draw(st.none() | spans(150.0)),
        runtime=draw(st.sampled_from(RUNTIMES)),
        version=draw(st.sampled_from(["", "3.13.0t", "3.12.1"])),
        cpu_limit=4.0,
    )


@st.composite
def knees(draw: st.DrawFn) -> Knee | NoKnee:
    if draw(st.booleans()):
        return NoKnee(draw(st.sampled_from(NoKneeCode)), "it ended there", 100.0)
    criterion = draw(st.sampled_from(["latency.p99", "cpu.share", "memory.share"]))
    return replace(KNEE, label=draw(st.sampled_from(KneeLabel)), criterion=criterion)


@st.composite
def broken(draw: st.DrawFn) -> Trial:
    status, failed = draw(st.sampled_from([200, 429, 500, 503, 504])), draw(st.integers(1, 999))
    return trial(draw(st.floats(100, 200)), draw(medians), {200: 1000 - failed, status: failed})


@given(evidence_of(), knees(), st.lists(broken(), max_size=3))
@settings(max_examples=60, deadline=None)
def test_knee_class_findings_and_advice_agree(
    evidence: Evidence, knee: Knee | NoKnee, trials: list[Trial]
) -> None:
    search = climb(knee, *trials)
    done = diagnose(evidence, search, None, trials)
    failures = failures_there(evidence, search)
    assert list(contradictions(done, knee, failures, evidence)) == []


@given(evidence_of(), spans(10.0), st.sampled_from([429, 503]), st.integers(60, 900))
@settings(max_examples=40, deadline=None)
def test_a_service_that_turns_away_and_stays_quick_is_a_limiter_whatever_else_it_does(
    evidence: Evidence, base: Span, status: int, away: int
) -> None:
    quick = replace(base, trial=trial(10.0, 0.010))
    knee = replace(KNEE, label=KneeLabel.ERRORS)
    trials = [trial(130.0, 0.011, {200: 1000 - away, status: away})]
    done = diagnose(replace(evidence, baseline=quick, above=None), climb(knee, *trials), None, ())
    assert done.bottleneck is not None and done.bottleneck.category == "limiter"
    assert not done.next_step.startswith("Change")
