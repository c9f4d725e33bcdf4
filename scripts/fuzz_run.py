"""Fuzzes every reader of what others write, each in a process of its own with limits, and the load
client against a server that answers with whatever a seed makes of an answer.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.property.hostile.mutations import LONGEST, mutated

ROOT = Path(__file__).resolve().parents[1]
TIME_LIMIT = 10  # seconds for an input; nothing of LONGEST bytes takes so long
MEMORY_LIMIT = 1024  # MiB in all, the interpreter and what it imports included
WALL = 3600.0  # seconds for one reader


def main(argv: Sequence[str]) -> int:
    """Runs the fuzzer; the last line printed is one JSON object. 1 when anything crashed."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=5000, help="for each reader")
    parser.add_argument("--only", default="", help="readers whose names hold this")
    parser.add_argument("--no-client", action="store_true", help="leave the load client out")
    parser.add_argument("--reader", default="", help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    if asked.reader:
        fuzz_here(asked.reader, asked.inputs)
        return 0
    from tests.property.hostile.readers import READERS

    engine = "atheris" if find_spec("atheris") else "mutations"
    names = [name for name in READERS if asked.only in name]
    readers = {name: fuzzed(name, asked.inputs) for name in names}
    result: dict[str, Any] = {
        "engine": engine,
        "inputs": sum(each["inputs"] for each in readers.values()),
        "crashes": sum(each["crashes"] for each in readers.values()),
        "readers": readers,
    }
    if not asked.no_client:
        from fuzz_client import against_hostile_server

        result["client"] = against_hostile_server()
    print(json.dumps(result))
    return int(bool(result["crashes"] or not result.get("client", {}).get("clean", True)))


def fuzzed(name: str, inputs: int) -> dict[str, Any]:
    """How one reader did in a process of its own: inputs tried, crashes (a limit that was met is
    one), seconds.
    """
    began = time.monotonic()
    command = [sys.executable, __file__, "--reader", name, "--inputs", str(inputs)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WALL, errors="replace")
    said = done.stdout + done.stderr
    runs = re.findall(r"(?:Done |#)(\d+)", said)
    crashed = done.returncode != 0
    if crashed:
        kept = Path(tempfile.gettempdir(), f"fuzz-{re.sub(r'[^a-z0-9]+', '-', name.lower())}.log")
        kept.write_text(said)
        print(f"{name}: crashed; what it said is in {kept}", flush=True)
    tried = max(map(int, runs), default=0)
    print(f"{name}: {tried} inputs, {int(crashed)} crashes", flush=True)
    return {
        "inputs": tried,
        "crashes": int(crashed),
        "seconds": round(time.monotonic() - began, 1),
    }


def fuzz_here(name: str, inputs: int) -> None:
    """Fuzz one reader in this process until the inputs are used up or one crashes it."""
    if find_spec("atheris"):
        atheris: Any = import_module("atheris")
        with atheris.instrument_imports(include=["perfhunt"], enable_loader_override=False):
            from tests.property.hostile.readers import READERS
        fuzz = _with_atheris
    else:
        from tests.property.hostile.readers import READERS

        fuzz = _with_mutations
    reader = READERS[name]

    def one(raw: bytes) -> None:
        reader.try_on(raw)

    fuzz(one, reader.seeds, inputs)


def _with_atheris(one: Any, seeds: tuple[bytes, ...], inputs: int) -> None:
    atheris: Any = import_module("atheris")
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds):
            Path(corpus, str(number)).write_bytes(seed[:LONGEST])
        limits = [f"-timeout={TIME_LIMIT}", f"-rss_limit_mb={MEMORY_LIMIT}", f"-max_len={LONGEST}"]
        artifacts = f"-artifact_prefix={tempfile.gettempdir()}/fuzz-"
        atheris.Setup([sys.argv[0], f"-runs={inputs}", *limits, artifacts, corpus], one)
        atheris.Fuzz()


def _with_mutations(one: Any, seeds: tuple[bytes, ...], inputs: int) -> None:
    limit = MEMORY_LIMIT << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for number, raw in enumerate(mutated(seeds, inputs, seed=2), 1):
        signal.alarm(TIME_LIMIT)  # which ends the process
        one(raw)
        signal.alarm(0)
        if number % 500 == 0 or number == inputs:
            print(f"#{number}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
