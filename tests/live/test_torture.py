"""A quick share of `scripts/torture`: controller, load child and profiler killed and suspended."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.live, pytest.mark.long]

ROOT = Path(__file__).parents[2]
POINTS = 6
RUN = (
    "import sys; sys.path[:0] = ['scripts', '.']; import torture_run as run; run.main(sys.argv[1:])"
)


def test_six_runs_that_are_disturbed_leave_nothing_behind_and_lose_nothing() -> None:
    words = ["--points", str(POINTS), "--boundary", "baseline profile"]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["wrong"] == []
    assert told["total"] == {"tried": POINTS, "clean": POINTS}
    assert len(told["points"]) == POINTS
