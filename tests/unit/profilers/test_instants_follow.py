"""A series of looks at workers that came in others' place, and what it says it missed."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import EvidenceKind, ThreadSample
from perfhunt.profilers.instants import InstantsCapture
from perfhunt.profilers.profiler import Looker

LONG, WAIT = 60.0, 20.0  # seconds; each test ends its capture itself


class Pretend:
    """Sees one thread of a process, of two that its interpreter knew, and fails every other time
    when it `fails`.
    """

    how = "as it pretends"
    rate_hz, enough_hz, cost_limit, cpu = 100.0, 0.1, 1.0, 0.0

    def __init__(self, pid: int, looked: threading.Semaphore, fails: bool) -> None:
        self.pid, self.looked, self.fails = pid, looked, fails
        self.seen = self.unmatched = self.looks = 0
        self.unseen = ""

    def look(self) -> list[ThreadSample]:
        self.looks += 1
        self.looked.release()
        if self.fails and self.looks % 2:
            raise AttachFailed("it moved.")
        self.seen, self.unmatched = self.seen + 2, self.unmatched + 1
        return [ThreadSample(self.pid, self.pid, (), "lock")]

    def close(self) -> None: ...


@pytest.fixture
def worker() -> Iterator[int]:
    """A child of this process."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield child.pid
        child.kill()


def taken(pids: list[int], root: int, looks: int, fails: bool = False) -> InstantsCapture:
    looked = threading.Semaphore(0)

    def make(pid: int) -> tuple[Looker, str]:
        return Pretend(pid, looked, fails), ""

    capture = InstantsCapture(pids, LONG, root=root, make=make)
    for _ in range(looks):
        assert looked.acquire(timeout=WAIT)
    capture.stop()
    return capture


def test_workers_that_were_all_replaced_before_it_began_are_looked_at_in_their_successors(
    worker: int,
) -> None:
    gone = 2**22 + 7
    instants = taken([gone], os.getpid(), 3).wait()
    assert {sample.pid for moment in instants for sample in moment.threads} >= {worker}
    assert gone not in {sample.pid for moment in instants for sample in moment.threads}


def test_looks_that_failed_and_threads_without_a_number_are_losses_with_their_shares(
    worker: int,
) -> None:
    capture = taken([worker], worker, 20, fails=True)
    assert len(capture.wait()) >= 9
    told = {loss.why: loss.share for loss in capture.losses()}
    assert all(loss.what is EvidenceKind.WAITS for loss in capture.losses())
    ((failed, share),) = [(why, n) for why, n in told.items() if "looks failed: it moved" in why]
    assert share == pytest.approx(0.5, abs=0.05) and failed.endswith("it moved")
    ((_, unmatched),) = [(why, n) for why, n in told.items() if "no such number" in why]
    assert unmatched == pytest.approx(0.5)


def test_a_command_that_a_worker_started_and_that_ended_is_no_look_that_failed(worker: int) -> None:
    looked = threading.Semaphore(0)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as command:

        class Ends(Pretend):
            def look(self) -> list[ThreadSample]:
                if command.poll() is None:
                    command.kill()
                    command.wait()
                    return []
                raise AttachFailed("no such process")

        def make(pid: int) -> tuple[Looker, str]:
            kind = Ends if pid == command.pid else Pretend
            return kind(pid, looked, fails=False), ""

        capture = InstantsCapture([worker, command.pid], LONG, make=make)
        for _ in range(9):
            assert looked.acquire(timeout=WAIT)
        capture.stop()
    assert command.returncode and len(capture.wait()) >= 8
    assert not [loss for loss in capture.losses() if "looks failed" in loss.why]
