"""The order of a paired comparison cancels drift, and both builds are sent the same load."""

from collections import Counter

import pytest

from perfhunt.analysis.verdict.calibration import calibrate, plan, restart_noise
from perfhunt.analysis.verdict.endpoints import CPU, MEDIAN, BuildReading
from perfhunt.analysis.verdict.pairs import BASE, HEAD, Round, SlicePlan, first_of, slices
from perfhunt.analysis.verdict.sequential import estimate
from perfhunt.model.trial import Phase

PLAN = SlicePlan(knee=100.0, saturating=150.0, seed=7)


def test_rounds_alternate_who_goes_first() -> None:
    order = [first_of(n, 1) for n in range(4)]
    assert order in ([BASE, HEAD, BASE, HEAD], [HEAD, BASE, HEAD, BASE])
    assert first_of(0, 1) != first_of(0, 2)


def test_both_builds_get_the_same_steps_with_the_same_seeds() -> None:
    planned = slices(PLAN, 3)
    steps = {v: [s.step for s in planned if s.version == v] for v in (BASE, HEAD)}
    assert steps[BASE] == steps[HEAD]
    assert [s.phase for s in steps[BASE]] == [Phase.WARMUP, Phase.FIXED, Phase.CAPACITY]


def test_neighbouring_rounds_are_sent_different_arrivals() -> None:
    seeds = Counter(s.step.seed for n in range(20) for s in slices(PLAN, n))
    assert set(seeds.values()) == {2}


def test_slices_are_mirrored_so_that_a_straight_drift_cancels_over_two_rounds() -> None:
    place = {BASE: 0, HEAD: 0}
    for n in (0, 1):
        for i, each in enumerate(slices(PLAN, n)):
            place[each.version] += i
    assert place[BASE] == place[HEAD]


def identical(differences: list[float]) -> list[Round]:
    side = BuildReading({}, {})
    return [
        Round(i, side, side, {CPU.name: d, MEDIAN.name: d / 2}, 40.0)
        for i, d in enumerate(differences)
    ]


NOISE = [0.02, -0.015, 0.01, -0.02, 0.005, -0.01, 0.015, -0.005]


def test_calibration_gives_the_spread_of_identical_builds_with_its_chi_square_interval() -> None:
    found = calibrate(identical(NOISE))
    cpu = found.noises[0].sd
    assert cpu.value == pytest.approx(estimate(NOISE).sd)
    # chi-square with 7 degrees of freedom: 1.690 and 16.013 (tables)
    assert cpu.high == pytest.approx(cpu.value * (7 / 1.690) ** 0.5, rel=5e-4)
    assert cpu.low == pytest.approx(cpu.value * (7 / 16.013) ** 0.5, rel=5e-4)
    assert found.refused == ""
    assert found.priors()[CPU.name].df == 7.0


def test_a_host_on_which_identical_builds_differ_is_refused_and_lends_no_noise() -> None:
    found = calibrate(identical([0.10 + d for d in NOISE]))
    assert "two identical builds differed in CPU per request" in found.refused
    assert found.priors() == {}


def test_a_host_that_drifts_from_round_to_round_is_refused() -> None:
    drifting = [
        0.05 * x for x in (-1.0, -0.8, -0.5, -0.2, 0.2, 0.5, 0.8, 1.0, 0.9, 0.4, -0.3, -1.0)
    ]
    assert "drifts from round to round" in calibrate(identical(drifting)).refused


def test_the_plan_needs_more_minutes_for_smaller_changes() -> None:
    plans = plan(calibrate(identical(NOISE)), (0.30, 0.10, 0.03))
    assert [p.seconds for p in plans] == sorted(p.seconds for p in plans)
    assert plans[1].minutes == plans[1].rounds * 40.0 / 60.0


def test_without_calibration_the_noise_is_three_percent_and_says_so() -> None:
    noise, sentence = restart_noise(None, ["cpu"])
    assert noise == {"cpu": 0.03}
    assert "3%" in sentence
    assert "assumed" in sentence


def test_calibration_of_three_rounds_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        calibrate(identical(NOISE[:3]))
