"""Peers of real services: a PostgreSQL that scans or locks, and a service that computes, on the
same host.
"""

from __future__ import annotations

import http.client
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from perfhunt.analysis.blame.evidence import Evidence
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.ranking import rank
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.model.finding import Bottleneck, BottleneckClass
from perfhunt.model.question import ProcessSelector
from perfhunt.model.states import Peer, PeerKind
from perfhunt.model.trial import Interference
from perfhunt.profilers.peer_watch import PeerWatch
from perfhunt.profilers.probes import LiveProbes
from perfhunt.profilers.state_sampler import StateSampler
from perfhunt.profilers.table import PROFILERS
from perfhunt.target.find import find_target
from perfhunt.target.host import opened, peers
from perfhunt.target.proc.sockets import held_inodes
from tests.live import stores
from tests.live.running import SERVICES
from tests.live.test_interference_live import CALLS, WORKS_FOR, started
from tests.live.zoo.keeper import drive, observe
from tests.unit.scenes import classified

pytestmark = pytest.mark.live
# Of the host: other work that has less leaves the load near the knee that was measured, and the
# queue for the cores the service's own. The load is at 85 % of what was held.
QUIET = 0.1
needs_postgres = pytest.mark.skipif(bool(stores.missing()), reason=stores.missing() or "all there")
needs_py_spy = pytest.mark.skipif(
    bool(PROFILERS["py-spy"].available()), reason=PROFILERS["py-spy"].available() or "all there"
)


