"""A Java service with a known bottleneck beside decoys, looked at as an investigation does it."""

from __future__ import annotations

import os
import re
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
from perfhunt.model.profile import ProfileMode
from perfhunt.model.question import ProcessSelector
from perfhunt.model.states import ThreadState
from perfhunt.profilers.jvm.attach import AttachSocket, why_not_signalled
from perfhunt.profilers.jvm.looks import JvmLooker
from perfhunt.profilers.probes import LiveProbes
from perfhunt.profilers.table import PROFILERS
from perfhunt.target.find import find_target
from perfhunt.target.proc.threads import tids
from tests.live.profiler_targets.launch import eventually, in_own_pids, runs_freely
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
        pytest.param("pool", "Kiosk.runQuery", "pool", 3 / 0.024, marks=pytest.mark.long),
        ("hot", "Kiosk.priceBasket", "cpu", None),
    ],
)
def test_the_planted_wait_or_hot_function_is_named_first_and_its_kind(
    classes: Path, tmp_path: Path, mode: str, culprit: str, category: str, capacity: float | None
) -> None:
    """The capacity is the service's own: one holder at a time for 8 ms, three for 24 ms; of a hot
    function it is the machine's. That one's loop the recorder of JDK 17 hardly sees.
    """
    with kiosk(classes, mode) as (pid, port):
        most = drive(port, 2.0, "users", 8)["completed"]
        capacity = capacity or most
        target = find_target(ProcessSelector(pid=pid))
        probes = LiveProbes(target, tmp_path, time.monotonic)
        probes.open()
        try:
            idle = probes.idle()
            base = observe(probes, port, "baseline", 2.0, 0.1 * capacity)
            knee = observe(probes, port, "knee", 4.0, 0.9 * capacity)
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


def telling_java() -> str:
    """A JVM that says how its virtual threads wait: JDK 25 or later; "" where there is none."""
    on_path = Path(shutil.which("java") or "/").resolve().parent.parent
    for home in (on_path, *Path("/usr/lib/jvm").glob("*")):
        release = home / "release"
        version = (
            re.search(r'JAVA_VERSION="(\d+)', release.read_text()) if release.is_file() else None
        )
        if version is not None and int(version[1]) >= 25:
            return str(home / "bin" / "java")
    return ""


@pytest.mark.beside
@pytest.mark.skipif(not telling_java(), reason="no JDK 25 or later in /usr/lib/jvm")
def test_virtual_threads_that_wait_are_seen_with_what_they_wait_for() -> None:
    words = [telling_java(), str(SOURCE.with_name("Virtual.java"))]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None and child.stdout.readline() == "ready\n"
            looker = JvmLooker(child.pid)
            seen = {sample.thread_name: sample for sample in looker.look() if sample.task}
            looker.close()
        finally:
            child.kill()
    assert looker.unseen == ""
    assert {name: sample.state for name, sample in seen.items()} == {
        "opens": ThreadState.SLEEP,
        "fills": ThreadState.SLEEP,
        "pays": ThreadState.LOCK,
        "takes": ThreadState.LOCK,
        "weighs": ThreadState.LOCK,
    }
    assert seen["pays"].wait_on in seen["opens"].holds
    assert "Virtual.pay" in {frame.function for frame in seen["pays"].stack}


@pytest.mark.beside
def test_in_a_container_a_jvm_is_looked_at_and_recorded_by_our_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Others that have the number 1 in this /tmp would be in its way.
    monkeypatch.setenv("JDK_JAVA_OPTIONS", "-XX:-UsePerfData")
    with in_own_pids("Spin.java", program="java") as target:
        looker = JvmLooker(target.pid)
        (spins,) = [sample for sample in looker.look() if sample.thread_name == "main"]
        assert spins.tid in tids(target.pid) and looker.unmatched == 0
        assert {"Spin.main"} < {frame.function for frame in spins.stack}
        looker.close()
        profile = PROFILERS["jvm"].attach([target.pid], 1, 100, ProfileMode.CPU, tmp_path).wait()
        left = Path(f"/proc/{target.pid}/root/tmp").glob("perfhunt-*.jfr")
        assert profile.total > 0 and not list(left)
