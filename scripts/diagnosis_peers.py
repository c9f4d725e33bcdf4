"""What other profilers say of the same service at the same load: where they rank its culprit."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import psutil
from diagnosis_record import Peer

from perfhunt.model.profile import Stack
from perfhunt.model.profiles.readers.folded import read_folded
from perfhunt.model.profiles.readers.perf_script import FIELDS, PerfScriptError, parse_perf_script
from tests.live.zoo.animals import Animal
from tests.live.zoo.keeper import HERE, Service, start_drive

SECONDS = 3  # of each
_LIMIT = 60.0
# What is written inside a function without a name of its own is that function's.
_NAMELESS = re.compile(r"(?:\.<locals>\.<\w+>)+$")
NAMES = ("py-spy", "py-spy --gil", "perf")


def peers(service: Service, rate: float) -> dict[str, Peer]:
    """Each of them for a few seconds, one after the other, under load of that rate."""
    longest = len(NAMES) * (SECONDS + 1.5) + 1.0
    load = start_drive(service.port, longest, "rate", rate, service.animal.paths)
    try:
        return {
            "py-spy": _py_spy(service),
            "py-spy --gil": _py_spy(service, "--gil"),
            "perf": _perf(service),
        }
    finally:
        load.kill()
        load.wait()


def _py_spy(service: Service, *options: str) -> Peer:
    """py-spy with its defaults and these options, on the whole tree of processes."""
    program = Path(sys.executable).parent / "py-spy"
    with tempfile.TemporaryDirectory(prefix="bench-diagnosis-") as home:
        where = f"{home}/folded"
        words = [str(program), "record", "-p", str(service.pid), "-d", str(SECONDS), "-s"]
        said = _run([*words, "-f", "raw", "-F", "-o", where, *options])
        if said or not os.path.exists(where):
            return Peer(None, None, said or "no output")
        folded = read_folded(Path(where).read_text(errors="replace"))
    return ranked(folded.stacks, service.animal)


def _perf(service: Service) -> Peer:
    """perf with the stacks that frame pointers give."""
    if shutil.which("perf") is None:
        return Peer(None, None, "not installed")
    root = psutil.Process(service.pid)
    pids = ",".join(str(p.pid) for p in (root, *root.children(recursive=True)))
    with tempfile.TemporaryDirectory(prefix="bench-diagnosis-") as home:
        where = f"{home}/perf.data"
        words = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "99", "-g", "-p", pids]
        if said := _run([*words, "-o", where, "--", "sleep", str(SECONDS)]):
            return Peer(None, None, said)
        script = subprocess.run(
            ["perf", "script", "-F", FIELDS, "-i", where], capture_output=True, timeout=_LIMIT
        )
    try:
        samples = list(parse_perf_script(script.stdout.decode(errors="replace")))
    except PerfScriptError as error:
        return Peer(None, None, str(error))
    return ranked(Counter(sample.stack for sample in samples), service.animal)


def _run(words: list[str]) -> str:
    """What went wrong, in a line; "" when nothing did."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_LIMIT)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = (done.stderr or done.stdout).strip().splitlines()
    return "" if done.returncode == 0 else lines[-1] if lines else f"exit code {done.returncode}"


def ranked(stacks: Mapping[Stack, float], animal: Animal) -> Peer:
    """The culprit's place among the application's functions."""
    own: dict[str, float] = defaultdict(float)
    inclusive: dict[str, float] = defaultdict(float)
    for stack, weight in stacks.items():
        functions = [_NAMELESS.sub("", f.function) for f in stack if _of_the_zoo(f.file)]
        if functions:
            own[functions[-1]] += weight
        for function in set(functions):
            inclusive[function] += weight
    return Peer(_place(own, animal.culprits), _place(inclusive, animal.culprits))


@cache
def _of_the_zoo(file: str) -> bool:
    """Whether a file is a service's own: by its name, for a tool may give no more of it."""
    return bool(file) and any(path.name == Path(file).name for path in HERE.rglob("*.py"))


def _place(weights: Mapping[str, float], culprits: Iterable[str]) -> int | None:
    names = [name.rpartition(".")[2] for name in sorted(weights, key=lambda n: -weights[n])]
    return min((names.index(c) + 1 for c in culprits if c in names), default=None)
