"""Advice to change a function is given only where the evidence carries it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.diagnosis.answer.advice import CHANGE, next_step, tied
from perfhunt.analysis.diagnosis.known.runtimes import traits_of
from perfhunt.analysis.diagnosis.known.states_alone import name_of_helpers
from perfhunt.model.finding import Bottleneck, BottleneckClass, Finding, WhatIf
from perfhunt.model.interval import Interval
from perfhunt.model.knee import NoKnee, NoKneeCode
from perfhunt.model.states import States, ThreadState, ThreadTime
from tests.unit.analysis.diagnosis.field import KNEE
from tests.unit.scenes import profile, series
from tests.unit.trials import HELD

SEEN = Evidence(Span(95.0, profile=profile(pay=500), instants=series(*[["serve>pay sleep"]] * 9)))
PAY = Finding(
    rank=1,
    function="pay",
    file="shop/pay.py",
    line=7,
    category=BottleneckClass.LOCK,
    self_share=0.5,
    total_share=0.6,
    own=Interval(0.004, 0.003, 0.005, 900),
    total=Interval(0.005, 0.004, 0.006, 900),
    blamed=Interval(0.040, 0.030, 0.050, 900),
)
ASK = replace(PAY, rank=2, function="ask", blamed=Interval(0.010, 0.008, 0.012, 300))


def advised(
    category: str,
    *findings: Finding,
    kinds: set[BottleneckClass] | None = None,
    evidence: Evidence = SEEN,
) -> str:
    of = frozenset(kinds or {findings[0].category} if findings else set())
    bottleneck = Bottleneck(BottleneckClass(category), 0.9, ("seen",))
    return next_step(findings, of, bottleneck, KNEE, evidence)


def test_a_clear_finding_of_the_class_is_to_be_changed() -> None:
    step = advised("lock", PAY, ASK)
    assert step.startswith(f"{CHANGE}pay (shop/pay.py:7), that alone")
    assert "perfhunt verify --pid NEW_PID" in step


def test_a_holder_that_mostly_sleeps_is_still_a_holder() -> None:
    sleeps = replace(PAY, category=BottleneckClass.SLEEP)
    kinds = {BottleneckClass.SLEEP, BottleneckClass.POOL}
    assert advised("pool", sleeps, kinds=kinds).startswith(CHANGE)
    assert not advised("pool", sleeps).startswith(CHANGE)


def test_other_work_on_the_host_does_not_hide_what_the_service_costs_itself() -> None:
    known = WhatIf(rate=260.0, low=200.0, high=300.0, removed=1.0, at_least=True)
    step = advised("host", replace(PAY, what_if=known))
    assert step.endswith("Of the service itself pay (shop/pay.py:7) costs most.")
    still = replace(known, rate=KNEE.rate, at_least=False)
    assert "pay" not in advised("host", replace(PAY, what_if=still))


@pytest.mark.parametrize(
    ("category", "main", "pool", "words"),
    [
        ("workers", 0.1, 0.4, "while cores are free"),
        ("cpu", 0.1, 1.8, "bring nothing"),
        ("cpu", 1.0, 0.4, ""),  # the loop itself has the core
    ],
)
def test_more_threads_of_a_pool_are_advised_only_where_a_core_is_left_for_them(
    category: str, main: float, pool: float, words: str
) -> None:
    hashes = replace(PAY, category=BottleneckClass.WORKERS)
    threads = tuple(
        ThreadTime(4, tid, "node", {ThreadState.ON_CPU: cores})
        for tid, cores in ((4, main), (5, pool))
    )
    node = replace(
        SEEN, knee=replace(SEEN.knee, states=States("knee", 5.0, threads, 9)), runtime="node"
    )
    step = advised(category, hashes, evidence=node)
    assert step.startswith(CHANGE) == bool(words)
    assert words in step
    assert ("UV_THREADPOOL_SIZE" in step) == bool(words)


@pytest.mark.parametrize(
    ("rests", "name"),
    [
        ({ThreadState.LOCK: 0.1}, "libuv's pool"),
        ({ThreadState.POLL: 0.1}, "worker threads"),
        ({}, "libuv's pool or worker threads"),
    ],
)
def test_threads_beside_a_loop_are_known_by_how_they_rest(
    rests: Mapping[str, float], name: str
) -> None:
    main = ThreadTime(4, 4, "node", {ThreadState.POLL: 1.0})
    helpers = (ThreadTime(4, tid, "node", {ThreadState.ON_CPU: 0.9, **rests}) for tid in (5, 6))
    states = States("knee", 5.0, (main, *helpers), 400)
    assert name_of_helpers(states, traits_of("node")) == name


@pytest.mark.parametrize("category", ["undetermined", "limiter", "generator", "host", "memory"])
def test_where_no_function_is_the_reason_none_is_to_be_changed(category: str) -> None:
    assert not advised(category, PAY, ASK).startswith(CHANGE)


def test_a_finding_of_another_kind_is_not_to_be_changed() -> None:
    step = advised("cpu", PAY, ASK)
    assert "not what stops the service (cpu)" in step and "perfhunt investigate" in step


def test_findings_that_may_cost_alike_are_to_be_told_apart_first() -> None:
    close = replace(ASK, blamed=Interval(0.031, 0.02, 0.04, 500))
    assert tied((PAY, close)) and not tied((PAY, ASK)) and not tied((PAY,))
    assert "pay and ask cost alike" in advised("lock", PAY, close)


def test_a_cost_that_may_be_nothing_is_not_to_be_mended() -> None:
    vague = replace(PAY, blamed=Interval(0.0567, 0.0, 0.177, 9))
    assert "told from nothing" in advised("lock", vague)


@pytest.mark.parametrize(
    ("runtime", "command"),
    [
        ("cpython", "perfhunt doctor --pid PID"),
        ("jvm", "jcmd PID Thread.print"),
        ("go", "/debug/pprof/goroutine?debug=2"),
        ("node", "--open-target"),
        ("native", "gdb -p PID"),
    ],
)
def test_where_waits_were_not_seen_it_is_said_how_to_see_them(runtime: str, command: str) -> None:
    blind = Evidence(Span(95.0, profile=profile(pay=500)), runtime=runtime)
    assert command in advised("undetermined", PAY, evidence=blind)


def test_nothing_captured_is_for_the_doctor_and_node_needs_its_inspector() -> None:
    nothing = Evidence(Span(95.0))
    assert "perfhunt doctor" in advised("lock", evidence=nothing)
    assert "--open-target" in advised("lock", evidence=replace(nothing, runtime="node"))


@pytest.mark.parametrize(
    ("outcomes", "https"), [({"reset": 9}, True), ({"reset": 8, "ok": 1}, False), ({}, False)]
)
def test_where_every_connection_is_closed_unanswered_tls_is_to_be_tried(
    outcomes: dict[str, int], https: bool
) -> None:
    refused = NoKnee(NoKneeCode.ERRORS_AT_ONCE, "9 of 9 requests failed")
    evidence = replace(SEEN, trials=(replace(HELD, outcomes=outcomes),))
    unknown = Bottleneck(BottleneckClass.UNDETERMINED, 0.0, ("seen",))
    step = next_step((), frozenset(), unknown, refused, evidence)
    assert ("https://" in step) == https
    assert "send one such request by hand" in step
