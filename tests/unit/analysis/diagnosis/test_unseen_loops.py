"""Event loops that no stack shows: greenlets run on stacks of their own, and a loop may not be of
Python; and what a busy loop makes of the waits of its tasks.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.answer.advice import next_step
from perfhunt.analysis.diagnosis.known.greenlets import greenlet_cautions
from perfhunt.analysis.diagnosis.ranking import rank
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.model.finding import BottleneckClass
from perfhunt.model.profile import Frame, Instant, Instants, ThreadSample
from tests.unit.analysis.diagnosis.field import KNEE
from tests.unit.scenes import classified, profile, series, stack, used

HUB = (Frame("Hub.run", "/srv/venv/lib/python3.11/site-packages/gevent/hub.py"),)


def hub(*moments: str) -> Instants:
    """The one thread of a gevent server: in its hub (`poll`), or on the stack of a greenlet."""
    return Instants(
        len(moments) / 10,
        tuple(
            Instant(
                n / 10,
                (ThreadSample(1, 1, HUB if state == "poll" else stack("serve>view>score"), state),),
            )
            for n, state in enumerate(moments)
        ),
    )


def test_a_thread_that_rests_in_a_hub_is_an_event_loop_whatever_greenlets_do_on_it() -> None:
    calm = Span(
        10.0,
        service=0.010,
        profile=profile(score=60),
        instants=hub(*["poll"] * 9, "on_cpu"),
        resources=used(0.08),
    )
    knee = Span(
        100.0,
        service=0.080,
        profile=profile(score=800),
        instants=hub(*(["on_cpu"] * 4 + ["poll"]) * 8),
        resources=used(0.8),
    )
    assert classified(Evidence(knee, calm, cpu_limit=2.0)).category is BottleneckClass.EVENT_LOOP


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("on_cpu*", BottleneckClass.EVENT_LOOP),
        ("socket@far:1", BottleneckClass.EVENT_LOOP_BLOCKED),
    ],
)
def test_the_thread_that_works_while_ready_tasks_wait_runs_their_loop(
    state: str, expected: BottleneckClass
) -> None:
    ready = ["task view!sleep loop"] * 6
    moments = [[f"watch>view>export {state}", *ready]] * 32
    knee = Span(
        100.0,
        service=0.070,
        profile=profile(export=900),
        instants=series(*moments),
        resources=used(0.9 if expected is BottleneckClass.EVENT_LOOP else 0.1),
    )
    assert classified(Evidence(knee, cpu_limit=2.0)).category is expected


@pytest.mark.parametrize("busy", [0.2, 0.8])
def test_what_tasks_wait_for_behind_a_loop_that_has_no_time_is_the_loop(busy: float) -> None:
    asks = ["task serve>view>ask!read socket@10.0.0.9:80"] * 4
    at_work, at_rest = ["run_loop>view>render on_cpu*", *asks], ["run_loop poll", *asks]
    parts = round(40 * busy)
    knee = Span(
        100.0,
        service=0.048,
        profile=profile(render=100 * busy),
        instants=series(*[at_work] * parts, *[at_rest] * (40 - parts)),
        resources=used(busy),
    )
    found = classified(Evidence(knee, cpu_limit=4.0)).category
    assert found is (BottleneckClass.EVENT_LOOP if busy > 0.5 else BottleneckClass.DOWNSTREAM)


def test_requests_that_wait_in_greenlets_are_said_to_be_where_nobody_can_look() -> None:
    calm = Span(10.0, service=0.020, instants=hub(*["poll"] * 10), resources=used(0.02))
    looks = hub(*(["on_cpu"] + ["poll"] * 4) * 8)
    knee = Span(
        100.0, service=0.080, profile=profile(score=200), instants=looks, resources=used(0.2)
    )
    evidence = Evidence(knee, calm, cpu_limit=2.0)
    found, reading = classified(evidence), read_evidence(evidence)
    assert found.category is BottleneckClass.UNDETERMINED
    (caution,) = greenlet_cautions(reading.knee, found)
    assert caution.sentence.startswith("Of 8.0 requests that were there on average 7.8 waited in")
    step = next_step(rank(reading, suspects_of(reading)), frozenset(), found, KNEE, evidence)
    assert "serve it with threads" in step
    assert greenlet_cautions(reading.knee, replace(found, category=BottleneckClass.CPU)) == ()
