"""What Go's collector takes of the CPU: whose garbage it is, and when it stops a service."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.classify import classify
from perfhunt.analysis.diagnosis.prediction.cpu_stations import cpu_shares_of
from perfhunt.analysis.diagnosis.ranking import rank
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.model.finding import Bottleneck, Finding
from perfhunt.model.profile import Frame, FrameKind, Profile, ProfileMode, Stack
from tests.unit.scenes import used

CORES, RATE = 1.9, 100.0


def go(*calls: str) -> Stack:
    """Functions of the application, of Go's runtime where they begin so."""
    return tuple(
        Frame(call, f"/usr/local/go/src/{call}" if "runtime." in call else f"/srv/{call}.go", 1)
        for call in calls
    )


def as_go(stack: Stack) -> Stack:
    return tuple(replace(frame, kind=FrameKind.GO) for frame in stack)


BESIDE = as_go(go("runtime.gcBgMarkWorker", "runtime.gcDrain", "runtime.scanobject"))
ALLOCATING = as_go(go("main.serve", "main.buildRows", "runtime.mallocgc"))
ASSISTING = as_go(go("main.serve", "main.buildRows", "runtime.mallocgc", "runtime.gcAssistAlloc"))
ALLOCATING_LESS = as_go(go("main.serve", "main.encode", "runtime.mallocgc"))
COMPUTING = as_go(go("main.serve", "main.check"))


def answer(profile: Profile) -> tuple[Bottleneck, tuple[Finding, ...], dict[str, float]]:
    span = Span(RATE, profile=profile, resources=used(CORES))
    reading = read_evidence(Evidence(span, runtime="go"))
    suspects = suspects_of(reading)
    bottleneck = classify(reading, suspects)
    shares = cpu_shares_of(reading, suspects.at_knee)
    uses = {function: share.value for (function, _), share in shares.items()}
    return bottleneck, rank(reading, suspects, bottleneck.category), uses


def profile(beside: float, allocated: dict[Stack, float] | None = None) -> Profile:
    stacks = {
        BESIDE: beside,
        ALLOCATING: 60.0,
        ASSISTING: 40.0,
        ALLOCATING_LESS: 20.0,
        COMPUTING: 180.0,
    }
    return Profile("go", "", ProfileMode.CPU, 100, 10, stacks, allocated=allocated or {})


def test_a_service_whose_cores_collect_is_stopped_by_that_and_by_who_allocates() -> None:
    bottleneck, (first, *_), uses = answer(profile(300.0))
    assert bottleneck.category == "gc" and first.function == "main.buildRows"
    # 340 of 600 samples collect, of 1.9 cores.
    assert "1.08 of the 1.90 cores" in bottleneck.evidence[-1]
    assert sum(uses.values()) == pytest.approx(1.0)
    assert not any(name.startswith("runtime.") for name in uses)


def test_garbage_is_charged_by_the_bytes_that_were_taken_where_they_are_known() -> None:
    by_bytes = {ALLOCATING_LESS: 3e9, ALLOCATING: 1e9}
    _, (first, *_), uses = answer(profile(300.0, by_bytes))
    assert first.function == "main.encode"
    # Its own 20 samples and three quarters of the collector's 300.
    assert uses["main.encode"] == pytest.approx((20 + 225) / 600)
    assert uses["main.buildRows"] == pytest.approx((100 + 75) / 600)


def test_a_collector_that_takes_little_does_not_name_the_class() -> None:
    bottleneck, (first, *_), _ = answer(profile(20.0))
    assert bottleneck.category == "cpu" and first.function == "main.check"


def test_where_nobody_is_seen_to_allocate_the_collector_stands_by_itself() -> None:
    alone = Profile("go", "", ProfileMode.CPU, 100, 10, {BESIDE: 50.0, COMPUTING: 200.0})
    *_, uses = answer(alone)
    assert uses["runtime.scanobject"] == pytest.approx(0.2)
