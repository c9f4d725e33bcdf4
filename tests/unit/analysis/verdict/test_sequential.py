"""The test behind a verdict agrees with scipy, with Holm's procedure done by hand, and with the
queues it speaks about.
"""

import math

import pytest
from scipy import stats

from perfhunt.analysis.verdict.endpoints import (
    CPU,
    KNEE,
    MEDIAN,
    BuildReading,
    Elasticities,
    read,
    speed,
    speeds,
)
from perfhunt.analysis.verdict.sequential import (
    LOOKS,
    NoisePrior,
    estimate,
    holm,
    level,
    next_look,
    rounds_to_see,
    smallest_seen,
    spent,
)
from perfhunt.model.latency import Latency
from perfhunt.model.trial import Generator, Phase, Step, Trial


def test_the_p_value_and_interval_of_paired_differences_are_those_of_students_t() -> None:
    differences = [0.031, 0.055, 0.012, 0.048, 0.027, 0.060]
    found = estimate(differences)
    oracle = stats.ttest_1samp(differences, 0.0)
    assert found.p == pytest.approx(oracle.pvalue, rel=1e-9)
    bounds = oracle.confidence_interval(0.95)
    assert math.log1p(found.interval().low) == pytest.approx(bounds.low, rel=1e-9)
    assert math.log1p(found.interval().high) == pytest.approx(bounds.high, rel=1e-9)


def test_a_comparison_of_one_round_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two"):
        estimate([0.1])


def test_noise_known_from_identical_builds_is_pooled_by_degrees_of_freedom() -> None:
    found = estimate([0.02, 0.04, 0.06], NoisePrior(sd=0.02, df=8.0))
    assert found.df == 10.0
    assert found.sd**2 == pytest.approx((2 * 0.02**2 + 8 * 0.02**2) / 10)


def test_noise_known_from_a_quieter_day_is_not_pooled() -> None:
    assert estimate([-0.2, 0.1, 0.3], NoisePrior(sd=0.01, df=8.0)).df == 2.0


def test_holm_with_equal_weights_steps_down_as_by_hand() -> None:
    # 0.01 <= 0.05/4, 0.015 <= 0.05/3, 0.03 > 0.05/2: the first two only
    p = {"a": 0.03, "b": 0.01, "c": 0.04, "d": 0.015}
    assert holm(p, dict.fromkeys(p, 1.0), 0.05) == {"b", "d"}


def test_holm_gives_a_heavier_endpoint_the_greater_part_of_the_error_rate() -> None:
    assert holm({"heavy": 0.03, "light": 0.03}, {"heavy": 0.9, "light": 0.1}, 0.04) == {
        "heavy",
        "light",
    }
    assert holm({"heavy": 0.03, "light": 0.03}, {"heavy": 0.5, "light": 0.5}, 0.04) == frozenset()


def test_levels_grow_with_the_looks_and_the_whole_of_alpha_is_spent_at_the_last() -> None:
    assert [level(n) for n in LOOKS] == sorted(level(n) for n in LOOKS)
    assert spent(LOOKS[-1]) == pytest.approx(0.02)
    assert spent(3) == 0.0
    assert next_look(4) == 6
    assert next_look(LOOKS[-1]) is None


def test_the_smallest_change_shrinks_with_rounds_and_the_rounds_needed_see_the_change() -> None:
    assert smallest_seen(0.03, 20, 0.5) < smallest_seen(0.03, 6, 0.5)
    rounds = rounds_to_see(0.05, 0.03, 0.5)
    assert smallest_seen(0.03, rounds, 0.5) <= 0.05


def test_the_smallest_change_is_seen_in_nine_of_ten_experiments_by_the_noncentral_t() -> None:
    sd, n, weight = 0.03, 8, 0.5
    change = math.log1p(smallest_seen(sd, n, weight))
    critical = stats.t.ppf(1 - level(n) * weight / 2, n - 1)
    power = stats.nct.sf(critical, n - 1, change * math.sqrt(n) / sd)
    assert power == pytest.approx(0.90, abs=1e-3)


def test_a_ten_percent_faster_mm1_reads_as_ten_percent_by_its_median() -> None:
    # M/M/1: response is exponential with rate mu - lambda, so the median is ln 2 / (mu - lambda).
    rate, mu = 100.0, 166.0
    slope_of_rate = rate / (mu - rate)  # d ln W / d ln rate
    for change in (0.01, -0.01):
        moved = math.log((mu - rate) / (mu * (1 + change) - rate))
        found = speed(MEDIAN.name, moved, Elasticities(median=slope_of_rate))
        assert math.expm1(found) == pytest.approx(change, rel=0.03)


def test_halving_the_share_over_the_limit_at_sharpness_ten_moves_the_knee_by_seven_percent() -> (
    None
):
    assert speed(KNEE.name, math.log(0.5), Elasticities(sharpness=10.0)) == pytest.approx(
        0.0693, abs=1e-4
    )


def test_less_cpu_per_request_is_faster_and_an_endpoint_missing_on_one_side_is_left_out() -> None:
    before = BuildReading({CPU.name: math.log(0.011), MEDIAN.name: -3.0}, {})
    after = BuildReading({CPU.name: math.log(0.010)}, {})
    assert speeds(before, after, Elasticities()) == {CPU.name: pytest.approx(math.log(1.1))}


def test_a_build_that_answers_all_it_was_offered_has_at_least_that_capacity() -> None:
    step = Step(Phase.CAPACITY, 200.0, 8.0, 1)
    latency = Latency(1600, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01)
    generator = Generator(0.0, 0.0, 0.0)
    reading = read(
        [Trial(step, 8.0, 200.0, 199.0, {}, latency, latency, {"ok": 1600}, generator)], ""
    )
    assert reading.values["capacity"] == 199.0
    assert "at least that" in reading.notes["capacity"]
    saturated = read(
        [Trial(step, 8.0, 200.0, 150.0, {}, latency, latency, {"ok": 1600}, generator)], ""
    )
    assert saturated.notes == {}
