"""Whatever ends perfhunt, the target is left running and unloaded, and what was measured can be
read.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.live.running import question, service, start, until, wait_for

pytestmark = [pytest.mark.live, pytest.mark.beside]

RAMP = 'start = "20/s"\nbudget = "6s"\nbaseline = "2s"\nhold = "3s"'
LONGER = RAMP.replace('"6s"', '"60s"')  # in which a trial fits on a busy host as well
MOMENTS = ["baseline", "baseline profile", "climb", "hold", "diagnose"]


def children(process: psutil.Process) -> list[psutil.Process]:
    return process.children(recursive=True)


def is_free(target: psutil.Process) -> bool:
    """Running, traced by nobody."""
    status = Path(f"/proc/{target.pid}/status").read_text()
    return "TracerPid:\t0" in status and target.status() not in (
        psutil.STATUS_STOPPED,
        psutil.STATUS_TRACING_STOP,
    )


def history(directory: Path) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-m", "perfhunt", "history", "--json"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=True,
    )
    rows: list[dict[str, object]] = json.loads(done.stdout)
    return rows


@pytest.mark.parametrize("moment", MOMENTS)
def test_kill_9_leaves_no_load_no_stopped_target_and_a_readable_ledger(
    tmp_path: Path, moment: str
) -> None:
    with service("threaded") as (target, port):
        question(tmp_path, port, ramp=RAMP)
        running = start(tmp_path, "investigate", "--pid", str(target.pid))
        wait_for(running, lambda e: e["event"] == "began" and e["stage"] == moment)
        started = children(psutil.Process(running.pid))
        running.kill()
        running.wait()
        assert until(lambda: not any(child.is_running() for child in started), within=2.0)
        assert until(lambda: is_free(target), within=1.0)
        (row,) = history(tmp_path)
        assert str(row["ended"]).startswith("aborted")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_load_within_a_second_and_keeps_a_marked_run(
    tmp_path: Path, number: signal.Signals
) -> None:
    with service("threaded") as (target, port):
        question(tmp_path, port, ramp=LONGER)
        running = start(tmp_path, "investigate", "--pid", str(target.pid))
        wait_for(running, lambda e: e["event"] == "ticked" and e["phase"] == "ramp")
        started = children(psutil.Process(running.pid))
        running.send_signal(number)
        assert until(lambda: idle(target), within=2.0)
        assert running.wait(20) == 105
        assert not any(child.is_running() for child in started)
        (row,) = history(tmp_path)
        assert str(row["ended"]).startswith("stopped")
        assert is_free(target)


def idle(target: psutil.Process) -> bool:
    """No request of ours is being answered: nothing but the listening socket is busy."""
    return not [c for c in target.net_connections("tcp") if c.status == psutil.CONN_ESTABLISHED]


def test_the_killswitch_file_stops_a_run(tmp_path: Path) -> None:
    with service("threaded") as (target, port):
        question(tmp_path, port, ramp=RAMP)
        running = start(tmp_path, "investigate", "--pid", str(target.pid))
        wait_for(running, lambda e: e["event"] == "ticked" and e["phase"] == "baseline")
        (tmp_path / ".perfhunt" / "stop").touch()
        assert running.wait(20) == 105
        assert "killswitch" in (running.stderr.read() if running.stderr else "")


def test_a_target_that_dies_is_96_and_the_run_is_kept(tmp_path: Path) -> None:
    with service("threaded") as (target, port):
        question(tmp_path, port, ramp=LONGER)
        running = start(tmp_path, "investigate", "--pid", str(target.pid))
        wait_for(running, lambda e: e["event"] == "ticked" and e["phase"] == "ramp")
        target.kill()
        assert running.wait(30) == 96
        (row,) = history(tmp_path)
        assert "failed" in str(row["ended"])
