"""Kill -9 while a run is written: what was measured is there and can be read."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from perfhunt.store.listing import list_runs
from perfhunt.store.owner import making
from perfhunt.store.run_json import read_run
from perfhunt.store.rundir import RunDirectory, read_directory, repair
from tests.sample_run import sample_run

pytestmark = [pytest.mark.live, pytest.mark.beside]

RUN = sample_run()
ROOT = Path(__file__).parents[2]

DIES = """
import os, signal, sys
from pathlib import Path
from tests.sample_run import sample_run
from perfhunt.store.rundir import RunDirectory
run, root, moment = sample_run(), Path(sys.argv[1]), sys.argv[2]
def die(here):
    if here == moment:
        os.kill(os.getpid(), signal.SIGKILL)
directory = RunDirectory.create(root, run)
die("created")
directory.phase("ramp")
directory.append_trial(run.trials[0])
die("one trial")
directory.append_trial(run.trials[1])
with open(directory.path / "trials.jsonl", "a") as file:
    file.write('{"trial": {"phase": "ra')
    file.flush()
    die("torn line")
"""
DIES_MAKING = """
import os, signal, sys
from pathlib import Path
from perfhunt.store.owner import making
runs, name = Path(sys.argv[1]) / "runs", sys.argv[2]
with making(runs):
    (runs / name).mkdir()
    os.kill(os.getpid(), signal.SIGKILL)
"""
KEPT = {"created": 0, "one trial": 1, "torn line": 2}


def killed(root: Path, moment: str) -> Path:
    done = subprocess.run([sys.executable, "-c", DIES, str(root), moment], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    return root / "runs" / f"{RUN.id}.partial"


@pytest.mark.parametrize("moment", KEPT)
def test_kill_9_leaves_a_readable_run_with_every_trial_that_ended(
    tmp_path: Path, moment: str
) -> None:
    partial = killed(tmp_path, moment)
    assert [e.status for e in list_runs(tmp_path)] == ["aborted"]
    run = read_directory(partial)
    assert run.trials == RUN.trials[: KEPT[moment]]
    assert run.ended.startswith("aborted: perfhunt was ended from outside during")
    assert run.question.fingerprint() == RUN.question.fingerprint()


@pytest.mark.parametrize("moment", KEPT)
def test_repair_closes_what_a_dead_owner_left(tmp_path: Path, moment: str) -> None:
    killed(tmp_path, moment)
    (closed,) = repair(tmp_path)
    assert closed == tmp_path / "runs" / RUN.id
    assert [e.status for e in list_runs(tmp_path)] == ["closed"]
    run = read_run(closed)
    assert len(run.trials) == KEPT[moment]
    assert run.ended.startswith("aborted")
    assert repair(tmp_path) == ()


@pytest.mark.parametrize("name", [".unpack-0123456789abcdef", f".{RUN.id}.partial"])
def test_what_was_half_made_goes_with_the_next_that_is_made(tmp_path: Path, name: str) -> None:
    words = [sys.executable, "-c", DIES_MAKING, str(tmp_path), name]
    assert subprocess.run(words, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    runs = tmp_path / "runs"
    (runs / ".somebody-elses").mkdir()
    assert (runs / name).is_dir()
    with making(runs):  # and not while another makes one
        (runs / ".unpack-00").mkdir()
        with making(runs):
            assert (runs / ".unpack-00").is_dir()
        assert sorted(path.name for path in runs.iterdir()) == [".somebody-elses", ".unpack-00"]
    RunDirectory.create(tmp_path, RUN).finish(RUN)
    assert sorted(path.name for path in runs.iterdir()) == [".somebody-elses", RUN.id]
