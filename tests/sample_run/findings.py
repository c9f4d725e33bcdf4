"""What the sample run concluded: suspects, the class of bottleneck, the doubts. Every number is
made by hand.
"""

from __future__ import annotations

from dataclasses import replace

from perfhunt.model.finding import (
    Bottleneck,
    BottleneckClass,
    Caution,
    CautionCode,
    Finding,
    LatencyPart,
    Leaf,
    ProbeEffect,
    Rise,
    Waterfall,
    WhatIf,
)
from perfhunt.model.interval import Interval

REQUESTS = 1600  # behind every interval


def _milliseconds(value: float, spread: float) -> Interval:
    low, high = value * (1 - spread), value * (1 + spread)
    return Interval(round(value / 1e3, 9), round(low / 1e3, 9), round(high / 1e3, 9), REQUESTS)


def _suspect(
    function: str,
    file: str,
    line: int,
    category: BottleneckClass,
    *,
    self_share: float,
    total_share: float,
    own_ms: float,
    blamed_ms: float,
) -> Finding:
    return Finding(
        rank=0,
        function=function,
        file=file,
        line=line,
        category=category,
        self_share=self_share,
        total_share=total_share,
        own=_milliseconds(own_ms, 0.09),
        total=_milliseconds(own_ms * 1.6, 0.08),
        blamed=_milliseconds(blamed_ms, 0.12),
    )


def _culprit() -> Finding:
    found = _suspect(
        "load_rules",
        "shop/pricing.py",
        71,
        BottleneckClass.LOCK,
        self_share=0.49,
        total_share=0.49,
        own_ms=3.4,
        blamed_ms=14.2,
    )
    return replace(
        found,
        grew=_milliseconds(3.4 * 0.3, 0.5),
        evidence="held the pricing lock in 96 % of the instants others waited",
        what_if=WhatIf(
            rate=228.0,
            low=204.0,
            high=251.0,
            removed=1.0,
            cap="then the pool of 4 connections would be the limit",
            caveat="Others wait while it holds a lock: take it as a lower bound.",
            saturated=262.0,
            saturated_low=235.0,
            saturated_high=289.0,
            binding="the lock that load_rules waits for",
        ),
    )


def findings() -> tuple[Finding, ...]:
    """Five suspects, the planted one first."""
    discount = _suspect(
        "discount",
        "shop/pricing.py",
        52,
        BottleneckClass.CPU,
        self_share=0.076,
        total_share=0.56,
        own_ms=0.53,
        blamed_ms=0.53,
    )
    execute = _suspect(
        "execute",
        "shop/db.py",
        88,
        BottleneckClass.DOWNSTREAM,
        self_share=0.0,
        total_share=0.19,
        own_ms=0.42,
        blamed_ms=1.3,
    )
    list_items = _suspect(
        "list_items",
        "shop/views.py",
        44,
        BottleneckClass.CPU,
        self_share=0.117,
        total_share=0.72,
        own_ms=0.81,
        blamed_ms=0.81,
    )
    checkout = _suspect(
        "checkout",
        "shop/views.py",
        90,
        BottleneckClass.CPU,
        self_share=0.04,
        total_share=0.21,
        own_ms=0.28,
        blamed_ms=0.28,
    )
    ranked = (
        _culprit(),
        replace(
            discount,
            leaves=(
                Leaf("round_up", "shop/money.py", _milliseconds(0.21, 0.11)),
                Leaf("rate_of", "shop/pricing.py", _milliseconds(0.18, 0.13)),
            ),
        ),
        replace(execute, evidence="waits on 127.0.0.1:5432"),
        replace(list_items, via="jinja2 render", evidence="in jinja2 render"),
        replace(checkout, evidence="in json dumps"),
    )
    return tuple(replace(finding, rank=rank) for rank, finding in enumerate(ranked, 1))


