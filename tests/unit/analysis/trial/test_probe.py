"""The probe effect: flagged only beyond what quiet spans differ by themselves."""

from __future__ import annotations

from dataclasses import replace
from math import exp

import pytest

from perfhunt.analysis.trial.probe import cpu_taken, probe_effect
from perfhunt.model.finding import ProbeEffect
from perfhunt.model.trial import Resources, SecondRow, Trial
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
    assert "from 100 ms to 150 ms" in effect.note


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


def watched(cpu: float, *quiet: float) -> ProbeEffect:
    return probe_effect([trial(0.1, cpu=used) for used in quiet], [trial(0.1, cpu=cpu)] * 2)


def test_a_cost_in_cpu_is_told_from_none_where_quiet_spans_agree() -> None:
    effect = watched(0.69, 0.5, 0.5)
    taken = cpu_taken(effect)
    assert taken is not None and not effect.flagged
    # No spread of their own: 5 % for four spans' worth, Student's t with 5 degrees of freedom.
    error = 0.05 * (4 / 5) ** 0.5
    assert taken.value == pytest.approx(1.38)
    assert taken.low == pytest.approx(1.38 * exp(-2.571 * error), rel=1e-3)
    assert taken.n == 4


def test_a_cost_in_cpu_within_what_quiet_spans_differ_by_is_none() -> None:
    assert cpu_taken(watched(0.69, 0.4, 0.6)) is None
    assert cpu_taken(watched(0.52, 0.5, 0.5)) is None
    assert cpu_taken(probe_effect((trial(0.1, overload="late"),), (trial(0.1),))) is None


def test_what_looking_at_waits_takes_is_not_in_the_cpu_that_functions_are_told_to_have() -> None:
    quiet = (trial(0.1, cpu=0.5), trial(0.1, cpu=0.5))
    effect = probe_effect(quiet, (trial(0.1, cpu=0.5),), (trial(0.1, cpu=0.8),))
    assert effect.cpu == pytest.approx(1.0)
    assert effect.cpu_waits == pytest.approx(1.6)
    assert cpu_taken(effect) is None
    assert effect.between["cpu_waits"].low > 1


def test_the_interval_of_a_p99_is_that_of_its_seconds() -> None:
    def seconds(*p99s: float) -> Trial:
        rows = [
            SecondRow(n, 100, 100, 100, 0, 0, (), 1.0, 0.05, p99, None, 0.1)
            for n, p99 in enumerate(p99s)
        ]
        return replace(trial(0.1), rows=tuple(rows), seconds=float(len(rows) + 1))

    calm, busy = seconds(*[0.1, 0.11] * 6), seconds(*[0.1, 0.12] * 6)
    between = probe_effect((calm,), (busy,)).between
    settle = int(calm.step.settle)
    assert between["p99"].n == 2 * (12 - settle)
    assert between["p99"].low < 1.0 < between["p99"].high
    assert between["throughput"].low == between["throughput"].high == 1.0
