"""Work that is handed to processes: who waits for it is in another process than who does it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.model.finding import BottleneckClass, LatencyPart
from perfhunt.model.profile import Frame, Instant, Instants, Stack, ThreadSample
from tests.unit.analysis.diagnosis.test_waterfall import added, told
from tests.unit.scenes import APP, classified, ranked, stack, used

LIBRARY = "/usr/lib/python3.11"
RESULT = (
    Frame("Future.result", f"{LIBRARY}/concurrent/futures/_base.py"),
    Frame("Condition.wait", f"{LIBRARY}/threading.py"),
)
WORKERS = [
    (Frame("_process_worker", f"{LIBRARY}/concurrent/futures/process.py"),),
    (Frame("worker", f"{LIBRARY}/multiprocessing/pool.py"),),
    (Frame("_process_worker", "/v/lib/python3.11/site-packages/loky/process_executor.py"),),
]


def seen_with(helper: ThreadSample, waits_in: Stack, on: list[str]) -> Evidence:
    """A helper process at work while threads of the service wait, each on its own of those."""
    waiting = [ThreadSample(1, 10 + n, waits_in, "lock", place) for n, place in enumerate(on)]
    instants = Instants(3.2, tuple(Instant(n / 10, (helper, *waiting)) for n in range(32)))
    span = Span(100.0, service=0.060, instants=instants, resources=used(0.9, limit=4.0))
    return Evidence(span, cpu_limit=4.0)


@pytest.mark.parametrize("worker", WORKERS, ids=lambda worker: worker[0].file)
@pytest.mark.parametrize("forked", [False, True])
def test_what_a_helper_process_does_is_what_the_threads_wait_for(
    worker: tuple[Frame, ...], forked: bool
) -> None:
    # A process that was forked amid a request still has the stack of that request beneath its own.
    before = stack("serve>view>submit") if forked else ()
    helper = ThreadSample(2, 20, (*before, *worker, Frame("simulate", APP)), "on_cpu")
    places = [f"futex:{n}" for n in range(6)]  # each waiter of a condition has its own
    evidence = seen_with(helper, (*stack("serve>view"), *RESULT), places)
    assert ranked(evidence)[0].function == "simulate"
    assert classified(evidence).category is BottleneckClass.WORKERS


def test_a_helper_that_was_forked_by_a_request_is_seen_in_the_wait_for_it() -> None:
    # It has the stack of the thread that forked it, and would be taken for one that waits.
    worker = (*stack("serve>view>submit"), *WORKERS[0], Frame("simulate", APP))
    helper = ThreadSample(2, 20, worker, "on_cpu")
    places = [f"futex:{n}" for n in range(6)]
    busy = seen_with(helper, (*stack("serve>view"), *RESULT), places).knee
    calm = seen_with(helper, (*stack("serve>view"), *RESULT), places[:1]).knee
    base = replace(calm, completed=50.0, service=0.020)
    answer = told(Evidence(replace(busy, service=0.060), base, cpu_limit=4.0))
    assert added(answer, LatencyPart.HANDOFF) == pytest.approx(40.0)
    assert answer.closure == pytest.approx(0.0, abs=1e-9)


def test_a_lock_in_memory_is_not_held_by_another_process() -> None:
    helper = ThreadSample(2, 20, (*WORKERS[0], Frame("simulate", APP)), "on_cpu")
    evidence = seen_with(helper, stack("serve>view>reserve!acquire"), ["futex:A"] * 6)
    assert ranked(evidence)[0].function == "reserve"
    assert classified(evidence).category is BottleneckClass.LOCK
