"""A process that is not heard of and would run if it were let is told apart from one that has
nothing to say: real processes, one of which only gets what a busy one beside it leaves.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from perfhunt.load.child.bounds.starving import ThreadAccount
from perfhunt.load.lifeline import SILENCE, STARVED
from perfhunt.load.messages import StepDone
from perfhunt.model.units import Seconds
from tests.unit.load.test_lifeline import PROMISED, sending
from tests.unit.load.test_shared_trial import (
    STEP,
    open_tally,
    requests,
    through_one,
    trial_of,
)

SPIN = "print(flush=True)\nwhile True: pass"
# Beside others it has a 350th of the CPU; the busy one has the same core and the same session.
ONLY_WHEN_IDLE = "import os; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\n"


@contextmanager
def running(code: str) -> Iterator[int]:
    """The pid of a Python that has got to its first line of output, on the last of our cores."""
    core = max(os.sched_getaffinity(0))
    pinned = f"import os; os.sched_setaffinity(0, {{{core}}})\n{code}"
    with subprocess.Popen([sys.executable, "-c", pinned], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


def looked_at(pid: int) -> bool:
    """Whether it starved for as long as a silence may last."""
    before = ThreadAccount.of(pid)
    time.sleep(SILENCE)  # the time that is asked about
    return before.starved_until(ThreadAccount.of(pid))


def test_one_that_waits_for_a_core_that_another_has_starves() -> None:
    with running(ONLY_WHEN_IDLE + SPIN) as pid, running(SPIN):
        assert looked_at(pid)


def test_one_that_sleeps_hangs_or_is_gone_does_not() -> None:
    with running("print(flush=True)\nimport time; time.sleep(60)") as pid:
        assert not looked_at(pid)
    assert not looked_at(pid)


def test_one_that_runs_and_says_nothing_does_not() -> None:
    before = ThreadAccount(0.0, ran=1.0, queued=1.0, ready=True, stopped=False)
    after = ThreadAccount(0.7, ran=1.6, queued=1.1, ready=True, stopped=False)
    assert not before.starved_until(after)


def test_one_that_was_stopped_is_not_starving_whatever_else_it_waited_for() -> None:
    with running(ONLY_WHEN_IDLE + SPIN) as pid:
        before = ThreadAccount.of(pid)
        os.kill(pid, signal.SIGSTOP)
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
        with running(SPIN):
            assert not looked_at(pid)
        assert not before.starved_until(ThreadAccount.of(pid))


@pytest.mark.parametrize("deaf", [False, True])
def test_load_is_off_as_soon_as_ever_and_says_who_got_no_cpu(deaf: bool) -> None:
    with (
        running(ONLY_WHEN_IDLE + SPIN) as pid,
        running(SPIN),
        sending(deaf=deaf, above=pid) as it,
    ):
        silent = it.fall_silent()
        it.until(lambda: bool(it.why) or it.process.poll() is not None)
        assert it.process.poll() == (STARVED if deaf else None)
        assert deaf or "perfhunt itself got no CPU" in it.why
        if deaf:
            it._reader.join()
        assert it.last_sent - silent < PROMISED


@pytest.mark.parametrize(("slow", "is_overload"), [(2.0, True), (0.0, False)])
def test_a_step_that_ended_so_is_beyond_the_service_where_its_seconds_say_so(
    tmp_path: Path, slow: Seconds, is_overload: bool
) -> None:
    """200 requests a second that take 2 s are 400 in flight; 30 ms are six."""
    samples = requests(routes=2)
    samples["service"] += slow
    why = "perfhunt itself got no CPU"
    *heard, (content, _) = through_one(samples, tmp_path, None)
    done = StepDone(seconds=STEP.duration, epoch=1.0, starved=True, invalid=why)
    trial = trial_of([*heard, (content, done)], open_tally(samples), tmp_path)
    assert bool(trial.overload) == is_overload
    assert trial.invalid == ("" if is_overload else why)
    assert not trial.stopped
