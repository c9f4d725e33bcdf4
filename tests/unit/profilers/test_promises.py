"""What a Node process says of its promises, read: recorded from Node 20 under load, and made up."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.profilers.node import looks
from perfhunt.profilers.node.awaits import Passages, await_at, frames_of, wait_of
from perfhunt.profilers.node.looks import NodeLooker
from perfhunt.target.proc.waits import ProcessWaits, Wait

# Eight looks at a service whose six clients share a pool of two, behind a lock that nobody waits
# for; every `await` of a function is in one line.
RECORDED = Path(__file__).parent / "recorded" / "node-pool.json"
HANDLER = ("", "file:///srv/app.mjs", 9, 5, 7)


class Answering:
    """A door, and the session behind it, that answers each look with the next of some."""

    def __init__(self, answers: Sequence[Any]) -> None:
        self._answers = iter(answers)
        self.asked: list[str] = []
        self.left = 0

    def session(self) -> Answering:
        return self

    def evaluate(self, expression: str, *, requires: bool = False) -> Any:
        self.asked.append(expression)
        return next(self._answers) if expression.endswith("look()") else None

    def close(self) -> None:
        self.left += 1

    leave = close


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes a looker at this very process, whose target answers as told."""

    def looker(answers: Sequence[Any]) -> tuple[NodeLooker, Answering]:
        door = Answering(answers)
        monkeypatch.setattr(looks, "open_door", lambda _: door)
        return NodeLooker(os.getpid()), door

    yield looker


def ends(samples: Sequence[ThreadSample], state: ThreadState) -> list[ThreadSample]:
    return [sample for sample in samples if sample.task and sample.state is state]


def test_of_a_recorded_pool_only_the_innermost_waits_are_told_and_two_have_it(
    answering: Any,
) -> None:
    looker, _ = answering([json.dumps(look) for look in json.loads(RECORDED.read_text())])
    seen = [looker.look() for _ in range(8)]
    last = seen[-1]
    waiting = ends(last, ThreadState.LOCK)
    assert {sample.stack[-1].function for sample in waiting} == {"acquire"}
    (name,) = {sample.wait_on for sample in waiting}
    for samples in seen:
        holders = [s for s in samples if name in s.holds]
        assert len(holders) <= 2
        assert {s.stack[-1].function for s in holders} <= {"query"}
        # Six clients: nobody is counted twice, on the way in and at its end.
        assert len([s for s in samples if s.task]) <= 6
    assert sum(name in s.holds for samples in seen for s in samples) > 8


def test_an_await_on_the_way_to_another_is_no_wait_and_one_beside_it_in_the_line_is() -> None:
    # As V8 has it: `await a(); await b();` in one line; what is about to wait is at its call, what
    # has waited at its `await`.
    passages = Passages()
    to_a, to_b = (await_at([("f", "/srv/app.js", 1, at, 1)]) for at in (27, 43))
    in_a = await_at([("f", "/srv/app.js", 1, 21, 1), ("a", "/srv/app.js", 5, 3, 4)])
    passages.saw(to_a, 4)
    passages.saw(to_b, 3)
    passages.saw(in_a, 4)
    assert passages.is_one(to_a)
    assert not passages.is_one(to_b)
    assert not passages.is_one(in_a)


def test_calls_within_an_await_of_several_lines_are_below_it() -> None:
    passages = Passages()
    every = await_at([("f", "/srv/app.js", 10, 5, 1)])
    later = await_at([("f", "/srv/app.js", 15, 5, 1)])
    one = await_at([("f", "/srv/app.js", 12, 7, 1), ("a", "/srv/app.js", 30, 3, 29)])
    for site, n in ((every, 2), (later, 2), (one, 2)):
        passages.saw(site, n)
    assert passages.is_one(every)
    assert not passages.is_one(later)


def test_who_called_without_awaiting_is_no_part_of_the_way_to_what_waits_below() -> None:
    passages = Passages()
    wrapper, handler = ("wrap", "/srv/app.js", 2, 3, 1), ("f", "/srv/app.js", 9, 5, 8)
    called = await_at([wrapper, handler])
    below = await_at([handler, ("a", "/srv/app.js", 30, 3, 29)])
    passages.saw(called, 3)
    passages.saw(below, 3)
    assert passages.is_one(called)
    assert not passages.is_one(below)


def test_the_way_to_an_await_begins_at_the_application_whoever_called_it_first() -> None:
    server = ("emit", "node:events", 524, 28, 471)
    router = ("dispatch", "/srv/node_modules/router/index.js", 4, 1, 1)
    driver = ("query", "/srv/node_modules/driver/index.js", 8, 1, 1)
    first = await_at([server, router, HANDLER, driver])
    resumed = await_at([HANDLER, driver])
    assert first.stack == resumed.stack
    assert [frame.function for frame in first.stack] == ["(anonymous:7)", "query"]
    assert [frame.function for frame in await_at([server, router, driver]).stack] == [
        "dispatch",
        "query",
    ]
    assert await_at([server]).stack == ()
    assert frames_of([HANDLER])[0].file == "/srv/app.mjs"


