"""The pictures of docs/field.md: what the report of a simulated service shows, drawn as it draws
them.
"""

from __future__ import annotations

from pathlib import Path

from knee_methods import Bench
from knee_scenarios import SCENARIOS, Scenario

from perfhunt.analysis.diagnosis.leak import drift_cautions
from perfhunt.analysis.knee.goal import Goal
from perfhunt.analysis.knee.search import drive, search
from perfhunt.analysis.trial.interference import disturbance
from perfhunt.model.knee import Knee
from perfhunt.model.question import Question, Ramp, RequestTemplate, Target
from perfhunt.model.run import Environment, Run, RunKind
from perfhunt.model.slo import Judgement, Measure, Objective, Slo
from perfhunt.model.trial import Phase, Step
from perfhunt.reports.ci.pictures import alone
from perfhunt.reports.pictures.drift_chart import drift_chart
from perfhunt.reports.pictures.knee_chart import knee_chart
from perfhunt.reports.words import set_aside_words
from perfhunt.version import __version__

SHOWN = ("TAIL", "LEAK", "NEIGHBOUR")  # the three stories
SEED = 1


def draw(directory: Path) -> dict[str, str]:
    """Writes `<name>-knee.svg`, and `<name>-drift.svg` where the service changes; what each answer
    says, by name.
    """
    directory.mkdir(parents=True, exist_ok=True)
    said = {}
    for scenario in (s for s in SCENARIOS if s.name in SHOWN):
        run = investigated(scenario)
        for kind, picture in (("knee", knee_chart(run)), ("drift", drift_chart(run))):
            if picture:
                path = directory / f"{scenario.name.lower()}-{kind}.svg"
                path.write_text(alone(picture), encoding="utf-8")
        knee = run.knee
        answer = (
            f"{knee.rate:.0f}/s ({knee.low:.0f} to {knee.high:.0f})"
            if isinstance(knee, Knee)
            else ""
        )
        note = knee.note if isinstance(knee, Knee) else knee.reason
        aside = set_aside_words(run.disturbance) if run.disturbance else ""
        said[scenario.name] = " ".join(filter(None, (answer, note, aside)))
    return said


def investigated(scenario: Scenario) -> Run:
    """The run of a search of the simulated service, nothing profiled."""
    bench = Bench(scenario, SEED)
    baseline = bench.engine.run(Step(Phase.BASELINE, scenario.start, 15.0, SEED, 1.0))
    goal = Goal((scenario.criterion,), start=scenario.start, seed=SEED)
    climb = drive(search(goal, baseline), bench.ask)
    slo = Slo((Objective(Measure.LATENCY, "p99", "<=", scenario.limit),))
    return Run(
        id=f"simulated-{scenario.name.lower()}",
        kind=RunKind.INVESTIGATE,
        started="2026-01-01T00:00:00Z",
        perfhunt=__version__,
        question=Question(
            Target("http://127.0.0.1"), (RequestTemplate("any", "GET", "/"),), slo, Ramp()
        ),
        environment=Environment(),
        target=None,
        verdict=Judgement.UNKNOWN,
        knee=climb.knee,
        knees=climb.knees,
        capacity=climb.capacity,
        drift=climb.drift,
        disturbance=disturbance(climb.trials),
        baseline=baseline,
        trials=climb.trials,
        cautions=tuple(drift_cautions(climb.drift, climb.trials, climb.knee)),
    )
