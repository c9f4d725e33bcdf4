"""Starts the target processes of the live tests and waits for the word `ready`."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
READY_WITHIN = 20.0


@dataclass
class Target:
    """A target that is ready, and what it said of itself."""

    process: subprocess.Popen[str]
    told: dict[str, Any]
    inner: int = 0  # the process to look at, where it is not the one that was started

    @property
    def pid(self) -> int:
        return self.inner or self.process.pid

    def ask(self) -> Any:
        """The answer to a line on its standard input."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@contextmanager
def running(script: str, *arguments: str, program: str = sys.executable) -> Iterator[Target]:
    """The script (or the program alone) running, killed with everything it started when the block
    ends.
    """
    process = subprocess.Popen(
        [program, *([str(HERE / script)] if script else []), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], READY_WITHIN)
        line = process.stdout.readline() if readable else ""
        assert line.startswith("ready"), f"{script or program} said {line!r}"
        yield Target(process, json.loads(line.removeprefix("ready")))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


@contextmanager
def in_own_pids(script: str, *arguments: str, program: str = sys.executable) -> Iterator[Target]:
    """The script running as process 1 of a pid namespace of its own, as a container has one.
    Skips where that may not be made. `told` holds the numbers of the namespace, `pid` is ours.
    """
    apart = ["--pid", "--fork", "--mount-proc", "--kill-child"]
    probe = subprocess.run(["unshare", *apart, "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip(f"no pid namespace of its own: {probe.stderr.strip()}")
    words = [*apart, program, str(HERE / script)]
    with running("", *words, *arguments, program="unshare") as outer:
        tasks = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
        (inner,) = map(int, tasks)
        yield Target(outer.process, outer.told, inner)


@cache
def interpreter(version: str) -> str:
    """A Python of that version, `3.12`, or `3.13t` for one without a GIL, that runs here: this one,
    one on PATH, or where scripts/pythons.sh, pyenv, uv, deadsnakes, manylinux and a build by hand
    put theirs; "" when there is none.
    """
    if sys.version.startswith(version + "."):
        return sys.executable
    home, series, tag = Path.home(), version.rstrip("t"), version.replace(".", "")
    pyenv = Path(os.environ.get("PYENV_ROOT", home / ".pyenv")) / "versions"
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR", home / ".local/share/uv/python"))
    places = [(home / ".cache/perfhunt-bench/pythons", f"{version}/bin/python{version}")]
    places += [(pyenv, f"{series}.*/bin/python{version}")]
    places += [(uv, f"cpython-{series}.*/bin/python{version}")]
    places += [(Path(prefix), f"bin/python{version}") for prefix in ("/usr", "/usr/local")]
    places += [(Path("/opt"), f"python/cp{tag.rstrip('t')}-cp{tag}/bin/python{version}")]
    programs = [str(path) for place, name in places for path in sorted(place.glob(name))]
    for program in filter(None, (shutil.which(f"python{version}"), *programs)):
        said = (
            "import sys, asyncio; print(*sys.version_info[:2], sep='.', end='');"
            " print('t' * ('t' in sys.abiflags)); print(sys.executable)"
        )
        ran = subprocess.run([program, "-c", said], capture_output=True, text=True)
        runs, _, where = ran.stdout.strip().partition("\n")
        if ran.returncode == 0 and runs == version:
            return where
    return ""


def eventually(holds: Any, within: float = 5.0) -> bool:
    """Whether `holds()` comes true before the deadline."""
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def runs_freely(pid: int) -> bool:
    """Whether a process is neither stopped nor traced, by the kernel's own words."""
    status = dict(
        line.split(":", 1)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if ":" in line
    )
    return status["State"].split()[0] not in "Tt" and status["TracerPid"].strip() == "0"
