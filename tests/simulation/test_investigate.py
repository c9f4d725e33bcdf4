"""The story, told in virtual time: a queue solved by arithmetic instead of a service, no probes, a
real run directory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from perfhunt.analysis.blame.evidence import Span
from perfhunt.analysis.knee.goal import goal_of
from perfhunt.analysis.knee.observed import baselines_before
from perfhunt.analysis.knee.search import replay, search
from perfhunt.errors import Stopped
from perfhunt.lab import Lab
from perfhunt.model.knee import Knee, NoKnee
from perfhunt.model.profile import Instants
from perfhunt.model.question import Question, Ramp, RequestTemplate, Target
from perfhunt.model.run import Environment, Event, Noted, Run, RunKind, Tried
from perfhunt.model.slo import Judgement, Measure, Objective, Slo
from perfhunt.model.trial import AttachedTool, Phase, Resources, Trial
from perfhunt.reports.terminal import terminal
from perfhunt.store.rundir import RunDirectory, read_directory
from perfhunt.stories.investigation import Options, investigate
from perfhunt.testing import Clock, QueueEngine, Service, exponential
from perfhunt.version import __version__

SEARCHED = (
    Phase.WARMUP,
    Phase.RAMP,
    Phase.COARSE,
    Phase.PASS,
    Phase.CAPACITY,
    Phase.REFERENCE,
)
P99 = Objective(Measure.LATENCY, "p99", "<=", 0.100)
RAMP = Ramp(budget=300.0)


class Blind:
    """Probes that see nothing; `dies_after` trials the target is dead."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.trials, self.dies_after, self.closed = 0, dies_after, False

    def open(self) -> None: ...

    def idle(self) -> Instants | None:
        return None

    def resources(self) -> Resources:
        self.trials += 1
        return Resources(
            1.0, cpu=0.5, cpu_seconds=0.5, cpu_share=0.25, memory_share=0.1, oom_kills=0
        )

    def interference(self) -> None:
        return None

    def attached(self) -> tuple[AttachedTool, ...]:
        return ()

    def during(
        self, name: str, seconds: float, *, on_cpu: bool, waits: bool, settle: float = 0.0
    ) -> Blind:
        return self

    def __enter__(self) -> Blind:
        return self

    def __exit__(self, *_: object) -> None: ...

    def span_of(self, trial: Trial) -> Span:
        return Span.of(trial)

    def dead(self) -> str:
        return (
            "the target is gone"
            if self.dies_after is not None and self.trials > self.dies_after
            else ""
        )

    def close(self) -> None:
        self.closed = True


def question_of(*objectives: Objective, ramp: Ramp = RAMP) -> Question:
    return Question(
        Target("http://127.0.0.1:1"),
        (RequestTemplate("home", "GET", "/"),),
        Slo(objectives or (P99,)),
        ramp,
    )


def lab(
    tmp_path: Path,
    question: Question,
    probes: Blind,
    stop: Callable[[], str] = lambda: "",
    events: list[Event] | None = None,
) -> Lab:
    """M/M/1 with 6 ms: analytically P(response > 100 ms) = 1 % at 120.6/s."""
    engine = QueueEngine(Service(exponential(0.006)), question.slo.criteria(), seed=3)
    run = Run(
        id="20261123T000000Z-test",
        kind=RunKind.INVESTIGATE,
        started="2026-11-23T00:00:00Z",
        perfhunt=__version__,
        question=question,
        environment=Environment(),
        target=None,
        verdict=Judgement.UNKNOWN,
    )
    directory = RunDirectory.create(tmp_path / ".perfhunt", run)
    made = Lab(
        engine=engine, probes=probes, directory=directory, start=run, clock=Clock(), stop=stop
    )
    if events is not None:
        made.watch = events.append
    return made


def stored(tmp_path: Path) -> Run:
    (path,) = (tmp_path / ".perfhunt" / "runs").iterdir()
    return read_directory(path)


def test_the_knee_of_a_known_queue_is_found_and_lies_in_its_interval(tmp_path: Path) -> None:
    question = question_of()
    run = investigate(question, lab(tmp_path, question, Blind()))
    assert isinstance(run.knee, Knee)
    assert run.knee.low <= 120.6 <= run.knee.high
    assert run.capacity is not None
    assert run.capacity.rate == pytest.approx(1 / 0.006, rel=0.1)


def test_replaying_a_stored_run_finds_the_same_knee(tmp_path: Path) -> None:
    question = question_of()
    live = investigate(question, lab(tmp_path, question, Blind()))
    kept = stored(tmp_path)
    assert kept.baseline is not None
    again = replay(
        search(goal_of(kept.question, kept.question.slo.criteria()), kept.baseline),
        [t for t in kept.trials if t.step.phase in SEARCHED],
        kept.drains,
    )
    assert again.knee == live.knee
    assert again.capacity == live.capacity