@pytest.mark.parametrize(
    ("ended", "wait"),
    [
        ({}, Wait(ThreadState.AWAIT)),
        ({"": 3}, Wait(ThreadState.AWAIT)),
        ({"Timeout": 3}, Wait(ThreadState.SLEEP)),
        ({"Immediate": 3}, Wait(ThreadState.LOOP)),
        ({"lock": 3, "Timeout": 1}, Wait(ThreadState.LOCK, "futex:promise:5")),
        ({"TCP ::ffff:10.0.0.7 5432": 3}, Wait(ThreadState.SOCKET, "10.0.0.7:5432")),
        ({"TCP 10.0.0.7 1": 2, "TCP 10.0.0.8 1": 3}, Wait(ThreadState.SOCKET, "10.0.0.8:1")),
        ({"HTTPClientAsyncResource ::1 80": 1}, Wait(ThreadState.SOCKET, "[::1]:80")),
        ({"HTTPClientAsyncResource undefined undefined": 1}, Wait(ThreadState.SOCKET)),
        ({"HTTPServerAsyncResource": 1}, Wait(ThreadState.SOCKET, "client:")),
        ({"PBKDF2Job": 1}, Wait(ThreadState.LOCK, "futex:thread:2")),
        ({"FSReqCallback": 1}, Wait(ThreadState.LOCK, "futex:thread:2")),
        ({"GetAddrInfoReqWrap": 1}, Wait(ThreadState.LOCK, "futex:thread:2")),
    ],
)
def test_what_ended_waits_before_says_what_one_is_for(ended: dict[str, int], wait: Wait) -> None:
    assert wait_of(ended, site=2, lock=5) == wait


def look(**told: Any) -> str:
    nothing = {
        "main": [],
        "holds": [],
        "sites": [],
        "waits": [],
        "kinds": {},
        "links": {},
        "every": 1,
        "spent": 0.001,
    }
    return json.dumps(nothing | told)


def test_where_one_of_four_requests_is_followed_each_stands_for_four_and_it_is_said(
    answering: Any,
) -> None:
    told = look(
        sites=[[0, [HANDLER]]],
        waits=[[0, False, [7], 4, False]],
        kinds={"0": [{}, 0]},
        every=4,
    )
    looker, _ = answering([told])
    seen = [sample for sample in looker.look() if sample.task]
    assert len(seen) == 4
    # A lock is not had by four because one of four was seen to have it.
    assert sum("futex:promise:7" in sample.holds for sample in seen) == 1
    assert "one of 4 requests" in looker.unseen


def test_a_framework_that_awaits_its_handler_is_no_second_wait_of_the_request(
    answering: Any,
) -> None:
    layer = ("handleRequest", "/srv/node_modules/router/lib/layer.js", 173, 9, 160)
    told = look(
        sites=[[0, [layer]], [1, [layer, HANDLER]]],
        # Two requests await in their handlers, the second in two ways; of the third only the
        # library's own wait is there.
        waits=[[1, False, [], 1, False, 2, True]]
        + [[site, False, [], 1, False, n] for n, site in ((1, 0), (1, 1), (2, 1), (2, 0), (3, 0))],
        kinds={"0": [{"Timeout": 3}, 0], "1": [{"Timeout": 3}, 1]},
    )
    looker, _ = answering([told])
    asleep = [sample.stack[-1].function for sample in ends(looker.look(), ThreadState.SLEEP)]
    assert sorted(asleep) == ["(anonymous:7)", "(anonymous:7)", "handleRequest"]


def test_of_one_that_stands_for_four_as_many_queue_as_have_no_connection(answering: Any) -> None:
    told = look(
        sites=[[0, [HANDLER]]],
        waits=[[0, False, [], 4, True]],
        kinds={"0": [{"TCP 10.0.0.7 5432": 3}, 0]},
        links={"10.0.0.7 5432": [1, 1]},
        every=4,
    )
    looker, _ = answering([told])
    seen = looker.look()
    (queue,) = {sample.wait_on for sample in ends(seen, ThreadState.LOCK)}
    assert len(ends(seen, ThreadState.LOCK)) == 3
    assert [queue in sample.holds for sample in ends(seen, ThreadState.SOCKET)] == [True]


def test_looks_are_as_seldom_as_the_loops_time_allows_and_the_first_is_not_counted(
    answering: Any,
) -> None:
    # 20 ms for the first, then 0.2 ms each: half a percent pays for 25 a second, more than is worth
    # it; 1 ms each: for 5.
    for each, rate in ((0.0002, 10.0), (0.001, 5.0)):
        looker, _ = answering([look(spent=0.02 + each * n) for n in range(8)])
        for _ in range(8):
            looker.look()
        assert looker.rate_hz == pytest.approx(rate)


@pytest.mark.parametrize(
    ("kernel", "main", "state"),
    [
        (ThreadState.ON_CPU, [HANDLER], ThreadState.ON_CPU),
        (ThreadState.POLL, [HANDLER], ThreadState.ON_CPU),  # woken by its work, or by the question
        (ThreadState.POLL, [], ThreadState.POLL),
        (ThreadState.DISK, [HANDLER], ThreadState.DISK),
    ],
)
def test_the_loop_runs_what_is_on_its_stack_unless_it_sleeps_in_a_call(
    answering: Any,
    monkeypatch: pytest.MonkeyPatch,
    kernel: ThreadState,
    main: list[Any],
    state: ThreadState,
) -> None:
    looker, _ = answering([look(main=main)])
    monkeypatch.setattr(ProcessWaits, "wait", lambda *_: Wait(kernel))
    (loop,) = looker.look()
    names = [frame.function for frame in loop.stack]
    assert names == ["(event loop)", *(["(anonymous:7)"] if main else [])]
    assert loop.state is state
    assert not loop.task


@pytest.mark.parametrize(
    "said", [None, "", "[]", look(waits=[[0]]), look(kinds={"0": [{"a": -1}]})]
)
def test_an_answer_of_another_shape_is_a_look_that_failed(answering: Any, said: Any) -> None:
    looker, _ = answering([said])
    with pytest.raises(AttachFailed, match="did not say"):
        looker.look()


def test_what_was_put_in_is_taken_out_once(answering: Any) -> None:
    looker, door = answering([])
    looker.close()
    looker.close()
    assert door.asked[-1].endswith("end()")
    assert door.left == 2  # its session, and the door
