"""How often a process is looked at, and for how much of a core: the cases of `docs/looks.md`."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from perfhunt.profilers.instants import InstantsCapture
from perfhunt.profilers.table import cpython_looker

TARGET = Path(__file__).with_name("looks_target.py")
CASES = {
    "24 threads of 24 frames, half moving": ("threads", "24", "12", "24"),
    "24 threads of 24 frames, all moving": ("threads", "24", "24", "24"),
    "200 threads of 24 frames, half moving": ("threads", "200", "100", "24"),
    "500 tasks at rest, 10 moving": ("tasks", "500", "10"),
    "200 tasks, all moving": ("tasks", "0", "200"),
    "200 greenlets of 14 frames": ("greenlets", "200", "14", "0"),
    "200 greenlets, 300 MB": ("greenlets", "200", "14", "300"),
}


def main(arguments: Sequence[str]) -> int:
    """Print a line for each case and interpreter, and all as one JSON object at the end."""
    parser = argparse.ArgumentParser(prog="bench-looks", description=__doc__)
    parser.add_argument("--python", action="append", help="an interpreter to look at (repeatable)")
    parser.add_argument("--seconds", type=float, default=5.0, help="to look at each case")
    options = parser.parse_args(arguments)
    rows = [
        {"python": program, "case": case, **looked_at(program, words, options.seconds)}
        for program in options.python or [sys.executable]
        for case, words in CASES.items()
    ]
    print(json.dumps(rows))
    return 0


def looked_at(program: str, words: Sequence[str], seconds: float) -> dict[str, float | str]:
    """Looks a second and their cost in cores, of one target."""
    with target(program, words) as (pid, version):
        instants = InstantsCapture([pid], seconds, make=cpython_looker).wait()
    (cost,) = re.findall(r"cost ([\d.]+)% of one core", instants.notes[-1])
    rate, seen = len(instants) / instants.seconds, len(instants.instants[-1].threads)
    per_look = float(cost) * 10 / rate
    print(
        f"{version:8} {' '.join(words):18} {rate:5.1f} looks/s  {cost:>5} % of a core"
        f"  {per_look:5.2f} ms a look  {seen} seen",
        *instants.notes[:-1],
        flush=True,
    )
    return {"version": version, "looks_per_s": rate, "cores": float(cost) / 100}


@contextmanager
def target(program: str, words: Sequence[str]) -> Iterator[tuple[int, str]]:
    """(its pid, its version) of a target that is ready, which ends with the block."""
    version = subprocess.run([program, "-V"], capture_output=True, text=True, check=True).stdout
    command = [program, str(TARGET), *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdout.readline()
            yield process.pid, version.split()[1]
        finally:
            process.kill()
