"""Those who take the work of others from a queue, and the few things that others have to wait for:
which of them a wait is for, and how much the workers let through.
"""

from __future__ import annotations

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.prediction.thread_stations import thread_stations
from tests.unit.scenes import classified, ranked, series, used

LOOKS = 24
RATE = 100.0  # answers per second
WORKING, ANSWER = "task work_off>convert!sleep sleep", "task home>submit!receive lock@channel:"
AT_REST = "task work_off!receive lock@channel:Q"


def answers(count: int) -> list[str]:
    """Requests that wait for an answer, each at a channel of its own."""
    return [f"{ANSWER}{n}" for n in range(count)]


def evidence(*moment: str, rest: tuple[str, ...] = ()) -> Evidence:
    """The same moment again and again; without load `rest` is there."""
    idle = series(*[rest] * LOOKS) if rest else None
    return Evidence(
        Span(RATE, instants=series(*[moment] * LOOKS), resources=used(0.1)), idle=idle, runtime="go"
    )


QUEUES = {
    "unbuffered": [*answers(2), *["task home>submit!send lock@channel:Q"] * 3],
    "buffered, full": [*answers(2), *["task home>submit!send lock@several:Q"] * 3],
    "buffered, with room": answers(5),
    "a condition each": [f"task home>submit!wait lock@{n}" for n in range(5)],
}


@pytest.mark.parametrize("waiting", QUEUES.values(), ids=QUEUES)
def test_goroutines_that_take_from_a_channel_are_workers_each_request_counted_once(
    waiting: list[str],
) -> None:
    seen = evidence(*[WORKING] * 2, *waiting, rest=(AT_REST,) * 2)
    assert classified(seen).category == "workers"
    first, *_ = ranked(seen)
    # Two requests are with a worker, three queue: five at 100/s.
    assert first.function == "convert" and first.blamed.value == pytest.approx(0.050)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_workers_let_through_as_many_as_there_are_over_the_time_of_each(workers: int) -> None:
    seen = evidence(*[WORKING] * workers, *answers(workers + 4), rest=(AT_REST,) * workers)
    assert classified(seen).category == "workers"
    (crew,) = thread_stations(read_evidence(seen), None, {})
    # All are at work at 100/s: so long does each take, and so many is the most.
    assert crew.units == workers and crew.bound.value == pytest.approx(RATE)
    assert "work_off" in crew.name


def test_workers_that_rest_half_of_the_time_let_through_twice_as_many() -> None:
    rest = (AT_REST,) * 2
    spans = series(*[[WORKING, WORKING, *answers(3)], [*rest]] * LOOKS)
    seen = Evidence(Span(RATE, instants=spans), idle=series(*[rest] * LOOKS), runtime="go")
    (crew,) = thread_stations(read_evidence(seen), None, {})
    assert crew.bound.value == pytest.approx(2 * RATE)


def test_threads_that_take_from_a_queue_are_workers_too() -> None:
    waiting = [f"serve>home>submit!wait lock@{n}" for n in range(5)]
    seen = evidence(*["work_off>convert sleep"] * 2, *waiting, rest=("work_off!take lock@Q",) * 2)
    assert classified(seen).category == "workers"


POOLS = {
    "permits, each waits at a channel of its own": [
        *["task home>render>convert!sleep sleep"] * 3,
        *[f"task home>render!acquire lock@channel:{n}" for n in range(5)],
    ],
    "a channel with room as permits": [
        *["task home>render>convert!sleep sleep"] * 3,
        *["task home>render!send lock@several:P"] * 5,
    ],
    "a channel that things are taken from and put back": [
        *["task home>render>convert!sleep sleep"] * 3,
        *["task home>render!receive lock@channel:F"] * 5,
    ],
    "so many goroutines at most": [
        *["task go_func>convert!sleep sleep"] * 3,
        *["task home>submit!send lock@several:L"] * 5,
    ],
}


@pytest.mark.parametrize("moment", POOLS.values(), ids=POOLS)
def test_one_of_a_few_that_requests_have_themselves_is_a_pool(moment: list[str]) -> None:
    seen = evidence(*moment)
    assert classified(seen).category == "pool"
    assert ranked(seen)[0].function == "convert"
    assert max(s.units for s in thread_stations(read_evidence(seen), None, {})) == 3


def test_a_lock_that_one_of_another_kind_holds_stays_a_lock() -> None:
    waiting = ["task home>price!acquire lock@M"] * 4
    resting = "task renew!wait sleep"
    assert (
        classified(evidence("task renew>load!sleep sleep", *waiting, rest=(resting,))).category
        == "lock"
    )


def test_a_channel_with_room_for_one_as_a_lock_is_a_lock() -> None:
    waiting = ["task home>post!send lock@channel:M"] * 4
    assert classified(evidence("task home>post>write!sleep sleep", *waiting)).category == "lock"
