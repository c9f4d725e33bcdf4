"""Who used the host, from walks through /proc and thread accounts written by hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from perfhunt.model.run import ProcessIdentity
from perfhunt.model.trial import Interference, Neighbour
from perfhunt.target.host import run_queue
from perfhunt.target.host.core_speed import core_speed, timed_work
from perfhunt.target.host.host_use import (
    CoreTimes,
    HostUse,
    ProcessUse,
    core_times,
    host_use,
    used_between,
)
from perfhunt.target.host.interference import _others, _waited, _within_quota
from perfhunt.target.host.quietness import expected
from perfhunt.target.host.run_queue import QueueTime, RunQueue
from perfhunt.target.proc.process import CLOCK_TICKS

T = CLOCK_TICKS
SHELL, BATCH, CHILD, LATE = (ProcessIdentity(pid, 1.0) for pid in (10, 11, 12, 13))


def host(at: float, busy: float, **cpu: float) -> HostUse:
    """One core, and processes by name: shell is the parent of batch, batch of child."""
    known = {"shell": (SHELL, 1), "batch": (BATCH, 10), "child": (CHILD, 11), "late": (LATE, 10)}
    processes = {known[n][0]: ProcessUse(n, known[n][1], seconds) for n, seconds in cpu.items()}
    return HostUse(at, {0: CoreTimes(busy, 0.0, at)}, processes)


def test_a_core_is_busy_with_what_processes_do_and_not_with_interrupts_or_what_was_stolen() -> None:
    text = (
        f"cpu  {9 * T} 0 0 0 0 0 0 0 0 0\n"
        f"cpu0 {3 * T} {T} {2 * T} {10 * T} {T} {T} {T} {2 * T} 0 0\nintr 5\n"
    )
    assert core_times(text) == {0: CoreTimes(busy=6.0, steal=2.0, whole=21.0)}


def test_what_a_process_used_is_its_growth_and_one_that_began_meanwhile_counts_whole() -> None:
    used = used_between(host(0.0, 0.0, shell=5.0), host(10.0, 8.0, shell=6.0, late=4.0))
    assert used.cpu == {SHELL: pytest.approx(0.1), LATE: pytest.approx(0.4)}
    assert used.busy([0]) == pytest.approx(0.8)
    assert used.of([SHELL.pid, LATE.pid]) == pytest.approx(0.5)


def test_what_ended_processes_had_used_before_is_not_charged_to_whoever_waited_for_them() -> None:
    # Batch and its child end: the 100 s they had and the 2 s they used since are the shell's now.
    before = host(0.0, 0.0, shell=1.0, batch=60.0, child=40.0)
    used = used_between(before, host(10.0, 2.0, shell=103.0))
    assert used.cpu == {SHELL: pytest.approx(0.2)}


def test_others_are_all_that_was_busy_less_what_is_known_not_to_be_theirs() -> None:
    used = used_between(host(0.0, 0.0, shell=0.0, batch=0.0), host(10.0, 9.0, shell=2.0, batch=1.0))
    # 0.9 busy, 0.2 of it the shell's, which is ours: the batch's 0.1, and 0.6 that came and went.
    assert _others(used, {BATCH: 0.1}) == pytest.approx(0.7)


def test_waiting_counts_in_proportion_to_what_others_took_and_never_beyond_it() -> None:
    used = used_between(host(0.0, 0.0), host(10.0, 9.0))
    assert _waited(QueueTime(0.0, 5.0), used, 0.6, [0]) == pytest.approx(0.5 * 0.6 / 0.9)
    assert _waited(QueueTime(0.0, 90.0), used, 0.6, [0]) == pytest.approx(0.6)
    # Threads of one target that wait for each other are no interference.
    assert _waited(QueueTime(0.0, 90.0), used, 0.0, [0]) == 0.0
    # Nor is what others did on cores that the target may not use.
    assert _waited(QueueTime(0.0, 90.0), used, 0.6, [1]) == 0.0
    # A single thread waits for nobody but those others: 0.3 cores of its own, 0.6 of theirs.
    assert _waited(QueueTime(3.0, 4.0), used, 0.6, [0]) == pytest.approx(0.4)
    # One of three that are always runnable waits for its siblings as well, by two thirds of 0.3.
    assert _waited(QueueTime(3.0, 27.0), used, 0.6, [0]) == pytest.approx(min(0.6, 2.7 * 0.6 / 0.8))
    assert _waited(None, used, 0.6, [0]) is None
    assert _waited(QueueTime(0.0, 1.0), used, None, [0]) is None


def test_under_a_quota_others_cost_no_more_than_it_left_unused_and_nothing_while_it_stopped() -> (
    None
):
    # A third of the periods were stopped, and 0.2 cores of the quota were left.
    assert _within_quota(0.3, 0.3, 0.5, 1 / 3) == pytest.approx(0.2)
    assert _within_quota(0.15, 0.3, 0.5, 1 / 3) == pytest.approx(0.1)
    assert _within_quota(0.9, 0.49, 0.5, 0.9) == pytest.approx(0.01)
    assert _within_quota(0.9, 0.51, 0.5, 0.9) == 0.0
    assert _within_quota(0.9, 0.49, None, None) == 0.9
    assert _within_quota(None, 0.49, 0.5, 0.9) is None


class FakeThreads:
    """Threads of process 7 and their schedstat."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times: dict[int, tuple[int, int]] = {}
        monkeypatch.setattr(run_queue, "tids", lambda pid: list(self.times))
        monkeypatch.setattr(run_queue, "read", self.read)

    def read(self, path: str) -> bytes:
        ran, waited = self.times[int(Path(path).parts[-2])]
        return b"%d %d 3\n" % (ran, waited)


