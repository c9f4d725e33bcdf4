"""What load added to latency, part by part, against scenes whose parts are worked out by hand.

Little's law: threads somewhere over answers per second is the time of a request there.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.classify import classify
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.analysis.diagnosis.waterfall.bridge import waterfall
from perfhunt.model.finding import LatencyPart, Rise, Waterfall
from perfhunt.model.profile import Frame, Instant, Instants, ThreadSample
from perfhunt.model.trial import Interference, Neighbour, Resources, Wire
from tests.unit.scenes import instant, profile, series, stack, used
from tests.unit.trials import HELD

REST = "serve_forever!get lock@I"
IDLE = series(*[[REST] * 6] * 8)


def told(evidence: Evidence) -> Waterfall:
    reading = read_evidence(evidence)
    suspects = suspects_of(reading)
    answer = waterfall(reading, suspects, classify(reading, suspects))
    assert_it_sums(answer)
    return answer


def assert_it_sums(answer: Waterfall) -> None:
    if answer.missing:
        assert not answer.parts and answer.unexplained is None
        return
    assert answer.unexplained is not None
    every = [*answer.parts, answer.unexplained]
    assert sum(part.base for part in every) == pytest.approx(answer.base, abs=1e-12)
    assert sum(part.knee for part in every) == pytest.approx(answer.knee, abs=1e-12)
    assert sum(part.added.value for part in every) == pytest.approx(answer.growth, abs=1e-12)


def added(answer: Waterfall, kind: LatencyPart) -> float:
    """Milliseconds that load added to parts of a kind."""
    return sum(1e3 * part.added.value for part in answer.parts if part.kind is kind)


def largest(answer: Waterfall) -> Rise:
    return answer.parts[0]


def calm(*busy: str, rate: float = 10.0, service: float) -> Span:
    """A fifth of the time one request is there, the rest nobody is."""
    quiet = [[REST] * 6] * 4
    return Span(rate, service=service, instants=series(*[[*busy, *[REST] * 5], *quiet] * 8))


def test_a_single_lock_is_the_part_of_its_holder() -> None:
    base = calm("serve>view>pay sleep", service=0.020)  # 0.2 threads at 10/s
    moment = ["serve>view>pay sleep", *["serve>view>pay lock@A"] * 4, REST]
    knee = Span(100.0, service=0.050, instants=series(*[moment] * 40), resources=used(0.2))
    answer = told(Evidence(knee, base, idle=IDLE))
    # 4 waiters at 100/s are 40 ms; the one that holds sleeps 10 ms, not 20: its own time fell.
    assert (largest(answer).kind, largest(answer).function) == (LatencyPart.LOCK, "pay")
    assert largest(answer).name == "waiting for a lock that pay holds"
    assert added(answer, LatencyPart.LOCK) == pytest.approx(40.0)
    assert added(answer, LatencyPart.SLEEP) == pytest.approx(-10.0)


def test_time_for_a_cpu_is_divided_between_own_threads_and_other_programs() -> None:
    base = calm("serve>view>price on_cpu", service=0.020)
    moment = ["serve>view>price on_cpu"] * 1 + ["serve>view>price run_queue"] * 4
    resources = replace(used(1.0), host_cpu_share=1.0)  # one of two busy cores: half is its own
    knee = Span(
        50.0,
        service=0.100,
        profile=profile(price=900),
        instants=series(*[moment] * 40),
        resources=resources,
    )
    answer = told(Evidence(knee, base, idle=IDLE, cpu_limit=2.0))
    assert added(answer, LatencyPart.RUN_QUEUE) == pytest.approx(40.0)
    assert added(answer, LatencyPart.NEIGHBOURS) == pytest.approx(40.0)
    assert any(part.name.endswith("other programs had") for part in answer.parts)


@pytest.mark.parametrize(("throttled", "own"), [(0.9, 4.0 * (1 - 0.1 * 0.75)), (0.0, 1.0)])
def test_time_for_a_cpu_that_a_quota_kept_is_no_other_threads(throttled: float, own: float) -> None:
    base = calm("serve>view>price on_cpu", service=0.020)
    moment = ["serve>view>price on_cpu"] * 1 + ["serve>view>price run_queue"] * 4
    # A core of its own, and three of others on four cores.
    resources = replace(
        used(1.0),
        host_cpu_share=1.0,
        cpu_limit=1.0,
        throttled=throttled,
    )
    trial = replace(HELD, interference=Interference(10.0, target_busy=4.0), completed=50.0)
    knee = Span(
        50.0,
        service=0.100,
        profile=profile(price=900),
        instants=series(*[moment] * 40),
        resources=resources,
        trial=trial,
    )
    answer = told(Evidence(knee, base, idle=IDLE, cpu_limit=1.0))
    assert added(answer, LatencyPart.RUN_QUEUE) == pytest.approx(own / 50.0 * 1e3)
    (part,) = (p for p in answer.parts if p.kind is LatencyPart.RUN_QUEUE)
    stopped = "waiting for a CPU: the CPU quota of its cgroup stopped it in 90 % of the periods"
    had = "waiting for a CPU that the service's own threads had"
    assert part.name == (stopped if throttled else had)


def test_what_is_queued_while_a_quota_stops_the_service_waits_for_no_code() -> None:
    # One thread, which has work all the time and a core for half of it.
    base = calm("serve>view>price on_cpu", service=0.020)
    moments = [["serve>view>price on_cpu"], ["serve>view>price run_queue"]] * 20
    resources = replace(used(0.5, limit=0.5), throttled=0.9)
    trial = replace(HELD, interference=Interference(10.0, cores=2.0), completed=50.0)
    knee = Span(
        50.0,
        service=0.100,
        profile=profile(price=900),
        instants=series(*moments),
        resources=resources,
        trial=trial,
    )
    answer = told(Evidence(knee, base, idle=IDLE, cpu_limit=0.5))
    queued = {p.meanwhile: p.knee for p in answer.parts if p.kind is LatencyPart.QUEUED}
    assert queued[LatencyPart.RUN_QUEUE] == pytest.approx(queued[LatencyPart.CPU])
    assert {p.name for p in answer.parts} >= {"queued, while the service waited for a CPU"}


def test_the_gil_is_one_part_whoever_waits_for_it() -> None:
    base = calm("serve>view>total on_cpu*", service=0.020)
    moment = ["serve>view>total on_cpu*", "serve>view>render gil", "serve>view>total gil"]
    knee = Span(
        50.0,
        service=0.060,
        profile=profile(total=900),
        instants=series(*[moment] * 40),
        resources=used(1.0),
    )
    answer = told(Evidence(knee, base, idle=IDLE))
    assert (largest(answer).kind, largest(answer).name) == (LatencyPart.GIL, "waiting for the GIL")
    assert added(answer, LatencyPart.GIL) == pytest.approx(40.0)
    assert answer.closure == pytest.approx(0.0, abs=1e-9)
    assert not answer.differs


def test_a_pool_is_the_part_of_those_that_keep_it() -> None:
    base = calm("serve>view>cart>load socket@db:5432", service=0.020)
    moment = ["serve>view>cart>load socket@db:5432"] * 2 + [
        f"serve>view>cart>checkout!get lock@{k}" for k in range(4)
    ]
    knee = Span(100.0, service=0.060, instants=series(*[moment] * 40), resources=used(0.1))
    answer = told(Evidence(knee, base, idle=IDLE))
    assert (largest(answer).kind, largest(answer).function) == (LatencyPart.POOL, "load")
    assert added(answer, LatencyPart.POOL) == pytest.approx(40.0)
    assert any(part.name == "waiting for db:5432 in load" for part in answer.parts)


def test_the_work_of_a_helper_is_seen_in_the_wait_for_it_and_not_counted_twice() -> None:
    idle = series(*[["work!get lock@Q", REST]] * 8)
    base = Span(
        10.0,
        service=0.020,
        instants=series(
            *[["work>transcode sleep", "serve>view>submit!wait lock@1"], *[[REST]] * 4] * 8
        ),
    )
    moment = ["work>transcode sleep", *[f"serve>view>submit!wait lock@{n}" for n in range(5)]]
    knee = Span(100.0, service=0.050, instants=series(*[moment] * 40))
    answer = told(Evidence(knee, base, idle=idle))
    assert (largest(answer).kind, largest(answer).function) == (LatencyPart.HANDOFF, "transcode")
    assert added(answer, LatencyPart.SLEEP) == 0.0  # of transcode: its waiters wait for it
    assert answer.unexplained is not None
    assert answer.unexplained.added.value == pytest.approx(0.0, abs=1e-9)


def test_a_thread_that_is_as_busy_at_any_load_is_no_part_of_latency() -> None:
    ticker = "tick>report on_cpu"
    base = Span(10.0, service=0.020, instants=series(*[[ticker, REST]] * 32, [ticker, REST]))
    knee = Span(
        100.0,
        service=0.020,
        instants=series(*[[ticker, "serve>view>ask socket@n:1", "serve>view>ask socket@n:1"]] * 32),
    )
    answer = told(Evidence(knee, base, idle=IDLE))
    assert [p.kind for p in answer.parts if p.base or p.knee] == [
        LatencyPart.SOCKET,
        LatencyPart.OUTSIDE,
    ]


def loop(text: str) -> ThreadSample:
    calls, state = text.rsplit(" ", 1)
    root = (Frame("run_forever", "/usr/lib/python3.11/asyncio/base_events.py"),)
    tail = stack(calls) if calls else (Frame("select", "/usr/lib/python3.11/selectors.py"),)
    return ThreadSample(1, 1, (*root, *tail), state)


def looped(*states: str) -> Instants:
    moments = tuple(Instant(n / 10, (loop(text),)) for n, text in enumerate(states))
    return Instants(len(states) / 10, moments)


def test_requests_that_wait_for_a_blocked_loop_wait_for_what_blocks_it() -> None:
    poll, blocked = " poll", "view>load sleep"
    base = Span(10.0, service=0.030, instants=looped(*[blocked, poll, poll, poll, poll] * 8))
    knee = Span(40.0, service=0.100, instants=looped(*[blocked, blocked, blocked, poll] * 10))
    answer = told(Evidence(knee, base, idle=looped(*[poll] * 10)))
    # 0.75 of the loop at 40/s are 19 ms, at the baseline 20 ms; 10 ms no thread ever shows.
    first = largest(answer)
    assert (first.kind, first.meanwhile) == (LatencyPart.LOOP, LatencyPart.SLEEP)
    assert first.name == "waiting for the event loop, which slept in load"
    assert first.inferred
    assert first.added.value == pytest.approx(0.100 - 0.75 / 40 - 0.010)
    assert answer.inferred > 0.9


def test_a_task_that_could_go_on_waits_for_what_the_loop_does_at_that_moment() -> None:
    ready = tuple(ThreadSample(1, 0, stack("view>load"), "loop", task=True) for i in range(3))
    moments = [Instant(n / 10, (loop("view>crunch on_cpu"), *ready)) for n in range(40)]
    base = Span(10.0, service=0.020, instants=looped(*[" poll"] * 40))
    knee = Span(40.0, service=0.120, instants=Instants(4.0, tuple(moments)))
    first = largest(told(Evidence(knee, base, idle=looped(*[" poll"] * 10))))
    assert first.name == "waiting for the event loop, which ran crunch"
    assert first.added.value == pytest.approx(3 / 40)
    assert first.inferred == 0.0


def test_a_timer_that_is_late_waited_for_its_loop() -> None:
    def looks(tasks: int, *busy: str) -> Instants:
        asleep = tuple(
            ThreadSample(1, 0, stack("view>mail"), "sleep", task=True) for _ in range(tasks)
        )
        return Instants(4.0, tuple(Instant(n / 10, (loop(b), *asleep)) for n, b in enumerate(busy)))

    runs, poll = "view>crunch on_cpu", " poll"
    base = Span(25.0, service=0.044, instants=looks(1, *[runs, *[poll] * 9] * 4))
    knee = Span(50.0, service=0.136, instants=looks(6, *[*[runs] * 8, *[poll] * 2] * 4))
    answer = told(Evidence(knee, base, idle=looped(*[poll] * 10)))
    # 40 ms asleep at the baseline, 120 ms at the knee: the loop came 80 ms late.
    assert added(answer, LatencyPart.SLEEP) == pytest.approx(0.0)
    assert added(answer, LatencyPart.LOOP) == pytest.approx(80.0)
    assert largest(answer).name == "waiting for the event loop, which ran crunch"


def test_a_loop_with_time_to_spare_explains_no_queue() -> None:
    poll, runs = " poll", "view>load on_cpu"
    base = Span(10.0, service=0.030, instants=looped(*[runs, *[poll] * 19] * 2))
    knee = Span(40.0, service=0.100, instants=looped(*[runs, *[poll] * 4] * 8))
    answer = told(Evidence(knee, base, idle=looped(*[poll] * 10)))
    assert added(answer, LatencyPart.LOOP) == 0.0
    assert answer.unexplained is not None
    assert answer.unexplained.added.value == pytest.approx(0.070)
    assert answer.closure == pytest.approx(1.0)


def test_what_a_coroutine_awaits_is_a_part_by_function_and_call() -> None:
    def awaiting(n: int) -> tuple[ThreadSample, ...]:
        chain = (*stack("view>balance"), Frame("acquire", "/usr/lib/python3.11/asyncio/locks.py"))
        return tuple(ThreadSample(1, 0, chain, "await", task=True) for i in range(n))

    base = Span(10.0, service=0.020, instants=series(*[[REST]] * 40))
    moments = tuple(Instant(n / 10, (*instant(REST).threads, *awaiting(4))) for n in range(40))
    knee = Span(40.0, service=0.120, instants=Instants(4.0, moments))
    first = largest(told(Evidence(knee, base, idle=IDLE)))
    assert (first.kind, first.function) == (LatencyPart.AWAIT, "balance")
    assert first.name == "awaiting acquire (asyncio/locks.py) in balance"
    assert first.added.value == pytest.approx(4 / 40)


def test_threads_that_work_for_an_awaiting_task_are_not_counted_beside_it() -> None:
    def moment(n: int, busy: int) -> Instant:
        chain = (*stack("view"), Frame("run_sync", "/usr/lib/python3.11/anyio/to_thread.py"))
        tasks = [ThreadSample(1, 0, chain, "await", task=True) for i in range(busy)]
        threads = instant(*["work>view>mail sleep"] * busy, *["work!get lock@Q"] * (8 - busy))
        return Instant(n / 10, (loop(" poll"), *tasks, *threads.threads))

    def span(rate: float, service: float, *busy: int) -> Span:
        moments = tuple(moment(n, b) for n, b in enumerate(busy))
        return Span(rate, service=service, instants=Instants(len(busy) / 10, moments))

    idle = Instants(1.0, tuple(moment(n, 0) for n in range(10)))
    answer = told(
        Evidence(span(100.0, 0.060, *[6] * 40), span(10.0, 0.020, *[1, 0, 0, 0, 0] * 8), idle=idle)
    )
    assert added(answer, LatencyPart.SLEEP) == 0.0
    assert added(answer, LatencyPart.AWAIT) == pytest.approx(40.0)
    assert answer.closure == pytest.approx(0.0, abs=1e-9)


def test_other_programs_that_had_the_cpu_are_named() -> None:
    base = calm("serve>view>price run_queue", service=0.020)
    other = Interference(10.0, busiest=(Neighbour("postgres", 0.8), Neighbour("node", 0.2)))
    late = replace(
        HELD, completed=50.0, service=replace(HELD.service, mean=0.080), interference=other
    )
    knee = Span(
        50.0,
        service=0.080,
        trial=replace(late, response=late.service),
        instants=series(*[["serve>view>price run_queue"] * 4] * 40),
        resources=replace(used(0.2), host_cpu_share=1.0),
    )
    first = largest(told(Evidence(knee, base, idle=IDLE, cpu_limit=2.0)))
    assert first.name == "waiting for a CPU that other programs had (postgres, node)"


def unread(connections: float) -> Resources:
    return replace(used(0.1), unread=connections, unread_error=0.0)


def test_a_request_in_a_socket_that_nobody_read_is_queued_and_seen() -> None:
    base = replace(calm("serve>view>ask socket@n:1", service=0.020), resources=unread(0.0))
    moment = ["serve>view>ask socket@n:1"] * 4
    knee = Span(40.0, service=0.200, instants=series(*[moment] * 40), resources=unread(3.0))
    answer = told(Evidence(knee, base))
    # 3 connections at 40/s: 75 ms; what is left of the 180 ms beside 80 ms of asking is not known.
    assert added(answer, LatencyPart.QUEUED) == pytest.approx(75.0)
    assert not any(part.inferred for part in answer.parts)
    assert answer.unexplained is not None
    assert 1e3 * answer.unexplained.added.value == pytest.approx(180 - 75 - 80)


def test_a_server_that_reads_first_has_its_queue_inside() -> None:
    base = replace(calm("serve>view>ask socket@n:1", service=0.020), resources=unread(0.0))
    moment = ["serve>view>ask socket@n:1"] * 4
    knee = Span(40.0, service=0.200, instants=series(*[moment] * 40), resources=unread(0.1))
    answer = told(Evidence(knee, base))
    assert added(answer, LatencyPart.QUEUED) == pytest.approx(100.0)
    assert answer.inferred == pytest.approx((0.1 - 0.1 / 40) / 0.18)


def test_where_no_socket_can_be_looked_into_taken_threads_tell_of_a_queue() -> None:
    base = calm("serve>view>ask socket@n:1", service=0.020)
    knee = Span(40.0, service=0.200, instants=series(*[["serve>view>ask socket@n:1"] * 4] * 40))
    answer = told(Evidence(knee, base))
    first = largest(answer)
    assert first.kind is LatencyPart.QUEUED
    assert first.inferred == pytest.approx(0.1)
    assert first.name == "queued, while the service waited for a socket in ask"
    assert first.added.value == pytest.approx(0.100)


def test_requests_sent_late_are_a_part_of_their_own() -> None:
    base, knee = calm("serve>view>ask socket@n:1", service=0.020), ["serve>view>ask socket@n:1"]
    late = replace(
        HELD,
        completed=10.0,
        service=replace(HELD.service, mean=0.100),
        response=replace(HELD.response, mean=0.130, p99=0.4),
    )
    span = Span(10.0, service=0.100, trial=late, instants=series(*[knee] * 40))
    answer = told(Evidence(span, base))
    assert added(answer, LatencyPart.GENERATOR) == pytest.approx(30.0)
    assert (answer.knee, answer.knee_p99) == (0.130, 0.4)


def test_an_answer_that_waits_for_an_acknowledgement_is_a_part_of_its_own() -> None:
    held = Wire(answers=1000, in_pieces=1000, held=900, held_total=36.0)  # 36 ms of each
    trial = replace(HELD, completed=100.0, service=replace(HELD.service, mean=0.076), wire=held)
    trial = replace(trial, response=trial.service)
    base = calm("serve>view>ask socket@n:1", service=0.020)
    knee = Span.of(trial, instants=series(*[["serve>view>ask socket@n:1"] * 4] * 40))
    answer = told(Evidence(knee, base))
    assert added(answer, LatencyPart.ACK) == pytest.approx(36.0)
    assert answer.closure == pytest.approx(0.0, abs=1e-9)


def test_a_largest_part_that_is_not_of_the_class_is_said_to_differ() -> None:
    free = "serve!get lock@I"  # half of the pool's threads: nothing queues for one
    idle = series(*[[free] * 10] * 8)
    base = Span(
        10.0,
        service=0.020,
        instants=series(*[["serve>view>pay sleep", *[free] * 9], *[[free] * 10] * 4] * 8),
        resources=unread(0.0),
    )
    moment = ["serve>view>pay sleep", *["serve>view>pay lock@A"] * 4, *[free] * 5]
    knee = Span(100.0, service=0.450, instants=series(*[moment] * 40), resources=unread(0.0))
    answer = told(Evidence(knee, base, idle=idle))
    assert "not accounted for" in answer.differs
    assert "(lock)" in answer.differs
