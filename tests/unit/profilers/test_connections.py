"""Waits for a connection, told from waits for what answers on it: by hand counts."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from perfhunt.model.states import ThreadState
from perfhunt.profilers.node.connections import Awaited, with_queues
from perfhunt.target.proc.waits import Wait

DATABASE = "10.0.0.7:5432"
NAME = f"futex:several:connection:{DATABASE}"
OF_TWO = {"10.0.0.7 5432": (2, 2)}


def awaited(*, unsent: bool = True, on: str = DATABASE) -> Awaited:
    return Awaited(Wait(ThreadState.SOCKET, on), unsent)


def test_of_five_that_wait_for_one_end_with_two_connections_the_last_three_queue() -> None:
    told = list(with_queues([awaited() for _ in range(5)], OF_TWO))
    on_the_way = (Wait(ThreadState.SOCKET, DATABASE), frozenset([NAME]))
    assert told == [on_the_way] * 2 + [(Wait(ThreadState.LOCK, NAME), frozenset())] * 3


@pytest.mark.parametrize(
    ("waits", "links"),
    [
        ([awaited()] * 2, OF_TWO),  # a connection for each
        ([awaited(unsent=False)] * 5, OF_TWO),  # each was written: one connection carries several
        ([awaited()] * 5, {"10.0.0.7 5432": (2, 1)}),  # others write before an answer has come
        ([awaited()] * 5, {}),  # nothing is known of its connections
        ([awaited()] * 5, {"10.0.0.8 5432": (2, 2)}),  # those of another end
        ([awaited(on="")] * 5, {"undefined undefined": (2, 2)}),
        # One end, by two of its addresses.
        ([awaited()] * 3, {"10.0.0.7 5432": (2, 2), "::ffff:10.0.0.7 5432": (1, 1)}),
    ],
)
def test_no_queue_is_told_of_where_there_may_be_none(
    waits: list[Awaited], links: Mapping[str, tuple[int, int]]
) -> None:
    told = list(with_queues(waits, links))
    assert told == [(each.wait, frozenset()) for each in waits]


def test_what_was_written_for_is_no_part_of_a_queue_whenever_it_began() -> None:
    waits = [awaited(), awaited(), awaited(), awaited(unsent=False)]
    states = [wait.state for wait, _ in with_queues(waits, OF_TWO)]
    assert states == [
        ThreadState.SOCKET,
        ThreadState.LOCK,
        ThreadState.LOCK,
        ThreadState.SOCKET,
    ]