def test_the_slo_is_judged_at_the_throughput_it_asks_for(tmp_path: Path) -> None:
    objective = Objective(Measure.THROUGHPUT, "sustained", ">=", 150.0)
    question = question_of(P99, objective)
    run = investigate(question, lab(tmp_path, question, Blind()))
    assert run.judged_at == 150.0
    assert {j.objective.key: j.verdict for j in run.judged} == {
        "p99": Judgement.MISSED,
        "sustained": Judgement.MISSED,
    }
    assert (run.verdict, run.exit_code) == (Judgement.MISSED, 99)


def test_an_objective_without_data_is_never_met(tmp_path: Path) -> None:
    question = question_of(P99, Objective(Measure.LATENCY, "p99", "<=", 1.0, route="absent"))
    run = investigate(question, lab(tmp_path, question, Blind()))
    assert run.judged[1].verdict is Judgement.UNKNOWN
    assert (run.verdict, run.exit_code) == (Judgement.UNKNOWN, 91)


def test_profiled_trials_are_no_part_of_the_search(tmp_path: Path) -> None:
    question, events = question_of(), list[Event]()
    run = investigate(question, lab(tmp_path, question, Blind(), events=events))
    phases = [t.step.phase for t in run.trials]
    assert phases.count(Phase.HOLD) == 3  # one at the floor, two passes at the knee
    assert phases.count(Phase.QUIET) == 2
    assert len([e for e in events if isinstance(e, Tried)]) == len(run.trials)


def test_without_profiles_there_is_no_hold(tmp_path: Path) -> None:
    question = question_of()
    run = investigate(question, lab(tmp_path, question, Blind()), Options(profile=False))
    assert not {Phase.HOLD, Phase.QUIET} & {t.step.phase for t in run.trials}


def test_a_report_that_fails_costs_no_measurement(tmp_path: Path) -> None:
    question = question_of()
    bench = lab(tmp_path, question, Blind())

    def failing(run: Run, _: Path) -> Run:
        raise RuntimeError("a template is broken")

    bench.publish = failing
    with pytest.raises(RuntimeError):
        investigate(question, bench)
    kept = stored(tmp_path)
    assert isinstance(kept.knee, Knee)
    assert kept.trials


def test_a_stricter_slo_has_a_lower_knee(tmp_path: Path) -> None:
    loose, strict = question_of(), question_of(replace(P99, limit=0.050))
    a = investigate(loose, lab(tmp_path / "a", loose, Blind()))
    b = investigate(strict, lab(tmp_path / "b", strict, Blind()))
    assert isinstance(a.knee, Knee)
    assert isinstance(b.knee, Knee)
    assert b.knee.rate < a.knee.rate


def test_an_interrupted_search_goes_on_where_it_stopped(tmp_path: Path) -> None:
    question, probes = question_of(), Blind()
    with pytest.raises(Stopped):
        investigate(
            question,
            lab(
                tmp_path / "cut",
                question,
                probes,
                stop=lambda: "stopped by Ctrl-C" if probes.trials > 24 else "",
            ),
        )
    cut = stored(tmp_path / "cut")
    searched = [t for t in cut.trials if t.step.phase in SEARCHED]
    assert len(searched) > 5
    events: list[Event] = []
    run = investigate(
        question, lab(tmp_path / "on", question, Blind(), events=events), Options(resume=cut)
    )
    assert isinstance(run.knee, Knee)
    assert run.knee.rate == pytest.approx(120.6, rel=0.15)  # one interval in twenty may miss it
    assert [t.step for t in run.trials if t.step.phase in SEARCHED][: len(searched)] == [
        t.step for t in searched
    ]
    live = [e for e in events if isinstance(e, Tried) and e.trial.step.phase in SEARCHED]
    assert len(live) == len([t for t in run.trials if t.step.phase in SEARCHED]) - len(searched)


def test_a_service_that_stands_still_is_warm_at_once(tmp_path: Path) -> None:
    question = question_of(ramp=replace(RAMP, start=40.0))
    run = investigate(
        question, lab(tmp_path, question, Blind()), Options(warm_up=True, profile=False)
    )
    assert isinstance(run.knee, Knee)
    assert [t.step.phase for t in run.trials].count(Phase.WARMUP) >= 3


