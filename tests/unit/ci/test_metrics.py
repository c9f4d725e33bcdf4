"""Metrics as those read them who they are written for."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from perfhunt.model.slo import Judgement
from perfhunt.reports.format import FORMATS
from tests.sample_run import aborted_run, sample_run

RUN = sample_run()
HOSTILE = 'a"b\\c\nd{e="f"}\u202e'
# A sample line by OpenMetrics 1.0: name, labels with escaped values, a number.
SAMPLE = re.compile(
    r'(?P<name>[a-z_]+)\{(?P<labels>(?:[a-z]+="(?:[^"\\\n]|\\[\\n"])*",?)+)\} (?P<value>\S+)'
)


def samples(text: str) -> dict[tuple[str, str], float]:
    lines = text.splitlines()
    assert lines[-1] == "# EOF"
    read = {}
    for line in lines:
        if not line.startswith("#"):
            match = SAMPLE.fullmatch(line)
            assert match is not None, line
            read[match["name"], match["labels"]] = float(match["value"])
    return read


def test_the_knee_stands_in_the_text_with_both_ends_of_its_interval() -> None:
    read = samples(FORMATS["openmetrics"].render(RUN))
    name = "perfhunt_requests_per_second"
    assert read[name, 'target="shop",of="knee"'] == 141.3
    assert read[name, 'target="shop",of="knee",bound="low"'] == 134.2
    assert read[name, 'target="shop",of="knee",bound="high"'] == 147.9


def test_an_objective_without_a_verdict_is_not_there_and_never_met() -> None:
    read = samples(FORMATS["openmetrics"].render(RUN))
    met = {labels: value for (name, labels), value in read.items() if name == "perfhunt_slo_met"}
    unknown = [j.objective.name for j in RUN.judged if j.verdict is Judgement.UNKNOWN]
    assert unknown
    assert not [labels for labels in met if any(name in labels for name in unknown)]
    assert met['target="shop",of="throughput.sustained"'] == 0.0


def test_two_runs_of_one_service_have_the_same_labels() -> None:
    other = replace(RUN, id="another", started="2027-01-01T00:00:00Z", seconds=1.0)
    assert FORMATS["openmetrics"].render(other) == FORMATS["openmetrics"].render(RUN)


def test_a_hostile_name_stays_in_its_label() -> None:
    target = replace(RUN.question.target, name=HOSTILE)
    named = replace(RUN, question=replace(RUN.question, target=target))
    assert len(samples(FORMATS["openmetrics"].render(named))) == len(
        samples(FORMATS["openmetrics"].render(RUN))
    )


@pytest.mark.parametrize("run", [RUN, aborted_run()], ids=["whole", "aborted"])
def test_prometheus_own_client_reads_the_same_numbers(run: object) -> None:
    parser = pytest.importorskip(
        "prometheus_client.openmetrics.parser", reason="prometheus_client is not installed"
    )
    text = FORMATS["openmetrics"].render(run)  # type: ignore[arg-type]
    families = list(parser.text_string_to_metric_families(text))
    theirs = [sample.value for family in families for sample in family.samples]
    assert sorted(theirs) == sorted(samples(text).values())
    assert {family.type for family in families} <= {"gauge"}


def test_a_gauge_of_otlp_carries_its_unit_and_the_time_of_the_run() -> None:
    request = json.loads(FORMATS["otlp"].render(RUN))
    (resource,) = request["resourceMetrics"]
    (scope,) = resource["scopeMetrics"]
    knee = next(m for m in scope["metrics"] if m["name"] == "perfhunt.knee")
    assert knee["unit"] == "{request}/s"
    assert [p["asDouble"] for p in knee["gauge"]["dataPoints"]] == [141.3, 134.2, 147.9]
    began = datetime(2026, 11, 23, 4, 30, tzinfo=UTC).timestamp()
    assert {p["timeUnixNano"] for p in knee["gauge"]["dataPoints"]} == {f"{began:.0f}000000000"}


def test_opentelemetry_own_message_takes_it() -> None:
    json_format = pytest.importorskip("google.protobuf.json_format", reason="protobuf is missing")
    service = pytest.importorskip(
        "opentelemetry.proto.collector.metrics.v1.metrics_service_pb2",
        reason="opentelemetry-proto is not installed",
    )
    message = service.ExportMetricsServiceRequest()
    json_format.Parse(FORMATS["otlp"].render(RUN), message)
    gauges = message.resource_metrics[0].scope_metrics[0].metrics
    assert gauges[0].name == "perfhunt.knee"
    assert math.isclose(gauges[0].gauge.data_points[0].as_double, 141.3)
