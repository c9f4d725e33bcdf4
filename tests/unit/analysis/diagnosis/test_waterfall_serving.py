"""Whose time is whose: the scheduler's count, and what threads do beyond what requests last."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.model.finding import LatencyPart
from perfhunt.model.states import States, ThreadTime
from tests.unit.analysis.diagnosis.test_waterfall import IDLE, REST, added, calm, told, unread
from tests.unit.scenes import series, used
from tests.unit.trials import HELD


def test_exact_times_are_believed_over_instants() -> None:
    base = calm("serve>view>price on_cpu", service=0.020)
    # Instants find every other thread queueing; the scheduler counted a tenth.
    moment = ["serve>view>price on_cpu", "serve>view>price run_queue"]
    exact = {"on_cpu": 0.9, "run_queue": 0.1}
    states = States("knee", 10.0, (ThreadTime(1, 100, "w", exact),), 500, "schedstat")
    knee = Span(
        50.0, service=0.020, instants=series(*[moment] * 40), states=states, resources=used(0.9)
    )
    answer = told(Evidence(knee, base, idle=IDLE))
    assert added(answer, LatencyPart.RUN_QUEUE) == pytest.approx(0.1 / 50 * 1e3)
    cpu = [part for part in answer.parts if part.kind is LatencyPart.CPU]
    assert sum(part.knee for part in cpu) == pytest.approx(0.9 / 50)


@pytest.mark.parametrize(("seconds", "settle", "believed"), [(8.4, 2.0, 1.05), (10.4, 0.0, 1.04)])
def test_exact_times_are_of_as_long_as_the_load_was_on(
    seconds: float, settle: float, believed: float
) -> None:
    assert queued_of(seconds, settle) == pytest.approx(believed * 0.1 / 50 * 1e3)


def test_exact_times_of_what_was_left_over_after_the_load_are_not_believed() -> None:
    # Instants find a thread queueing at every look; the scheduler counted while fifty finished.
    assert queued_of(13.0, 2.0) == pytest.approx(1.0 / 50 * 1e3)


def queued_of(seconds: float, settle: float) -> float:
    """Milliseconds in the queue for a CPU, of a load of 10 s whose states were counted for so long;
    0.1 of a thread by the scheduler, and one by the looks.
    """
    moment = ["serve>view>price on_cpu", "serve>view>price run_queue"]
    exact = ThreadTime(1, 100, "w", {"on_cpu": 0.9, "run_queue": 0.1})
    knee = Span(
        50.0,
        service=0.040,
        trial=replace(HELD, step=replace(HELD.step, settle=settle), completed=50.0),
        instants=series(*[moment] * 40),
        states=States("knee", seconds, (exact,), 500, "schedstat"),
        resources=used(0.9),
    )
    answer = told(Evidence(knee, calm("serve>view>price on_cpu", service=0.020), idle=IDLE))
    return added(answer, LatencyPart.RUN_QUEUE)


def test_a_server_that_waits_for_a_thread_to_begin_makes_no_helper_of_it() -> None:
    rests = "main>serve_main!select poll"
    idle = series(*[[*[REST] * 6, rests]] * 8)
    base = replace(
        calm("serve>view>price on_cpu", service=0.020),
        instants=series(*[["serve>view>price on_cpu", rests], *[[rests]] * 4] * 8),
    )
    moment = ["serve>view>price on_cpu*", *["serve>view>price run_queue"] * 3]
    # It waits for an event of each thread's own.
    starts = [[f"main>serve_main!wait lock@{n}", *moment] for n in range(20)]
    looks = series(*[[rests, *moment]] * 20, *starts)
    knee = Span(100.0, service=0.040, instants=looks, resources=used(1.0))
    answer = told(Evidence(knee, base, idle=idle))
    queue = (LatencyPart.RUN_QUEUE, LatencyPart.NEIGHBOURS)
    assert sum(added(answer, kind) for kind in queue) == pytest.approx(30.0)


def test_what_threads_do_once_the_answer_is_sent_is_taken_off_as_the_baseline_tells() -> None:
    # At the baseline 0.4 threads run at 10/s: 40 ms for requests that last 20 ms.
    quiet = [[REST] * 6] * 3
    busy = ["serve>view>price on_cpu"]
    base = Span(10.0, service=0.020, instants=series(*[busy, busy, *quiet] * 8))
    moment = ["serve>view>price on_cpu", *["serve>view>price gil"] * 3]
    knee = Span(50.0, service=0.060, instants=series(*[moment] * 40))
    answer = told(Evidence(knee, base, idle=IDLE))
    cpu = [part for part in answer.parts if part.kind is LatencyPart.CPU]
    assert sum(part.base for part in cpu) == pytest.approx(0.020)
    # 4 threads at 50/s are 80 ms, of which no more than those 20 ms are after an answer.
    assert sum(part.knee for part in answer.parts) == pytest.approx(0.060)
    assert answer.closure == pytest.approx(0.0, abs=1e-9)


def test_a_server_that_works_on_beyond_what_requests_last_is_no_part_of_them() -> None:
    # Six threads and two requests unread at 50/s, where requests last 110 ms: 2.5 threads too many.
    base = replace(calm("serve>view>ask socket@n:1", service=0.020), resources=unread(0.0))
    moment = [
        *["serve>view>ask socket@n:1"] * 2,
        "serve>view>price on_cpu*",
        *["serve!send gil"] * 3,
    ]
    used_up = replace(unread(2.0), cpu=1.0)
    knee = Span(50.0, service=0.110, instants=series(*[moment] * 40), resources=used_up)
    answer = told(Evidence(knee, base, idle=IDLE))
    assert answer.closure == pytest.approx(0.0, abs=1e-9)
    # Of the server's 60 ms of waiting for the GIL, 50 are of no request; the application's stay.
    assert added(answer, LatencyPart.GIL) == pytest.approx(10.0)
    assert added(answer, LatencyPart.CPU) == pytest.approx(20.0)
    assert added(answer, LatencyPart.QUEUED) == pytest.approx(40.0)


def test_application_code_that_adds_up_to_more_than_requests_last_is_not_hidden() -> None:
    base = replace(calm("serve>view>ask socket@n:1", service=0.020), resources=unread(0.0))
    moment = ["serve>view>price on_cpu*", *["serve>view>price gil"] * 5]
    used_up = replace(unread(0.0), cpu=1.0)
    knee = Span(50.0, service=0.100, instants=series(*[moment] * 40), resources=used_up)
    answer = told(Evidence(knee, base, idle=IDLE))
    assert answer.unexplained is not None
    assert answer.unexplained.added.value == pytest.approx(-0.020)


def test_what_waits_while_no_request_is_there_waits_for_none() -> None:
    # A server keeps a watch over each connection, and there are none without load.
    watch = "task serve_timer!wait lock@T"
    busy = ["task serve>view>ask socket@n:1", *[watch] * 2]
    base = Span(
        10.0,
        service=0.020,
        instants=series(*[busy, *[[watch] * 2] * 4] * 8),
        in_service=(1, 0, 0, 0, 0) * 8,
    )
    moment = ["task serve>view>ask socket@n:1"] * 4
    knee = Span(100.0, service=0.040, instants=series(*[[*moment, *[watch] * 9]] * 40))
    answer = told(Evidence(knee, base))
    assert added(answer, LatencyPart.SOCKET) == pytest.approx(20.0)
    assert sum(part.knee for part in answer.parts) == pytest.approx(0.040)
    unknown = told(Evidence(knee, replace(base, in_service=())))
    assert sum(part.knee for part in unknown.parts) > 0.1 or unknown.missing


def test_a_thread_that_is_as_busy_without_load_works_for_no_request() -> None:
    # It holds the GIL for a background job; the knee is no faster than the baseline was.
    job, answer = "begin>tally on_cpu*", "serve>view>price gil"
    base = Span(10.0, service=0.030, instants=series(*[[job, answer], *[[job]] * 4] * 8))
    knee = Span(12.0, service=0.060, instants=series(*[[job, answer], [job]] * 20))
    at_rest = replace(IDLE, instants=series(*[[job, *[REST] * 6]] * 8).instants)
    fall = told(Evidence(knee, base, idle=at_rest))
    assert not fall.missing
    assert LatencyPart.CPU not in {part.kind for part in fall.parts}
    waited = pytest.approx(0.5 / 12 * 1e3 - 0.2 / 10 * 1e3)
    assert added(fall, LatencyPart.GIL) == waited
    # Unseen without load, it is one of those that serve.
    assert added(told(Evidence(knee, base, idle=IDLE)), LatencyPart.GIL) != waited