class Busy(Blind):
    """Half a percent of its CPU per request per second, as the engine was last asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = 0.0

    def resources(self) -> Resources:
        return replace(super().resources(), cpu_share=0.02 + 0.006 * self.rate)


def test_cpu_that_is_used_up_before_latency_breaks_is_the_knee_and_the_load_is_held_there(
    tmp_path: Path,
) -> None:
    question = question_of(P99, Objective(Measure.RESOURCES, "cpu", "<", 0.35))
    probes = Busy()
    made = lab(tmp_path, question, probes)
    run_step = made.engine.run

    def run(step, watch=None, stop=None):  # type: ignore[no-untyped-def]
        trial = run_step(step, watch, stop)
        probes.rate = trial.completed
        return trial

    made.engine.run = run  # type: ignore[method-assign]
    found = investigate(question, made)
    assert isinstance(found.knee, Knee)
    assert (found.knee.criterion, found.knee.label) == ("resources.cpu", "resource")
    assert found.knee.rate == pytest.approx(55.0, rel=0.02)
    assert {t.step.rate for t in found.trials if t.step.phase is Phase.QUIET} == {found.knee.rate}
    assert [getattr(k, "criterion", "") for k in found.knees] == ["latency.p99", "resources.cpu"]
    assert stored(tmp_path).knee == found.knee


def beside_other_work(tmp_path: Path, service: Service) -> Run:
    """The run of an investigation of a service with a neighbour."""
    question = question_of(P99)
    made = lab(tmp_path, question, Blind())
    made.engine = QueueEngine(service, question.slo.criteria(), seed=3)
    return investigate(question, made, Options(profile=False))


def test_trials_that_other_work_decided_are_marked_in_the_run_and_said_in_its_one_sentence(
    tmp_path: Path,
) -> None:
    run = beside_other_work(tmp_path, Service(exponential(0.006), neighbour=2.0))
    aside = [trial for trial in run.trials if trial.set_aside]
    assert run.disturbance is not None and run.disturbance.used == 0
    assert aside and run.disturbance.set_aside <= len(aside)
    assert "trials-set-aside" in {caution.code for caution in run.cautions}
    said = " ".join(terminal(run).split())
    assert "set aside: other work on this host (neighbour)" in said
    stored = read_directory(tmp_path / ".perfhunt" / "runs" / run.id)
    assert stored.disturbance == run.disturbance
    assert [trial.invalid for trial in stored.trials] == [trial.invalid for trial in run.trials]


def test_a_run_on_a_host_that_is_never_quiet_says_whose_knee_it_found(tmp_path: Path) -> None:
    run = beside_other_work(tmp_path, Service(exponential(0.006), neighbour=2.0, on=1e9, off=1e-3))
    assert run.disturbance is not None and run.disturbance.set_aside == 0
    assert isinstance(run.knee, Knee) and run.knee.low <= 1 / 0.012 - 46.05 <= run.knee.high
    assert "on this host while it was 50 % busy with other work (neighbour)" in " ".join(
        terminal(run).split()
    )
    assert "host-busy" in {caution.code for caution in run.cautions}


SLOW = Service(exponential(0.15))  # 6.7/s at most, of the ten that a run begins with


def slow_lab(tmp_path: Path, question: Question, events: list[Event] | None = None) -> Lab:
    made = lab(tmp_path, question, Blind(), events=events)
    made.engine = QueueEngine(SLOW, question.slo.criteria(), seed=3)
    return made


def test_a_slow_service_is_profiled_held_and_judged_at_rates_that_hold(tmp_path: Path) -> None:
    question, events = question_of(replace(P99, limit=1.5)), list[Event]()
    run = investigate(question, slow_lab(tmp_path, question, events))
    truth = 1 / 0.15 - 4.605 / 1.5  # of an M/M/1 queue: 3.6/s
    assert isinstance(run.knee, Knee)
    assert run.knee.low <= truth <= run.knee.high
    assert run.baseline is not None
    assert run.baseline.step.rate < truth
    assert run.judged_at == run.baseline.step.rate
    assert run.judged[0].verdict is Judgement.MET
    held = {t.step.rate for t in run.trials if t.step.phase in (Phase.HOLD, Phase.QUIET)}
    assert held == {run.baseline.step.rate, run.knee.rate}
    notes = [event.sentence for event in events if isinstance(event, Noted)]
    assert any("expect a wider bracket" in note for note in notes)


def test_a_stored_run_of_a_slow_service_replays_to_the_same_knee(tmp_path: Path) -> None:
    question = question_of(replace(P99, limit=1.5))
    live = investigate(question, slow_lab(tmp_path, question))
    kept = stored(tmp_path)
    assert kept.baseline is not None
    again = replay(
        search(
            goal_of(kept.question, kept.question.slo.criteria()),
            kept.baseline,
            baselines_before(kept.trials, kept.baseline),
        ),
        [t for t in kept.trials if t.step.phase in SEARCHED],
        kept.drains,
    )
    assert again.knee == live.knee


def test_an_interrupted_run_of_a_slow_service_goes_on_from_its_floor(tmp_path: Path) -> None:
    question, probes = question_of(replace(P99, limit=1.5)), Blind()
    cut_short = slow_lab(tmp_path / "cut", question)
    cut_short.probes = probes
    cut_short.stop = lambda: "stopped by Ctrl-C" if probes.trials > 18 else ""
    with pytest.raises(Stopped):
        investigate(question, cut_short)
    cut = stored(tmp_path / "cut")
    assert cut.baseline is not None
    run = investigate(question, slow_lab(tmp_path / "on", question), Options(resume=cut))
    assert isinstance(run.knee, Knee)
    assert run.baseline is not None
    assert run.baseline.step == cut.baseline.step


def test_a_request_that_is_too_slow_alone_ends_with_what_it_takes(tmp_path: Path) -> None:
    question = question_of(replace(P99, limit=0.05))
    run = investigate(question, slow_lab(tmp_path, question))
    assert isinstance(run.knee, NoKnee)
    assert run.knee.code == "missed-at-baseline"
    assert "one request alone takes" in run.knee.reason
    assert run.exit_code != 0
