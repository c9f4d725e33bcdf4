"""A class of bottleneck exists only where the runtime has the thing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.blame.evidence import Evidence
from perfhunt.analysis.diagnosis.diagnosis import diagnose
from perfhunt.analysis.diagnosis.known.runtimes import traits_of
from perfhunt.model.finding import Bottleneck, BottleneckClass
from perfhunt.model.profile import Frame, FrameKind, LockWait
from tests.unit.analysis.diagnosis import field
from tests.unit.scenes import classified


@pytest.mark.parametrize(
    ("evidence", "classes"),
    [
        pytest.param(field.go_mutex(), {"lock"}, id="go: goroutines wait for a mutex"),
        pytest.param(field.java_monitor(), {"lock"}, id="java: threads wait for a monitor"),
        pytest.param(field.node_pool(), {"workers", "cpu"}, id="node: libuv's pool is taken"),
        pytest.param(field.node_loop(), {"event-loop", "cpu"}, id="node: JavaScript all the time"),
    ],
)
def test_a_service_of_another_runtime_has_a_class_of_that_runtime(
    evidence: Evidence, classes: set[str]
) -> None:
    assert classified(evidence).category in classes


def starved() -> Evidence:
    """The sampler's word for a wait that CPython's GIL explains, and nothing else."""
    busy = [{"on_cpu": 0.95}, *[{"gil": 0.9, "on_cpu": 0.1}] * 4]
    base = [{"poll": 0.9, "on_cpu": 0.1}, *[{"lock": 1.0}] * 4]
    return Evidence(field.span(95.0, 0.08, busy, 0.97), field.span(10.0, 0.01, base, 0.1))


@pytest.mark.parametrize(
    ("runtime", "version", "is_there"),
    [
        ("cpython", "3.12.1", True),
        ("cpython", "3.13.0t", False),
        ("ruby", "3.3.0", True),
        ("go", "1.22.1", False),
        ("node", "22.1.0", False),
        ("jvm", "21", False),
        ("native", "", False),
    ],
)
def test_the_gil_is_a_class_of_runtimes_that_have_one(
    runtime: str, version: str, is_there: bool
) -> None:
    evidence = replace(starved(), runtime=runtime, version=version, cpu_limit=8.0)
    named = classified(evidence)
    assert (named.category == "gil") == is_there
    assert is_there or not mentions(named, "GIL", "Python")


def mentions(bottleneck: Bottleneck, *words: str) -> bool:
    said = " ".join((*bottleneck.evidence, str(bottleneck.runner_up)))
    return any(word.lower() in said.lower() for word in words)


@pytest.mark.parametrize("runtime", ["go", "ruby", "of its own"])
def test_an_event_loop_is_no_class_where_nobody_sees_one(runtime: str) -> None:
    traits = traits_of(runtime)
    assert not traits.has(BottleneckClass.EVENT_LOOP)
    assert not traits.has(BottleneckClass.EVENT_LOOP_BLOCKED)
    assert traits.has(BottleneckClass.LOCK) and traits.has(BottleneckClass.CPU)


def test_what_several_loops_of_a_process_compute_is_anyones_use_of_the_cores() -> None:
    assert traits_of("jvm").has(BottleneckClass.EVENT_LOOP_BLOCKED)
    assert not traits_of("jvm").has(BottleneckClass.EVENT_LOOP)


def test_garbage_is_collected_only_where_there_is_a_collector() -> None:
    assert traits_of("jvm").has(BottleneckClass.GC)
    assert not traits_of("native").has(BottleneckClass.GC)


def test_a_function_that_runs_is_not_to_be_changed_where_threads_wait_for_a_monitor() -> None:
    done = diagnose(field.java_monitor(), field.climb(), None, ())
    assert done.bottleneck is not None and done.bottleneck.category == "lock"
    assert done.findings[0].function == "digest"
    assert not done.next_step.startswith("Change")
    assert "jcmd PID Thread.print" in done.next_step


@pytest.mark.parametrize(
    ("processes", "cores", "category"),
    [(1, 8.0, "event-loop"), (1, 1.0, "event-loop"), (2, 2.0, "cpu"), (2, 8.0, "event-loop")],
)
def test_a_busy_loop_is_the_reason_unless_several_of_them_use_up_the_cores(
    processes: int, cores: float, category: str
) -> None:
    assert classified(field.loops(processes, cores)).category == category


def test_a_runtime_that_tells_of_its_locks_names_who_waits_and_that_is_to_be_changed() -> None:
    evidence = field.java_monitor()
    assert evidence.knee.profile is not None
    stack = tuple(Frame(f"App.{name}", "App", 9, FrameKind.JVM) for name in ("handle", "post"))
    waits = (LockWait(stack, "lock", threads=6.5, n=300),)
    seen = replace(evidence.knee, profile=replace(evidence.knee.profile, lock_waits=waits))
    done = diagnose(replace(evidence, knee=seen), field.climb(), None, ())
    assert done.bottleneck is not None and done.bottleneck.category == "lock"
    assert "6.50 waited in App.post" in done.bottleneck.evidence[0]
    assert (done.findings[0].function, done.findings[0].category) == ("App.post", "lock")
    assert done.findings[0].blamed.value == pytest.approx(6.5 / 95.0)
    assert done.next_step.startswith("Change App.post")


def test_threads_of_another_runtime_that_wait_on_the_socket_of_a_database_are_told() -> None:
    busy = [{"lock": 1.0}, *[{"socket": 0.9, "lock": 0.1}] * 9]
    base = [{"lock": 1.0}, *[{"socket": 0.02, "lock": 0.98}] * 9]
    knee, calm = field.span(95.0, 0.090, busy, 0.2), field.span(10.0, 0.012, base, 0.02)
    assert knee.states is not None
    named = tuple(
        replace(t, endpoints={"10.0.0.5:5432": t.states.get("socket", 0.0)})
        for t in knee.states.threads
    )
    seen = replace(knee, states=replace(knee.states, threads=named))
    found = classified(Evidence(seen, calm, runtime="jvm"))
    assert found.category == "database" and "10.0.0.5:5432" in found.evidence[0]
