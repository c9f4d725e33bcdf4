"""The other load generators, run at full speed on one core: requests per second and CPU per
request, each by its own count.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CACHE = Path.home() / ".cache" / "perfhunt-bench"
CONNECTIONS = 64
BUILDS = {
    "vegeta": ["go", "install", "github.com/tsenart/vegeta/v12@latest"],
    "k6": ["go", "install", "go.k6.io/k6@latest"],
    "oha": ["cargo", "install", "--locked", "--root", str(CACHE), "oha"],
}
PACKAGES = ("nginx", "wrk", "hey")
LOCUSTFILE = """
from locust import FastHttpUser, HttpUser, task
class Fast(FastHttpUser):
    @task
    def get(self): self.client.get("/")
class Plain(HttpUser):
    @task
    def get(self): self.client.get("/")
"""
K6 = """
import http from 'k6/http';
export const options = { vus: %d, duration: '%ds', discardResponseBodies: true };
export default function () { http.get('%s'); }
"""


@dataclass(frozen=True)
class Speed:
    """Requests per second, and CPU microseconds of the generator per request."""

    rate: float
    cpu_us: float


@dataclass(frozen=True)
class Peer:
    """A generator: how to call it for a url and a number of seconds, and how to read its count and
    the seconds it took.
    """

    name: str
    command: Callable[[str, int, Path], list[str]]
    read: Callable[[str], tuple[float, float]]


def tool(name: str) -> str:
    """The path of a program, in the benchmark's own cache first; "" when it is not there."""
    return shutil.which(name, path=f"{CACHE / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}") or ""


def missing(name: str) -> str:
    """Why a peer cannot be measured; "" when it can."""
    program = "locust" if name in ("fasthttp", "httpuser") else name
    if program == "locust" or tool(program):
        return ""
    return f"{name} is not installed (scripts/bench-load --build makes what can be made)"


def build() -> None:
    """Builds what Go and Rust can build, at the lowest priority, and installs Debian's packages
    when root.
    """
    wanted = [p for p in PACKAGES if not shutil.which(p)]
    if wanted and shutil.which("apt-get") and os.geteuid() == 0:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", *wanted],
            env=environment,
            check=False,
            stdout=subprocess.DEVNULL,
        )
    environment = {
        **os.environ,
        "GOBIN": str(CACHE / "bin"),
        "CARGO_BUILD_JOBS": "1",
        "GOFLAGS": "-p=1",
    }
    for name, command in BUILDS.items():
        if not tool(name) and shutil.which(command[0]):
            print(f"building {name} into {CACHE / 'bin'} ...", file=sys.stderr)
            subprocess.run(["nice", "-n", "19", *command], env=environment, check=False)


def _wrk(url: str, seconds: int, work: Path) -> list[str]:
    return [tool("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url]


def _read_wrk(text: str) -> tuple[float, float]:
    found = re.search(r"(\d+) requests in ([\d.]+)s", text)
    assert found, text
    return float(found[1]), float(found[2])


def _hey(url: str, seconds: int, work: Path) -> list[str]:
    return [tool("hey"), "-cpus", "1", "-c", str(CONNECTIONS), "-z", f"{seconds}s", url]


def _read_hey(text: str) -> tuple[float, float]:
    total, rate = (
        re.search(r"Total:\s+([\d.]+)", text),
        re.search(r"Requests/sec:\s+([\d.]+)", text),
    )
    assert total and rate, text
    return float(rate[1]) * float(total[1]), float(total[1])


def _vegeta(url: str, seconds: int, work: Path) -> list[str]:
    attack = (
        f"{tool('vegeta')} -cpus 1 attack -rate 0 -max-workers {CONNECTIONS} -duration {seconds}s"
        " -max-body 0"
    )
    return ["sh", "-c", f"echo 'GET {url}' | {attack} | {tool('vegeta')} report -type json"]


def _read_vegeta(text: str) -> tuple[float, float]:
    said = json.loads(text)
    return said["requests"], said["duration"] / 1e9


def _k6(url: str, seconds: int, work: Path) -> list[str]:
    (work / "k6.js").write_text(K6 % (CONNECTIONS, seconds, url))
    summary = str(work / "k6.json")
    return [
        "sh",
        "-c",
        (
            f"{tool('k6')} run -q --no-usage-report --summary-export {summary} {work}/k6.js"
            f" >/dev/null && cat {summary}"
        ),
    ]


def _read_k6(text: str) -> tuple[float, float]:
    said = json.loads(text)["metrics"]["http_reqs"]
    return said["count"], said["count"] / said["rate"]


def _oha(url: str, seconds: int, work: Path) -> list[str]:
    # -j until 1.8; --output-format json since 1.9
    help_text = subprocess.run(
        [tool("oha"), "--help"], capture_output=True, text=True, check=False
    ).stdout
    form = ["--output-format", "json"] if "--output-format" in help_text else ["-j"]
    return [tool("oha"), "--no-tui", *form, "-c", str(CONNECTIONS), "-z", f"{seconds}s", url]


def _read_oha(text: str) -> tuple[float, float]:
    said = json.loads(text)["summary"]
    return said["requestsPerSec"] * said["total"], said["total"]


def _locust(user: str) -> Callable[[str, int, Path], list[str]]:
    def command(url: str, seconds: int, work: Path) -> list[str]:
        (work / "peers_locustfile.py").write_text(LOCUSTFILE)
        host = url.rstrip("/")
        return [
            sys.executable,
            "-m",
            "locust",
            "-f",
            str(work / "peers_locustfile.py"),
            user,
            "--headless",
            "--only-summary",
            "--json",
            "-H",
            host,
            "-u",
            str(CONNECTIONS),
            "-r",
            str(CONNECTIONS),
            "-t",
            f"{seconds + 1}s",
        ]

    return command


def _read_locust(text: str) -> tuple[float, float]:
    said = json.loads(text[text.index("[") :])[0]
    # The first second is spent on starting users.
    times: dict[str, int] = said["num_reqs_per_sec"]
    whole = sorted(times.items())[1:-1] or sorted(times.items())
    return float(sum(n for _, n in whole)), float(len(whole))


PEERS = (
    Peer("wrk", _wrk, _read_wrk),
    Peer("fasthttp", _locust("Fast"), _read_locust),
    Peer("httpuser", _locust("Plain"), _read_locust),
    Peer("hey", _hey, _read_hey),
    Peer("vegeta", _vegeta, _read_vegeta),
    Peer("k6", _k6, _read_k6),
    Peer("oha", _oha, _read_oha),
)


def measure(peer: Peer, url: str, seconds: int, core: int, work: Path) -> Speed:
    """One run of a peer on one core."""
    environment: dict[str, Any] = {**os.environ, "GOMAXPROCS": "1", "TOKIO_WORKER_THREADS": "1"}
    command = peer.command(url, seconds, work)
    before = os.times()
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    after = os.times()
    count, took = peer.read(done.stdout)
    cpu = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    return Speed(count / took, cpu / max(count, 1) * 1e6)
