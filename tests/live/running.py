"""Starting real things for live tests: services that say `ready`, and perfhunt itself, watched from
outside.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

SERVICES = Path(__file__).parent / "services"


@contextmanager
def service(name: str) -> Iterator[tuple[psutil.Process, int]]:
    """A service of `tests/live/services`, with the port it listens on; ended with the block."""
    child = subprocess.Popen(
        [sys.executable, SERVICES / f"{name}.py"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        word, port = child.stdout.readline().split()
        assert word == "ready"
        yield psutil.Process(child.pid), int(port)
    finally:
        for forked in psutil.Process(child.pid).children(recursive=True):
            forked.kill()
        child.kill()
        child.wait()


def question(
    directory: Path, port: int, *, ramp: str = "", slo: str = 'latency = { p99 = "<= 60ms" }'
) -> None:
    """A perfhunt.toml for a service on a port."""
    (directory / "perfhunt.toml").write_text(
        f'schema = 1\n[target]\nurl = "http://127.0.0.1:{port}"\nprocess = {{ port = {port}'
        f" }}\n[slo]\n{slo}\n[ramp]\n{ramp}\n"
    )


def start(directory: Path, *words: str) -> subprocess.Popen[str]:
    """perfhunt, running, with NDJSON events on stdout."""
    return subprocess.Popen(
        [sys.executable, "-m", "perfhunt", *words, "--json"],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def wait_for(
    running: subprocess.Popen[str], wanted: Callable[[dict[str, object]], bool]
) -> dict[str, object]:
    """The first event that is wanted. Fails when perfhunt ends without it."""
    assert running.stdout is not None
    line = "nothing"
    for line in running.stdout:
        event: dict[str, object] = json.loads(line)
        if wanted(event):
            return event
    said = running.stderr.read() if running.stderr else ""
    raise AssertionError(f"perfhunt ended first: {said}\nlast it said {line}")


def until(condition: Callable[[], bool], within: float) -> bool:
    """Whether a condition comes true within some seconds."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def run_json(directory: Path) -> dict[str, object]:
    """The only run stored in a directory."""
    (found,) = (directory / ".perfhunt" / "runs").glob("*/run.json")
    document: dict[str, object] = json.loads(found.read_text())
    return document
