"""What must hold of every search and every fit, whatever the service."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from perfhunt.analysis.knee.curve.fit import KneeFit, fit
from perfhunt.analysis.knee.curve.points import FitPoint
from perfhunt.analysis.knee.goal import Goal, StepOrDrain, TrialOrDrained
from perfhunt.analysis.knee.search import drive, replay, search
from perfhunt.model.knee import Knee
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Drain, Step, Trial
from perfhunt.testing import Service, lognormal
from tests.simulation.queues import answering, begin

services = st.builds(
    lambda mean, cv, workers, pause, refuse: Service(
        lognormal(mean, cv), workers, pause=pause, period=2.0 if pause else 0.0, refuse_above=refuse
    ),
    st.floats(0.002, 0.05),
    st.floats(0.1, 2.0),
    st.integers(1, 8),
    st.sampled_from([0.0, 0.05]),
    st.sampled_from([None, None, 90.0]),
)
few = settings(max_examples=12, deadline=None, derandomize=True)


@few
@given(services, st.floats(0.05, 0.5), st.integers(0, 1000), st.floats(30.0, 400.0), st.booleans())
def test_every_climb_keeps_its_promises(
    service: Service, limit: float, seed: int, budget: float, quick: bool
) -> None:
    criterion = Criterion("latency.p99", limit, 0.01)
    engine, goal, baseline = begin(
        Goal((criterion,), budget=budget, seed=seed, max_rate=2000.0, quick=quick), service
    )
    asks: list[StepOrDrain] = []
    outcomes: list[TrialOrDrained] = []

    def ask(wanted: StepOrDrain) -> TrialOrDrained:
        asks.append(wanted)
        outcomes.append(answering(engine)(wanted))
        return outcomes[-1]

    climb = drive(search(goal, baseline), ask)
    assert replay(search(goal, baseline), climb.trials, climb.drains) == climb
    for outcome, following in zip(outcomes, asks[1:], strict=False):
        if isinstance(outcome, Trial) and outcome.overload:
            assert isinstance(following, Drain), "a trial followed an overload without a drain"
    longest = max((outcome.seconds for outcome in outcomes), default=0.0)
    assert sum(outcome.seconds for outcome in outcomes) <= goal.seconds + longest + 1e-6
    assert all(step.rate <= goal.max_rate for step in asks if isinstance(step, Step))
    if isinstance(climb.knee, Knee):
        assert 0 < climb.knee.low <= climb.knee.rate <= climb.knee.high
    else:
        assert climb.knee.reason


Evidence: TypeAlias = tuple[float, float, list[FitPoint]]


@st.composite
def evidence(draw: st.DrawFn) -> Evidence:
    """A knee, the slope there, and noisy shares around it."""
    knee, slope = draw(st.floats(5.0, 5000.0)), draw(st.floats(6.0, 30.0))
    shifts = sorted(draw(st.lists(st.floats(-1.0, 2.0), min_size=4, max_size=12, unique=True)))
    noise = draw(st.lists(st.floats(-0.7, 0.7), min_size=12, max_size=12))
    points = []
    for shift, extra in zip(shifts, noise, strict=False):
        share = min(0.3, 0.01 * math.exp(shift + extra))
        points.append(FitPoint(knee * (1 + shift / slope), 1500.0, 1500.0 * share))
    return knee, slope, points


def fitted(points: Sequence[FitPoint], criterion: Criterion, capacity: float) -> KneeFit:
    curve = fit(points, criterion, capacity)
    assert curve is not None
    return curve


@few
@given(evidence(), st.floats(0.01, 100.0))
def test_the_knee_scales_with_the_unit_of_rate(known: Evidence, factor: float) -> None:
    knee, _, points = known
    scaled = [FitPoint(p.rate * factor, p.n, p.exceed) for p in points]
    plain = fitted(points, Criterion("c", 12 / knee, 0.01), 1.4 * knee)
    other = fitted(scaled, Criterion("c", 12 / knee / factor, 0.01), 1.4 * knee * factor)
    assert math.isclose(other.knee, plain.knee * factor, rel_tol=1e-6)
    assert math.isclose(other.half_width, plain.half_width, rel_tol=1e-4)


@few
@given(evidence(), st.floats(1.2, 3.0))
def test_more_slow_requests_at_every_rate_never_raise_the_knee(
    known: Evidence, factor: float
) -> None:
    knee, _, points = known
    worse = [FitPoint(p.rate, p.n, min(0.9 * p.n, p.exceed * factor)) for p in points]
    criterion, capacity = Criterion("c", 12 / knee, 0.01), 1.4 * knee
    before = fitted(points, criterion, capacity).knee
    assert fitted(worse, criterion, capacity).knee <= before * 1.005


@few
@given(evidence())
def test_the_band_holds_the_curve_and_the_interval_the_knee(known: Evidence) -> None:
    knee, _, points = known
    curve = fitted(points, Criterion("c", 12 / knee, 0.01), 1.4 * knee)
    assert curve.low <= curve.knee <= curve.high
    for rate in (0.9 * knee, knee, 1.1 * knee):
        low, high = curve.band(rate)
        assert low * 0.9 <= curve.share_at(rate) <= high * 1.1
