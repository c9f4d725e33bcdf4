"""Load ends when it must: with the controller, at a stop, at overload; and what it leaves behind
can be waited for.
"""

import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from perfhunt.analysis.trial.overload import WINDOW
from perfhunt.errors import Stopped
from perfhunt.model.latency import SAMPLE
from perfhunt.model.question import Ramp, RequestTemplate
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Drain
from perfhunt.model.units import Seconds
from tests.live.load_targets.harness import announced, engine, python, step

pytestmark = [pytest.mark.live, pytest.mark.beside]

# The promise of perfhunt.load: within a second of a stop, or of the controller's death, there is no
# load any more.
PROMISED: Seconds = 1.0

CONTROLLER = """
import sys
from pathlib import Path
from perfhunt.load.locust_engine import LocustEngine
from perfhunt.model.question import Question, RequestTemplate, Target
from perfhunt.model.slo import Slo
from perfhunt.model.trial import Phase, Step
url, directory, workers = sys.argv[1:]
engine = LocustEngine(workers=int(workers))
question = Question(Target(url), (RequestTemplate("it", "GET", "/"),), Slo(()))
engine.open(question, (), Path(directory))
step = Step(Phase.FIXED, 200, 60.0, 1)
engine.run(step, watch=lambda row: print(engine.child_pid, flush=True))
"""


@pytest.fixture
def listener() -> Iterator[str]:
    with announced(*python("listener.py")) as url:
        yield url


def asked(url: str) -> int:
    with urllib.request.urlopen(f"{url}/seen") as response:
        return int(json.load(response)["paths"]["GET /"])


