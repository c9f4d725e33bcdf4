"""A real service that turns requests away while it is quick: knee, class, function and advice say
the same of it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from perfhunt.model.run import Run
from perfhunt.profilers.table import PROFILERS
from perfhunt.reports.terminal import terminal
from perfhunt.store.run_json import read_run
from tests.live.running import question, service, start
from tests.live.services.limiter import RATE

pytestmark = pytest.mark.live
RAMP = 'start = "15/s"\nmax = "400/s"\nbudget = "40s"\nbaseline = "5s"\nhold = "8s"'


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    directory: Path = tmp_path_factory.mktemp("limiter")
    with service("limiter") as (process, port):
        question(directory, port, ramp=RAMP, slo='latency = { p99 = "<= 200ms" }')
        child = start(directory, "investigate", "--pid", str(process.pid))
        _, errors = child.communicate(timeout=180)
        assert process.is_running(), "the hold above the knee ended the service"
    assert not child.returncode or "Traceback" not in errors, errors
    (found,) = (directory / ".perfhunt" / "runs").glob("*/run.json")
    return read_run(found.parent)


def test_the_class_is_a_limiter_and_names_status_and_route(run: Run) -> None:
    assert run.bottleneck is not None
    assert run.bottleneck.category == "limiter", run.bottleneck
    assert run.bottleneck.score > 0.5
    assert "503" in run.bottleneck.evidence[0] and "GET /" in run.bottleneck.evidence[0]


def test_it_was_held_just_above_the_knee_and_no_further_than_the_search_went(run: Run) -> None:
    (above,) = [t for t in run.trials if t.step.phase == "above"]
    assert above.step.rate > RATE
    assert above.step.rate <= max(t.step.rate for t in run.trials if t.step.phase != "above")
    assert above.outcomes["status"] > 0


@pytest.mark.skipif(
    bool(PROFILERS["py-spy"].available()), reason=PROFILERS["py-spy"].available() or "there"
)
def test_the_function_that_refuses_is_named_first(run: Run) -> None:
    assert (run.findings[0].function, run.findings[0].category) == ("turn_away", "limiter")
    assert "turn_away" in run.next_step and not run.next_step.startswith("Change")


def test_the_first_sentence_and_the_class_say_the_same(run: Run) -> None:
    text = " ".join(terminal(run).split())
    assert "It answers without errors up to" in text
    assert "what stops it is a rate limiter" in text
    assert "without the first" not in text