def test_threads_that_end_keep_what_they_had_and_new_ones_count_from_their_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads, queue = FakeThreads(monkeypatch), RunQueue()
    threads.times = {1: (10_000_000_000, 4_000_000_000)}
    queue.look([7], count=False)
    threads.times = {1: (11_000_000_000, 4_500_000_000), 2: (300_000_000, 100_000_000)}
    queue.look([7])
    threads.times = {1: (12_000_000_000, 4_500_000_000)}
    queue.look([7])
    taken = queue.take()
    assert taken is not None
    assert taken.ran == pytest.approx(2.3) and taken.waited == pytest.approx(0.6)
    assert queue.take() == QueueTime(0.0, 0.0)


def test_a_number_that_another_thread_has_now_counts_from_its_own_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads, queue = FakeThreads(monkeypatch), RunQueue()
    threads.times = {1: (10_000_000_000, 4_000_000_000)}
    queue.look([7], count=False)
    threads.times = {1: (1_000_000_000, 500_000_000)}
    queue.look([7])
    assert queue.take() == QueueTime(1.0, 0.5)


def test_a_kernel_without_the_account_gives_nothing_and_not_zero(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads, queue = FakeThreads(monkeypatch), RunQueue()
    threads.times = {1: (0, 0)}
    queue.look([7], count=False)
    queue.look([7])
    assert queue.take() is None


def test_the_speed_of_a_core_is_over_the_best_and_its_worst_is_the_slowest_tenth() -> None:
    speed = core_speed([1.0] * 8 + [2.0] * 4, best=0.5)
    assert speed is not None
    assert (speed.median, speed.worst, speed.readings) == (0.5, 0.25, 12)
    assert core_speed([1.0] * 3, best=1.0) is None


def test_four_readings_of_the_speed_a_second_cost_less_than_a_fifth_of_a_percent() -> None:
    took = sorted(timed_work() for _ in range(50))[25]
    assert 0 < 4 * took < 0.002


def test_a_walk_through_this_host_sees_this_process_and_a_core() -> None:
    use = host_use()
    assert os.getpid() in {process.pid for process in use.processes}
    assert use.cores and all(core.whole >= core.busy > 0 for core in use.cores.values())


QUIET = Interference(10.0, cores=2.0, others=0.02, steal=0.001, speed=0.9, speed_worst=0.72)


def test_doctor_calls_a_host_quiet_that_only_keeps_house_and_says_how_its_clock_varies() -> None:
    check = expected(QUIET)
    assert check.status == "ok" and "0.02 of 2 cores" in check.sentence
    assert "varied by 20 %" in check.sentence


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (Interference(10.0, cores=2.0, others=0.9, busiest=(Neighbour("node", 0.9),)), "by node"),
        (Interference(10.0, cores=2.0, others=0.0, steal=0.2), "20 % of this host's time"),
        (Interference(10.0), "does not tell"),
    ],
)
def test_doctor_warns_of_other_work_of_a_hypervisor_and_of_not_knowing(
    seen: Interference, says: str
) -> None:
    check = expected(seen)
    assert check.status == "warn" and says in check.sentence and check.mend
