"""Starts a service of the zoo, and loads it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from perfhunt.analysis.blame.evidence import Span
from perfhunt.profilers.probes import LiveProbes
from tests.live.zoo.animals import Animal
from tests.live.zoo.backing import behind, free_port, running

__all__ = ["Service", "capacity", "drive", "free_port", "living", "observe", "running"]
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Service:
    """An animal that is up: its process, the port it listens on, and what it takes with hardly any
    load, in seconds.
    """

    animal: Animal
    pid: int
    port: int
    unloaded: float = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def capacity(self, times: int = 1) -> dict[str, float]:
        """What came of a closed burst, which a service answers as fast as it can; of `times` the
        usual number of users.
        """
        return drive(self.port, 2.0, "users", times * self.animal.users, self.animal.paths)


@contextmanager
def living(one: Animal, mended: str = "") -> Iterator[Service]:
    """A warm service with what stands behind it; the function named `mended` does nothing in it."""
    port = free_port()
    with (
        behind(one.behind, one.neighbour_ms) as far,
        running(
            one.command, port, HERE / one.folder, ZOO_MENDED=mended, NEIGHBOUR=str(far)
        ) as child,
    ):
        unloaded = drive(port, 0.7, "users", 2, one.paths)["mean"]
        yield Service(one, child.pid, port, unloaded)


def start_drive(
    port: int, seconds: float, kind: str, amount: float, paths: Sequence[str] = ("/",)
) -> subprocess.Popen[str]:
    """Load from a process of its own, which prints what came of it."""
    words = [str(port), str(seconds), kind, str(amount), ",".join(paths)]
    command = [sys.executable, str(HERE / "drive.py"), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def drive(
    port: int, seconds: float, kind: str, amount: float, paths: Sequence[str] = ("/",)
) -> dict[str, float]:
    """What came of so much load. Raises OSError when it could not be sent."""
    child = start_drive(port, seconds, kind, amount, paths)
    text = child.communicate()[0]
    if child.returncode:
        raise OSError(f"load on port {port} failed: exit code {child.returncode}")
    said: dict[str, float] = json.loads(text)
    return said


def observe(probes: LiveProbes, port: int, name: str, seconds: float, rate: float) -> Span:
    """The span of a steady load, with every profiler attached."""
    child = start_drive(port, seconds + 1.5, "rate", rate)
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
    with living(one, mended) as service:
        return service.capacity()["completed"]
