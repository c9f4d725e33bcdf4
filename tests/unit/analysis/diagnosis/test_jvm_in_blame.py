"""What is a JVM's own in the answer: its collector, threads grouped by name, recordings that missed
what ran, and states that the kernel calls by another name.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.raked import raked
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.blame.snapshots import thread_group
from perfhunt.analysis.diagnosis.cautions import cautions
from perfhunt.analysis.diagnosis.classify import classify
from perfhunt.analysis.diagnosis.known.runtimes import collecting, is_of_the_jvm
from perfhunt.analysis.diagnosis.ranking import rank
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.model.finding import Bottleneck, BottleneckClass, Finding
from perfhunt.model.profile import (
    Frame,
    FrameKind,
    Instant,
    Instants,
    LockWait,
    Profile,
    ProfileMode,
    Stack,
    ThreadSample,
)
from perfhunt.model.states import States, ThreadState, ThreadTime
from perfhunt.model.trial import Resources
from tests.sample_run import sample_run

ROOT = "java.lang.Thread.run"


def java(*calls: str) -> Stack:
    """`Shop.pay` and the like, below a thread's own start."""
    return tuple(
        Frame(call, call.rpartition(".")[0], 1, kind=FrameKind.JVM) for call in (ROOT, *calls)
    )


def sample(name: str, tid: int, state: ThreadState, *calls: str, on: str = "") -> ThreadSample:
    return ThreadSample(
        pid=1,
        tid=tid,
        stack=java(*calls),
        state=str(state),
        wait_on=on,
        thread_name=name,
        still=state is not ThreadState.ON_CPU,
    )


def answer(knee: Span, base: Span | None = None) -> tuple[Bottleneck, tuple[Finding, ...]]:
    reading = read_evidence(Evidence(knee=knee, baseline=base, runtime="jvm"))
    suspects = suspects_of(reading)
    bottleneck = classify(reading, suspects)
    return bottleneck, rank(reading, suspects, bottleneck.category)


def recorded(paused: float, dropped: int = 0, **ran: float) -> Profile:
    """A recording in which `Shop.list` took three quarters of the memory."""
    waits = (
        LockWait(java("Shop.list"), "gc", 0.75 * paused, 20),
        LockWait(java("Shop.pay"), "gc", 0.25 * paused, 20),
    )
    return Profile(
        tool="jvm",
        version="17",
        mode=ProfileMode.CPU,
        rate_hz=100.0,
        seconds=10.0,
        stacks={java(f"Shop.{name}"): n for name, n in ran.items()},
        ticks=1000,
        dropped=dropped,
        lock_waits=waits if paused else (),
    )


def looked(*threads: ThreadSample) -> Instants:
    return Instants(10.0, tuple(Instant(0.1 * n, threads) for n in range(60)))


BUSY = looked(
    sample("web-1", 11, ThreadState.ON_CPU, "Shop.list"),
    sample("web-2", 12, ThreadState.ON_CPU, "Shop.pay"),
)


def loaded(profile: Profile) -> Span:
    return Span(
        100.0, service=0.04, profile=profile, instants=BUSY, resources=Resources(10.0, cpu=1.1)
    )


def test_a_service_that_its_collector_stops_is_gc_and_who_takes_the_memory_is_first() -> None:
    bottleneck, findings = answer(loaded(recorded(0.4, list=300, pay=300)))
    assert bottleneck.category is BottleneckClass.GC
    assert findings[0].function == "Shop.list" and findings[0].category is BottleneckClass.GC


def test_a_collector_that_hardly_stops_it_is_no_reason() -> None:
    bottleneck, _ = answer(loaded(recorded(0.02, list=300, pay=300)))
    assert bottleneck.category is not BottleneckClass.GC


def test_a_recording_that_missed_most_of_what_ran_gives_way_to_the_looks() -> None:
    """It has only what the recorder can see; the looks have the loop that it cannot."""
    looks = looked(sample("web-1", 11, ThreadState.ON_CPU, "Shop.price"))
    for dropped, first in ((0, "Shop.log"), (900, "Shop.price")):
        span = replace(loaded(recorded(0.0, dropped, log=120)), instants=looks)
        assert answer(span)[1][0].function == first


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("http-8080-exec-1", "http-8080-exec-23", True),
        ("pool-1-thread-1", "pool-2-thread-1", False),
        ("http-8080-exec-1", "baker-1", False),
        ("main", "main", True),
    ],
)
def test_threads_of_one_pool_are_of_one_kind_though_all_begin_alike(
    one: str, other: str, alike: bool
) -> None:
    groups = [thread_group(sample(name, 9, ThreadState.LOCK, "Shop.pay")) for name in (one, other)]
    assert (groups[0] == groups[1]) is alike


