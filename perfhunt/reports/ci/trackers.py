"""Readings for what keeps benchmarks over time: Bencher, github-action-benchmark, and GitLab's load
performance report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perfhunt.model.knee import Knee
from perfhunt.model.run import Run
from perfhunt.model.slo import Judgement
from perfhunt.model.text.escaping import json_text, visible
from perfhunt.model.trial import Trial
from perfhunt.reports.ci.readings import Reading, ReadingUnit, run_readings

# Bencher has two measures of its own, in operations a second and in nanoseconds; it makes others
# when it first meets them.
_MEASURES: Mapping[ReadingUnit, tuple[str, float]] = {
    ReadingUnit.RATE: ("throughput", 1.0),
    ReadingUnit.SECONDS: ("latency", 1e9),
    ReadingUnit.SHARE: ("share", 1.0),
    ReadingUnit.BYTES: ("bytes", 1.0),
    ReadingUnit.COUNT: ("count", 1.0),
}
_LONGEST = 1024  # characters of the name of one of Bencher's benchmarks
# How charts of github-action-benchmark are labelled, and what a value is multiplied by for it.
_CHARTED: Mapping[ReadingUnit, tuple[str, float]] = {
    ReadingUnit.RATE: ("req/s", 1.0),
    ReadingUnit.SECONDS: ("ms", 1e3),
    ReadingUnit.SHARE: ("%", 1e2),
    ReadingUnit.BYTES: ("B", 1.0),
    ReadingUnit.COUNT: ("", 1.0),
}


def bencher(run: Run) -> str:
    """Bencher Metric Format: a benchmark for each reading, in the measure of its unit."""
    return bencher_text(_target(run), run_readings(run))


def bencher_text(target: str, readings: Sequence[Reading]) -> str:
    """Readings in Bencher Metric Format."""
    plain = {}
    for reading in readings:
        measure, scale = _MEASURES[reading.unit]
        ends = {"lower_value": reading.low, "upper_value": reading.high}
        values = {"value": reading.value, **{k: v for k, v in ends.items() if v is not None}}
        name = visible(f"{target}/{reading.name}")[:_LONGEST]
        plain[name] = {measure: {key: value * scale for key, value in values.items()}}
    return json_text(plain, indent=2) + "\n"


def bigger_is_better(run: Run) -> str:
    """What github-action-benchmark reads as `customBiggerIsBetter`: rates."""
    return charted_text(_target(run), run_readings(run), higher=True)


def smaller_is_better(run: Run) -> str:
    """What github-action-benchmark reads as `customSmallerIsBetter`: times, shares and counts."""
    return charted_text(_target(run), run_readings(run), higher=False)


def charted_text(target: str, readings: Sequence[Reading], *, higher: bool) -> str:
    """Readings of one direction as a custom benchmark of github-action-benchmark."""
    some = [_charted(target, reading) for reading in readings if reading.higher == higher]
    return json_text(some, indent=2) + "\n"


def _charted(target: str, reading: Reading) -> dict[str, Any]:
    unit, scale = _CHARTED[reading.unit]
    charted: dict[str, Any] = {
        "name": visible(f"{target} {reading.name}"),
        "unit": unit,
        "value": reading.value * scale,
        "extra": visible(reading.title),
    }
    if reading.low is not None and reading.high is not None:
        charted["range"] = f"{reading.low * scale:.6g} to {reading.high * scale:.6g}"
    return charted


def load_performance(run: Run) -> str:
    """The run as k6 exports a summary, with what GitLab's load performance report reads of one: RPS
    is the knee where there is one, checks are the objectives, and the times, in milliseconds from
    when each request was due, are those at the rate that was judged.
    """
    trial = _judged_trial(run)
    # GitLab divides by their number: of none it would show NaN.
    metrics: dict[str, Any] = {"checks": _checks(run)} if run.judged else {}
    if trial is not None:
        rate = run.knee.rate if isinstance(run.knee, Knee) else trial.achieved
        times = _times(trial)
        metrics |= {
            "http_reqs": {"count": trial.n, "rate": rate},
            "http_req_duration": times,
            "http_req_waiting": times,
            "http_req_failed": {
                "passes": trial.failed,
                "fails": trial.n - trial.failed,
                "value": trial.failed / trial.n if trial.n else 0.0,
            },
        }
    return json_text({"metrics": metrics}, indent=2) + "\n"


def _judged_trial(run: Run) -> Trial | None:
    """The last trial at the rate that was judged, that may be believed; else the baseline."""
    at = [t for t in run.trials if t.step.rate == run.judged_at and not t.invalid]
    return at[-1] if at else run.baseline


def _checks(run: Run) -> dict[str, Any]:
    """An objective without a verdict is no check that passed."""
    met = sum(judged.verdict is Judgement.MET for judged in run.judged)
    count = len(run.judged)
    return {"passes": met, "fails": count - met, "value": met / count}


def _times(trial: Trial) -> dict[str, float]:
    response = trial.response
    named = {
        "avg": response.mean,
        "med": response.p50,
        "max": response.max,
        "p(90)": response.p90,
        "p(95)": response.p95,
        "p(99)": response.p99,
    }
    return {name: round(time * 1e3, 6) for name, time in named.items() if time is not None}


def _target(run: Run) -> str:
    return run.question.target.name or run.question.target.url
