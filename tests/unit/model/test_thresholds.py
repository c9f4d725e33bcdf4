"""k6 thresholds, taken as they are written there."""

from __future__ import annotations

import pytest

from tests.unit.model.testfiles import parse


@pytest.mark.parametrize(
    ("rule", "name", "op", "limit"),
    [
        ("http_req_duration: p(95)<500", "latency.p95", "<", 0.5),
        ("http_req_duration: p(99.9) <= 1500.5", "latency.p99.9", "<=", 1.5005),
        ("http_req_duration: med<100", "latency.p50", "<", 0.1),
        ("http_req_duration{expected_response:true}: p(90)<400", "latency.p90", "<", 0.4),
        ("http_req_duration: ['p(95)<500']", "latency.p95", "<", 0.5),
        ("http_req_failed: rate<0.01", "errors.any", "<", 0.01),
        ("http_req_failed: rate==0", "errors.any", "<=", 0.0),
        ("http_reqs: rate>=300", "throughput.sustained", ">=", 300.0),
        ("http_req_duration{name:GET /}: p(95)<500", "latency.p95[GET /]", "<", 0.5),
        (
            "http_req_duration{url:http://127.0.0.1:8000/}: p(95)<500",
            "latency.p95[GET /]",
            "<",
            0.5,
        ),
    ],
)
def test_k6_thresholds_are_taken_as_they_are(rule: str, name: str, op: str, limit: float) -> None:
    (only,) = parse(f'[slo]\nexpressions = ["{rule}"]').slo.objectives
    assert (only.name, only.op) == (name, op)
    assert only.limit == pytest.approx(limit)


def test_the_thresholds_table_of_a_k6_script_may_be_pasted() -> None:
    text = (
        '[slo.expressions]\nhttp_req_duration = ["p(95)<500", "p(99)<1000"]\n"http_req_failed" ='
        ' "rate<0.01"'
    )
    assert [o.name for o in parse(text).slo.objectives] == [
        "latency.p95",
        "latency.p99",
        "errors.any",
    ]