def running(process: psutil.Process) -> bool:
    """Whether it still can do anything: in a container nobody may be there to bury an orphan."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


@pytest.mark.parametrize("workers", [1, 2])
def test_a_controller_killed_with_9_takes_every_load_process_with_it_within_a_second(
    workers: int, listener: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", CONTROLLER, listener, str(tmp_path), str(workers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as controller:
        assert controller.stdout is not None
        child = psutil.Process(int(controller.stdout.readline()))
        family = [child, *child.children(recursive=True)]
        controller.kill()
        deadline = time.monotonic() + PROMISED
        while any(running(process) for process in family):
            assert time.monotonic() < deadline, "a load process outlived its controller"
            time.sleep(0.01)
        assert len(family) == (1 if workers == 1 else 3)
    before = asked(listener)
    time.sleep(0.3)
    assert asked(listener) == before
    # what had been measured by then is on the disk, whole
    assert (tmp_path / "0001.samples").stat().st_size % SAMPLE.itemsize == 0
    assert len(np.fromfile(tmp_path / "0001.samples", dtype=SAMPLE)) > 50


def test_a_stop_ends_the_load_within_a_second_and_cuts_what_is_in_flight(tmp_path: Path) -> None:
    with announced(*python("timed.py", "constant", "5")) as url, engine(url, tmp_path) as made:
        began, wanted = time.monotonic(), 1.0
        trial = made.run(
            step(20, 30.0), stop=lambda: "Ctrl-C" if time.monotonic() - began > wanted else ""
        )
        assert time.monotonic() - began < wanted + PROMISED
    assert trial.invalid == "stopped: Ctrl-C"
    assert trial.outcomes == {"cut": trial.n}
    assert trial.n > 5


def test_no_load_begins_after_a_stop_and_no_child_is_waited_for(
    listener: str, tmp_path: Path
) -> None:
    with engine(listener, tmp_path) as made:
        with pytest.raises(Stopped):
            made.run(step(200, 5.0), stop=lambda: "Ctrl-C")
        psutil.Process(made.child_pid).kill()
        with pytest.raises(Stopped):
            made.run(step(200, 5.0), stop=lambda: "Ctrl-C")
    with urllib.request.urlopen(f"{listener}/seen") as response:
        assert "GET /" not in json.load(response)["paths"]


def test_overload_takes_the_load_off_early_and_a_drain_waits_until_the_service_is_quick_again(
    tmp_path: Path,
) -> None:
    """One server, 20 ms each: it holds 50/s. At 150/s a backlog of 100/s builds up; the limit of
    100 ms is passed at once.
    """
    service, rate = 0.02, 150
    criterion = Criterion("latency.p99", 5 * service, 0.01)
    with (
        announced(*python("timed.py", "queue", str(service))) as url,
        engine(url, tmp_path, criteria=(criterion,)) as made,
    ):
        usual = made.run(step(10, 1.5, arrivals="uniform"))
        assert usual.overload == ""
        trial = made.run(step(rate, 20.0, stop=True))
        assert "in flight" in trial.overload
        assert trial.invalid == ""
        # As soon as two seconds are over, which is what overload looks at.
        assert 0.95 * WINDOW < trial.seconds < 2 * WINDOW
        assert trial.counts["latency.p99"].share > 0.8
        drained = made.drain(Drain(cap=20))
        assert drained.recovered
        # The backlog: what was sent takes one service time each, less those served meanwhile.
        assert drained.seconds > 0.75 * (trial.n * service - trial.seconds)
        again = made.run(step(10, 1.0, arrivals="uniform"))
        assert again.response.p50 is not None
        assert usual.response.p50 is not None
        assert again.response.p50 / usual.response.p50 == pytest.approx(1, abs=0.5)


def test_a_drain_gives_up_at_its_cap(tmp_path: Path) -> None:
    with (
        announced(*python("timed.py", "constant", "30")) as url,
        engine(url, tmp_path, ramp=Ramp(timeout=20.0)) as made,
    ):
        made.run(step(5, 0.5))
        began, cap = time.monotonic(), 1.0
        assert not made.drain(Drain(cap=cap)).recovered
        assert time.monotonic() - began < 2.5 * cap


def test_a_service_that_is_slow_only_when_nobody_asked_for_a_while_is_itself_again(
    tmp_path: Path,
) -> None:
    with (
        announced(*python("timed.py", "forgets", "0.05")) as url,
        engine(url, tmp_path) as made,
    ):
        made.run(step(60, 1.0, arrivals="uniform"))
        assert made.drain(Drain(cap=5)).recovered


def test_a_service_that_fails_at_any_load_is_not_waited_for_until_it_does_well(
    tmp_path: Path,
) -> None:
    failing = RequestTemplate("failing", "GET", "/fail")
    with (
        announced(*python("listener.py")) as url,
        engine(url, tmp_path, failing) as made,
    ):
        assert made.run(step(20, 1.0)).outcomes.keys() == {"status"}
        drained = made.drain(Drain(cap=20))
    assert drained.recovered and drained.seconds < 10


def test_past_the_bound_arrivals_wait_here_and_are_shed_which_is_not_the_generators_fault(
    tmp_path: Path,
) -> None:
    """A service that answers nobody: no more than the bound is ever sent, the rest is at least as
    late as the deadline.
    """
    ramp = Ramp(timeout=5.0, deadline=0.5)
    criterion = Criterion("latency.p99", 0.1, 0.01)
    with (
        announced(*python("timed.py", "constant", "30")) as url,
        engine(url, tmp_path, criteria=(criterion,), ramp=ramp) as made,
    ):
        trial = made.run(step(600, 2.0))
    assert trial.outcomes["cut"] == 512
    assert trial.outcomes["shed"] == trial.n - 512 > 100
    assert trial.counts["latency.p99"].exceed == trial.n
    assert trial.invalid == ""
    assert trial.response.censored == trial.n


def test_memory_of_the_child_is_flat_over_connections_that_come_and_go(tmp_path: Path) -> None:
    with (
        announced(*python("nasty.py")) as url,
        engine(url, tmp_path, RequestTemplate("it", "GET", "/old")) as made,
    ):
        child = psutil.Process(made.child_pid)
        made.run(step(600, 1.0))
        before = child.memory_info().rss
        trial = made.run(step(600, 4.0))
        assert trial.generator.connections_opened > 2000
        assert child.memory_info().rss - before < 4e6
