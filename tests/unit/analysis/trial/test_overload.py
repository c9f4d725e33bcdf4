"""When a step is called off: Little's law, and failures."""

from dataclasses import replace

from perfhunt.analysis.trial.overload import overload
from perfhunt.model.trial import SecondRow
from tests.unit.trials import CALM_SECOND


def seconds(*rows: SecondRow) -> list[SecondRow]:
    return [replace(row, second=i) for i, row in enumerate(rows)]


def test_a_calm_step_goes_on() -> None:
    assert overload(seconds(CALM_SECOND, CALM_SECOND, CALM_SECOND), 100.0, 0.2) == ""


def test_more_in_flight_than_the_limit_explains_is_overload() -> None:
    # At 100/s and a limit of 200 ms, 1.5 x 100 x 0.2 + 5 = 35 may be in flight.
    full = replace(CALM_SECOND, in_flight=40.0)
    assert "40 requests in flight" in overload(seconds(CALM_SECOND, full, full), 100.0, 0.2)
    allowed = replace(CALM_SECOND, in_flight=34.0)
    assert overload(seconds(CALM_SECOND, allowed, allowed), 100.0, 0.2) == ""


def test_one_bad_second_is_not_enough() -> None:
    assert overload(seconds(replace(CALM_SECOND, in_flight=60.0)), 100.0, 0.2) == ""
    assert overload(seconds(replace(CALM_SECOND, in_flight=60.0), CALM_SECOND), 100.0, 0.2) == ""


def test_failures_above_their_share_are_overload_and_a_few_are_not() -> None:
    failing = replace(CALM_SECOND, failed=10)
    assert "20 of 200 requests" in overload(seconds(failing, failing), 100.0, 0.2)
    rare = replace(CALM_SECOND, done=4, failed=2)
    assert overload(seconds(rare, rare), 4.0, 0.2) == ""


def test_without_a_latency_limit_two_seconds_stand_in() -> None:
    slow = replace(CALM_SECOND, in_flight=200.0)
    assert overload(seconds(slow, slow), 100.0, float("inf")) == ""
    stuck = replace(CALM_SECOND, in_flight=400.0)
    assert overload(seconds(stuck, stuck), 100.0, float("inf"))
