"""Numbers for what keeps them over time, read as each of those reads them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from perfhunt.model.knee import NoKnee, NoKneeCode
from perfhunt.model.slo import Judgement
from perfhunt.reports.format import FORMATS
from tests.sample_run import aborted_run, sample_run

RUN = sample_run()
RUNS = {"whole": RUN, "aborted": aborted_run()}
# What Bencher says of its format (reference, "Bencher Metric Format"), in our words.
NUMBER = {"type": "number"}
BENCHER = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"maxLength": 64},
        "additionalProperties": {
            "type": "object",
            "properties": {"value": NUMBER, "lower_value": NUMBER, "upper_value": NUMBER},
            "required": ["value"],
            "additionalProperties": False,
        },
    },
}
TEXT = {"type": "string"}
# What github-action-benchmark takes of a custom tool's output.
BENCHMARK = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"name": TEXT, "unit": TEXT, "value": NUMBER, "range": TEXT, "extra": TEXT},
        "required": ["name", "unit", "value"],
        "additionalProperties": False,
    },
}
FORMS = {"bencher": BENCHER, "benchmark-bigger": BENCHMARK, "benchmark-smaller": BENCHMARK}


def written(form: str, run: Any = RUN) -> Any:
    return json.loads(FORMATS[form].render(run))


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize(("form", "schema"), FORMS.items(), ids=FORMS)
def test_what_is_tracked_has_the_trackers_shape(form: str, schema: Any, run: Any) -> None:
    jsonschema.validate(written(form, run), schema)


def test_bencher_gets_rates_per_second_and_times_in_nanoseconds() -> None:
    plain = written("bencher")
    knee = plain["shop/knee"]["throughput"]
    assert knee == {"value": 141.3, "lower_value": 134.2, "upper_value": 147.9}
    p99 = next(j.value for j in RUN.judged if j.objective.name == "latency.p99")
    assert p99 is not None
    assert plain["shop/latency.p99"]["latency"]["value"] == pytest.approx(p99 * 1e9)


def test_each_reading_is_tracked_in_the_one_direction_that_is_better() -> None:
    bigger = {each["name"] for each in written("benchmark-bigger")}
    smaller = {each["name"] for each in written("benchmark-smaller")}
    assert {"shop knee", "shop capacity", "shop throughput.sustained"} == bigger
    assert {"shop latency.p99", "shop errors.http_5xx", "shop baseline.p50"} <= smaller
    assert not bigger & smaller
    assert len(bigger | smaller) == len(written("bencher"))


def of_gitlab(summary: Any) -> dict[str, float]:
    """What the load performance widget shows, from the keys that it reads."""
    metrics = summary["metrics"]
    checks = metrics["checks"]
    return {
        "checks": checks["passes"] / (checks["passes"] + checks["fails"]),
        "p90": metrics["http_req_waiting"]["p(90)"],
        "p95": metrics["http_req_waiting"]["p(95)"],
        "rps": metrics["http_reqs"]["rate"],
    }


def test_gitlab_shows_the_knee_as_rps_and_objectives_as_checks() -> None:
    shown = of_gitlab(written("load-performance"))
    met = [j for j in RUN.judged if j.verdict is Judgement.MET]
    assert shown["rps"] == 141.3
    assert shown["checks"] == pytest.approx(len(met) / len(RUN.judged))
    assert RUN.baseline is not None and RUN.baseline.response.p90 is not None
    assert shown["p90"] == pytest.approx(RUN.baseline.response.p90 * 1000)


def test_without_a_knee_rps_is_what_was_sent_where_it_was_judged() -> None:
    judged = next(t for t in RUN.trials if not t.invalid)
    none = NoKnee(NoKneeCode.BELOW_MAX_RATE, "it held")
    run = replace(RUN, knee=none, judged_at=judged.step.rate)
    same = [t for t in RUN.trials if t.step.rate == judged.step.rate and not t.invalid]
    assert of_gitlab(written("load-performance", run))["rps"] == same[-1].achieved
    names = {each["name"] for each in written("benchmark-bigger", run)}
    assert "shop knee" not in names


def test_a_run_that_judged_nothing_has_no_checks() -> None:
    assert "checks" not in written("load-performance", aborted_run())["metrics"]