def bottleneck() -> Bottleneck:
    """The planted lock, with the interpreter's as the runner-up."""
    return Bottleneck(
        category=BottleneckClass.LOCK,
        score=0.86,
        evidence=(
            "Threads waited for a lock 41 % of the time at the knee, 2 % at baseline.",
            "In 96 % of those instants the holder was in load_rules (shop/pricing.py:71).",
            "The CPU was not the limit: 0.86 of 2.0 cores.",
        ),
        runner_up=BottleneckClass.GIL,
        runner_up_score=0.31,
    )


def waterfall() -> Waterfall:
    """From 5.2 ms to 24 ms: the lock, what queues behind it, and 1.2 ms that nothing shows."""
    lock, queued = LatencyPart.LOCK, LatencyPart.QUEUED
    pricing = {"function": "load_rules", "file": "shop/pricing.py"}
    behind = "queued, while the service waited for a lock that load_rules holds"
    socket = "waiting for 127.0.0.1:5432 in execute"
    outside = "network and all that nothing in the service shows, as at the baseline"
    return Waterfall(
        parts=(
            _rise(lock, "waiting for a lock that load_rules holds", 0.1, 12.2, 1.4, **pricing),
            replace(_rise(queued, behind, 0.0, 2.2, 0.6, **pricing), meanwhile=lock, inferred=1e-3),
            _rise(LatencyPart.GIL, "waiting for the GIL", 0.2, 2.2, 0.4),
            _rise(LatencyPart.SOCKET, socket, 0.8, 1.9, 0.3, function="execute", file="shop/db.py"),
            _rise(LatencyPart.CPU, "load_rules on a CPU", 0.9, 1.3, 0.2, **pricing),
            _rise(LatencyPart.CPU, "other code, on a CPU", 1.6, 1.6, 0.2),
            _rise(LatencyPart.OUTSIDE, outside, 1.1, 1.1, 0.0),
            _rise(LatencyPart.NEIGHBOURS, "waiting for a CPU that other programs had", 0.5, 0.3, 0),
        ),
        base=5.2e-3,
        knee=24.0e-3,
        unexplained=_rise(LatencyPart.UNEXPLAINED, "not accounted for", 0.0, 1.2, 2.0),
        closure=1.2 / 18.8,
        base_p99=0.0181,
        knee_p99=0.2502,
    )


def _rise(
    kind: LatencyPart,
    name: str,
    base_ms: float,
    knee_ms: float,
    doubt_ms: float,
    *,
    function: str = "",
    file: str = "",
) -> Rise:
    added = knee_ms - base_ms
    return Rise(
        kind=kind,
        name=name,
        base=round(base_ms / 1000, 9),
        knee=round(knee_ms / 1000, 9),
        added=Interval(
            round(added / 1000, 9),
            round((added - doubt_ms) / 1000, 9),
            round((added + doubt_ms) / 1000, 9),
            412,
        ),
        function=function,
        file=file,
    )


def cautions() -> tuple[Caution, ...]:
    """Two doubts, each with what to do."""
    return (
        Caution(
            CautionCode.UNDETERMINED,
            "latency.p99[checkout] has no verdict: only 0 of 100 requests were seen.",
            "Give checkout more weight, or: perfhunt investigate --pid 4242 --budget 10m",
        ),
        Caution(
            CautionCode.VERSION,
            "The working tree held changes that are in no commit.",
            "git stash or git commit, then investigate again",
        ),
    )


def probe_effect() -> ProbeEffect:
    """Profiling that cost next to nothing."""
    return ProbeEffect(
        throughput=0.998,
        p99=1.021,
        cpu=1.012,
        p50=1.004,
        quiet_p99=(0.2461, 0.2533),
        between={
            "throughput": Interval(0.998, 0.991, 1.005, 42),
            "p99": Interval(1.021, 0.972, 1.073, 42),
            "cpu": Interval(1.012, 0.89, 1.151, 4),
        },
    )
