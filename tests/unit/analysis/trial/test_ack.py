"""Which answers waited for a delayed acknowledgement: counted by hand."""

from __future__ import annotations

import pytest

from perfhunt.analysis.trial.ack import ack_delay, ack_wait, is_certain
from perfhunt.model.trial import Wire


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
