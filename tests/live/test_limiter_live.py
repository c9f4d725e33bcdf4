"""A real service that turns requests away while it is quick: it is held above its knee, and class,
function and advice say the same of it.

The search is left out: how much a service takes before it refuses is its own decision here, and a
busy host moves it no more than a quiet one.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest

from perfhunt.analysis.blame.evidence import Span
from perfhunt.analysis.diagnosis.diagnosis import Diagnosis
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.jobs.setup import blank_run
from perfhunt.lab import Lab
from perfhunt.load.locust_engine import LocustEngine
from perfhunt.model.knee import Knee, KneeLabel
from perfhunt.model.question import ProcessSelector, Question, Ramp, RequestTemplate, Target
from perfhunt.model.run import Environment, RunKind
from perfhunt.model.slo import Measure, Objective, Slo
from perfhunt.model.trial import Phase
from perfhunt.profilers.probes import LiveProbes
from perfhunt.profilers.table import PROFILERS
from perfhunt.store.rundir import RunDirectory
from perfhunt.stories.investigation import (
    Options,
    explain,
    hold_above,
    hold_at_knee,
    measure_floor,
    step_of,
)
from perfhunt.target.find import find_target
from tests.live.running import service
from tests.live.services.limiter import RATE

pytestmark = [pytest.mark.live, pytest.mark.long]
KNEE = Knee(0.8 * RATE, 0.7 * RATE, RATE, 0.95, "latency.p90", 0.5, 8.0, KneeLabel.ERRORS)


def bench(directory: Path, pid: int, port: int) -> Lab:
    question = Question(
        Target(f"http://127.0.0.1:{port}"),
        (RequestTemplate("page", "GET", "/"),),
        Slo((Objective(Measure.LATENCY, "p90", "<=", KNEE.limit),)),
        Ramp(start=20.0, baseline=3.0, hold=6.0),
    )
    target = find_target(ProcessSelector(pid=pid))
    run = blank_run("20261126T000000Z-limits", RunKind.INVESTIGATE, "2026-11-26T00:00:00Z",
                    question, Environment(), target)  # fmt: skip
    kept = RunDirectory.create(directory / ".perfhunt", run)
    probes = LiveProbes(target, kept.path / "profiles", time.monotonic)
    return Lab(
        engine=LocustEngine(), probes=probes, directory=kept, start=run, clock=time.monotonic
    )


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Span, Diagnosis]:
    with service("limiter") as (process, port):
        lab = bench(tmp_path_factory.mktemp("limiter"), process.pid, port)
        question = lab.start.question
        with closing(lab):
            lab.open(question)
            floor = measure_floor(question, lab, Options())
            broken = lab.try_step(step_of(question, Phase.PASS, 2 * RATE, 3.0))
            lab.recover()
            climb = SearchResult(KNEE, (KNEE,), None, (broken,), ())
            held = hold_at_knee(question, lab, climb, floor.trial, Options())
            below = explain(lab, floor, climb, held)
            above = hold_above(question, lab, climb, held, below)
            assert above is not None
            told = explain(lab, floor, climb, held, above)
        assert process.is_running(), "the hold above the knee ended the service"
    return above, told


def test_it_is_held_above_the_knee_and_no_further_than_was_sent_before(
    seen: tuple[Span, Diagnosis],
) -> None:
    trial = seen[0].trial
    assert trial is not None and trial.step.phase is Phase.ABOVE
    assert RATE < trial.step.rate <= 2 * RATE
    assert trial.outcomes["status"] > 0


def test_the_class_is_a_limiter_and_names_status_and_route(seen: tuple[Span, Diagnosis]) -> None:
    bottleneck = seen[1].bottleneck
    assert bottleneck is not None and bottleneck.category == "limiter", bottleneck
    assert "503" in bottleneck.evidence[0] and "page" in bottleneck.evidence[0]


@pytest.mark.skipif(
    bool(PROFILERS["py-spy"].available()), reason=PROFILERS["py-spy"].available() or "there"
)
def test_the_function_that_refuses_is_named_first(seen: tuple[Span, Diagnosis]) -> None:
    told = seen[1]
    first = told.findings[0]
    # Who decides, as the code has it, or what runs for refused requests alone, where it was seen.
    assert (first.function, first.category) in {
        ("turn_away", "limiter"),
        ("Bucket.take", "limiter"),
    }
    assert first.function in told.next_step and not told.next_step.startswith("Change")
