"""How often something is looked at, by what a look costs, and what of it is not asked twice."""

from __future__ import annotations

import os
import socket
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfhunt.model.states import ThreadState
from perfhunt.profilers.state_sampler import _Thread
from perfhunt.target.proc.syscalls import SyscallKind, syscalls
from perfhunt.target.proc.waits import ProcessWaits, Wait
from perfhunt.target.watcher import STACKS_OF_HOST, affordable_period


@pytest.mark.parametrize(
    ("cores", "spent", "rate"),
    [
        (2, 0.001, 20.0),  # a hundredth of both cores
        (2, 0.002, 10.0),
        (2, 0.004, 8.0),  # what is enough, for 3.2 % of one
        (2, 0.010, 5.0),  # a twentieth of one
        (16, 0.001, 50.0),
    ],
)
def test_looks_keep_to_a_share_of_all_cores_where_that_is_enough_and_to_one_of_one_core(
    monkeypatch: pytest.MonkeyPatch, cores: int, spent: float, rate: float
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    period = affordable_period(spent, STACKS_OF_HOST, enough=1 / 8, most=0.05)
    assert 1 / period == pytest.approx(rate)


def line(kind: SyscallKind, first: int) -> bytes:
    """What /proc says of a thread in a call of a kind with that first argument."""
    number = next(number for number, known in syscalls().items() if known is kind)
    return f"{number} {first:#x} 0x80 0x0 0x0 0x0 0x0 0x7ffe 0x7f00\n".encode()


def test_a_descriptor_s_wait_is_asked_anew_and_a_futex_s_is_not() -> None:
    waits, own = ProcessWaits(os.getpid()), os.getpid()
    one, other = socket.socketpair()
    with one, other, open(__file__, "rb") as file:
        reading = line(SyscallKind.RECEIVE, one.fileno())
        assert waits.wait(own, reading).state is ThreadState.SOCKET
        os.dup2(file.fileno(), one.fileno())
        assert waits.wait(own, reading) == Wait(ThreadState.DISK, __file__)
    asleep = line(SyscallKind.FUTEX, 0x1000)
    assert waits.wait(own, asleep) is waits.wait(own, asleep)
    assert waits.wait(own, asleep) == Wait(ThreadState.LOCK, "futex:0x1000")
    assert waits.wait(own, line(SyscallKind.FUTEX, 0x2000)).on == "futex:0x2000"


WAITS = [Wait(state) for state in (ThreadState.LOCK, ThreadState.SOCKET, ThreadState.ON_CPU)]


@given(st.lists(st.sampled_from(WAITS)), st.lists(st.sampled_from(WAITS)))
def test_every_look_at_a_thread_counts_once_and_in_its_own_span(
    before: list[Wait], after: list[Wait]
) -> None:
    thread = _Thread(1, 1, "t", syscall=None, schedstat=None, since=0.0, last=0.0)
    for wait in before:
        thread.saw(wait)
    assert thread.waits() == Counter(before)
    thread.begin(1.0)
    for wait in after:
        thread.saw(wait)
    assert thread.waits() == Counter(after)
