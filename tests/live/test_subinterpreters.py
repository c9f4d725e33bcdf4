"""A Python with more than one interpreter: which of them a tool sees, and that it is said."""

from pathlib import Path

import pytest

from perfhunt.model.profile import ProfileMode
from perfhunt.profilers.cpython.looks import CpythonLooker
from perfhunt.profilers.table import PROFILERS
from tests.live.profiler_targets.launch import eventually, interpreter, running

pytestmark = [pytest.mark.live, pytest.mark.beside]


def needed(version: str) -> str:
    """The interpreter, or a skip with the reason."""
    program = interpreter(version)
    if not program:
        pytest.skip(f"no Python {version} is here, or none runs")
    return program


def seen_by(looker: CpythonLooker) -> dict[int, set[str]]:
    """The functions of each thread."""
    return {
        sample.tid: {frame.function for frame in sample.stack}
        for sample in looker.look()
        if not sample.task
    }


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14", "3.15"])
def test_each_thread_is_seen_in_the_interpreter_that_it_runs_in(version: str) -> None:
    with running("interpreters.py", program=needed(version)) as target:
        main, sub = target.told["main"], target.told["sub"]
        looker = CpythonLooker(target.pid)
        try:
            assert looker.interpreters == 2
            assert eventually(lambda: "in_main" in seen_by(looker)[main])
            if version >= "3.13":
                # It went from the main interpreter into the other one.
                assert eventually(lambda: seen_by(looker)[sub] >= {"enters_sub", "in_sub"})
            else:
                # Python does not note who runs it: nobody is said to.
                assert not any("in_sub" in names for names in seen_by(looker).values())
                assert "not told before 3.13" in looker.unseen
            assert "tasks of subinterpreters" in looker.unseen
        finally:
            looker.close()
        assert "2 Python interpreters" in PROFILERS["py-spy"].available([target.pid])


def test_the_sampler_of_ones_own_sees_both_interpreters(tmp_path: Path) -> None:
    sampler = PROFILERS["looks"]
    with running("interpreters.py", program=needed("3.13")) as target:
        assert sampler.available([target.pid]) == ""
        profile = sampler.attach([target.pid], 2, 99, ProfileMode.CPU, tmp_path).wait()
    seen = {frame.function for stack in profile.stacks for frame in stack}
    assert seen >= {"in_main", "enters_sub", "in_sub"}
    assert profile.ticks and 0.1 < profile.total / profile.ticks < 2.2
    assert (tmp_path / profile.raw).read_text().count("in_main")


def test_a_process_with_one_interpreter_keeps_its_profiler() -> None:
    with running("threads.py", "sleep") as target:
        assert PROFILERS["py-spy"].available([target.pid]) == PROFILERS["py-spy"].available()
        assert PROFILERS["looks"].available([target.pid]) == ""
