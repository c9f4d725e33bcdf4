"""Four workers, each in a network namespace of its own as on a host of its own, make one load: one
that a single one of them cannot make; and what one of them fails at marks the trial, with its name.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from perfhunt.load.locust_engine import LocustEngine
from perfhunt.model.latency import SAMPLE
from perfhunt.model.question import Question, RequestTemplate, Target
from perfhunt.model.slo import Slo
from perfhunt.model.trial import arrivals
from perfhunt.model.units import PerSecond, Seconds, Share
from tests.live.load_targets.harness import P99, announced, python, step

pytestmark = pytest.mark.live

WORKERS = 4
MASTER = "198.18.77.1"  # of the block for benchmarks (RFC 2544)
PORT = 5557
SECRET = "0123456789abcdef" * 4
BRIDGE = "perfhunt-br"

# What a task needs of a core, as one that signs its requests does, and what a worker may use.
# At that rate a single worker needs twice as much, each of four two thirds, other work included.
SIGNING: Seconds = 0.002
QUOTA: Share = 0.18
PERIOD: Seconds = 0.02  # of the quota; a process that has used it up stands still for the rest
RATE: PerSecond = 130.0
SIGNED = f"""
import time
from locust import FastHttpUser, task
class Signer(FastHttpUser):
    @task
    def t(self):
        until = time.thread_time() + {SIGNING}
        while time.thread_time() < until: pass
        self.client.get("/")
"""
SUSPENDED: Seconds = 1.0


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextlib.contextmanager
def hosts(count: int) -> Iterator[list[str]]:
    """Network namespaces, each with a wire to a bridge that the master's address is on; skips where
    that is not allowed.
    """
    names = [f"perfhunt-{number}" for number in range(count)]
    try:
        ip("link", "add", BRIDGE, "type", "bridge")
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", b"") or str(error).encode()
        pytest.skip(f"no network namespaces here: {said.decode().strip()}")
    try:
        ip("addr", "add", f"{MASTER}/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        for number, name in enumerate(names, start=2):
            ip("netns", "add", name)
            ip("link", "add", f"ph{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"ph{number}", "master", BRIDGE, "up")
            ip("-n", name, "addr", "add", f"198.18.77.{number}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", BRIDGE], capture_output=True, check=False)


@contextlib.contextmanager
def workers_on(names: Sequence[str], directory: Path) -> Iterator[None]:
    """A `perfhunt worker` in each namespace; all of it is gone afterwards."""
    secret = directory / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    words = [
        *("--master", f"{MASTER}:{PORT}", "--secret", str(secret)),
        *("--allow-host", MASTER, "--allow-file", str(directory)),
    ]
    with contextlib.ExitStack() as stack:
        for name in names:
            worker = [sys.executable, "-m", "perfhunt", "worker", *words]
            command = ["ip", "netns", "exec", name, *worker]
            stack.callback(_end, subprocess.Popen(command, start_new_session=True))
        yield


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)  # which a worker hands on to its load process
    process.wait()


@contextlib.contextmanager
def fleet_on(
    names: Sequence[str], url: str, directory: Path, locustfile: str = ""
) -> Iterator[LocustEngine]:
    """An engine whose workers are on these hosts, opened."""
    bind = f"{MASTER}:{PORT}"
    made = LocustEngine(run="test", workers=len(names), bind=bind, secret=SECRET)
    root = RequestTemplate("root", "GET", "/")
    asked = Question(Target(url), (root,), Slo(()), locustfile=locustfile or None)
    with workers_on(names, directory):
        try:
            made.open(asked, (P99,), directory / "samples")
            yield made
        finally:
            made.close()


@contextlib.contextmanager
def target(seconds: Seconds) -> Iterator[str]:
    """A service on the master's host that the others reach."""
    with announced(*python("timed.py", "constant", str(seconds), MASTER)) as url:
        yield url.replace("127.0.0.1", MASTER)


