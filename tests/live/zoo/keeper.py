"""Starts a service of the zoo, loads it near what it can hold, and captures what an investigation
would.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import files_of
from perfhunt.model.question import ProcessSelector
from perfhunt.profilers.probes import LiveProbes
from perfhunt.target.code.sources import sources
from perfhunt.target.find import find_target

HERE = Path(__file__).parent
GUNICORN = (
    sys.executable,
    "-m",
    "gunicorn",
    "--bind",
    "127.0.0.1:{port}",
    "--log-level",
    "error",
    "--backlog",
    "512",
)
UVICORN = (
    sys.executable,
    "-m",
    "uvicorn",
    "--port",
    "{port}",
    "--log-level",
    "error",
    "--no-access-log",
)


@dataclass(frozen=True)
class Animal:
    """A service with a known culprit, and the classes of bottleneck that name it rightly."""

    name: str
    command: tuple[str, ...]
    culprits: frozenset[str]
    classes: frozenset[str]
    neighbour_ms: float
    users: int  # of the closed burst that shows the capacity
    load: float = 0.85  # of that capacity


def threads(module: str, count: int) -> tuple[str, ...]:
    return (*GUNICORN, "--worker-class", "gthread", "--threads", str(count), f"{module}:app")


def forked(module: str, count: int) -> tuple[str, ...]:
    return (*GUNICORN, "--workers", str(count), f"{module}:app")


def animal(
    name: str,
    command: tuple[str, ...],
    culprits: str,
    classes: str,
    *,
    neighbour_ms: float = 0.0,
    users: int = 24,
) -> Animal:
    return Animal(
        name=name,
        command=command,
        culprits=frozenset(culprits.split()),
        classes=frozenset(classes.split()),
        neighbour_ms=neighbour_ms,
        users=users,
    )


ZOO = (
    animal("lock", threads("wsgi_lock", 16), "reserve_stock", "lock"),
    animal("blocking", (*UVICORN, "asgi_blocking:app"), "load_profile", "event-loop-blocked"),
    animal("loop-cpu", (*UVICORN, "asgi_cpu:app"), "score_items", "event-loop"),
    animal("forked-cpu", forked("wsgi_cpu", 4), "price_basket", "cpu"),
    animal(
        "forked-downstream",
        forked("wsgi_downstream", 4),
        "ask_inventory",
        "downstream",
        neighbour_ms=40,
    ),
    animal("sqlite", threads("wsgi_sqlite", 12), "record_order", "lock disk"),
    animal(
        "worker-queue", threads("wsgi_worker_queue", 16), "transcode", "lock pool sleep workers"
    ),
    animal("semaphore", threads("wsgi_semaphore", 16), "query_replica", "pool", neighbour_ms=25),
    animal("pool", threads("wsgi_pool", 16), "load_cart", "pool", neighbour_ms=16),
    animal("regex", threads("wsgi_regex", 24), "check_address", "gil"),
    animal("gil", (sys.executable, "server_gil.py", "{port}"), "total_up", "gil"),
    animal("logging", threads("wsgi_logging", 16), "emit", "lock"),
    animal(
        "n-plus-one",
        threads("wsgi_n_plus_one", 8),
        "get_customer list_orders",
        "downstream workers",
        neighbour_ms=8,
    ),
    animal("asgi-threads", (*UVICORN, "asgi_threads:app"), "send_mail", "workers sleep", users=32),
    animal(
        "asgi-downstream",
        (*UVICORN, "asgi_downstream:app"),
        "fetch_rates",
        "downstream pool",
        neighbour_ms=40,
    ),
    animal("fsync", forked("wsgi_fsync", 2), "append_journal", "disk"),
    animal("hash", threads("wsgi_hash", 8), "hash_password", "cpu gil"),
    animal("flock", forked("wsgi_flock", 4), "update_counter", "lock"),
    animal("rare", (*UVICORN, "asgi_rare:app"), "export_rows", "event-loop"),
    animal("executor", (*UVICORN, "asgi_executor:app"), "read_ledger", "workers sleep"),
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, limit: float = 20.0) -> None:
    deadline = time.monotonic() + limit
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@contextmanager
def running(
    command: tuple[str, ...], port: int, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    words = [word.format(port=port) for word in command]
    child = subprocess.Popen(
        words,
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": str(HERE), **environment},
        start_new_session=True,
    )
    try:
        wait_for(port)
        yield child
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def drive(port: int, seconds: float, kind: str, amount: float) -> dict[str, float]:
    command = [sys.executable, str(HERE / "drive.py"), str(port), str(seconds), kind, str(amount)]
    said: dict[str, float] = json.loads(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout
    )
    return said


def observe(probes: LiveProbes, port: int, name: str, seconds: float, rate: float) -> Span:
    """The span of a steady load, with every profiler attached."""
    command = [
        sys.executable,
        str(HERE / "drive.py"),
        str(port),
        str(seconds + 1.5),
        "rate",
        str(rate),
    ]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    time.sleep(1.0)
    probes.resources()
    with probes.during(name, seconds, on_cpu=True, waits=True) as attached:
        time.sleep(seconds)
    resources = probes.resources()
    said = json.loads(child.communicate()[0])
    return Span(
        said["completed"],
        said["mean"],
        profile=attached.profile,
        instants=attached.instants,
        states=attached.states,
        resources=resources,
        peers=attached.peers,
        losses=attached.losses,
    )


def capacity(one: Animal, mended: str = "") -> float:
    """Answers per second the service gives at most, with one of its functions doing nothing."""
    port = free_port()
    with running(one.command, port, ZOO_MENDED=mended):
        drive(port, 0.5, "users", 2)
        return drive(port, 2.0, "users", one.users)["completed"]


def capture(one: Animal, directory: Path, *, base: float = 4.0, knee: float = 10.0) -> Evidence:
    """What an investigation would have seen of a service: idle, at a low load, and near the most it
    holds.
    """
    port, far = free_port(), free_port()
    neighbour = running((sys.executable, "neighbour.py", "{port}", str(one.neighbour_ms)), far)
    with neighbour, running(one.command, port, NEIGHBOUR=str(far)) as child:
        drive(port, 1.0, "users", 2)
        target = find_target(ProcessSelector(pid=child.pid), f"http://127.0.0.1:{port}")
        probes = LiveProbes(target, directory, time.monotonic)
        probes.open()
        try:
            idle = probes.idle()
            capacity = drive(port, 2.5, "users", one.users)["completed"]
            at_base = observe(probes, port, "baseline", base, max(2.0, 0.1 * capacity))
            at_knee = observe(probes, port, "knee", knee, one.load * capacity)
        finally:
            probes.close()
        for span in (at_base, at_knee):
            for loss in span.losses:
                print(f"{one.name}: {loss.what}: {loss.why}", file=sys.stderr)
        # While it lives: its files are read through its own root.
        evidence = Evidence(
            knee=at_knee,
            baseline=at_base,
            idle=idle,
            runtime=target.runtime,
            cpu_limit=target.cpu_limit,
            application=target.application,
        )
        return replace(evidence, sources=sources(target, files_of(evidence)))
