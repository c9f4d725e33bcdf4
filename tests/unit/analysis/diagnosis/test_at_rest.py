"""An idle service has no leader."""

from __future__ import annotations

from dataclasses import replace

from perfhunt.analysis.blame.evidence import Span
from perfhunt.analysis.diagnosis.known.at_rest import is_idle
from perfhunt.jobs.profile import diagnosed
from perfhunt.model.run import RunKind, TargetProcess
from perfhunt.reports.terminal import terminal
from tests.sample_run import sample_run
from tests.unit.scenes import profile, series, used

ACCEPT = "serve_forever!select poll"
IDLE = Span(1.0, instants=series(*[[ACCEPT, ACCEPT]] * 100), resources=used(0.001))


def test_threads_that_stay_where_they_wait_and_no_cpu_are_an_idle_service() -> None:
    assert is_idle(IDLE)
    assert is_idle(Span(1.0, resources=used(0.001)))


def test_a_service_that_works_is_not_idle() -> None:
    waiting = series(*[[ACCEPT, "serve>view>ask socket@db:5432"], [ACCEPT, ACCEPT]] * 50)
    assert not is_idle(replace(IDLE, instants=waiting))
    assert not is_idle(replace(IDLE, resources=used(0.05)))


def test_what_nobody_measured_is_not_idle() -> None:
    assert not is_idle(Span(1.0, profile=profile(render=10)))


def test_a_profile_of_an_idle_service_says_so_and_how_to_put_load_on_it() -> None:
    run = sample_run()
    assert isinstance(run.target, TargetProcess)
    blank = replace(run, kind=RunKind.PROFILE, findings=(), bottleneck=None, judged=())
    shown = diagnosed(blank, IDLE, run.target)
    assert shown.findings == () and shown.bottleneck is None
    text = terminal(shown)
    assert "idle" in text and f"perfhunt init --pid {run.target.root}" in " ".join(text.split())
    busy = diagnosed(blank, replace(IDLE, resources=used(0.5)), run.target)
    assert busy.findings
