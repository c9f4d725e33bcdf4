"""The same questions through every engine: what knee each finds of services whose true knee is
known, what it costs, and what it says of a server that stalls.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from knee_live import served
from numpy.typing import NDArray

from perfhunt.analysis.knee.goal import Goal
from perfhunt.analysis.knee.search import drive, search
from perfhunt.load.engines import ENGINES
from perfhunt.load.programs.facts import FACTS, probe_rate, program_rate, version_of
from perfhunt.load.seam import LoadEngine
from perfhunt.model.knee import Knee
from perfhunt.model.latency import PROBED, SAMPLE, RequestOutcome, percentiles
from perfhunt.model.question import EngineName, Question, Ramp, RequestTemplate, Target
from perfhunt.model.slo import Measure, Objective, Slo
from perfhunt.model.testfile.engine_keys import evenly
from perfhunt.model.trial import Phase, Step, Trial, arrivals
from perfhunt.model.units import PerSecond, Seconds
from perfhunt.testing import exponential, lognormal
from perfhunt.testing.laws import Law
from perfhunt.testing.service import departures
from perfhunt.version import __version__
from tests.live.load_targets.harness import announced, python

PAGE = (RequestTemplate("page", "GET", "/"),)
SIMULATED: Seconds = 4000.0  # of arrivals at a rate, for the truth
FILL: Seconds = 60.0  # at the start, not counted
CLOSE = 0.002  # how closely the true rate is bisected, as a share
STALL_RATE: PerSecond = 200.0
STALL_SECONDS: Seconds = 12.0  # two periods of the server that stalls


@dataclass(frozen=True)
class KnownService:
    """A queue whose law is known, as `queue_server.py` is told it, and the limit of its p99."""

    name: str
    words: str
    law: Law
    workers: int
    limit: Seconds
    about: PerSecond  # where its knee is looked for


SERVICES = (
    KnownService("one", "--mean 0.008", exponential(0.008), 1, 0.130, 90.0),
    KnownService("four", "--mean 0.04 --cv 1 --workers 4", lognormal(0.04, 1), 4, 0.400, 86.0),
    KnownService("two", "--mean 0.02 --workers 2", exponential(0.02), 2, 0.100, 40.0),
)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=float, default=60.0, help="seconds of load for a search")
    parser.add_argument("--only", nargs="*", default=[], help="names of services")
    parser.add_argument("--engines", nargs="*", default=[], help="names of engines")
    asked = parser.parse_args(words)
    names = [name for name in EngineName if not asked.engines or name in asked.engines]
    there = [n for n in names if n is EngineName.LOCUST or shutil.which(n) is not None]
    for name in names:
        version = version_of(name) if name in FACTS else __version__
        print(f"{name}: {version if name in there else 'not installed, left out'}")
    results: dict[str, dict[str, Any]] = {}
    for service in SERVICES:
        if asked.only and service.name not in asked.only:
            continue
        results[service.name] = {str(n): _searched(service, n, asked.budget) for n in there}
    if not asked.only or "stall" in asked.only:
        results["stall"] = {str(name): _stalled(name) for name in there}
    print(json.dumps({"services": results}))
    return 0


def _question(url: str, engine: EngineName, limit: Seconds) -> Question:
    slo = Slo((Objective(Measure.LATENCY, "p99", "<=", limit),))
    return evenly(Question(Target(url), PAGE, slo, Ramp(), engine=engine))


def true_knee(service: KnownService, engine: EngineName) -> PerSecond:
    """Where a hundredth of the answers exceeds the limit, with arrivals as the engine has them."""
    question = _question("http://127.0.0.1:1", engine, service.limit)
    low, high = service.about / 2, service.about * 2
    while high / low > 1 + CLOSE:
        rate = (low * high) ** 0.5
        at = _arrivals(question, rate)
        held = service.law(np.random.default_rng(7), len(at))
        left, _ = departures(at, held, [0.0] * service.workers)
        late = (left - at > service.limit)[at > FILL]
        low, high = (rate, high) if late.mean() <= 0.01 else (low, rate)
    return float(np.sqrt(low * high))


def _arrivals(question: Question, rate: PerSecond) -> NDArray[np.float64]:
    law = question.ramp.arrivals
    if question.engine is EngineName.LOCUST:
        return arrivals(1, rate, SIMULATED, law)
    evenly_spaced = arrivals(1, program_rate(rate, question), SIMULATED, law)
    return np.sort(np.append(evenly_spaced, arrivals(2, probe_rate(rate, question), SIMULATED)))


def _searched(service: KnownService, name: EngineName, budget: Seconds) -> dict[str, Any]:
    truth = true_knee(service, name)
    with served(*service.words.split()) as (port, _), tempfile.TemporaryDirectory() as scratch:
        question = _question(f"http://127.0.0.1:{port}", name, service.limit)
        criteria = question.slo.criteria()
        engine = ENGINES[name]()
        began = time.monotonic()
        try:
            engine.open(question, criteria, Path(scratch))
            law = str(question.ramp.arrivals)
            floor = Step(Phase.BASELINE, 10.0, 8.0, 1, 1.0, arrivals=law)
            goal = Goal(criteria, start=10.0, budget=budget, arrivals=law)
            result = drive(search(goal, engine.run(floor)), _asking(engine))
        finally:
            engine.close()
        knee = result.knee
        clean = [t for t in result.trials if not t.overload and not t.invalid]
        last = max(clean, key=lambda t: t.step.rate)
        row = {
            "knee": round(knee.rate, 1) if isinstance(knee, Knee) else None,
            "low": round(knee.low, 1) if isinstance(knee, Knee) else None,
            "high": round(knee.high, 1) if isinstance(knee, Knee) else None,
            "truth": round(truth, 1),
            "seconds": round(time.monotonic() - began, 1),
            **_figures(last, Path(scratch)),
        }
    print(f"{service.name} by {name}: {row}", flush=True)
    return row


def _asking(engine: LoadEngine) -> Callable[[Any], Any]:
    return lambda wanted: engine.run(wanted) if isinstance(wanted, Step) else engine.drain(wanted)


def _figures(trial: Trial, directory: Path) -> dict[str, Any]:
    """CPU time of the generator per request, and three p99: of the engine's requests from when it
    sent them, from when they were due, and of our probe's.
    """
    rows = [row for row in trial.rows if row.second >= trial.step.settle]
    samples = np.fromfile(directory / trial.samples, dtype=SAMPLE)
    samples = samples[samples["due"] >= trial.step.settle]
    theirs = samples[samples["endpoint"] == 0]
    own = percentiles(theirs["service"][theirs["outcome"] == RequestOutcome.OK], (0.99,))[0]
    response = percentiles(theirs["lag"] + theirs["service"], (0.99,))[0]
    probe = trial.routes[PROBED].response.p99 if PROBED in trial.routes else None
    return {
        "cpu_us_per_request": round(
            1e6 * sum(row.generator_cpu for row in rows) / (trial.achieved * len(rows)), 1
        ),
        "p99_own_ms": _milli(own),
        "p99_ms": _milli(response),
        "p99_probe_ms": _milli(probe),
    }


def _milli(value: Seconds | None) -> float | None:
    return None if value is None else round(1e3 * value, 1)


def _stalled(name: EngineName) -> dict[str, Any]:
    with (
        announced(*python("timed.py", "stall")) as url,
        tempfile.TemporaryDirectory() as scratch,
    ):
        question = _question(url, name, 5.0)
        engine = ENGINES[name]()
        try:
            engine.open(question, question.slo.criteria(), Path(scratch))
            step = Step(Phase.FIXED, STALL_RATE, STALL_SECONDS, 1, stop_on_overload=False)
            step = replace(step, arrivals=str(question.ramp.arrivals))
            row = _figures(engine.run(step), Path(scratch))
        finally:
            engine.close()
    print(f"stall by {name}: {row}", flush=True)
    return row


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
