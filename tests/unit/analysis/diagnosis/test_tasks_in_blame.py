"""Tasks of an event loop among the threads: what they await, and whom they wait for."""

from __future__ import annotations

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.model.profile import Frame, Instant, Instants, ThreadSample
from perfhunt.model.states import States, ThreadState, ThreadTime
from tests.unit.scenes import APP, THREADING, classified, profile, ranked, series, used

AT_REST = "run_loop poll"


def test_a_task_that_awaits_is_time_of_the_function_that_awaits() -> None:
    moment = [AT_REST, *["task serve>view>get_balance!read socket"] * 4]
    first, *_ = ranked(Evidence(Span(100.0, instants=series(*[moment] * 24))))
    # Little: 4 tasks at 100 requests/s are 40 ms per request.
    assert first.function == "get_balance" and first.own.value == pytest.approx(0.040)


def test_tasks_that_are_ready_wait_for_what_the_loop_is_at() -> None:
    moment = ["run_loop>view>load_profile!sleep sleep", *["task serve>view>render loop"] * 3]
    first, *_ = ranked(Evidence(Span(100.0, instants=series(*[moment] * 24))))
    assert first.function == "load_profile"
    assert first.own.value == pytest.approx(0.010) and first.blamed.value == pytest.approx(0.040)
    assert "event loop that it kept" in first.evidence


def test_a_profile_of_the_cpu_does_not_settle_who_kept_the_loop() -> None:
    busy = ["run_loop>view>load_profile!sleep sleep", *["task serve>view>render loop"] * 3]
    span = Span(100.0, profile=profile(render=500), instants=series(*[busy] * 24))
    assert ranked(Evidence(span))[0].function == "load_profile"


def test_waiters_for_a_pool_of_coroutines_blame_those_that_keep_it() -> None:
    moments = [
        [
            AT_REST,
            *["task serve>view>cart>load!read socket"] * 2,
            *[f"task serve>view>cart>checkout!get lock@{n}{k}" for k in range(5)],
        ]
        for n in range(30)
    ]
    evidence = Evidence(Span(100.0, instants=series(*moments), resources=used(0.1)))
    first, *_ = ranked(evidence)
    assert first.function == "load" and first.blamed.value == pytest.approx(0.070)
    found = classified(evidence)
    assert found.category == "pool"
    assert "5.00 tasks waited in" in found.evidence[0]


def test_work_handed_to_threads_is_counted_once_and_what_queues_for_them_is_a_queue() -> None:
    waits = [f"task serve>view>submit!wait lock@{k}" for k in range(5)]
    moment = [AT_REST, *["work>transcode sleep"] * 2, *waits]
    idle = series(*[["work!get lock@Q", "work!get lock@Q", AT_REST]] * 8)
    evidence = Evidence(Span(100.0, instants=series(*[moment] * 24)), idle=idle)
    knee = read_evidence(evidence).knee
    # Two requests are with a thread, three queue: five in all, not seven.
    assert knee.account.busy() == pytest.approx(5.0)
    first, *_ = ranked(evidence)
    assert first.function == "transcode" and first.blamed.value == pytest.approx(0.050)


def test_what_waits_for_a_thread_is_not_held_up_by_the_tasks_beside_it() -> None:
    waits = [f"task serve>view lock@thread:{k}" for k in range(4)]
    beside = ["task serve>view!sleep sleep"] * 2
    moment = [AT_REST, *["work>transcode sleep"] * 2, *beside, *waits]
    evidence = Evidence(Span(100.0, instants=series(*[moment] * 24), resources=used(0.1)))
    assert ranked(evidence)[0].function == "transcode"
    assert classified(evidence).category == "workers"


def test_what_the_threads_wait_for_themselves_is_no_want_of_threads() -> None:
    waits = [f"task serve>view lock@thread:{k}" for k in range(8)]
    paying = ["work>checkout>pay!recv socket@n:1"] * 3
    queueing = [f"work>checkout!get lock@C{k}" for k in range(5)]
    moment = [AT_REST, *paying, *queueing, *waits]
    evidence = Evidence(Span(100.0, instants=series(*[moment] * 24), resources=used(0.1)))
    # Every task has a thread: eight requests, not twice as many.
    assert read_evidence(evidence).knee.account.busy() == pytest.approx(8.0)
    assert ranked(evidence)[0].function == "pay"
    assert classified(evidence).category == "pool"


