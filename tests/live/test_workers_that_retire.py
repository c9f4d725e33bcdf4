"""Workers that retire while they are looked at: their successors are profiled, and what was missed
is said with its size.
"""

import importlib.util
import os
import signal
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from perfhunt.model.profile import ProfileMode
from perfhunt.model.question import ProcessSelector
from perfhunt.profilers.following import FollowingCapture
from perfhunt.profilers.preflight import checks
from perfhunt.profilers.probes import LiveProbes
from perfhunt.profilers.table import PROFILERS
from perfhunt.target.find import find_target
from perfhunt.target.proc.tree import children
from tests.live.profiler_targets.launch import eventually
from tests.live.profiler_targets.launch import running as prefork
from tests.live.zoo.keeper import free_port, running

pytestmark = pytest.mark.live
APP = """
def digest():
    return sum(i * i for i in range(300_000))

def application(environ, start_response):
    body = str(digest()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
SECONDS = 8.0


@contextmanager
def asked(port: int) -> Iterator[None]:
    """The service under load: one client that asks again as soon as it is answered."""
    over = threading.Event()

    def client() -> None:
        while not over.wait(0.01):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read()
            except OSError:
                continue  # Of a worker that was just retiring.

    worker = threading.Thread(target=client)
    worker.start()
    try:
        yield
    finally:
        over.set()
        worker.join()


def test_the_profile_is_of_the_workers_that_live_then_and_says_what_it_missed(
    tmp_path: Path,
) -> None:
    if why := PROFILERS["py-spy"].available():
        pytest.skip(why)
    if importlib.util.find_spec("gunicorn") is None:
        pytest.skip("gunicorn is not installed")
    (tmp_path / "app.py").write_text(APP)
    port = free_port()
    command = (sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:{port}", "-w", "2")
    retiring = ("--max-requests", "60", "--chdir", str(tmp_path), "app:application")
    with running((*command, *retiring), port) as child:
        target = find_target(ProcessSelector(pid=child.pid), f"http://127.0.0.1:{port}")
        probes = LiveProbes(target, tmp_path / "out", time.monotonic)
        probes.open()
        try:
            with asked(port):
                with probes.during("first", SECONDS, on_cpu=False, waits=False) as unseen:
                    time.sleep(SECONDS)
                # By now not one of the workers that the target was found with is alive.
                with probes.during("second", SECONDS, on_cpu=True, waits=True) as attached:
                    time.sleep(SECONDS)
        finally:
            probes.close()
        doctor = {check.name: check.sentence for check in checks(target)}
    assert unseen.losses == ()
    profile, instants = attached.profile, attached.instants
    assert profile is not None and instants is not None
    assert not set(profile.pids) & set(target.workers) and len(profile.pids) > 2
    seen: Counter[str] = Counter()
    for stack, weight in profile.stacks.items():
        names = {frame.function for frame in stack}
        seen["digest" if "digest" in names else "rest"] += round(weight)
    assert seen["digest"] > 3 * seen["rest"]
    # Looked at 99 times a second, one of two workers was on a CPU at most all of the time.
    assert profile.ticks is not None and profile.total <= 1.5 * profile.ticks
    assert all(loss.share is None or 0 < loss.share < 1 for loss in attached.losses)
    assert {sample.pid for moment in instants for sample in moment.threads} - set(target.workers)
    assert "workers are replaced" in doctor["workers stay"]


@pytest.mark.parametrize("name", ["py-spy", "perf"])
def test_a_worker_that_is_killed_meanwhile_keeps_its_samples_and_its_successor_adds_to_them(
    name: str, tmp_path: Path
) -> None:
    profiler = PROFILERS[name]
    if why := profiler.available():
        pytest.skip(why)
    with prefork("prefork.py") as target:
        first = list(target.told["workers"])
        capture = FollowingCapture(
            profiler, lambda: children(target.pid), 6.0, 99, ProfileMode.CPU, tmp_path
        )
        assert eventually(lambda: len(list(tmp_path.iterdir())) > 0)
        time.sleep(2.0)  # of samples, which is what there is to keep
        os.kill(first[0], signal.SIGKILL)
        profile = capture.wait()
        later = [pid for pid in children(target.pid) if pid not in first]
    assert {*first, *later} == set(profile.pids) and len(later) == 1
    # Two processes that always run, of two cores that others may want too.
    assert profile.ticks is not None and 0.1 < profile.total / profile.ticks < 2.5
    assert sum(loss.share or 0.0 for loss in capture.losses()) < 0.25
