"""Which answers waited for a delayed acknowledgement: counted by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.trial.wire import about, ack_delay, ack_wait, is_certain, wire_reading
from perfhunt.model.trial import Count, Resources, Trial, Wire
from tests.unit.trials import HELD


def test_gaps_longer_by_the_delay_than_those_acknowledged_at_once_are_held_back() -> None:
    found = ack_delay({0.001: 10, 0.042: 30, 0.3: 5}, 40, 0.001, 0.0002)
    assert found.answers == 30
    assert found.seconds == pytest.approx(30 * 0.041)


def test_a_server_that_pauses_as_long_by_itself_pauses_for_hurried_answers_too() -> None:
    assert ack_delay({0.045: 100}, 50, 0.045, 0.0002).answers == 0
    assert ack_delay({0.087: 100}, 50, 0.045, 0.0002).answers == 100  # pauses, and is held back


@pytest.mark.parametrize("hurried", [0, 2])
def test_without_enough_hurried_answers_a_round_trip_is_what_an_answer_needs(hurried: int) -> None:
    assert ack_delay({0.062: 100}, hurried, 0.0001, 0.020).answers == 100
    assert ack_delay({0.020: 100}, hurried, 0.0001, 0.020).answers == 0
    assert ack_delay({0.042: 100}, hurried, None, None).answers == 100


def test_the_wait_is_that_of_all_answers_and_none_where_nobody_looked() -> None:
    assert ack_wait(Wire(answers=200, held=100, held_total=4.0)) == pytest.approx(0.020)
    assert ack_wait(None) == ack_wait(Wire(answers=0)) == 0.0
    assert is_certain(Wire(answers=1, hurried=3))
    assert not is_certain(Wire(answers=1, hurried=2))


def trial(rate: float, wire: Wire | None, mean: float = 0.012, overload: str = "") -> Trial:
    step = replace(HELD.step, rate=rate)
    service = replace(HELD.service, mean=mean)
    return replace(HELD, step=step, wire=wire, service=service, overload=overload)


def test_trials_of_about_one_load_say_more_than_the_hold_alone() -> None:
    few = Wire(answers=18, hurried=3, hurried_gap=0.002)
    many = Wire(answers=117, in_pieces=46, held=16, held_total=0.68, hurried=5, hurried_gap=0.0002)
    near = [trial(4.0, few, 0.005), trial(4.0, many, 0.01)]
    far = [trial(40.0, many), trial(4.0, many, overload="too much")]
    assert about([*near, *far], 4.0) == tuple(near)
    reading = wire_reading(near)
    assert reading is not None
    assert (reading.wire.answers, reading.wire.held, reading.wire.hurried) == (135, 16, 8)
    assert reading.wire.hurried_gap == 0.0002  # of the larger number
    assert reading.service == pytest.approx((18 * 0.005 + 117 * 0.01) / 135)
    assert ack_wait(reading.wire) == pytest.approx(0.68 / 135)


def test_what_the_kernel_counted_is_added_and_a_queue_is_as_long_as_it_ever_was() -> None:
    first = replace(
        trial(4.0, Wire(answers=10)),
        resources=Resources(1.0, accept_queue=2, accept_backlog=5, listen_overflows=3),
        counts={"a": Count(10, 1), "b": Count(10, 4)},
    )
    second = replace(first, resources=Resources(1.0, accept_queue=6, listen_drops=2))
    reading = wire_reading([first, second])
    assert reading is not None
    assert (reading.accept_queue, reading.accept_backlog) == (6, 5)
    assert (reading.overflows, reading.drops, reading.over) == (3, 2, 8)


def test_no_reading_without_a_wire_or_answers() -> None:
    assert wire_reading([]) is wire_reading([trial(4.0, None)]) is None
    assert wire_reading([trial(4.0, Wire(answers=0))]) is None