def test_a_task_that_waits_for_a_task_of_its_own_is_no_second_request() -> None:
    parent, child = "task serve>middleware!wait lock@1", "task endpoint>query!read socket"
    evidence = Evidence(Span(100.0, instants=series(*[[AT_REST, parent, child]] * 24)))
    knee = read_evidence(evidence).knee
    assert knee.account.busy() == pytest.approx(1.0)
    assert ranked(evidence)[0].function == "query"
    assert classified(evidence).category != "workers"


WORKER, HANDLER = "task work_off!get lock@Q", "task handler>home"


def queued_for(workers: str, asking: str = f"{HANDLER} await") -> Evidence:
    """Five requests that await a future while two tasks do as told; without load two rest."""
    moment = [AT_REST, *[workers] * 2, *[asking] * 5]
    idle = series(*[[AT_REST, *[WORKER] * 2]] * 8)
    return Evidence(Span(100.0, instants=series(*[moment] * 24), resources=used(0.1)), idle=idle)


def test_a_result_that_tasks_work_for_is_charged_to_them() -> None:
    evidence = queued_for("task work_off>send_push!sleep sleep")
    first, *_ = ranked(evidence)
    # Two are with a task, three queue for one: five requests are there, at 100/s.
    assert first.function == "send_push" and first.blamed.value == pytest.approx(0.050)
    assert classified(evidence).category == "workers"


def test_a_result_is_not_charged_to_tasks_that_were_made_for_requests() -> None:
    evidence = queued_for("task report>render!sleep sleep")
    assert next(f for f in ranked(evidence) if f.function == "home").blamed.value == (
        pytest.approx(0.050)
    )
    assert classified(evidence).category != "workers"


def test_a_library_that_awaits_a_future_may_wait_for_the_network() -> None:
    asking = f"{HANDLER}!read_answer await"
    evidence = queued_for("task work_off>send_push!sleep sleep", asking)
    assert next(f for f in ranked(evidence) if f.function == "home").blamed.value == (
        pytest.approx(0.050)
    )


def test_a_connection_that_waits_for_its_client_is_idle_without_code_of_the_application() -> None:
    moment = [AT_REST, *["task serve await"] * 20, "task serve>view>query!read socket"]
    knee = read_evidence(Evidence(Span(100.0, instants=series(*[moment] * 24)))).knee
    assert knee.account.busy() == pytest.approx(1.0)


def test_tasks_are_no_pool_of_threads_and_have_no_times_of_the_kernel() -> None:
    moment = ["run_loop>view>render on_cpu*", *["task serve>view>query!read socket"] * 6]
    times = ThreadTime(1, 100, "python", {"on_cpu": 0.5, "poll": 0.5})
    states = States("knee", 2.4, (times,), 100)
    span = Span(100.0, service=0.07, instants=series(*[moment] * 24), states=states)
    knee = read_evidence(Evidence(span)).knee
    assert knee.account.states()["socket"] == pytest.approx(6.0)
    assert all(pool.threads == pytest.approx(1.0) for pool in knee.pools.values())
    assert knee.unseen == pytest.approx(0.0, abs=0.6)


def test_no_worker_is_said_to_be_waited_for_by_tasks() -> None:
    busy = ["run_loop>view>load_profile!sleep sleep", *["task serve>view>render loop"] * 3]
    span = Span(100.0, service=0.100, instants=series(*[busy] * 24), resources=used(0.1))
    first, *_ = ranked(Evidence(span))
    assert "before a task had them" in first.evidence and "worker" not in first.evidence


def test_that_the_script_called_a_function_is_not_worth_saying() -> None:
    for caller, said in (("<module>", False), ("view", True)):
        stack = (Frame(caller, APP), Frame("load_profile", APP), Frame("sleep", THREADING))
        look = Instant(0.0, (ThreadSample(1, 1, stack, ThreadState.SLEEP),))
        (finding,) = ranked(Evidence(Span(100.0, instants=Instants(1.0, (look,) * 24))))
        assert ("Called from" in finding.evidence) is said
