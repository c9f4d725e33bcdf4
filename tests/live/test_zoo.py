"""Real services with a known culprit each: it is ranked first, and the class of bottleneck names
its kind.

Three of them, of a kind each, as `scripts/bench-diagnosis --quick` looks at them; the other four
that it knows are `long`, and without `--quick` it looks at all. Which function stops a service is a
fact of the host as well: what mending the culprit brings is measured beside it. Those where that is
clear, and that no other work disturbed, are judged.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from perfhunt.profilers.table import PROFILERS

pytestmark = pytest.mark.live
ROOT = Path(__file__).resolve().parents[2]
BENCH = "import sys, diagnosis_bench; sys.exit(diagnosis_bench.main(sys.argv[1:]))"
KINDS = ("lock", "loop-cpu", "await-pool")
OTHERS = ("gil", "tornado-blocking", "forked-cpu", "postgres")
CLEAR = 1.5  # times the capacity, when the culprit does nothing; below, it is none on this host
LEAST = 2  # services judged, or this is no test of anything
RIGHT = 0.6  # of them: of three or four one may be wrong, a capture of ten seconds on a busy host


@pytest.mark.timeout(600)
@pytest.mark.skipif(
    bool(PROFILERS["py-spy"].available()), reason=PROFILERS["py-spy"].available() or "all there"
)
@pytest.mark.parametrize("kinds", [KINDS, pytest.param(OTHERS, marks=pytest.mark.long)])
def test_the_culprit_is_ranked_first_and_its_kind_is_named(kinds: tuple[str, ...]) -> None:
    paths = os.pathsep.join((str(ROOT / "scripts"), str(ROOT)))
    done = subprocess.run(
        [sys.executable, "-c", BENCH, "--quick", *(f"--only={kind}" for kind in kinds)],
        env={**os.environ, "PYTHONPATH": paths},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    said = json.loads(done.stdout.splitlines()[-1])
    judged = {
        name: row
        for name, row in said["services"].items()
        if row["observed"] >= CLEAR and not row["disturbed"]
    }
    if len(judged) < LEAST:
        pytest.skip(f"too few services were to be had, clear and undisturbed:\n{done.stdout}")
    assert sum(row["rank"] == 1 for row in judged.values()) >= RIGHT * len(judged), done.stdout
    assert sum(row["class_right"] for row in judged.values()) >= RIGHT * len(judged), done.stdout
