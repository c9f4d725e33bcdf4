"""What CPython's collector takes of its one core, as looks at threads see it: whose garbage it is,
and when it stops a service. V8's, by its own profile.
"""

from __future__ import annotations

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.classify import classify
from perfhunt.analysis.diagnosis.ranking import rank
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.model.finding import Bottleneck, Finding
from perfhunt.model.profile import (
    COLLECTS_GARBAGE,
    Frame,
    FrameKind,
    Instant,
    Instants,
    Profile,
    ProfileMode,
    Stack,
    ThreadSample,
)
from perfhunt.model.states import States, ThreadState, ThreadTime
from tests.unit.scenes import used

RATE, SEEN = 50.0, 100
SERVE, LOAD, PRICE = (Frame(name, "/srv/app.py", 1) for name in ("serve", "load", "price"))
LOADING: Stack = (SERVE, LOAD)
PRICING: Stack = (SERVE, PRICE)


def thread(tid: int, stack: Stack, state: ThreadState) -> ThreadSample:
    return ThreadSample(1, tid, stack, str(state))


def answer(evidence: Evidence) -> tuple[Bottleneck, tuple[Finding, ...]]:
    reading = read_evidence(evidence)
    suspects = suspects_of(reading)
    bottleneck = classify(reading, suspects)
    return bottleneck, rank(reading, suspects, bottleneck.category)


def collecting_in(times: int) -> Evidence:
    """Of a service whose threads want the GIL all the time, one half of it for `load`, which is
    seen to collect so often in a hundred.
    """
    instants = []
    for n in range(SEEN):
        running = LOADING if n % 2 else PRICING
        if n % 2 and n < 2 * times:
            running = (*LOADING, COLLECTS_GARBAGE)
        waiting = [thread(tid, PRICING, ThreadState.GIL) for tid in (2, 3, 4)]
        instants.append(Instant(n / 10, (thread(1, running, ThreadState.ON_CPU), *waiting)))
    stacks = {LOADING: 500.0, PRICING: 500.0}
    profile = Profile("py-spy", "", ProfileMode.GIL, 100, 10, stacks, pids=(1,), ticks=1000)
    span = Span(
        RATE, profile=profile, instants=Instants(10.0, tuple(instants)), resources=used(1.0)
    )
    return Evidence(span, runtime="cpython")


def test_a_core_that_mostly_collects_is_the_collectors_and_who_makes_garbage_is_named() -> None:
    bottleneck, (first, *_) = answer(collecting_in(48))
    assert bottleneck.category == "gc" and first.function == "load"
    assert "Collecting used 0.48 of the 1.00 cores" in bottleneck.evidence[-1]


@pytest.mark.parametrize("times", [0, 10])
def test_a_core_that_collects_a_little_is_no_collectors(times: int) -> None:
    assert answer(collecting_in(times))[0].category == "gil"


def test_what_v8_collects_counts_for_the_function_that_was_seen_last() -> None:
    handle, parse = (
        Frame(name, "/srv/app.js", 1, kind=FrameKind.JS) for name in ("handle", "parse")
    )
    collects = Frame(COLLECTS_GARBAGE.function, kind=FrameKind.JS)
    stacks = {(handle, parse): 300.0, (handle, parse, collects): 550.0, (handle,): 150.0}
    profile = Profile("node", "", ProfileMode.CPU, 1000, 1, stacks, pids=(1,), ticks=1000)
    main = ThreadTime(1, 1, "node", {str(ThreadState.ON_CPU): 1.0})
    span = Span(
        RATE, profile=profile, resources=used(1.0), states=States("knee", 1.0, (main,), ticks=100)
    )
    evidence = Evidence(span, runtime="node")
    bottleneck, (first, *_) = answer(evidence)
    assert bottleneck.category == "gc" and first.function == "parse"
    assert read_evidence(evidence).knee.use.collects == {("parse", "/srv/app.js"): 550.0}
