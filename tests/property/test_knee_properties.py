"""What must hold of every search and every fit, whatever the service."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from perfhunt.analysis.knee.fit import Point, fit
from perfhunt.analysis.knee.goal import Goal
from perfhunt.analysis.knee.search import drive, replay, search
from perfhunt.model.knee import Knee
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Drain, Phase, Step
from perfhunt.testing import QueueEngine, Service, lognormal

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


def climb(service, limit, seed, budget, quick=False):
    criterion = Criterion("latency.p99", limit, 0.01)
    engine = QueueEngine(service, (criterion,), seed)
    goal = Goal((criterion,), budget=budget, seed=seed, max_rate=2000.0, quick=quick)
    baseline = engine.run(Step(Phase.BASELINE, goal.start, 15.0, seed, 1.0))
    asks, outcomes = [], []

    def ask(wanted):
        asks.append(wanted)
        outcomes.append(engine.drain(wanted) if isinstance(wanted, Drain) else engine.run(wanted))
        return outcomes[-1]

    return goal, baseline, drive(search(goal, baseline), ask), asks, outcomes


@few
@given(services, st.floats(0.05, 0.5), st.integers(0, 1000), st.floats(30.0, 400.0), st.booleans())
def test_every_climb_keeps_its_promises(service, limit, seed, budget, quick):
    goal, baseline, found, asks, outcomes = climb(service, limit, seed, budget, quick)
    assert replay(search(goal, baseline), found.trials, found.drains) == found
    for before, outcome, after in zip(asks, outcomes, asks[1:], strict=False):
        if isinstance(before, Step) and outcome.overload:
            assert isinstance(after, Drain), "a trial followed an overload without a drain"
    spent, longest = (
        sum(o.seconds for o in outcomes),
        max((o.seconds for o in outcomes), default=0.0),
    )
    assert spent <= goal.seconds + longest + 1e-6
    assert all(step.rate <= goal.max_rate for step in asks if isinstance(step, Step))
    if isinstance(found.knee, Knee):
        assert 0 < found.knee.low <= found.knee.rate <= found.knee.high


@st.composite
def evidence(draw):
    knee, slope = draw(st.floats(5.0, 5000.0)), draw(st.floats(6.0, 30.0))
    shifts = sorted(draw(st.lists(st.floats(-1.0, 2.0), min_size=4, max_size=12, unique=True)))
    noise = draw(st.lists(st.floats(-0.7, 0.7), min_size=12, max_size=12))
    found = []
    for shift, extra in zip(shifts, noise, strict=False):
        share = min(0.3, 0.01 * math.exp(shift + extra))
        found.append(Point(knee * (1 + shift / slope), 1500.0, 1500.0 * share))
    return knee, slope, found


@few
@given(evidence(), st.floats(0.01, 100.0))
def test_the_knee_scales_with_the_unit_of_rate(seen, factor):
    knee, _, points = seen
    capacity = 1.4 * knee
    scaled = [Point(p.rate * factor, p.n, p.exceed) for p in points]
    one = fit(points, Criterion("c", 12 / knee, 0.01), capacity)
    other = fit(scaled, Criterion("c", 12 / knee / factor, 0.01), capacity * factor)
    assert math.isclose(other.knee, one.knee * factor, rel_tol=1e-6)
    assert math.isclose(other.half_width, one.half_width, rel_tol=1e-4)


@few
@given(evidence(), st.floats(1.2, 3.0))
def test_more_slow_requests_at_every_rate_never_raise_the_knee(seen, more):
    knee, _, points = seen
    worse = [Point(p.rate, p.n, min(0.9 * p.n, p.exceed * more)) for p in points]
    criterion = Criterion("c", 12 / knee, 0.01)
    assert fit(worse, criterion, 1.4 * knee).knee <= fit(points, criterion, 1.4 * knee).knee * 1.005


@few
@given(evidence())
def test_the_band_holds_the_curve_and_the_interval_the_knee(seen):
    knee, _, points = seen
    found = fit(points, Criterion("c", 12 / knee, 0.01), 1.4 * knee)
    assert found.low <= found.knee <= found.high
    for rate in (0.9 * knee, knee, 1.1 * knee):
        low, high = found.band(rate)
        assert low * 0.9 <= found.share_at(rate) <= high * 1.1
