"""The search on real processes whose service-time law is known, so that a simulation made apart
from them gives the truth.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from knee_methods import Found
from knee_scenarios import Scenario, truth
from knee_table import line, print_heading, summary

from perfhunt.analysis.knee.answers.shown import contradicts
from perfhunt.analysis.knee.goal import Goal, SearchResult, StepOrDrain, TrialOrDrained
from perfhunt.analysis.knee.search import drive, search
from perfhunt.analysis.trial.interference import disturbance
from perfhunt.load.locust_engine import LocustEngine
from perfhunt.model.knee import Knee
from perfhunt.model.question import Question, Ramp, RequestTemplate, Target
from perfhunt.model.slo import Criterion, Measure, Objective, Slo
from perfhunt.model.trial import Phase, Step
from perfhunt.target.host.interference import InterferenceMonitor
from perfhunt.testing import Lane, Service, constant, exponential, lognormal

SERVER = Path(__file__).parent / "knee_targets" / "queue_server.py"
NEIGHBOUR = SERVER.with_name("neighbour.py")
PAGE = (RequestTemplate("page", "GET", "/"),)
ROUTES = (
    RequestTemplate("home", "GET", "/", 4.0),
    RequestTemplate("list", "GET", "/list", 3.0),
    RequestTemplate("cart", "GET", "/cart", 2.0),
    RequestTemplate("export", "GET", "/export", 1.0),
)


@dataclass(frozen=True)
class LiveService:
    """A service as the simulation knows it, the words that make the server the same, and what is
    asked of it.
    """

    scenario: Scenario
    words: str
    traffic: tuple[RequestTemplate, ...] = PAGE


SERVICES = (
    LiveService(
        Scenario("one", "1 worker, exponential 8 ms", Service(exponential(0.008)), 0.130, 89.6),
        "--mean 0.008",
    ),
    LiveService(
        Scenario(
            "four", "4 workers, lognormal 40 ms, cv 1", Service(lognormal(0.04, 1), 4), 0.400, 85.5
        ),
        "--mean 0.04 --cv 1 --workers 4",
    ),
    LiveService(
        Scenario(
            "pauses",
            "2 workers, lognormal 20 ms, cv 1, 50 ms pauses",
            Service(lognormal(0.02, 1), 2, pause=0.05, period=2.0),
            0.300,
            82.0,
        ),
        "--mean 0.02 --cv 1 --workers 2 --pause 0.05 --period 2",
    ),
    LiveService(
        Scenario(
            "TAIL",
            "2 % of requests take a slow lane of 80 ms, one at a time",
            Service(lognormal(0.0005, 1), 4, lane=Lane(0.02, constant(0.08))),
            0.250,
            542.0,
        ),
        "--mean 0.0005 --cv 1 --workers 4 --lane-share 0.02 --lane-mean 0.08",
    ),
    LiveService(
        Scenario(
            "ROUTES",
            "four routes, one with a pool of one that saturates at a tenth of the capacity",
            Service(lognormal(0.0016, 1), 4, lane=Lane(0.1, exponential(0.04))),
            0.300,
            173.2,
        ),
        "--mean 0.0016 --cv 1 --workers 4 --lane-route /export --lane-mean 0.04 --lane-cv 0",
        ROUTES,
    ),
    LiveService(
        Scenario(
            "LEAK",
            "1 worker, exponential 8 ms, 5 % longer with every 1,000 results that it keeps",
            Service(exponential(0.008), leak=0.05),
            0.130,
            89.6,
            ages=(50.0, 89.6),  # after the 8,000 requests of a search of 150 s
        ),
        "--mean 0.008 --leak 0.05",
    ),
)


def run(runs: int, budget: float, only: list[str], neighbour: bool = False) -> dict[str, Any]:
    """So many searches of each service, each with a new process and a new seed; the truth is
    simulated first, and is that of the quiet service. `neighbour`: beside one that burns a core
    half of the time.
    """
    rows: dict[str, Any] = {}
    for service in SERVICES:
        if only and service.scenario.name not in only:
            continue
        knee, _ = truth(service.scenario)
        known = replace(service, scenario=replace(service.scenario, knee=knee))
        began = time.monotonic()
        answers = []
        for seed in range(1, runs + 1):
            with beside(seed) if neighbour else nullcontext():
                answers.append(_search(known, seed, budget))
        minutes = (time.monotonic() - began) / runs / 60
        row = summary(known.scenario, answers) | {"minutes": round(minutes, 2)}
        rows[known.scenario.name] = {"perfhunt": row}
        print_heading(known.scenario)
        print(line(f"perfhunt, live, {budget:g} s", row), flush=True)
        print(
            f"\nset aside: {row['aside']:.1f} trials a run; {minutes:.1f} minutes a run", flush=True
        )
    return rows


def _search(service: LiveService, seed: int, budget: float) -> Found:
    scenario = service.scenario
    with (
        served(*service.words.split(), "--seed", str(seed)) as (port, pid),
        tempfile.TemporaryDirectory(prefix="bench-knee-") as scratch,
    ):
        objective = Objective(Measure.LATENCY, "p99", "<=", scenario.limit)
        question = Question(
            Target(f"http://127.0.0.1:{port}"),
            service.traffic,
            Slo((objective,)),
            Ramp(),
            seed=seed,
        )
        criteria = question.slo.criteria()
        engine = LocustEngine()
        engine.open(question, criteria, Path(scratch))
        host = InterferenceMonitor(pid)
        host.start()
        spent = [0.0, 0]

        def ask(wanted: StepOrDrain) -> TrialOrDrained:
            if not isinstance(wanted, Step):
                return engine.drain(wanted)
            host.take()
            trial = replace(engine.run(wanted), interference=host.take())
            spent[0] += trial.seconds
            spent[1] += sum(row.exceed[0] for row in trial.rows)
            return trial

        try:
            goal = Goal(criteria, start=10.0, budget=budget, seed=seed)
            baseline = engine.run(Step(Phase.BASELINE, goal.start, 8.0, seed, 1.0))
            result = drive(search(goal, baseline), ask)
        finally:
            engine.close()
            host.close()
    other = disturbance(result.trials)
    aside = other.set_aside if other else 0
    if other is not None:
        print(
            f"run {seed}: {other.set_aside} of {other.trials} trials set aside, {other.used} used"
            f" though disturbed ({', '.join(other.names)})",
            flush=True,
        )
    return _found(service.scenario, seed, result, criteria[0], (spent[0], int(spent[1])), aside)


def _found(
    scenario: Scenario,
    seed: int,
    result: SearchResult,
    criterion: Criterion,
    spent: tuple[float, int],
    aside: int,
) -> Found:
    """The answer of a run, which is printed; `spent` is seconds of load and slow requests."""
    knee = result.knee
    if not isinstance(knee, Knee):
        print(f"run {seed}: {knee.code}: {knee.reason}", flush=True)
        return Found(None, load=spent[0], slow=spent[1], label=knee.code, aside=aside)
    error = math.log(knee.rate / scenario.knee)
    print(
        f"run {seed}: {knee.rate:.1f}/s ({knee.low:.1f} to {knee.high:.1f}), {error:+.1%},"
        f" {knee.label}; {knee.note}",
        flush=True,
    )
    return Found(
        rate=knee.rate,
        low=knee.low,
        high=knee.high,
        load=spent[0],
        slow=spent[1],
        label=knee.label,
        contradicts=contradicts(knee, result.trials, criterion),
        aside=aside,
    )


@contextmanager
def beside(seed: int) -> Iterator[None]:
    """Other work while the context lasts: no child of ours, so that it is nobody's here."""
    words = [sys.executable, str(NEIGHBOUR), "--seed", str(seed)]
    shell = ["sh", "-c", '"$@" >/dev/null 2>&1 & echo $!', "sh", *words]
    pid = int(subprocess.run(shell, stdout=subprocess.PIPE, text=True, check=True).stdout)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)


@contextmanager
def served(*words: str) -> Iterator[tuple[int, int]]:
    """The port and pid of a queue server that runs while the context lasts."""
    server = subprocess.Popen(
        [sys.executable, str(SERVER), *words], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        yield int(server.stdout.readline().split()[1]), server.pid
    finally:
        server.kill()
        server.wait()
