"""Slopes per thousand requests: leaks are told from jumps and from breathing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from perfhunt.analysis.trial.growth import slopes, watched_rate
from perfhunt.analysis.trial.judging import judge_slo
from perfhunt.model.knee import Growing, NoKnee, NoKneeCode, Slope
from perfhunt.model.slo import Judgement, Measure, Objective, Slo
from perfhunt.model.trial import Phase, Resources, Trial
from tests.unit.trials import HELD

RATE, SECONDS = 100.0, 10.0  # a thousand requests a trial
MEBIBYTE = 2**20


def history(rss: list[float], phase: Phase = Phase.SOAK, fds: int = 20) -> list[Trial]:
    """Trials of a thousand requests each, after which the memory was this."""
    return [
        replace(
            HELD,
            step=replace(HELD.step, phase=phase, rate=RATE),
            achieved=RATE,
            seconds=SECONDS,
            resources=Resources(SECONDS, rss=int(each), fds=fds, threads=8, cpu_seconds=2.0),
        )
        for each in rss
    ]


def slope_of(of: Growing, trials: list[Trial]) -> Slope:
    (slope,) = [slope for slope in slopes(trials) if slope.of is of]
    return slope


def test_a_leak_has_its_slope_with_its_doubt() -> None:
    random = np.random.default_rng(3)
    leak = [MEBIBYTE * (100 + 2 * n + random.normal(0, 0.3)) for n in range(20)]
    slope = slope_of(Growing.RSS, history(leak))
    assert slope.grows
    assert slope.per_thousand.low <= 2 * MEBIBYTE <= slope.per_thousand.high
    assert slope.per_thousand.n == 19
    assert slope.reached == int(leak[-1])


@pytest.mark.parametrize(
    "rss",
    [[100.0, 140.0, *[140.0] * 10], [100.0 + (n % 2) for n in range(12)], [100.0] * 12],
    ids=["one jump", "breathing", "still"],
)
def test_what_does_not_leak_has_no_slope(rss: list[float]) -> None:
    assert not slope_of(Growing.RSS, history([MEBIBYTE * each for each in rss])).grows


def test_what_wanders_is_seldom_called_a_leak() -> None:
    random = np.random.default_rng(9)
    walks = [np.cumsum(random.normal(0, MEBIBYTE, 15)) + 1e9 for _ in range(400)]
    called = [slope_of(Growing.RSS, history(walk.tolist())).grows for walk in walks]
    assert np.mean(called) <= 0.01


def test_two_changes_are_no_trend() -> None:
    assert slopes(history([1e8, 2e8, 3e8])) == ()


def test_memory_is_watched_since_the_heaviest_load() -> None:
    climbing = history([1e8, 2e8, 3e8, 4e8, 5e8], Phase.RAMP)
    busiest = [replace(t, step=replace(t.step, rate=10 * RATE)) for t in history([6e8], Phase.RAMP)]
    assert not slope_of(Growing.RSS, [*climbing, *busiest, *history([6e8] * 6, Phase.PASS)]).grows


def test_a_growth_objective_is_judged_by_its_whole_interval() -> None:
    trials = history([MEBIBYTE * (100 + n) for n in range(10)])  # a MiB per 10 s: 360 MiB/h
    none = NoKnee(NoKneeCode.STOPPED, "")

    def verdict(limit: float, of: list[Trial]) -> Judgement:
        slo = Slo((Objective(Measure.RESOURCES, "memory_growth", "<=", limit * MEBIBYTE),))
        return judge_slo(slo, None, none, of)[0].verdict

    assert verdict(400.0, trials) is Judgement.MET
    assert verdict(300.0, trials) is Judgement.MISSED
    assert verdict(400.0, trials[:2]) is Judgement.UNKNOWN
    uneven = history([MEBIBYTE * (100 + n + 6 * (n % 2)) for n in range(10)])
    assert verdict(400.0, uneven) is Judgement.UNKNOWN


def test_the_rate_that_was_watched_is_the_soaks() -> None:
    assert watched_rate(history([1e8], Phase.RAMP)) is None
    assert watched_rate(history([1e8])) == RATE
