"""What taking a fixed wait off each answer does to the knee, against the same queue without it."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

import pytest

from perfhunt.analysis.diagnosis.prediction.binding import Model, Observed
from perfhunt.analysis.diagnosis.prediction.curve import queue_curve
from perfhunt.analysis.diagnosis.prediction.relief import Relief
from perfhunt.analysis.diagnosis.prediction.station import Estimated, Station, StationKind
from perfhunt.analysis.diagnosis.prediction.whatif import Basis, predict
from perfhunt.analysis.knee.search import drive, search
from perfhunt.model.finding import WhatIf
from perfhunt.model.interval import Interval
from perfhunt.testing import Law, Service, constant, exponential
from tests.simulation.queues import GOAL, answering, begin, climb_of, knee_of

SEEDS = (1, 2, 3)


def predicted(law: Law, workers: int, delay: float, seed: int) -> tuple[WhatIf, float]:
    """The knee without a wait of every answer, as told by a search with it, and the knee with."""
    goal = replace(GOAL, seed=seed, budget=300.0)
    engine, goal, baseline = begin(goal, Service(law, workers, delay=constant(delay)))
    climb = drive(search(goal, baseline), answering(engine))
    knee, burst = knee_of(climb), climb.capacity
    assert burst is not None
    seen = Observed(Interval(burst.rate, burst.low, burst.high, 1), "the capacity")
    station = Station(
        "the lock", StationKind.LOCK, float(workers), waits=Estimated(workers / burst.rate)
    )
    model = Model(station, (station,), seen)
    curve = queue_curve(knee, model.capacity, [baseline, *climb.trials])
    basis = Basis(model, knee, knee.rate, curve)
    known = predict((), basis, Relief(off=Estimated(delay)))
    assert not isinstance(known, str), known
    return known, knee.rate


@pytest.mark.parametrize("delay", [0.01, 0.02, 0.04])
@pytest.mark.parametrize(
    ("law", "workers"),
    [(exponential(8e-3), 1), (constant(8e-3), 1), (exponential(4e-3), 1), (exponential(12e-3), 2)],
    ids=["M/M/1 of 8 ms", "M/D/1 of 8 ms", "M/M/1 of 4 ms", "M/M/2 of 12 ms"],
)
def test_the_knee_without_a_wait_is_that_of_the_queue_alone(
    law: Law, workers: int, delay: float
) -> None:
    errors, held, gains = [], 0, []
    for seed in SEEDS:
        goal = replace(GOAL, seed=seed, budget=300.0)
        truth = knee_of(climb_of(goal, Service(law, workers)))
        what_if, now = predicted(law, workers, delay, seed)
        errors.append(what_if.rate / truth.rate - 1)
        held += what_if.low <= truth.high and truth.low <= what_if.high
        gains.append(what_if.rate / now - 1)
        assert what_if.saturated is not None and what_if.rate < what_if.saturated
    # Two servers leave a quantile near that of the service alone until late: less of a hyperbola.
    assert abs(median(errors)) < (0.1 if workers == 1 else 0.15), errors
    assert held >= 2
    # A few percent are none; two fifths of what the SLO allows are worth more than that.
    assert delay < 0.04 or median(gains) > 0.05


def test_a_wait_of_which_nothing_is_taken_moves_nothing() -> None:
    what_if, now = predicted(exponential(8e-3), 1, 0.0, 1)
    assert what_if.rate == now
    assert not what_if.moves(now)
