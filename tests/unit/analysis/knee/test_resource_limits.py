"""Where CPU and memory objectives are reached, against a line drawn by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.analysis.knee.resource_limits import (
    resource_cautions,
    resource_limits,
    with_resources,
)
from perfhunt.model.knee import Knee, NoKnee, NoKneeCode
from perfhunt.model.slo import Measure, Objective
from perfhunt.model.trial import Resources, Trial
from tests.sample_run import sample_run

CPU = Objective(Measure.RESOURCES, "cpu", "<", 0.70)
RUN = sample_run()
assert isinstance(RUN.knee, Knee)
LATENCY_KNEE: Knee = RUN.knee
MEMORY = Objective(Measure.RESOURCES, "memory", "<", 0.80)


def trials(*used: tuple[float, float]) -> list[Trial]:
    blank = sample_run().trials[0]
    return [
        replace(
            blank,
            completed=rate,
            invalid="",
            resources=Resources(1.0, cpu_share=cpu, memory_share=0.1),
        )
        for rate, cpu in used
    ]


def test_cpu_that_grows_by_half_a_percent_a_request_reaches_70_percent_at_136() -> None:
    made = trials((10, 0.07), (40, 0.22), (80, 0.42), (120, 0.62))  # 2 % + 0.5 % x rate
    (cpu,) = resource_limits([CPU, MEMORY], made)
    assert cpu.rate.value == pytest.approx(136.0)
    (noisy,) = resource_limits([CPU], trials((10, 0.08), (40, 0.21), (80, 0.43), (120, 0.61)))
    assert noisy.rate.low < 136.0 < noisy.rate.high


def test_memory_that_load_does_not_touch_is_never_reached() -> None:
    assert resource_limits([MEMORY], trials((10, 0.1), (40, 0.2), (80, 0.3), (120, 0.4))) == ()


def test_three_rates_make_no_line() -> None:
    assert resource_limits([CPU], trials((10, 0.1), (40, 0.2), (80, 0.3))) == ()


def test_only_what_is_reached_before_the_knee_is_a_doubt() -> None:
    made = trials((10, 0.07), (40, 0.22), (80, 0.42), (120, 0.62))
    (doubt,) = resource_cautions([CPU], made, replace(LATENCY_KNEE, rate=200.0))
    assert "136/s" in doubt.sentence
    assert resource_cautions([CPU], made, replace(LATENCY_KNEE, rate=100.0)) == ()


def climbed(low: float, high: float) -> SearchResult:
    knee = replace(LATENCY_KNEE, rate=(low + high) / 2, low=low, high=high)
    return SearchResult(knee, (knee,), None, (), ())


TRIED = ((10.0, 0.0701), (40.0, 0.22), (80.0, 0.42), (120.0, 0.62), (180.0, 0.9199))


def test_the_first_to_break_is_the_knee() -> None:
    found = with_resources(climbed(160.0, 190.0), [CPU], trials(*TRIED))
    assert isinstance(found.knee, Knee)
    assert (found.knee.criterion, found.knee.label) == ("resources.cpu", "resource")
    assert found.knee.rate == pytest.approx(136.0, rel=0.01)
    assert [k.criterion for k in found.knees if isinstance(k, Knee)] == [
        "latency.p99",
        "resources.cpu",
    ]
    assert resource_cautions([CPU], trials(*TRIED), found.knee) == ()


def test_a_cpu_knee_that_may_come_later_is_listed_and_not_the_knee() -> None:
    found = with_resources(climbed(120.0, 150.0), [CPU], trials(*TRIED))
    assert isinstance(found.knee, Knee)
    assert found.knee.criterion == "latency.p99"
    assert len(found.knees) == 2


def test_a_rate_that_nothing_was_tried_at_is_a_guess_and_no_knee() -> None:
    calm = climbed(160.0, 190.0)
    assert (
        with_resources(calm, [CPU], trials((10, 0.07), (40, 0.22), (80, 0.42), (120, 0.62))) == calm
    )


def test_where_latency_never_breaks_cpu_still_does() -> None:
    none = NoKnee(NoKneeCode.BELOW_MAX_RATE, "held", 200.0)
    found = with_resources(SearchResult(none, (none,), None, (), ()), [CPU], trials(*TRIED))
    assert isinstance(found.knee, Knee)
    assert found.knee.criterion == "resources.cpu"
