"""The probe effect: flagged only beyond what quiet spans differ by themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.trial.probe import probe_effect
from perfhunt.model.trial import Resources, Trial
from tests.unit.trials import HELD, QUICK


def trial(p99: float, completed: float = 100.0, cpu: float = 0.5, overload: str = "") -> Trial:
    latency = replace(QUICK, p99=p99, max=2 * p99)
    return replace(
        HELD,
        completed=completed,
        response=latency,
        service=latency,
        overload=overload,
        resources=Resources(10.0, cpu=cpu),
    )


def test_a_profiler_that_changes_nothing_is_not_flagged() -> None:
    effect = probe_effect((trial(0.100), trial(0.102)), (trial(0.103), trial(0.101)))
    assert not effect.flagged
    assert effect.p99 == pytest.approx(0.102 / 0.101)
    assert effect.throughput == pytest.approx(1.0)


def test_a_slower_p99_is_flagged_beyond_five_percent() -> None:
    effect = probe_effect((trial(0.100), trial(0.101)), (trial(0.120),))
    assert effect.flagged
    assert "p99" in effect.note


def test_quiet_spans_that_differ_as_much_themselves_flag_nothing_and_say_so() -> None:
    effect = probe_effect((trial(0.100), trial(0.150)), (trial(0.160),))
    assert not effect.flagged
    assert "50%" in effect.note


def test_lost_throughput_is_flagged() -> None:
    assert probe_effect((trial(0.1), trial(0.1)), (trial(0.1, completed=80.0),)).flagged


def test_cpu_is_compared_per_request() -> None:
    effect = probe_effect(
        (trial(0.1, completed=100.0, cpu=0.5),), (trial(0.1, completed=50.0, cpu=0.5),)
    )
    assert effect.cpu == pytest.approx(2.0)


def test_overloaded_spans_say_nothing_about_the_profiler() -> None:
    effect = probe_effect((trial(0.1),), (trial(0.1, overload="the queue grew"),))
    assert (effect.p99, effect.flagged) == (None, False)
    assert "profiled" in effect.note
