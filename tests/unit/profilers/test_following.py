"""One profiler on workers that come and go, and how much of their time it did not see: against
stand-ins whose lives are written down.
"""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import Frame, Profile, ProfileMode
from perfhunt.model.run import TargetProcess
from perfhunt.profilers.following import FollowingCapture
from perfhunt.profilers.profiler import Profiler
from perfhunt.profilers.thread_capture import ProfileReader, ThreadCapture

LONG = 60.0  # seconds; each test ends its capture itself
WAIT = 20.0


class Recording:
    """A capture of some pids in a mode; those that `fail` give nothing."""

    def __init__(self, pids: Sequence[int], fail: Sequence[int], mode: ProfileMode) -> None:
        self.pids, self.fail, self.mode = [pid for pid in pids if pid not in fail], fail, mode

    def stop(self) -> None: ...

    def wait(self) -> Profile:
        if not self.pids:
            raise AttachFailed("it found no process")
        return Profile(
            tool="pretend",
            version="1",
            mode=self.mode,
            rate_hz=100.0,
            seconds=1.0,
            stacks={(Frame(f"of_{pid}"),): 50.0 for pid in self.pids},
            pids=tuple(self.pids),
            ticks=100,
        )


class Pretend(Profiler):
    """Records whom it is asked to, but for those that `fail`."""

    name, suffix, help, needs, runtimes = "pretend", ".x", "stands in", (), ("cpython",)
    modes: tuple[ProfileMode, ...] = (ProfileMode.CPU,)

    def __init__(self, fail: Sequence[int] = (), at_once: int = 64) -> None:
        self.fail, self.at_once = fail, at_once
        self.asked: list[list[int]] = []
        self.absent: list[int] = []  # workers for which the tool itself cannot be run

    def available(self, pids: Sequence[int] = ()) -> str:
        return ""

    def mode_for(self, target: TargetProcess) -> tuple[ProfileMode, str]:
        return ProfileMode.CPU, "it has one"

    def attach(
        self, pids: Sequence[int], seconds: int, rate_hz: int, mode: ProfileMode, out: Path
    ) -> Recording:
        self.asked.append(list(pids))
        if any(pid in self.absent for pid in pids):
            raise FileNotFoundError("no such program")
        return Recording(pids, self.fail, self.modes[len(self.asked) > 1 and len(self.modes) > 1])


def followed(
    profiler: Pretend,
    *generations: Sequence[int],
    accounts: Sequence[dict[int, tuple[float, float]]] = (),
) -> FollowingCapture:
    """A capture that has looked once at each generation of workers, and is stopped; `accounts` is
    what each look is told of their CPU.
    """
    left, told = list(generations), iter(accounts)
    over = threading.Event()

    def workers() -> Sequence[int]:
        now = left.pop(0)
        if not left:
            left.append(())
            over.set()
        return now

    def used(pids: Sequence[int]) -> dict[int, tuple[float, float]]:
        return next(told, {})

    capture = FollowingCapture(profiler, workers, LONG, 100, ProfileMode.CPU, Path("unused"), used)
    assert over.wait(WAIT)
    capture.stop()
    return capture


def test_a_worker_that_takes_anothers_place_is_recorded_too_and_both_are_in_the_profile() -> None:
    profiler = Pretend()
    # Three recordings may begin within the first second: the first, and two each second.
    capture = followed(profiler, [1], [1], [1], [2], [2], [2], [2])
    profile = capture.wait()
    assert profiler.asked == [[1], [2]]
    assert set(profile.pids) == {1, 2} and profile.total == 100.0
    assert capture.losses() == ()


def test_time_of_workers_that_gave_nothing_is_a_loss_with_its_share_and_its_reason() -> None:
    capture = followed(Pretend(fail=[2]), [1], [1], [1], [2], [2], [2])
    profile = capture.wait()
    assert profile.pids == (1,)
    (loss,) = capture.losses()
    assert loss.share == pytest.approx(0.5)
    assert "1 of 2 worker processes" in loss.why and "found no process" in loss.why
    # Half of the service was looked at 100 times: as if all of it had been 50 times.
    assert profile.ticks == 50 and profile.mean_threads == pytest.approx(1.0)


def test_workers_beyond_what_a_profiler_can_do_at_once_are_counted() -> None:
    profiler = Pretend(at_once=2)
    capture = followed(profiler, [1, 2, 3, 4], [1, 2, 3, 4])
    assert set(capture.wait().pids) == {1, 2} and profiler.asked == [[1, 2]]
    (loss,) = capture.losses()
    assert loss.share == pytest.approx(0.5) and "records 2 at once" in loss.why


def test_when_no_worker_could_be_recorded_the_capture_fails_with_the_profilers_words() -> None:
    with pytest.raises(AttachFailed, match="found no process"):
        followed(Pretend(fail=[1]), [1], [1]).wait()
    with pytest.raises(AttachFailed, match="no process of the target"):
        followed(Pretend(), [], []).wait()


def test_a_capture_that_begins_while_all_workers_are_being_replaced_waits_for_the_new_ones() -> (
    None
):
    capture = followed(Pretend(), [], [1], [1])
    assert capture.wait().pids == (1,) and capture.losses() == ()


def test_a_recording_of_another_kind_is_not_added_up_but_counted_as_lost() -> None:
    profiler = Pretend()
    profiler.modes = (ProfileMode.CPU, ProfileMode.GIL)  # the second recording is of the other
    capture = followed(profiler, [1], [1], [1], [1], [2], [2])
    profile = capture.wait()
    assert profile.mode is ProfileMode.CPU and profile.pids == (1,)
    (loss,) = capture.losses()
    assert loss.share == pytest.approx(1 / 3)


def test_a_tool_that_cannot_be_started_for_a_later_worker_ends_nothing_and_is_said() -> None:
    profiler = Pretend()
    profiler.absent = [2]
    capture = followed(profiler, [1], [1], [2], [2])
    assert capture.wait().pids == (1,)
    (loss,) = capture.losses()
    assert loss.share == pytest.approx(0.5) and "did not start" in loss.why


def test_a_recording_is_read_when_it_is_asked_for_and_once() -> None:
    """Reading takes CPU, and a capture that is stopped may have load beside it still."""
    read: list[Profile] = []

    def reader() -> Profile:
        read.append(Recording([1], (), ProfileMode.CPU).wait())
        return read[-1]

    def record(ask_stop: threading.Event) -> ProfileReader:
        ask_stop.wait(LONG)
        return reader

    capture = ThreadCapture(record, "recording")
    capture.stop()
    assert not read
    assert capture.wait() is capture.wait() is read[0] and len(read) == 1


def test_cpu_of_processes_that_lived_too_briefly_is_told_by_their_parents_account() -> None:
    accounts = [{1: (10.0, 50.0)}, {1: (10.5, 51.0)}, {1: (11.0, 52.0)}]
    capture = followed(Pretend(), [1], [1], [1], accounts=accounts)
    capture.wait()
    (loss,) = capture.losses()
    assert loss.share == pytest.approx(2.0 / 3.0)
    assert "each request has its own" in loss.why


def test_a_worker_that_was_recorded_and_has_ended_is_no_brief_life() -> None:
    # Process 2 used 3 s in its life, which 1, whose child it was, is told of when it ends.
    accounts = [{1: (1.0, 0.0), 2: (2.0, 0.0)}, {1: (1.0, 0.0), 2: (3.0, 0.0)}, {1: (1.0, 3.02)}]
    capture = followed(Pretend(), [1, 2], [1, 2], [1], accounts=accounts)
    capture.wait()
    assert not any("each request has its own" in loss.why for loss in capture.losses())
