"""The command line answers at once: --help in under two bare interpreter starts more than typer
itself needs.
"""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.live


def fastest(*command: str) -> float:
    times = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    return min(times)


def test_help_costs_little_more_than_importing_typer() -> None:
    # A ratio on the same machine in the same minute; the absolute figure is in benchmarks.
    bare = fastest(sys.executable, "-c", "import typer; import typer.main, typer.core")
    assert fastest(sys.executable, "-m", "perfhunt", "--help") < 2.5 * bare
