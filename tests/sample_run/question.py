"""What the sample run was asked, and how each objective came out."""

from __future__ import annotations

from perfhunt.model.question import (
    ProcessSelector,
    Question,
    Ramp,
    RequestTemplate,
    Target,
    TargetEnvironment,
)
from perfhunt.model.redact import marker
from perfhunt.model.slo import Judged, Judgement, Measure, Objective, Slo
from perfhunt.model.traffic.parts import Expect, Feed
from tests.sample_run.load import LIMIT


def slo() -> Slo:
    """An objective of every measure, and one of a route."""
    return Slo(
        (
            Objective(Measure.LATENCY, "p95", "<=", 0.12),
            Objective(Measure.LATENCY, "p99", "<=", LIMIT),
            Objective(Measure.ERRORS, "http_5xx", "<", 0.001),
            Objective(Measure.THROUGHPUT, "sustained", ">=", 120.0, window=60.0),
            Objective(Measure.RESOURCES, "memory", "<", 0.8),
            Objective(Measure.LATENCY, "p99", "<=", 0.4, route="checkout"),
        ),
        at_load=120.0,
    )


def traffic() -> tuple[RequestTemplate, ...]:
    """Two pages and a purchase."""
    pages = Feed("pages.csv", ("page",), "ab" * 32)
    return (
        RequestTemplate("list", "GET", "/items?page={page}", 7.0, feed=pages),
        RequestTemplate("item", "GET", "/items/{page}", 2.0),
        RequestTemplate(
            name="checkout",
            method="POST",
            path="/checkout",
            headers=(("Authorization", "Bearer ${SHOP_TOKEN}"),),
            body='{"sku":"A1"}',
            expect=Expect((200, 201)),
        ),
    )


def question() -> Question:
    """What was asked of the shop; the header and the body hold secrets."""
    target = Target(
        "http://127.0.0.1:8000", TargetEnvironment.LOCAL, ProcessSelector(port=8000), name="shop"
    )
    asked = Question(target, traffic(), slo(), Ramp(budget=420.0), seed=7, source="perfhunt.toml")
    return asked.marked(marker(b"the key of the sample run's store"))


def judged() -> tuple[Judged, ...]:
    """One missed, one of which nothing is known, the others met."""
    outcomes = (
        (0.0712, 7080, Judgement.MET),
        (0.1143, 7080, Judgement.MET),
        (0.0, 7080, Judgement.MET),
        (119.8, 7080, Judgement.MISSED),
        (0.033, 60, Judgement.MET),
        (None, 0, Judgement.UNKNOWN),
    )
    return tuple(
        Judged(objective, value, n, verdict, "no data" if value is None else "")
        for objective, (value, n, verdict) in zip(slo().objectives, outcomes, strict=True)
    )