@contextmanager
def serving(*words: str) -> Iterator[tuple[int, int]]:
    """(pid, port) of a service that runs while the context lasts, and what it started."""
    child = subprocess.Popen(
        [sys.executable, str(SERVICES / words[0]), *words[1:]], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        word, port = child.stdout.readline().split()
        assert word == "ready"
        yield child.pid, int(port)
    finally:
        below = psutil.Process(child.pid).children(recursive=True)
        child.kill()
        for process in below:
            process.kill()
        child.wait()


@contextmanager
def asked(port: int, clients: int = 2) -> Iterator[None]:
    """A service that is asked by some clients, one request after the other, meanwhile; each has
    been answered once.
    """
    ended, answered = threading.Event(), threading.Barrier(clients + 1)

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for once in itertools.count():
            connection.request("GET", "/")
            connection.getresponse().read()
            if not once:
                answered.wait()
            if ended.is_set():
                return

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    answered.wait(timeout=20.0)
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def seen(pid: int, seconds: float = 2.5, *waited_on: str) -> tuple[Peer, ...]:
    """The peers of a process over some seconds, whose threads wait on some endpoints."""
    watch = PeerWatch(pid, waited_on=lambda: frozenset(waited_on))
    watch.open()
    try:
        watch.mark()
        time.sleep(seconds)
        return watch.take()
    finally:
        watch.close()


def captured(pid: int, port: int, directory: Path) -> Evidence:
    """What an investigation would have seen of a service, at a low load and near the most it
    holds.
    """
    drive(port, 1.0, "users", 2)
    target = find_target(ProcessSelector(pid=pid), f"http://127.0.0.1:{port}")
    probes = LiveProbes(target, directory, time.monotonic)
    probes.open()
    try:
        idle = probes.idle()
        # What disturbs one of them makes it less: then the load would be far from the knee.
        probes.interference()
        capacity = max(drive(port, 1.5, "users", 16)["completed"] for _ in range(2))
        crowd = [probes.interference()]
        base = observe(probes, port, "baseline", 4.0, max(2.0, 0.1 * capacity))
        crowd.append(probes.interference())
        knee = observe(probes, port, "knee", 8.0, 0.85 * capacity)
        crowd.append(probes.interference())
    finally:
        probes.close()
    if crowded := other_work(crowd):
        pytest.skip(crowded)
    return Evidence(knee, base, idle=idle, runtime=target.runtime, cpu_limit=target.cpu_limit)


def leader(evidence: Evidence, found: Bottleneck) -> str:
    """The function that is named first, beside the class that was found: as a report has it."""
    reading = read_evidence(evidence)
    return rank(reading, suspects_of(reading), found.category)[0].function


def other_work(seen: Sequence[Interference]) -> str:
    """Why some stretches say more of other work on this host than of the service; "" when they do
    not. Load that was measured beside other work is not that of the quiet host, nor the other way
    round, so each stretch counts by itself.
    """
    for each in seen:
        others, cores = each.others or 0.0, each.cores or 1.0
        if others > QUIET * cores:
            names = ", ".join(neighbour.name for neighbour in each.busiest[:3])
            return f"other work ({names}) had {others:.2f} of {cores:g} cores"
    return ""


@needs_postgres
@needs_py_spy
@pytest.mark.long
def test_a_database_that_scans_on_the_same_cores_is_the_bottleneck(tmp_path: Path) -> None:
    with stores.postgres() as far, serving("orders.py", "postgres", str(far)) as (pid, port):
        evidence = captured(pid, port, tmp_path)
    assert evidence.knee.peers
    peer = evidence.knee.peers[0]
    assert peer.name == "postgres" and peer.addresses == (f"127.0.0.1:{far}",)
    assert peer.cores is not None and evidence.knee.resources is not None
    assert peer.cores > 2 * (evidence.knee.resources.cpu or 0.0)
    assert peer.doing["SELECT"] > 0 and all(len(p.ports) == 1 for p in peer.processes)
    found = classified(evidence)
    assert found.category == BottleneckClass.DATABASE, found
    assert found.evidence[0].startswith(f"postgres used {peer.cores:.2f} cores"), found
    assert "`recent_orders` waits for it" in found.evidence[0], found
    assert leader(evidence, found) == "recent_orders"


@needs_postgres
@needs_py_spy
def test_a_database_whose_backends_wait_for_a_lock_is_said_to(tmp_path: Path) -> None:
    with stores.postgres(1) as far, serving("orders.py", "lock", str(far)) as (pid, port):
        evidence = captured(pid, port, tmp_path)
    found = classified(evidence)
    assert found.category == BottleneckClass.DATABASE, found
    assert any("its backends waited for a lock" in sentence for sentence in found.evidence), found
    assert leader(evidence, found) == "recent_orders"


@needs_py_spy
@pytest.mark.long
def test_a_service_that_computes_on_the_same_cores_is_downstream(tmp_path: Path) -> None:
    with serving("prices.py") as (_, far), serving("orders.py", "http", str(far)) as (pid, port):
        evidence = captured(pid, port, tmp_path)
    found = classified(evidence)
    assert found.category == BottleneckClass.DOWNSTREAM, found
    assert found.evidence[0].startswith("prices.py used"), found
    assert leader(evidence, found) == "recent_orders"


@needs_postgres
def test_each_backend_is_known_by_the_connection_it_serves_and_others_are_left_out() -> None:
    with ExitStack() as stack:
        far = stack.enter_context(stores.postgres())
        pid, port = stack.enter_context(serving("orders.py", "postgres", str(far)))
        other, at = stack.enter_context(serving("orders.py", "postgres", str(far)))
        stack.enter_context(asked(port))
        stack.enter_context(asked(at))
        (peer,) = seen(pid)
        mine = {c.laddr.port for c in psutil.Process(pid).net_connections() if c.raddr} - {port}
        theirs = {c.laddr.port for c in psutil.Process(other).net_connections() if c.raddr}
    served = {at for process in peer.processes for at in process.ports}
    assert served and served <= mine and not served & theirs
    assert peer.connections == 2 and peer.others == 2 and len(peer.processes) == 2
    # Four backends share what the cores give; the target's are two of them.
    assert peer.cores is not None
    assert peer.cores == pytest.approx(sum(p.cores or 0.0 for p in peer.processes), abs=0.1)


@needs_postgres
def test_without_permission_a_database_is_known_by_its_titles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ExitStack() as stack:
        far = stack.enter_context(stores.postgres())
        pid, port = stack.enter_context(serving("orders.py", "postgres", str(far)))
        stack.enter_context(asked(port))

        def own_only(process: int) -> frozenset[int]:
            if process != pid:
                raise PermissionError(f"/proc/{process}/fd")
            return held_inodes(process)

        for module in (opened, peers):
            monkeypatch.setattr(module, "held_inodes", own_only)
        (peer,) = seen(pid)
    assert peer.name == "postgres" and peer.connections == 2 and len(peer.processes) == 2
    assert peer.cores is not None and peer.cores > 0.02 and peer.doing["SELECT"] > 0


def test_the_cpu_of_a_peer_is_what_it_burnt_and_its_name_is_its_own() -> None:
    with started(WORKS_FOR) as (burner, port), started(CALLS, port) as (target, connected):
        assert connected == "connected"
        before, began = sum(psutil.Process(burner).cpu_times()[:2]), time.monotonic()
        (peer,) = seen(target)
        burnt = sum(psutil.Process(burner).cpu_times()[:2]) - before
        seconds = time.monotonic() - began
    assert peer.pids == (burner,) and peer.kind is PeerKind.SERVICE
    assert peer.name == "works-for"
    assert peer.cores == pytest.approx(burnt / seconds, rel=0.2)


FAMILY = """
import os, socket, time
listener = socket.create_server(("127.0.0.1", 0))
if not os.fork():
    connection, _ = listener.accept()
    time.sleep(1000)
connection = socket.create_connection(listener.getsockname())
listener.close()
print("connected", flush=True)
time.sleep(1000)
"""


def test_a_helper_in_the_targets_own_tree_is_no_peer() -> None:
    with started(FAMILY) as (target, connected):
        assert connected == "connected"
        assert seen(target, 1.0) == ()
        for child in psutil.Process(target).children():
            child.kill()


RESTS = "import time; print('ready', flush=True); time.sleep(1000)"


def test_a_peer_whose_connections_no_look_meets_is_known_by_what_threads_wait_on() -> None:
    with started(WORKS_FOR) as (far, port), started(RESTS) as (target, _):
        at = f"127.0.0.1:{port}"
        (peer,) = seen(target, 1.0, at, f"client:{port}", "a pipe", "unix")
    assert peer.pids == (far,) and peer.addresses == (at,)
    assert peer.connections == 0 and peer.cores is not None


UNIX = """
import os, socket, sys, time
path = sys.argv[1]
if len(sys.argv) > 2:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    print("ready", flush=True)
    connection, _ = listener.accept()
else:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    print("connected", flush=True)
time.sleep(1000)
"""


def test_a_peer_at_a_unix_socket_is_known_by_its_path(tmp_path: Path) -> None:
    path = str(tmp_path / "peer.sock")
    with started(UNIX, path, "listen") as (far, _), started(UNIX, path) as (target, connected):
        assert connected == "connected"
        (peer,) = seen(target, 1.0)
    assert peer.pids == (far,) and peer.addresses == (f"unix:{path}",)
    assert peer.connections == 1


def test_watching_peers_costs_less_than_watching_the_threads_of_the_target() -> None:
    with started(WORKS_FOR) as (_, port), started(CALLS, port) as (target, _):
        watch = PeerWatch(target)
        watch.open()
        try:
            watch.mark()
            before = time.process_time()
            time.sleep(4.0)
            spent = time.process_time() - before
            assert watch.take()
        finally:
            watch.close()
        with StateSampler([target]) as sampler:
            sampler.mark()
            before = time.process_time()
            time.sleep(4.0)
            sampling = time.process_time() - before
    assert spent < sampling
