"""Several load processes send exactly what one would, and the loss of one is never passed over."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from perfhunt.errors import LoadFailed
from perfhunt.load.locust_engine import LocustEngine
from perfhunt.model.latency import SAMPLE
from perfhunt.model.question import LoopKind, Question, Ramp, RequestTemplate, Target
from perfhunt.model.slo import Slo
from perfhunt.model.trial import Drain, arrivals
from tests.live.load_targets.harness import P99, announced, python, step

pytestmark = pytest.mark.live

NAMESPACES = ("perfhunt-a", "perfhunt-b")
MASTER = "198.18.77.1"  # of the block for benchmarks (RFC 2544)
SECRET = "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    with announced(*python("timed.py", "constant", "0.005")) as url:
        yield url


@contextlib.contextmanager
def fleet(url: str, directory: Path, workers: int = 2, bind: str = "") -> Iterator[LocustEngine]:
    made = LocustEngine(run="test", workers=workers, bind=bind, secret=SECRET if bind else "")
    try:
        made.open(
            Question(Target(url), (RequestTemplate("root", "GET", "/"),), Slo(())),
            (P99,),
            directory,
        )
        yield made
    finally:
        made.close()


def test_two_workers_together_send_the_schedule_of_one_each_arrival_once(
    target: str, tmp_path: Path
) -> None:
    with fleet(target, tmp_path) as made:
        pids = [clock.pid for clock in made.clocks]
        trial = made.run(step(200, 2.0))
        assert made.drain(Drain(cap=5)).recovered
        assert len(set(pids)) == 2
        assert all(psutil.pid_exists(pid) for pid in pids)
    samples = np.fromfile(tmp_path / trial.samples, dtype=SAMPLE)
    np.testing.assert_array_equal(np.sort(samples["due"]), arrivals(1, 200, 2.0))
    assert sum(row.due for row in trial.rows) == trial.n == len(samples)
    assert trial.invalid == ""
    deadline = (
        time.monotonic() + 5
    )  # a worker ends by itself within a second; a busy machine may be slow to reap it
    while any(psutil.pid_exists(pid) for pid in pids):
        assert time.monotonic() < deadline, "a worker outlived its master"
        time.sleep(0.01)


def test_a_closed_loop_is_refused_for_no_worker_can_be_given_a_share_of_it(tmp_path: Path) -> None:
    asked = Question(
        Target("http://127.0.0.1:9"),
        (),
        Slo(()),
        locustfile="users.py",
        ramp=Ramp(loop=LoopKind.CLOSED),
    )
    made = LocustEngine(run="test", workers=2)
    with pytest.raises(LoadFailed, match="no rate that several workers could share") as refused:
        made.open(asked, (P99,), tmp_path)
    assert "--workers" in refused.value.hint
    assert not made.child_pid


def test_a_lost_worker_is_noticed_within_two_seconds_and_spoils_the_trial(
    target: str, tmp_path: Path
) -> None:
    with fleet(target, tmp_path) as made:
        killed: list[float] = []

        def kill_one(row: object) -> None:
            if not killed:
                os.kill(made.clocks[1].pid, 9)
                killed.append(time.monotonic())

        trial = made.run(step(100, 20.0), watch=kill_one)
        assert time.monotonic() - killed[0] < 3.0
        assert "was lost" in trial.invalid


def test_a_stop_reaches_every_worker_within_a_second(target: str, tmp_path: Path) -> None:
    with fleet(target, tmp_path) as made:
        began = time.monotonic()
        trial = made.run(
            step(100, 20.0), stop=lambda: "enough" if time.monotonic() - began > 1.0 else ""
        )
        assert time.monotonic() - began < 2.0
    assert trial.invalid == "stopped: enough"
    assert trial.seconds < 1.5


@contextlib.contextmanager
def namespaces() -> Iterator[None]:
    """Two network namespaces, each with a wire to a bridge that the master's address is on; skips
    where that is not allowed.
    """

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    try:
        ip("link", "add", "perfhunt-br", "type", "bridge")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("network namespaces may not be made here (no ip, or not root)")
    try:
        ip("addr", "add", f"{MASTER}/24", "dev", "perfhunt-br")
        ip("link", "set", "perfhunt-br", "up")
        for number, name in enumerate(NAMESPACES, start=2):
            ip("netns", "add", name)
            ip("link", "add", f"ph{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"ph{number}", "master", "perfhunt-br", "up")
            ip("-n", name, "addr", "add", f"198.18.77.{number}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        yield
    finally:
        for name in NAMESPACES:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", "perfhunt-br"], capture_output=True, check=False)


def test_workers_in_network_namespaces_of_their_own_share_the_load_and_their_clocks_are_known(
    tmp_path: Path,
) -> None:
    master = f"{MASTER}:5557"
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    words = ["--master", master, "--secret", str(secret), "--allow-host", MASTER]
    with (
        namespaces(),
        contextlib.ExitStack() as stack,
        announced(*python("timed.py", "constant", "0.005", MASTER)) as url,
    ):
        for name in NAMESPACES:
            worker = [sys.executable, "-m", "perfhunt", "worker", *words]
            command = ["ip", "netns", "exec", name, *worker]
            stack.callback(_end, subprocess.Popen(command, start_new_session=True))
        with fleet(url.replace("127.0.0.1", MASTER), tmp_path, bind=master) as made:
            trial = made.run(step(100, 2.0))
            assert len(made.clocks) == 2
            # The namespaces share the kernel's clock: what is measured must be nothing, within half
            # the round trip (Cristian 1989).
            assert all(abs(clock.offset) <= clock.doubt for clock in made.clocks)
    assert trial.outcomes == {"ok": trial.n}
    assert trial.n == len(arrivals(1, 100, 2.0))


def _end(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait()
