"""What must hold after every point, whatever was done to the run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from torture_bench import EARLIER, ROOT, Bench
from torture_kinds import PROMISED, Disturbance

from tests.live.running import until

COMPLETE = frozenset({0, 91, 99})  # exit codes of a run that came to its end
GONE_WITHIN = 3.0  # seconds, for a keeper to ask, wait and kill


def check_load(bench: Bench, moment: float) -> None:
    """No request came later than was promised; asked when twice that is over."""
    if (after := bench.since(moment)) > PROMISED:
        bench.wrong.append(f"load went on for {after:.2f} s")


def check_target(bench: Bench) -> None:
    """Nobody traces the target, and none of its threads stands still."""
    if bench.target.process.poll() is None and not until(lambda: not held(bench), within=1.0):
        bench.wrong.append(f"the target is {held(bench)}")


def held(bench: Bench) -> str:
    """What holds the target, or ""."""
    for path in Path(f"/proc/{bench.target.process.pid}/task").glob("*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in path.read_text().splitlines() if line)
        except (OSError, ValueError):
            continue  # a thread that ended meanwhile
        if fields["TracerPid"].strip() != "0":
            return f"traced by {fields['TracerPid'].strip()}"
        if fields["State"][0] in "Tt":
            return f"stopped ({fields['State'].strip()})"
    return ""


def check_processes(bench: Bench) -> None:
    """Nothing that the run started is left."""
    if not until(lambda: not bench.family(), within=GONE_WITHIN):
        left = [" ".join(process.cmdline())[:80] for process in bench.family()]
        bench.wrong.append(f"processes are left: {left}")


def stored(bench: Bench) -> list[dict[str, Any]]:
    """The run as it was closed: in its store, or elsewhere; of several the one last written."""
    name = bench.run_id or "*"
    places = (*bench.store.glob(f"runs/{name}/run.json"), *bench.spare.rglob("runs/*/run.json"))
    closed = [p for p in places if p.parent.name not in EARLIER]
    closed = [p for p in closed if not p.parent.name.endswith(".partial")]
    return [json.loads(path.read_text()) for path in closed]


def check_end(bench: Bench, kind: Disturbance) -> None:
    """The exit code by the table and as the run has it, the message without a traceback."""
    code, runs = bench.process.returncode, stored(bench)
    if code in (-signal.SIGTERM, -signal.SIGHUP) and not bench.run_id:
        return  # told to end while it was still being imported
    if code not in kind.codes | COMPLETE:
        bench.wrong.append(f"exit code {code}, none of {sorted(kind.codes)}")
    if code in COMPLETE and not any(r["exit_code"] == code for r in runs):
        bench.wrong.append(f"exit code {code}, and no run has it")
    if code >= 0 and runs and code not in {r["exit_code"] for r in runs}:
        bench.wrong.append(f"exit code {code}, the run says {runs[0]['exit_code']}")
    if kind.on_terminal:
        said = bench.out.read_text(errors="replace")
    else:
        said = bench.log.read_text(errors="replace")
        if (
            code > 0
            and code not in COMPLETE
            and not any(line.startswith("perfhunt: ") for line in said.splitlines())
        ):
            bench.wrong.append(f"exit code {code} without a message")
    if "Traceback" in said or "Exception ignored" in said:
        bench.wrong.append(f"a traceback: {said.strip().splitlines()[-1][:160]}")


def check_store(bench: Bench, before: str) -> None:
    """Earlier runs are as they were and listed, and this one is marked as what it is."""
    if bench.earlier() != before:
        bench.wrong.append("files of an earlier run have changed")
    done = subprocess.run(
        [sys.executable, "-m", "perfhunt", "history", "--json"],
        cwd=bench.directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        bench.wrong.append(f"history: exit code {done.returncode}: {done.stderr[-160:]}")
        return
    rows = {row["id"]: str(row["ended"]) for row in json.loads(done.stdout)}
    if missing := set(EARLIER) - set(rows):
        bench.wrong.append(f"history does not list {missing}")
    others = {name: ended for name, ended in rows.items() if name not in EARLIER}
    if bench.run_id and bench.run_id not in others:
        bench.wrong.append("history does not list the run")
    for name, ended in others.items():
        if not ended.startswith(("complete", "stopped: ", "failed: ", "aborted: ")):
            bench.wrong.append(f"history says {ended!r} of {name}")