def exact(**states: float) -> States:
    return States("knee", 10.0, (ThreadTime(pid=1, tid=11, name="web-1", states=states),), 500)


def test_a_sleep_that_is_a_futex_to_the_kernel_stays_a_sleep() -> None:
    looks = looked(sample("web-1", 11, ThreadState.SLEEP, "Shop.rest", "java.lang.Thread.sleep"))
    told = raked(looks, exact(lock=1.0))
    assert {t.state for instant in told for t in instant.threads} == {"sleep"}


def test_the_time_that_a_collector_stopped_a_running_thread_is_no_lock() -> None:
    """A third of the time it waited on a futex for that, and no look can fall there."""
    running = sample("web-1", 11, ThreadState.ON_CPU, "Shop.list")
    locked = sample("web-1", 11, ThreadState.LOCK, "Shop.list", on="futex:0x1")
    moments = [running] * 58 + [locked] * 2
    looks = Instants(10.0, tuple(Instant(0.1 * n, (t,)) for n, t in enumerate(moments)))
    times = exact(on_cpu=0.64, lock=0.36)

    def locks(profile: Profile | None) -> int:
        told = raked(looks, times, profile)
        return sum(t.state == "lock" for instant in told for t in instant.threads)

    assert locks(None) > 15 > 6 > locks(recorded(1 / 3)) > 0


def test_what_only_serves_the_jvm_is_told_by_its_threads_names() -> None:
    own = (
        "GC Thread#0",
        "G1 Conc#1",
        "C2 CompilerThre",
        "VM Thread",
        "VM Periodic Tas",
        "JFR Sampler",
    )
    assert all(map(is_of_the_jvm, own))
    assert not any(map(is_of_the_jvm, ("web-1", "GCalendar-3", "C3PO", "main", "ZooKeeper")))
    times = [
        ThreadTime(pid=1, tid=n, name=name, states={"on_cpu": 0.3})
        for n, name in enumerate(("GC Thread#0", "VM Thread", "web-1"), 1)
    ]
    states = States("knee", 10.0, tuple(times), 500)
    assert collecting(states, 0.1) == pytest.approx(0.4)  # the VM's own thread only while it stops
    assert collecting(None, 0.1) == 0.0


@pytest.mark.parametrize(
    ("runtime", "compilers", "told"),
    [("jvm", 0.3, True), ("jvm", 0.01, False), ("native", 0.3, False)],
)
def test_a_jvm_that_still_compiles_at_the_knee_is_said_to_be_cold(
    runtime: str, compilers: float, told: bool
) -> None:
    used = {"web-1": 0.7, "C2 CompilerThre": compilers * 2 / 3, "C1 CompilerThre": compilers / 3}
    times = [
        ThreadTime(pid=1, tid=n, name=name, states={"on_cpu": cores})
        for n, (name, cores) in enumerate(used.items(), 1)
    ]
    span = Span(100.0, service=0.04, states=States("knee", 10.0, tuple(times), 500))
    evidence = Evidence(knee=span, runtime=runtime)
    found = cautions(read_evidence(evidence), sample_run().knee, (), None, None, ())
    said = [caution.sentence for caution in found if caution.code == "compiling"]
    assert bool(said) is told
    assert not said or "0.30 of the service's 1.00 cores" in said[0]


@pytest.mark.parametrize(
    ("runs", "category"),
    [
        ("io.netty.channel.nio.NioEventLoop.run", "event-loop-blocked"),
        ("org.xnio.nio.WorkerThread.run", "event-loop-blocked"),
        ("java.util.concurrent.ThreadPoolExecutor.runWorker", "downstream"),
    ],
)
def test_an_event_loop_that_asks_another_service_itself_is_blocked(
    runs: str, category: str
) -> None:
    polls = ("sun.nio.ch.EPoll.wait", ThreadState.POLL, "")
    asks = ("com.acme.Tokens.valid", ThreadState.SOCKET, "10.0.0.9:80")

    def looks(asking: int) -> Instants:
        does = [asks if n < asking else polls for n in range(4)]
        threads = [
            sample(f"loop-{n}", n, how, runs, at, on=on) for n, (at, how, on) in enumerate(does)
        ]
        return Instants(4.0, tuple(Instant(n / 10, tuple(threads)) for n in range(40)))

    base = Span(5.0, service=0.1, instants=looks(1))
    bottleneck, findings = answer(Span(38.0, service=0.8, instants=looks(4)), base)
    assert bottleneck.category == category
    assert findings[0].function == "com.acme.Tokens.valid"
