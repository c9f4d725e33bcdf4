"""The store where it may not be written, and in another pid namespace."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from perfhunt.store.rundir import RunDirectory
from tests.sample_run import keep, sample_run

pytestmark = [pytest.mark.live, pytest.mark.beside]

RUN = sample_run()
HISTORY = [sys.executable, "-m", "perfhunt", "history", "--json", "--store"]


def listed(*words: str) -> list[dict[str, object]]:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, object]] = json.loads(done.stdout)
    return rows


def unshared(*options: str) -> list[str]:
    """A command in namespaces of its own; skips where there can be none."""
    words = ["unshare", *options, "--"]
    if shutil.which("unshare") is None or subprocess.run([*words, "true"], check=False).returncode:
        pytest.skip(f"no namespaces here: unshare {' '.join(options)}")
    return words


def test_a_run_that_is_alive_is_not_closed_from_another_pid_namespace(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, RUN)
    inside = unshared("--pid", "--fork", "--mount-proc")
    (row,) = listed(*inside, *HISTORY, str(tmp_path))
    assert row["ended"] == "running"
    assert directory.finish(RUN).name == RUN.id


@pytest.mark.parametrize("closed", [True, False])
def test_a_read_only_store_is_listed(tmp_path: Path, closed: bool) -> None:
    if closed:
        keep(tmp_path, RUN)
    else:
        RunDirectory.create(tmp_path, RUN)._lock.close()
    script = f'mount --bind {tmp_path} {tmp_path} && mount -o remount,ro,bind {tmp_path} && "$@"'
    inside = unshared("--mount")
    (row,) = listed(*inside, "sh", "-c", script, "sh", *HISTORY, str(tmp_path))
    assert row["id"] == RUN.id
    assert str(row["ended"]).startswith("complete" if closed else "aborted")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_store_of_somebody_else_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir(mode=0)
    done = subprocess.run([*HISTORY, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cannot be read" in done.stderr
