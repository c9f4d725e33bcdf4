"""A finding that stands for its leaves: their cost in one place, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from textwrap import dedent

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import files_of, read_evidence
from perfhunt.analysis.diagnosis.prediction.whatif import with_what_if
from perfhunt.analysis.diagnosis.ranking import rank
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.model.finding import Finding
from perfhunt.model.knee import Capacity, Knee, KneeLabel
from perfhunt.model.profile import Instant, Instants, Profile, ProfileMode, ThreadSample
from tests.unit.scenes import ranked, used
from tests.unit.stacks import APP, SHOP, stack

ON_CPU = {
    ("view/price_order(", "price_order/base(", "base/"): 200.0,
    ("view/price_order(", "price_order/tax(", "tax/"): 190.0,
    ("view/price_order(", "price_order/discount(", "discount/"): 180.0,
    ("view/price_order(", "price_order/for line"): 30.0,
    ("view/render_page(", "render_page/"): 250.0,
    ("view/load(", "load/"): 150.0,
}
PROFILE = Profile(
    tool="py-spy",
    version="0.4.3",
    mode=ProfileMode.CPU,
    rate_hz=100,
    seconds=10,
    stacks={stack(SHOP, *places): weight for places, weight in ON_CPU.items()},
)
# 1.6 cores at 200 requests/s: 8 ms each, 8 us a sample.
SPAN = Span(200.0, profile=PROFILE, resources=used(1.6))
EVIDENCE = Evidence(SPAN, SPAN, cpu_limit=2.0, sources={APP: dedent(SHOP)})


def named(findings: tuple[Finding, ...], function: str) -> Finding:
    return next(f for f in findings if f.function == function)


def test_the_function_whose_loop_it_is_comes_first_with_its_leaves_beneath_it() -> None:
    findings = ranked(EVIDENCE)
    assert [f.function for f in findings] == ["price_order", "render_page", "load"]
    first = findings[0]
    assert [leaf.function for leaf in first.leaves] == ["base", "tax", "discount"]
    assert first.own.value == pytest.approx(0.0048)
    assert [leaf.own.value for leaf in first.leaves] == pytest.approx([0.0016, 0.00152, 0.00144])
    assert all(leaf.own.low < leaf.own.value < leaf.own.high for leaf in first.leaves)
    assert first.line is not None
    assert dedent(SHOP).splitlines()[first.line - 1].strip() == "for line in order:"
    assert "Called from view." in first.evidence
    assert first.grew is not None
    assert first.grew.value == pytest.approx(0.0)


def test_nothing_is_counted_twice_or_lost() -> None:
    alone = ranked(replace(EVIDENCE, sources={}))
    assert len(alone) == 6
    assert sum(f.own.value for f in ranked(EVIDENCE)) == pytest.approx(0.008)
    assert sum(f.blamed.value for f in ranked(EVIDENCE)) == pytest.approx(
        sum(f.blamed.value for f in alone)
    )


def test_what_removing_it_brings_counts_its_leaves() -> None:
    # One GIL, 8 ms of CPU each, so 125/s at most. Without 4.8 of them 3.2 ms are left.
    span = replace(SPAN, completed=100.0, resources=used(0.8))
    reading = read_evidence(replace(EVIDENCE, knee=span, baseline=span, cpu_limit=8.0))
    suspects = suspects_of(reading)
    knee = Knee(100.0, 95.0, 105.0, 0.95, "latency.p99", 0.2, 8.0, KneeLabel.SHARP)
    climb = SearchResult(knee, (knee,), Capacity(125.0, 121.0, 129.0, 250.0), (), ())
    first = with_what_if(rank(reading, suspects), reading, suspects, climb, ())[0]
    assert first.function == "price_order"
    assert first.what_if is not None, first.withheld
    assert first.what_if.saturated == pytest.approx(312.5)


def test_waits_in_a_loop_are_one_finding() -> None:
    source = """
        def view(orders):
            for order in orders:
                get_customer(order)
                get_stock(order)
    """
    moments = []
    for n, name in enumerate(["get_customer", "get_stock"] * 16):
        waiting = stack(source, f"view/{name}(", f"{name}/")
        threads = (ThreadSample(1, 1, waiting, "socket", "db:5432"),)
        moments.append(Instant(n / 10, threads))
    span = Span(100.0, instants=Instants(3.2, tuple(moments)))
    (only,) = ranked(Evidence(span, sources={APP: dedent(source)}))
    # One thread at 100 requests/s: 10 ms each.
    assert (only.function, only.category) == ("view", "downstream")
    assert only.blamed.value == pytest.approx(0.010)
    assert {leaf.function for leaf in only.leaves} == {"get_customer", "get_stock"}


def test_the_files_to_read_are_the_applications() -> None:
    assert files_of(EVIDENCE) == {APP}
