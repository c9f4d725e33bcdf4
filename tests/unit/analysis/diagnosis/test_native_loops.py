"""Workers of a compiled event loop: one that is parked has no work, one that sleeps in a task holds
up the others.
"""

from __future__ import annotations

from dataclasses import replace

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.features import loop_loads
from perfhunt.model.finding import BottleneckClass
from perfhunt.model.profile import (
    Frame,
    FrameKind,
    Instant,
    Instants,
    LongPoll,
    Profile,
    ProfileMode,
    Stack,
    ThreadSample,
)
from tests.unit.scenes import classified

PROGRAM = "/srv/shop/shop"
RUN = "tokio::runtime::scheduler::multi_thread::worker::run"
PARK = "tokio::runtime::scheduler::multi_thread::park::Parker::park"


def stack(*functions: str) -> Stack:
    return tuple(Frame(name, PROGRAM, kind=FrameKind.NATIVE) for name in functions)


PARKED = stack(RUN, PARK, "<std::sys::sync::condvar::futex::Condvar>::wait")
BLOCKED = stack(RUN, "shop::receipt", "std::thread::functions::sleep")


def worker(at: Stack, state: str, tid: int) -> ThreadSample:
    return ThreadSample(1, tid, at, state, thread_name="tokio-runtime-w", still=True)


def instants(*pairs: tuple[Stack, str]) -> Instants:
    threads = tuple(worker(at, state, 2 + n) for n, (at, state) in enumerate(pairs))
    return Instants(4.0, tuple(Instant(0.1 * n, threads) for n in range(40)))


def evidence(*pairs: tuple[Stack, str]) -> Evidence:
    idle = instants((PARKED, "lock"), (PARKED, "lock"))
    knee = Span(100.0, 0.05, instants=instants(*pairs))
    return Evidence(knee, idle=idle, runtime="native", cpu_limit=8.0)


def test_a_parked_worker_waits_for_work_and_is_not_blocked() -> None:
    loads = loop_loads(read_evidence(evidence((PARKED, "lock"), (PARKED, "lock"))))
    assert len(loads) == 2
    assert all(load.blocked == 0 for load in loads.values())


def test_a_worker_that_sleeps_in_a_task_blocks_the_loop() -> None:
    seen = evidence((BLOCKED, "sleep"), (BLOCKED, "sleep"))
    assert classified(seen).category == BottleneckClass.EVENT_LOOP_BLOCKED


def test_a_worker_that_computes_in_a_task_is_a_busy_loop_and_the_console_says_which_task() -> None:
    computing = stack(RUN, "shop::render")
    seen = evidence((computing, "on_cpu"), (computing, "on_cpu"))
    polls = (LongPoll("task of src/main.rs:61", 0.012, 400),)
    told = Profile("perf", "6.1", ProfileMode.CPU, 99, 4.0, {computing: 400.0}, long_polls=polls)
    bottleneck = classified(replace(seen, knee=replace(seen.knee, profile=told)))
    assert bottleneck.category == BottleneckClass.EVENT_LOOP
    assert any("task of src/main.rs:61 was polled for 12 ms" in s for s in bottleneck.evidence)


POOL = "tokio::runtime::blocking::pool::Inner::run"
POLL = "tokio::runtime::task::core::Core<T,S>::poll"
AT_WORK = stack(POOL, POLL, "shop::thumbnail", "std::thread::functions::sleep")
MAIN = stack("shop::main", "tokio::runtime::park::Inner::park", "<Condvar>::wait")
RESTS = stack(POOL, "<std::sys::sync::condvar::futex::Condvar>::wait_optional_timeout")


def with_pool(in_flight: float, *pool: tuple[Stack, str]) -> Evidence:
    """Workers and a main thread that are parked beside a pool's threads, with so many requests
    there at a time.
    """
    seen = evidence((PARKED, "lock"), (PARKED, "lock"), (MAIN, "lock"), *pool)
    return replace(seen, knee=replace(seen.knee, completed=100.0, service=in_flight / 100.0))


def test_a_pool_whose_threads_are_all_taken_while_requests_wait_is_too_small() -> None:
    bottleneck = classified(with_pool(6.0, (AT_WORK, "sleep"), (AT_WORK, "sleep")))
    assert bottleneck.category == BottleneckClass.WORKERS
    assert "2.0 of 2.0 threads of tokio's blocking pool had work" in bottleneck.evidence[0]


def test_a_pool_that_grows_with_its_requests_or_rests_is_not_too_small() -> None:
    for seen in (
        with_pool(2.0, (AT_WORK, "sleep"), (AT_WORK, "sleep")),
        with_pool(6.0, (RESTS, "lock"), (RESTS, "lock")),
    ):
        assert classified(seen).category != BottleneckClass.WORKERS


def test_a_thread_that_idles_in_epoll_is_a_loop_whatever_runs_it() -> None:
    waits = (
        *stack("main", "turn"),
        Frame("epoll_wait", "/usr/lib/libc.so.6", kind=FrameKind.NATIVE),
    )
    asleep = stack("main", "turn", "on_request", "shop::receipt")
    seen = replace(evidence((asleep, "sleep")), idle=instants((waits, "poll")))
    assert len(loop_loads(read_evidence(seen))) == 1
    assert classified(seen).category == BottleneckClass.EVENT_LOOP_BLOCKED


def test_a_thread_that_idles_in_accept_is_no_loop() -> None:
    waits = (*stack("main", "serve"), Frame("accept", "/usr/lib/libc.so.6", kind=FrameKind.NATIVE))
    seen = replace(
        evidence((stack("main", "serve", "pay"), "sleep")), idle=instants((waits, "poll"))
    )
    assert not loop_loads(read_evidence(seen))
