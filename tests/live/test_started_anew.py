"""A service that starts itself anew under its own pid (execve(2)) while it is looked at."""

import time
from collections import Counter
from pathlib import Path

import pytest

from perfhunt.model.profile import ProfileMode
from perfhunt.profilers.following import FollowingCapture
from perfhunt.profilers.instants import InstantsCapture
from perfhunt.profilers.table import PROFILERS, cpython_looker
from tests.live.profiler_targets.launch import Target, eventually, running, runs_freely

pytestmark = [pytest.mark.live, pytest.mark.beside]
LIVES = ("first_life", "second_life")
SAMPLED = 1.5  # seconds in each life, of which there are samples then


def started_anew(target: Target) -> None:
    """Have it execute itself, and wait until it is ready again."""
    assert target.process.stdin is not None and target.process.stdout is not None
    target.process.stdin.write("\n")
    target.process.stdin.flush()
    assert target.process.stdout.readline().startswith("ready")


@pytest.mark.parametrize("name", ["py-spy", pytest.param("perf", marks=pytest.mark.long)])
def test_both_lives_are_in_the_profile_and_in_the_instants(name: str, tmp_path: Path) -> None:
    profiler = PROFILERS[name]
    if why := profiler.available():
        pytest.skip(why)
    with running("lives.py") as target:
        pids = [target.pid]
        recorded = FollowingCapture(profiler, lambda: pids, 60.0, 99, ProfileMode.CPU, tmp_path)
        looked = InstantsCapture(pids, 60.0, make=cpython_looker)
        time.sleep(SAMPLED)
        started_anew(target)
        again = tmp_path / "again-1"
        assert eventually(lambda: again.is_dir() and any(again.iterdir()))
        time.sleep(SAMPLED)
        recorded.stop()
        looked.stop()
        profile, instants = recorded.wait(), looked.wait()
        assert runs_freely(target.pid)
    assert profile.pids == (target.pid,)
    seen: Counter[str] = Counter()
    for instant in instants:
        for sample in instant.threads:
            seen.update(frame.function for frame in sample.stack if frame.function in LIVES)
    assert min(seen[life] for life in LIVES) > 5
    assert any("runs another program now" in loss.why for loss in looked.losses())
    if name == "py-spy":
        run = {frame.function for stack in profile.stacks for frame in stack}
        assert run >= {*LIVES}
    # One thread that always runs, of two cores that others may want too.
    assert profile.ticks is not None and 0.1 < profile.total / profile.ticks < 1.5
