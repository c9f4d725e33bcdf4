"""A Java service with a known bottleneck beside decoys, looked at as an investigation does it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from perfhunt.analysis.blame.evidence import Evidence
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.classify import classify
from perfhunt.analysis.diagnosis.ranking import rank
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.errors import AttachFailed
from perfhunt.model.question import ProcessSelector
from perfhunt.profilers.jvm.attach import AttachSocket, why_not_signalled
from perfhunt.profilers.jvm.looks import JvmLooker
from perfhunt.profilers.probes import LiveProbes
from perfhunt.target.find import find_target
from tests.live.profiler_targets.launch import eventually, runs_freely
from tests.live.zoo.backing import free_port, running
from tests.live.zoo.keeper import drive, observe

SOURCE = Path(__file__).parent / "services" / "Kiosk.java"
MISSING = [tool for tool in ("java", "javac", "jfr") if shutil.which(tool) is None]
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {' '.join(MISSING)}"),
]


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The service, compiled."""
    out = tmp_path_factory.mktemp("kiosk")
    subprocess.run(["javac", "-d", str(out), str(SOURCE)], check=True, timeout=120)
    return out


@contextmanager
def kiosk(classes: Path, mode: str, *options: str) -> Iterator[tuple[int, int]]:
    """(pid, port) of the service with the bottleneck of that name."""
    port = free_port()
    words = ["java", *options, "-cp", str(classes), "Kiosk", mode, "{port}"]
    with running(words, port) as child:
        yield child.pid, port


@pytest.mark.parametrize(
    ("mode", "culprit", "category", "capacity"),
    [
        ("lock", "Kiosk.printReceipt", "lock", 1 / 0.008),
        ("pool", "Kiosk.runQuery", "pool", 3 / 0.024),
    ],
)
def test_the_planted_wait_is_named_first_and_its_kind(
    classes: Path, tmp_path: Path, mode: str, culprit: str, category: str, capacity: float
) -> None:
    """The capacity is the service's own: one holder at a time for 8 ms, three for 24 ms."""
    with kiosk(classes, mode) as (pid, port):
        drive(port, 2.0, "users", 8)
        target = find_target(ProcessSelector(pid=pid))
        probes = LiveProbes(target, tmp_path, time.monotonic)
        probes.open()
        try:
            idle = probes.idle()
            base = observe(probes, port, "baseline", 3.0, 0.1 * capacity)
            knee = observe(probes, port, "knee", 6.0, 0.9 * capacity)
        finally:
            probes.close()
        assert runs_freely(pid)
    evidence = Evidence(knee=knee, baseline=base, idle=idle, runtime="jvm")
    reading = read_evidence(evidence)
    suspects = suspects_of(reading)
    bottleneck = classify(reading, suspects)
    first = rank(reading, suspects, bottleneck.category)[0]
    assert (first.function, bottleneck.category) == (culprit, category), bottleneck.evidence


@pytest.mark.beside
def test_a_jvm_that_may_not_be_attached_to_is_asked_nothing_and_runs_on(classes: Path) -> None:
    with kiosk(classes, "none", "-XX:+DisableAttachMechanism") as (pid, port):
        with pytest.raises(AttachFailed, match="DisableAttachMechanism"):
            JvmLooker(pid)
        assert drive(port, 0.3, "users", 1)["failed"] == 0
        assert not list(Path("/tmp").glob(f".attach_pid{pid}"))


@pytest.mark.beside
def test_a_jvm_that_the_signal_would_end_listens_from_its_start_and_is_never_sent_it(
    classes: Path,
) -> None:
    with kiosk(classes, "none", "-Xrs") as (pid, port):
        assert "would end it" in why_not_signalled(pid)
        assert any(sample.thread_name == "keys" for sample in JvmLooker(pid).look())
        assert drive(port, 0.3, "users", 1)["failed"] == 0


@pytest.mark.beside
def test_a_program_that_is_no_jvm_is_never_sent_the_signal() -> None:
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        with pytest.raises(AttachFailed, match="not HotSpot"):
            AttachSocket(sleeper.pid)
        assert sleeper.poll() is None
        sleeper.kill()


@pytest.mark.beside
def test_the_socket_of_a_jvm_that_ended_is_no_answer(classes: Path) -> None:
    with kiosk(classes, "none") as (pid, _):
        listens = AttachSocket(pid)
        assert "Full thread dump" in listens.ask("threaddump")
        with pytest.raises(AttachFailed, match="refused no-such-command"):
            listens.ask("no-such-command")
        os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: why_not_signalled(pid) != "")
        with pytest.raises(AttachFailed):
            listens.ask("threaddump")
    Path(f"/tmp/.java_pid{pid}").unlink(missing_ok=True)
