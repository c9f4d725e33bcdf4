"""Starts a service of the zoo, loads it near what it can hold, and captures what an investigation
would.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.model.question import ProcessSelector
from perfhunt.profilers.probes import LiveProbes
from perfhunt.target.find import find_target
from tests.live.zoo import backing
from tests.live.zoo.animals import Animal

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Service:
    """An animal that is up: its process, and the port it listens on."""

    animal: Animal
    pid: int
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start_drive(self, seconds: float, kind: str, amount: float) -> subprocess.Popen[str]:
        """Load from a process of its own, which prints what came of it."""
        words = [str(self.port), str(seconds), kind, str(amount), ",".join(self.animal.paths)]
        command = [sys.executable, str(HERE / "drive.py"), *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def drive(self, seconds: float, kind: str, amount: float) -> dict[str, float]:
        """What came of so much load."""
        said: dict[str, float] = json.loads(
            self.start_drive(seconds, kind, amount).communicate()[0]
        )
        return said

    def capacity(self) -> dict[str, float]:
        """What came of a closed burst, which a service answers as fast as it can."""
        return self.drive(2.0, "users", self.animal.users)


@contextmanager
def living(one: Animal, mended: str = "") -> Iterator[Service]:
    """A warm service with what stands behind it; the function named `mended` does nothing in it."""
    port = backing.free_port()
    with (
        backing.behind(one.behind, one.neighbour_ms) as far,
        backing.running(
            one.command, port, HERE / one.folder, ZOO_MENDED=mended, NEIGHBOUR=str(far)
        ) as child,
    ):
        service = Service(one, child.pid, port)
        service.drive(0.7, "users", 2)
        yield service


def observe(probes: LiveProbes, service: Service, name: str, seconds: float, rate: float) -> Span:
    """The span of a steady load, with every profiler attached."""
    child = service.start_drive(seconds + 1.5, "rate", rate)
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
    )


def capacity(one: Animal, mended: str = "") -> float:
    """Answers per second the service gives at most, with one of its functions doing nothing."""
    with living(one, mended) as service:
        return service.capacity()["completed"]


def capture(one: Animal, directory: Path, *, base: float = 4.0, knee: float = 10.0) -> Evidence:
    """What an investigation would have seen of a service: idle, at a low load, and near the most it
    holds.
    """
    with living(one) as service:
        return captured(service, directory, service.capacity()["completed"], base, knee)


def captured(
    service: Service, directory: Path, capacity: float, base: float, knee: float
) -> Evidence:
    """The same of a service that is up, whose capacity is known."""
    one = service.animal
    target = find_target(ProcessSelector(pid=service.pid), service.url)
    probes = LiveProbes(target, directory, time.monotonic)
    probes.open()
    try:
        idle = probes.idle()
        at_base = observe(probes, service, "baseline", base, max(2.0, 0.1 * capacity))
        at_knee = observe(probes, service, "knee", knee, one.load * capacity)
    finally:
        probes.close()
    for failed in probes.failures:
        print(f"{one.name}: {failed.message}", file=sys.stderr)
    return Evidence(at_knee, at_base, idle, target.runtime, target.cpu_limit)
