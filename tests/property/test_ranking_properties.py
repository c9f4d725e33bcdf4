"""What must hold for blame whatever was captured."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfhunt.analysis.blame.charge import charge
from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.frames import Code
from perfhunt.analysis.blame.idle import IdlePaths
from perfhunt.analysis.blame.snapshots import snapshots_of
from perfhunt.model.profile import Frame, Instant, Instants, ThreadSample
from tests.unit.scenes import ranked

APP = "/srv/app.py"
STATES = ("on_cpu", "run_queue", "gil", "lock", "socket", "sleep", "disk", "other")


@st.composite
def threads(draw: st.DrawFn) -> ThreadSample:
    path = draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=4))
    stack = tuple(Frame(name, APP) for name in path)
    state = draw(st.sampled_from(STATES))
    return ThreadSample(
        draw(st.integers(1, 2)),
        draw(st.integers(1, 9)),
        stack,
        state,
        f"futex:{draw(st.integers(1, 2))}",
        draw(st.booleans()),
    )


captures = st.lists(st.lists(threads(), min_size=1, max_size=6), min_size=1, max_size=10).map(
    lambda moments: Instants(1.0, tuple(Instant(n / 10, tuple(m)) for n, m in enumerate(moments)))
)


@given(captures)
@settings(max_examples=150, deadline=None)
def test_blame_moves_thread_time_and_never_makes_or_loses_any(instants: Instants) -> None:
    code = Code()
    account = charge(snapshots_of(instants, code, IdlePaths(code)), {("a", APP): 1.0})
    blamed = sum(float(series.sum()) for series in account.blamed.values())
    assert blamed == pytest.approx(sum(len(i.threads) for i in instants))
    assert account.busy() * account.instants == pytest.approx(blamed)


@given(captures, st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_the_order_of_threads_within_an_instant_does_not_matter(
    instants: Instants, chance: Random
) -> None:
    shuffled = Instants(
        1.0, tuple(Instant(i.at, tuple(chance.sample(i.threads, len(i.threads)))) for i in instants)
    )
    ours, theirs = (
        ranked(Evidence(Span(10.0, instants=instants))),
        ranked(Evidence(Span(10.0, instants=shuffled))),
    )
    assert {f.function for f in ours} == {f.function for f in theirs}
    for finding in ours:
        twin = next(f for f in theirs if (f.function, f.file) == (finding.function, finding.file))
        assert twin.blamed.value == pytest.approx(finding.blamed.value)
        assert twin.blamed.low <= twin.blamed.value <= twin.blamed.high


@given(captures, st.floats(1.0, 500.0))
@settings(max_examples=60, deadline=None)
def test_costs_are_per_request_so_twice_the_requests_halve_them(
    instants: Instants, rate: float
) -> None:
    once, twice = (ranked(Evidence(Span(r, instants=instants))) for r in (rate, 2 * rate))
    assert [f.function for f in once] == [f.function for f in twice]
    for a, b in zip(once, twice, strict=True):
        assert a.blamed.value == pytest.approx(2 * b.blamed.value)
