"""Where CPU and memory objectives are reached, against a line drawn by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sample_run import sample_run

from perfhunt.analysis.resource_limits import reached, resource_cautions
from perfhunt.model.knee import Knee
from perfhunt.model.slo import Measure, Objective
from perfhunt.model.trial import Resources, Trial

CPU = Objective(Measure.RESOURCES, "cpu", "<", 0.70)
MEMORY = Objective(Measure.RESOURCES, "memory", "<", 0.80)


def trials(*used: tuple[float, float]) -> list[Trial]:
    blank = sample_run().trials[0]
    return [
        replace(blank, completed=rate, invalid="", resources=Resources(1.0, cpu_share=cpu, memory_share=0.1))
        for rate, cpu in used
    ]


def test_cpu_that_grows_by_half_a_percent_a_request_reaches_70_percent_at_136() -> None:
    made = trials((10, 0.07), (40, 0.22), (80, 0.42), (120, 0.62))  # 2 % + 0.5 % x rate
    (cpu,) = reached([CPU, MEMORY], made)
    assert cpu.rate.value == pytest.approx(136.0)
    (noisy,) = reached([CPU], trials((10, 0.08), (40, 0.21), (80, 0.43), (120, 0.61)))
    assert noisy.rate.low < 136.0 < noisy.rate.high


def test_memory_that_load_does_not_touch_is_never_reached() -> None:
    assert reached([MEMORY], trials((10, 0.1), (40, 0.2), (80, 0.3), (120, 0.4))) == ()


def test_three_rates_make_no_line() -> None:
    assert reached([CPU], trials((10, 0.1), (40, 0.2), (80, 0.3))) == ()


def test_only_what_is_reached_before_the_knee_is_a_doubt() -> None:
    made = trials((10, 0.07), (40, 0.22), (80, 0.42), (120, 0.62))
    knee = sample_run().knee
    assert isinstance(knee, Knee)
    (doubt,) = resource_cautions([CPU], made, replace(knee, rate=200.0))
    assert "136/s" in doubt.sentence
    assert resource_cautions([CPU], made, replace(knee, rate=100.0)) == ()