def test_four_hosts_send_the_schedule_of_one_and_who_of_them_fails_marks_the_trial(
    tmp_path: Path,
) -> None:
    with hosts(WORKERS) as names, target(0.005) as url, fleet_on(names, url, tmp_path) as made:
        whole = made.run(step(200, 2.0))
        assert len({clock.pid for clock in made.clocks}) == WORKERS
        # The namespaces share the kernel's clock: what is measured must be nothing, within half
        # the round trip (Cristian 1989).
        assert all(abs(clock.offset) <= clock.doubt for clock in made.clocks)
        assert whole.invalid == ""
        assert whole.outcomes == {"ok": whole.n}
        samples = np.fromfile(tmp_path / "samples" / whole.samples, dtype=SAMPLE)
        np.testing.assert_array_equal(np.sort(samples["due"]), arrivals(1, 200, 2.0))

        slow = made.clocks[2].pid
        waking = threading.Timer(SUSPENDED, os.kill, (slow, signal.SIGCONT))
        marked = made.run(step(200, 4.0), watch=once(slow, signal.SIGSTOP, waking))
        waking.join()
        assert marked.invalid.startswith("load worker 2 on ")
        # On a machine that is so busy that it is not heard of for longer still, it is given up.
        assert "it was suspended or got no CPU" in marked.invalid or "was silent" in marked.invalid

        lost = made.run(step(200, 20.0), watch=once(made.clocks[1].pid, signal.SIGKILL))
        assert lost.invalid.startswith("load worker 1 on ")
        assert "was lost" in lost.invalid
        again = f"now waits up to 2m00s for 4 x `perfhunt worker --master {MASTER}:{PORT}` again"
        assert lost.invalid.endswith(again)
        assert lost.seconds < 5.0
        # No step is sent by the three that are left: the next waits for four again.
        assert not made.child_pid


def once(pid: int, number: signal.Signals, *then: threading.Timer) -> Signaller:
    return Signaller(pid, number, then)


class Signaller:
    """Watches a trial, and signals a process after its first second."""

    def __init__(
        self, pid: int, number: signal.Signals, then: Sequence[threading.Timer] = ()
    ) -> None:
        self._pid, self._number, self._then = pid, number, then
        self._done = False

    def __call__(self, row: object) -> None:
        if not self._done:
            os.kill(self._pid, self._number)
            for timer in self._then:
                timer.start()
        self._done = True


class LittleCpu:
    """Watches a trial: after its first second each of the processes has QUOTA of a core and no
    more. Skips where that is not allowed.
    """

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids, self._groups = list(pids), list[Path]()
        self._first = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").exists()
        self._root = Path("/sys/fs/cgroup/cpu" if self._first else "/sys/fs/cgroup")

    def __enter__(self) -> LittleCpu:
        period, quota = (round(span * 1e6) for span in (PERIOD, PERIOD * QUOTA))
        try:
            for number in range(len(self._pids)):
                group = self._root / f"perfhunt-{number}"
                group.mkdir()
                self._groups.append(group)
                if self._first:
                    (group / "cpu.cfs_period_us").write_text(str(period))
                    (group / "cpu.cfs_quota_us").write_text(str(quota))
                else:
                    (group / "cpu.max").write_text(f"{quota} {period}")
        except OSError as error:
            self.__exit__()
            pytest.skip(f"no share of a CPU can be set here: {error}")
        return self

    def __call__(self, row: object) -> None:
        for group in self._groups:
            if self._pids:
                (group / "cgroup.procs").write_text(str(self._pids.pop()))

    def __exit__(self, *raised: object) -> None:
        for group in self._groups:
            for member in (group / "cgroup.procs").read_text().split():
                with contextlib.suppress(OSError):  # it has ended meanwhile
                    (self._root / "cgroup.procs").write_text(member)
            group.rmdir()


@pytest.mark.parametrize("count", [1, WORKERS])
def test_a_rate_that_one_host_cannot_make_four_can(count: int, tmp_path: Path) -> None:
    (tmp_path / "locustfile.py").write_text(SIGNED)
    with (
        hosts(count) as names,
        target(0.0) as url,
        fleet_on(names, url, tmp_path, str(tmp_path / "locustfile.py")) as made,
        LittleCpu([clock.pid for clock in made.clocks]) as little,
    ):
        trial = made.run(step(RATE, 8.0, settle=2.0, arrivals="uniform"), watch=little)
    if count == 1:
        # Of the core it may use the kernel's quota leaves it a part, so it may look held up, too.
        assert "the generator, not your service" in trial.invalid
        assert "add --workers 2" in trial.invalid
    else:
        assert trial.invalid == ""
        assert trial.achieved == pytest.approx(RATE, rel=0.1)
