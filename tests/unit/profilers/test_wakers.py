"""What tasks of tokio wait for, told from the wakers they leave: against tasks that leave them as
tokio's do.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from perfhunt.model.profile import Frame, FrameKind, Stack
from perfhunt.profilers.native.calls import SeenCall
from perfhunt.profilers.native.unwind import Registers
from perfhunt.profilers.tokio.awaits import Await, AwaitKind, in_application, most_telling
from perfhunt.profilers.tokio.stacks import TaskStacks
from perfhunt.profilers.tokio.wakers import HEADER, LeftWakers, task_state
from perfhunt.target.proc.sockets import SocketLead

TASK, READS = 0x7F00_0000_1000, 0x4000
LIBRARIES = ("hyper::", "tower_http::", "tokio::", "core::")


def left(at: float, code: int = 0x5000, task: int = TASK) -> SeenCall:
    raw = code.to_bytes(8, "little") + bytes(1024)
    return SeenCall("waker left", at, 1, (task, 0, 0), Registers(0, 0, {}), raw)


def called(at: float, task: int = TASK) -> SeenCall:
    return SeenCall("waker called", at, 2, (task, 0, 0), Registers(0, 0, {}), b"")


def wakers(*calls: SeenCall) -> LeftWakers:
    seen = LeftWakers(lambda address: address == READS)
    for call in calls:
        seen.take(call)
    return seen


def stack(*functions: str) -> Stack:
    return tuple(Frame(function, "app", kind=FrameKind.NATIVE) for function in functions)


def test_wakers_of_one_poll_belong_together_until_one_is_called() -> None:
    seen = wakers(left(1.0), left(1.1), called(2.0))
    before = replace(seen.tasks[TASK])
    seen.take(left(2.1))
    assert (before.woken, seen.tasks[TASK].woken) == (True, False)
    assert [waker.call.at for waker in before.left] == [1.0, 1.1]
    assert [waker.call.at for waker in seen.tasks[TASK].left] == [2.1]


def test_a_connection_is_remembered_beyond_the_waits_of_its_request() -> None:
    seen = wakers(left(1.0, READS), called(2.0), left(2.1), called(3.0))
    task = seen.tasks[TASK]
    assert task.socket is not None
    assert task.socket.at == 1.0
    assert len(task.socket.raw) < len(task.left[0].call.raw)  # of each that there is


def test_what_is_called_though_nobody_left_it_is_no_task() -> None:
    assert not wakers(called(1.0)).tasks


@pytest.mark.parametrize(
    ("state", "runs", "queued", "over", "count"),
    [
        (1 << 6, False, False, False, 0),
        (3 << 6 | 8, False, False, False, 1),  # somebody waits for its end: one of the three
        (2 << 6 | 1, True, False, False, 1),
        (2 << 6 | 4, False, True, False, 1),
        (2 << 6 | 2, False, False, True, 1),
    ],
)
def test_a_task_says_whether_a_worker_has_it(
    state: int, runs: bool, queued: bool, over: bool, count: int
) -> None:
    said = task_state(HEADER.pack(state, 0, 0))
    assert (said.runs, said.queued, said.over, said.wakers) == (runs, queued, over, count)


@pytest.mark.parametrize("header", [b"", HEADER.pack(0, 0, 0), HEADER.pack(1 << 60, 0, 0)])
def test_what_is_no_task_any_more_is_over(header: bytes) -> None:
    assert task_state(header).over


CLIENT = Await(
    AwaitKind.SOCKET, stack("hyper::conn", "hyper::read"), SocketLead("client:80", inbound=True)
)
PEER = Await(
    AwaitKind.SOCKET,
    stack("hyper::conn", "shop::query"),
    SocketLead("10.0.0.5:5432", inbound=False),
)
NAP = Await(AwaitKind.TIME, stack("hyper::conn", "shop::nap"))
LIMIT = Await(AwaitKind.TIME, stack("hyper::conn", "tower_http::timeout"))
KEEP_ALIVE = Await(AwaitKind.TIME, stack("hyper::conn"))
ENDS = Await(AwaitKind.TOLD, stack("axum::serve"))


@pytest.mark.parametrize(
    ("awaits", "telling"),
    [
        ((CLIENT, PEER, LIMIT), PEER),  # a limit of time says less than what it is a limit to
        ((CLIENT, NAP), NAP),
        ((CLIENT, NAP, LIMIT), NAP),
        ((CLIENT, KEEP_ALIVE), CLIENT),  # whoever reads from clients limits that itself
        ((PEER, ENDS), PEER),
        ((NAP,), NAP),
    ],
)
def test_the_wait_of_a_request_is_told_from_what_else_its_task_waits_for(
    awaits: tuple[Await, ...], telling: Await
) -> None:
    assert most_telling(awaits, LIBRARIES) == telling
    assert most_telling(awaits[::-1], LIBRARIES) == telling


@pytest.mark.parametrize(("each", "ours"), [(NAP, True), (LIMIT, False), (KEEP_ALIVE, False)])
def test_a_library_that_limits_a_wait_is_told_from_the_application_that_asks_for_a_time(
    each: Await, ours: bool
) -> None:
    assert in_application(each, LIBRARIES) is ours


class Walked:
    """An image and an unwinder in one: addresses count the functions of a stack, root first."""

    def __init__(self, *functions: str) -> None:
        self.functions = functions

    def code_among(self, words: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> np.ndarray:
        return np.nonzero(words < 0)[0]

    def walk(self, at: Registers, copy: object) -> tuple[list[int], bool]:
        return list(reversed(range(len(self.functions)))), True

    def calls(self, address: int) -> Stack:
        return stack(self.functions[address])


def test_a_stack_ends_in_what_waits_and_not_in_what_keeps_its_waker() -> None:
    sleeps = "<tokio::time::sleep::Sleep as core::future::future::Future>::poll"
    walked = Walked(
        "tokio::runtime::task::raw::poll",
        "tower_http::timeout::service::ResponseFuture::poll",
        sleeps,
        "tokio::sync::task::atomic_waker::AtomicWaker::register_by_ref",
        "std::panicking::catch_unwind",
        "<core::panic::unwind_safe::AssertUnwindSafe as core::ops::function::FnOnce>::call_once",
        "<&core::task::wake::Waker as tokio::sync::task::atomic_waker::WakerRef>::into_waker",
        "<core::task::wake::Waker as core::clone::Clone>::clone",
        "tokio::runtime::task::waker::clone_waker",
    )
    own = TaskStacks(walked, walked).of(left(1.0))  # type: ignore[arg-type]
    assert [frame.function for frame in own] == [walked.functions[1], sleeps]
