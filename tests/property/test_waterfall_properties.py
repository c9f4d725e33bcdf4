"""What must hold for the waterfall whatever was captured: its parts sum, and every one of them is a
number.
"""

from __future__ import annotations

from math import isfinite

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.classify import classify
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.analysis.diagnosis.waterfall.bridge import waterfall
from perfhunt.model.states import States, ThreadTime
from perfhunt.model.trial import Resources
from tests.property.test_ranking_properties import captures
from tests.unit.scenes import profile

shares = st.fixed_dictionaries(
    {state: st.floats(0.0, 1.0) for state in ("on_cpu", "run_queue", "gil", "lock", "poll")}
)
rows = st.builds(
    ThreadTime,
    pid=st.integers(1, 2),
    tid=st.integers(0, 9),
    name=st.just("t"),
    states=shares,
)
states = st.builds(
    States,
    phase=st.just("knee"),
    seconds=st.just(10.0),
    threads=st.lists(rows, max_size=4).map(tuple),
    ticks=st.integers(0, 500),
    source=st.sampled_from(["syscall", "schedstat"]),
)
resources = st.builds(
    Resources,
    seconds=st.just(10.0),
    cpu=st.none() | st.floats(0.0, 4.0),
    host_cpu_share=st.none() | st.floats(0.0, 1.0),
    unread=st.none() | st.floats(0.0, 50.0),
    unread_error=st.floats(0.0, 9.0),
)
spans = st.builds(
    Span,
    completed=st.just(0.0) | st.floats(0.1, 500.0),
    service=st.none() | st.floats(0.0, 2.0),
    profile=st.none() | st.integers(0, 900).map(lambda n: profile(a=n, b=3)),
    instants=st.none() | captures,
    states=st.none() | states,
    resources=st.none() | resources,
)


@given(knee=spans, base=spans, idle=st.none() | captures, cores=st.sampled_from([None, 1.0, 2.0]))
@settings(max_examples=250, deadline=None)
def test_the_parts_sum_to_both_latencies_and_to_the_growth(
    knee: Span, base: Span, idle: object, cores: float | None
) -> None:
    reading = read_evidence(Evidence(knee, base, idle=idle, cpu_limit=cores))  # type: ignore[arg-type]
    suspects = suspects_of(reading)
    answer = waterfall(reading, suspects, classify(reading, suspects))
    if answer.missing:
        assert not answer.parts
        # What was captured in full has one, unless what waits in it outnumbers the requests.
        assert (
            None in (knee.service, base.service, knee.instants, base.instants)
            or 0.0 in (knee.completed, base.completed)
            or "wait for no request" in answer.missing
        )
        return
    assert answer.unexplained is not None
    every = [*answer.parts, answer.unexplained]
    assert -answer.unexplained.base <= answer.base
    assert -answer.unexplained.knee <= answer.knee
    near = 1e-9 * (1 + sum(abs(part.knee) + abs(part.base) for part in every))
    assert sum(part.base for part in every) == pytest.approx(answer.base, abs=near)
    assert sum(part.knee for part in every) == pytest.approx(answer.knee, abs=near)
    for part in every:
        added = part.added
        assert added.value == pytest.approx(part.knee - part.base, abs=near)
        assert added.low <= added.value <= added.high
        assert all(map(isfinite, (part.base, part.knee, added.low, added.high)))
    lines = [(part.kind, part.name, part.file) for part in every]
    assert len(set(lines)) == len(lines)
