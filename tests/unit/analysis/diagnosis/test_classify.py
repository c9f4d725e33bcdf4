"""The class of bottleneck, from captures drawn by hand after the textbook picture of each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.diagnosis.classify import decide
from perfhunt.analysis.diagnosis.rules.score import ClassScore
from perfhunt.model.finding import Bottleneck, BottleneckClass
from perfhunt.model.profile import Frame, Instant, Instants, ThreadSample
from perfhunt.model.trial import Interference, Neighbour, Resources, RouteResult, Trial
from tests.unit.scenes import classified, instant, profile, series, stack, used
from tests.unit.trials import HELD, QUICK

REST = "serve_forever!get lock@I"
CALM = Span(
    10.0,
    service=0.012,
    profile=profile(render=60),
    instants=series(*[[REST] * 8] * 9, ["serve>view>render on_cpu*"]),
)


def judged(knee: Span, base: Span | None = CALM, **more: object) -> Bottleneck:
    evidence = Evidence(knee, base, cpu_limit=2.0, **more)  # type: ignore[arg-type]
    return classified(evidence)


def test_every_core_busy_and_threads_queueing_for_one_is_cpu() -> None:
    moments = [
        Instant(
            n / 10,
            tuple(
                t
                for pid in (1, 2, 3, 4)
                for t in instant(f"serve>view>price {state}", pid=pid).threads
            ),
        )
        for n in range(32)
        for state in ["on_cpu" if n % 2 else "run_queue"]
    ]
    knee = Span(
        150.0,
        service=0.030,
        profile=profile(price=900),
        instants=Instants(3.2, tuple(moments)),
        resources=used(1.95),
    )
    assert judged(knee).category == "cpu"


def test_one_core_and_threads_waiting_for_the_gil_is_gil() -> None:
    moment = ["serve>view>total on_cpu*", *["serve>view>total gil"] * 4]
    knee = Span(
        110.0,
        service=0.046,
        profile=profile(total=900),
        instants=series(*[moment] * 32),
        resources=used(0.97),
    )
    assert judged(knee).category == "gil"


def test_waiting_for_one_holder_at_one_address_is_lock() -> None:
    moment = ["serve>view>pay sleep", *["serve>view>pay lock@A"] * 4]
    knee = Span(
        120.0,
        service=0.042,
        profile=profile(render=100),
        instants=series(*[moment] * 32),
        resources=used(0.3),
    )
    found = judged(knee)
    assert found.category == "lock"
    assert "4.00 threads waited in pay" in found.evidence[0]


def test_what_parts_grew_by_is_no_class_while_answers_took_no_longer() -> None:
    asking = "serve>view>authorise!recv socket@10.0.0.9:443"

    def at(rate: float, service: float, *threads: int) -> Span:
        moments = [[asking] * n + [REST] * (8 - n) for n in threads]
        return Span(
            rate, service, profile=profile(view=60), instants=series(*moments), resources=used(0.1)
        )

    before = at(10.0, 0.062, *[1, 0, 1, 0, 1] * 6)
    assert judged(at(50.0, 0.072, *[3, 4] * 16), before).category == "downstream"
    # Looks met a few more of them, and the answers came as soon as before.
    assert judged(at(50.0, 0.062, *[3, 4] * 16), before).category == "undetermined"


def test_a_share_is_told_of_what_it_is_a_share_of() -> None:
    moment = ["serve>view>pay lock@A"] * 4
    knee = Span(100.0, service=0.05, instants=series(*[moment] * 32), resources=used(0.3))
    seen = "Waiting for locks is 100 % of the "
    assert f"{seen}latency that load added." in judged(knee).evidence
    assert f"{seen}latency that was seen." in judged(knee, None).evidence


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("goroutine", "goroutines"),
        ("greenlet", "greenlets"),
        ("task", "tasks"),
        ("promise", "calls"),
        ("orders-7", "virtual threads"),
    ],
)
def test_what_waits_is_called_as_its_runtime_calls_it(name: str, called: str) -> None:
    holder, *waiting = instant(
        "serve>view>pay sleep+A", *["task serve>view>pay lock@A"] * 4
    ).threads
    moment = (holder, *(replace(task, thread_name=name) for task in waiting))
    knee = Span(
        120.0,
        service=0.042,
        profile=profile(render=100),
        instants=Instants(3.2, tuple(Instant(n / 10, moment) for n in range(32))),
        resources=used(0.3),
    )
    found = judged(knee)
    assert found.category == "lock"
    assert f"4.00 {called} waited in pay" in found.evidence[0]


def test_a_lock_is_said_to_be_taken_where_others_wait_for_it() -> None:
    moment = ["serve>view>pay>ask!recv socket@n:1", *["serve>view>pay!enter lock@A"] * 4]
    knee = Span(120.0, service=0.042, instants=series(*[moment] * 32), resources=used(0.3))
    found = judged(knee)
    assert found.category == "lock"
    assert found.evidence[0] == (
        "4.00 threads waited in pay on average, for what pay holds while it is in ask."
    )


def test_several_past_a_lock_that_all_wait_for_are_told_from_a_single_lock() -> None:
    def of(holders: int) -> str:
        past = ["serve>view>pay>ask!recv socket@n:1"] * holders
        moment = [*past, *["serve>view>pay!enter lock@A"] * 4]
        knee = Span(120.0, service=0.058, instants=series(*[moment] * 32), resources=used(0.3))
        found = judged(knee)
        assert found.category == "lock"
        return " ".join(found.evidence)

    assert "3.0 were in ask by the same way at once" in of(3)
    assert "at once" not in of(1)


def test_waiting_for_one_of_several_each_at_an_address_of_its_own_is_pool() -> None:
    moment = ["serve>view>cart>load socket@db:5432"] * 3 + [
        f"serve>view>cart>take!get lock@{n}" for n in range(5)
    ]
    knee = Span(
        120.0,
        service=0.067,
        profile=profile(render=100),
        instants=series(*[moment] * 32),
        resources=used(0.3),
    )
    assert judged(knee).category == "pool"


@pytest.mark.parametrize(
    ("endpoint", "category"), [("10.0.0.5:5432", "database"), ("10.0.0.5:8080", "downstream")]
)
def test_an_answer_that_takes_longer_under_load_is_the_peers_and_names_the_endpoint(
    endpoint: str, category: str
) -> None:
    moment = [f"serve>view>ask socket@{endpoint}"] * 9
    knee = Span(
        100.0,
        service=0.092,
        profile=profile(render=100),
        instants=series(*[moment] * 32),
        resources=used(0.3),
    )
    found = judged(knee)
    assert found.category == category
    assert endpoint in found.evidence[0]


def test_every_thread_asleep_on_purpose_while_requests_queue_is_workers() -> None:
    base = Span(
        5.0,
        service=0.050,
        instants=series(*[["serve>view>nap sleep", *[REST] * 3], [REST] * 4] * 8),
    )
    knee = Span(
        80.0,
        service=0.250,
        profile=profile(render=90),
        instants=series(*[["serve>view>nap sleep"] * 4] * 32),
        resources=used(0.2),
    )
    assert judged(knee, base).category == "workers"


def test_sleep_that_grows_with_load_is_a_lock_that_is_polled() -> None:
    base = Span(
        10.0,
        service=0.012,
        instants=series(*[["serve>view>save sleep", *[REST] * 7], *[[REST] * 8] * 9] * 4),
    )
    knee = Span(
        80.0,
        service=0.100,
        profile=profile(render=90),
        instants=series(*[["serve>view>save sleep"] * 8] * 32),
        resources=used(0.3),
    )
    assert judged(knee, base).category == "lock"


def loop(*threads: str) -> Instants:
    """A loop's thread, one state per instant, under asyncio's frames."""
    root = (Frame("_run_once", "/usr/lib/python3.11/asyncio/base_events.py"),)
    return Instants(
        len(threads) / 10,
        tuple(
            Instant(n / 10, (ThreadSample(1, 1, root + stack(calls), state),))
            for n, (calls, state) in enumerate(t.split(" ") for t in threads)
        ),
    )


def test_a_loop_that_computes_all_the_time_is_event_loop() -> None:
    knee = Span(
        120.0,
        service=0.080,
        profile=profile(score=900),
        instants=loop(*["serve>view>score on_cpu"] * 32),
        resources=used(0.95),
    )
    assert judged(knee, None).category == "event-loop"


def test_a_loop_that_sleeps_outside_its_poll_is_event_loop_blocked() -> None:
    spans = loop(
        *[
            "serve>view>load sleep",
            "serve>view>load sleep",
            "serve>view>render on_cpu",
            "serve!select poll",
        ]
        * 8
    )
    knee = Span(
        90.0, service=0.050, profile=profile(render=200), instants=spans, resources=used(0.3)
    )
    found = judged(knee, None)
    assert found.category == "event-loop-blocked"
    assert "sleep" in found.evidence[0]


def test_time_in_storage_is_disk() -> None:
    moment = ["serve>view>save disk@/srv/journal"] * 6
    knee = Span(
        100.0,
        service=0.062,
        profile=profile(render=100),
        instants=series(*[moment] * 32),
        resources=used(0.3),
    )
    assert judged(knee).category == "disk"


def trial(p50: float, statuses: dict[int, int], cpu: float = 0.2) -> Trial:
    latency = replace(QUICK, p50=p50, p90=2 * p50, p95=2 * p50, p99=3 * p50, mean=p50)
    return replace(
        HELD,
        response=latency,
        service=latency,
        outcomes={"ok": 900, "status": 100},
        generator=replace(HELD.generator, cpu=cpu),
        routes={"all": RouteResult(latency, latency, statuses, {})},
    )


def test_refusals_at_the_latency_of_the_baseline_are_a_limiter() -> None:
    knee = replace(Span.of(trial(0.011, {200: 850, 429: 150})), resources=used(0.2))
    assert judged(knee, Span.of(trial(0.010, {200: 1000}))).category == "limiter"


def test_a_generator_at_its_end_before_an_idle_target_is_generator() -> None:
    knee = replace(Span.of(trial(0.011, {200: 1000}, cpu=0.99)), resources=used(0.2))
    assert judged(knee, Span.of(trial(0.010, {200: 1000}))).category == "generator"


def test_throttled_periods_are_the_quota_and_not_the_cpu() -> None:
    resources = Resources(10.0, cpu=0.5, cpu_limit=0.5, throttled=0.6)
    evidence = Evidence(Span(60.0, profile=profile(price=500), resources=resources), cpu_limit=0.5)
    assert classified(evidence).category == "cpu-quota"


def test_nothing_seen_is_undetermined() -> None:
    assert judged(Span(10.0), None).category == "undetermined"


@pytest.mark.parametrize(
    ("first", "second", "answer"),
    [(0.9, 0.5, "disk"), (0.9, 0.88, "undetermined"), (0.2, 0.0, "undetermined")],
)
def test_an_answer_must_be_good_and_must_stand_out(
    first: float, second: float, answer: str
) -> None:
    disk = ClassScore(BottleneckClass.DISK, first, ("x",))
    lock = ClassScore(BottleneckClass.LOCK, second, ("y",))
    assert decide([disk, lock]).category == answer


def test_a_class_of_which_nothing_was_seen_is_next_to_none_and_closest_to_none() -> None:
    lock, queue = BottleneckClass.LOCK, BottleneckClass.BACKLOG
    for second, named in ((0.0, None), (0.02, None), (0.3, queue)):
        found = decide([ClassScore(lock, 1.0, ("y",)), ClassScore(queue, second)])
        assert (found.category, found.runner_up) == (lock, named)
    nothing = decide([ClassScore(lock, 0.0), ClassScore(queue, 0.0)])
    assert nothing.runner_up is None and "closest" not in nothing.evidence[0]
    assert Bottleneck(lock, 1.0, (), runner_up=queue, runner_up_score=0.0).runner_up is None


def test_cores_that_other_work_had_are_the_host_and_not_the_targets_cpu() -> None:
    # Four threads of eight wait for a core, and the target has a sixth of one.
    moment = ["serve>view>total on_cpu*", *["serve>view>total run_queue"] * 4]
    seen = Interference(
        10.0,
        cores=2.0,
        target_ran=0.15,
        target_waited=0.9,
        others=1.6,
        busiest=(Neighbour("node", 1.6),),
    )
    knee = Span(
        110.0,
        service=0.046,
        profile=profile(total=150),
        instants=series(*[moment] * 32),
        resources=used(0.15),
        trial=replace(HELD, interference=seen),
    )
    found = judged(knee)
    assert found.category == "host"
    assert "Other processes used 1.60 cores (node 1.60)." in found.evidence


def test_a_target_that_fills_its_own_cores_is_short_of_cpu_whoever_else_is_there() -> None:
    moment = ["serve>view>total on_cpu*", *["serve>view>total run_queue"] * 4]
    seen = Interference(10.0, cores=2.0, target_ran=1.9, target_waited=0.1, others=0.1)
    knee = Span(
        150.0,
        service=0.046,
        profile=profile(total=900),
        instants=series(*[moment] * 32),
        resources=used(1.9),
        trial=replace(HELD, interference=seen),
    )
    assert judged(knee).category == "cpu"
