"""Predictions against operational laws, worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.prediction.cpu_cost import CpuAtRate, cost_of
from perfhunt.analysis.diagnosis.prediction.cpu_stations import request_cost
from perfhunt.analysis.diagnosis.prediction.whatif import stations, with_what_if
from perfhunt.analysis.diagnosis.ranking import rank
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.model.finding import Finding, WhatIf
from perfhunt.model.knee import Capacity, Knee, KneeLabel, NoKnee, NoKneeCode
from perfhunt.model.profile import Frame, Instant, Instants, Profile, ProfileMode, ThreadSample
from perfhunt.model.states import States, ThreadTime
from perfhunt.model.trial import Interference, Phase, Resources, Step, Trial
from tests.unit.scenes import APP, profile, series, used
from tests.unit.trials import HELD

KNEE = Knee(100.0, 95.0, 105.0, 0.95, "latency.p99", 0.2, 8.0, KneeLabel.SHARP)
ONE_GIL = Evidence(
    Span(100.0, profile=profile(score=750, render=250), resources=used(0.8)), cpu_limit=8.0
)


def predicted(
    evidence: Evidence, climb: SearchResult, trials: Sequence[Trial] = ()
) -> dict[str, Finding]:
    reading = read_evidence(evidence)
    suspects = suspects_of(reading)
    findings = with_what_if(rank(reading, suspects), reading, suspects, climb, trials)
    return {f.function: f for f in findings}


def what_if_of(finding: Finding) -> WhatIf:
    assert finding.what_if is not None, finding.withheld
    return finding.what_if


def climb(
    knee: Knee | NoKnee = KNEE, capacity: float | None = 125.0, note: str = ""
) -> SearchResult:
    burst = (
        None
        if capacity is None
        else Capacity(capacity, 0.97 * capacity, 1.03 * capacity, 2 * capacity, note)
    )
    return SearchResult(knee, (knee,), burst, (), ())


def tried(rate: float, cpu: float) -> Trial:
    return replace(
        HELD,
        step=Step(Phase.PASS, rate, 10.0, seed=1),
        completed=rate,
        resources=Resources(10.0, cpu=cpu),
    )


def answered(rate: float) -> Trial:
    """A trial of M/M/1 with a capacity of 125/s."""
    p99 = np.log(100) / (125 - rate)
    return replace(tried(rate, rate * 8e-3), response=replace(HELD.response, p99=p99))


def test_removing_three_quarters_of_the_only_cores_demand_brings_the_capacity_that_is_left() -> (
    None
):
    # One GIL: 8 ms of CPU each, so 125/s. 6 of them are in score; without it 2 ms are left.
    what_if = what_if_of(predicted(ONE_GIL, climb())["score"])
    assert what_if.saturated == pytest.approx(500.0)
    assert what_if.saturated_low is not None and what_if.saturated_high is not None
    assert what_if.saturated_low < 500.0 < what_if.saturated_high
    assert "the GIL" in what_if.binding
    # As much room is left below the capacity as now, 25/s.
    assert what_if.rate == pytest.approx(475.0)


def test_the_knee_of_a_queue_that_became_quicker_is_the_one_that_theory_knows() -> None:
    # M/M/1 with 8 ms and then 2 ms: P(response > L) = exp(-(mu - rate) L) = 1 %.
    limit = 0.1
    knees = [1 / mean - np.log(100) / limit for mean in (8e-3, 2e-3)]
    knee = replace(KNEE, rate=knees[0], low=0.97 * knees[0], high=1.03 * knees[0])
    what_if = what_if_of(predicted(ONE_GIL, climb(knee))["score"])
    assert what_if.rate == pytest.approx(knees[1], rel=0.01)
    assert what_if.low < knees[1] < what_if.high


def test_the_next_resource_caps_the_prediction_and_is_named() -> None:
    # The core alone would allow 500/s, but two of four threads wait at a neighbour all the time:
    # 20 ms each, 4 threads.
    moment = (
        ["serve>view>ask socket@n:1"] * 2 + ["serve>view>score on_cpu*"] + ["serve>view>score gil"]
    )
    evidence = replace(ONE_GIL, knee=replace(ONE_GIL.knee, instants=series(*[moment] * 32)))
    what_if = what_if_of(predicted(evidence, climb())["score"])
    assert what_if.saturated is not None
    assert 150.0 < what_if.saturated < 220.0
    assert "worker threads" in what_if.cap


def test_what_does_not_use_the_limiting_resource_is_predicted_to_move_nothing_and_says_so() -> None:
    moment = ["serve>view>ask socket@n:1", "serve>view>score on_cpu*"]
    idle = [["serve!get lock@Q"] * 6] * 8
    moments = [[*moment, *["serve!get lock@Q"] * 6]] * 32
    evidence = Evidence(
        Span(100.0, profile=profile(score=1000), instants=series(*moments), resources=used(0.8)),
        idle=series(*idle),
        cpu_limit=8.0,
    )
    what_if = what_if_of(predicted(evidence, climb(), [answered(r) for r in (20, 60, 90)])["ask"])
    # 10 ms less of an answer are a percent of the rate, where the p99 is 4.6 over what is left.
    assert what_if.rate == pytest.approx(100.0)
    assert not what_if.at_least
    assert "not expected to move the knee" in what_if.caveat


@pytest.mark.parametrize(
    ("holders", "waiting", "words"),
    [
        (1, 4, "who waits for the lock in pay was met 4 times only"),
        (3, 32, "pay takes one of several locks"),
    ],
)
def test_what_is_waited_for_and_not_known_well_enough_is_said(
    holders: int, waiting: int, words: str
) -> None:
    calm = [*["serve>view>pay>ask!recv socket@n:1"] * holders, *["serve!get lock@Q"] * 16]
    wanting = [*calm, *["serve>view>pay!enter lock@A"] * 2]
    moments = [wanting] * (waiting // 2) + [calm] * (40 - waiting // 2)
    idle = series(*[["serve!get lock@Q"] * 20] * 8)
    evidence = Evidence(Span(100.0, instants=series(*moments)), idle=idle)
    assert words in predicted(evidence, climb(capacity=146.0))["ask"].withheld


def test_where_nothing_known_explains_the_capacity_there_is_no_prediction_but_the_reason() -> None:
    # 16 threads, each request in one of them for 40 ms, would allow 400/s; 146/s was all there was.
    moments = [["serve>view>ask socket@n:1"] * 4 + ["serve!get lock@Q"] * 12] * 32
    evidence = Evidence(
        Span(100.0, instants=series(*moments)), idle=series(*[["serve!get lock@Q"] * 16] * 8)
    )
    found = predicted(evidence, climb(capacity=146.0))["ask"]
    assert found.what_if is None
    assert found.withheld == (
        "no known resource explains the capacity of 146/s (the nearest, the 16 worker threads,"
        " would allow 400/s)"
    )
    busy = replace(HELD, interference=Interference(10.0, cores=2.0, others=1.2))
    beside = replace(evidence, knee=replace(evidence.knee, trial=busy), cpu_limit=2.0)
    withheld = predicted(beside, climb(capacity=146.0))["ask"].withheld
    assert withheld.endswith("would allow 400/s); other work had 1.2 of this host's cores")


def test_nothing_is_said_where_there_is_no_knee_to_explain() -> None:
    found = predicted(ONE_GIL, climb(NoKnee(NoKneeCode.BELOW_MAX_RATE, "it held")))["score"]
    assert (found.what_if, found.withheld) == (None, "")


@pytest.mark.parametrize("label", [KneeLabel.ERRORS, KneeLabel.RESOURCE])
def test_a_knee_that_is_no_queues_has_no_prediction_and_says_so(label: KneeLabel) -> None:
    found = predicted(ONE_GIL, climb(replace(KNEE, label=label)))["score"]
    assert found.what_if is None
    assert "queue" in found.withheld


def test_a_capacity_that_was_not_reached_makes_it_a_lower_bound() -> None:
    note = "at least: the service kept up with all that was offered"
    what_if = what_if_of(predicted(ONE_GIL, climb(capacity=110.0, note=note))["score"])
    assert what_if.at_least
    assert not what_if_of(predicted(ONE_GIL, climb())["score"]).at_least


LOOP = Frame("BaseEventLoop.run_forever", "/usr/lib/python3.11/asyncio/base_events.py")
POLL = Frame("EpollSelector.select", "/usr/lib/python3.11/selectors.py")
PROFILE, PAGE = Frame("load_profile", APP), Frame("render_page", APP)


def blocked_loop() -> Evidence:
    """The field's case: an event loop at 108/s that a socket call blocks for 68 % of its time, at
    1.5 ms of CPU per request.
    """
    rate, running, blocked = 108.0, 0.162, 0.68

    def look(n: int) -> Instant:
        if n % 100 < 68:
            stack, state = (LOOP, PROFILE), "socket"
        elif n % 100 < 84:
            stack, state = (LOOP, PAGE), "on_cpu"
        else:
            stack, state = (LOOP, POLL), "poll"
        return Instant(n / 25, (ThreadSample(1, 1, stack, state, "far:1" * (state == "socket")),))

    states = {"on_cpu": running, "socket": blocked, "poll": 1 - running - blocked}
    idle = Instants(
        1.0, tuple(Instant(n / 8, (ThreadSample(1, 1, (LOOP, POLL), "poll"),)) for n in range(8))
    )
    span = Span(
        rate,
        profile=Profile(
            "py-spy",
            "0.4.3",
            ProfileMode.CPU,
            100,
            10,
            {(LOOP, PAGE): 150.0, (LOOP, PROFILE): 12.0},
        ),
        instants=Instants(10.0, tuple(look(37 * n) for n in range(250))),
        states=States("knee", 10.0, (ThreadTime(1, 1, "python", states),), 500),
        resources=Resources(10.0, cpu=running, cpu_limit=2.0),
    )
    return Evidence(span, idle=idle, cpu_limit=2.0)


def test_a_blocked_loop_without_the_call_is_left_with_its_cpu() -> None:
    knee = replace(KNEE, rate=108.0, low=104.0, high=112.0)
    what_if = what_if_of(predicted(blocked_loop(), climb(knee, 128.0))["load_profile"])
    assert what_if.binding == "the event loop's thread"
    # The loop's CPU would let 700/s through; it was mostly idle when that was read.
    assert what_if.at_least and what_if.saturated is not None
    assert 560.0 < what_if.saturated <= 700.0
    assert 0.7 * 560.0 < what_if.rate < what_if.saturated


def test_cpu_per_request_is_that_of_one_more_request() -> None:
    # 7 ms a second whatever the load, and 1 ms for each request: 1.7 ms at 10/s, 1.05 at 144/s.
    uses = [CpuAtRate(rate, 0.007 + 1e-3 * rate, 8.0) for rate in (10, 30, 60, 100, 144)]
    cost = cost_of(uses, mean=1.05e-3, serial=1.0)
    assert cost.now.value == pytest.approx(1e-3)
    assert cost.fixed == pytest.approx(0.007)
    few = cost_of(uses[:2], mean=1.05e-3, serial=1.0)
    assert (few.now.value, few.fixed) == (1.05e-3, 0.0)


def test_cpu_that_profilers_took_at_the_knee_is_no_cost_of_a_request() -> None:
    reading = read_evidence(ONE_GIL)
    quiet = request_cost(reading, [tried(20.0, 0.2), tried(100.0, 0.6)])
    assert quiet is not None and quiet.now.value == pytest.approx(6e-3)
    alone = request_cost(reading, [tried(20.0, 0.2)])
    assert alone is not None and alone.now.value == pytest.approx(8e-3)


@pytest.mark.parametrize("seed", range(5))
def test_a_cost_that_falls_with_the_use_of_the_core_is_between_now_and_where_that_leads(
    seed: int,
) -> None:
    # 1 ms on a full core, and up to 1 ms more for a cold one.
    random = np.random.default_rng(seed)
    uses = []
    for rate in np.linspace(10, 200, 12):
        cpu = rate * 2e-3 / (1 + rate * 1e-3)
        uses.append(CpuAtRate(rate, cpu * random.normal(1, 0.01), 8.0))
    cost = cost_of(uses, mean=2e-3 / 1.2, serial=1.0)
    assert cost.saturated.low < 1.0e-3 * 1.1
    assert cost.saturated.value < cost.now.value
    assert cost.saturated.low < 1.2e-3 < cost.saturated.high


def test_a_prediction_of_a_cold_core_is_a_lower_bound() -> None:
    # Two rates only: nothing tells how much the cost falls.
    moment = ["serve>view>ask socket@n:1"] * 3 + ["serve!get lock@Q"]
    evidence = Evidence(
        Span(
            100.0,
            profile=profile(render=1000),
            instants=series(*[moment] * 32),
            resources=used(0.1),
        ),
        idle=series(*[["serve!get lock@Q"] * 4] * 8),
        cpu_limit=8.0,
    )
    trials = [tried(50.0, 0.05), tried(100.0, 0.1)]
    what_if = what_if_of(predicted(evidence, climb(capacity=130.0), trials)["ask"])
    assert what_if.at_least
    assert "falls as a core gets busier" in what_if.caveat


def test_the_main_thread_of_node_is_a_station_though_no_instants_show_it() -> None:
    # A core for 8 ms of JavaScript a request, and other threads for 4 ms that bind nothing.
    main, helper = {"on_cpu": 0.8, "poll": 0.2}, {"on_cpu": 0.4, "lock": 0.6}
    threads = (ThreadTime(1, 1, "node", main), ThreadTime(1, 2, "libuv-worker", helper))
    span = replace(
        ONE_GIL.knee, states=States("knee", 10.0, threads, 500), resources=used(1.2, limit=8.0)
    )
    evidence = Evidence(span, runtime="node", cpu_limit=8.0)
    what_if = what_if_of(predicted(evidence, climb())["score"])
    assert what_if.binding == "the event loop's thread"
    assert what_if.saturated == pytest.approx(500.0)


@pytest.mark.parametrize(
    ("runtime", "used_by", "words"),
    [
        ("node", (0.8,), "2 cores, of which the one thread of its event loop can use one"),
        ("node", (0.8, 0.7), "2 cores"),
        ("node", (1.4,), "2 cores"),  # threads of libuv's pool compute as well
        ("php", (0.8,), "2 cores, of which its only busy process can use one"),
        ("go", (0.8,), "2 cores"),
    ],
)
def test_of_several_cores_it_is_said_how_many_the_runtime_can_use(
    runtime: str, used_by: Sequence[float], words: str
) -> None:
    threads = (ThreadTime(n, n, "main", {"on_cpu": cpu}) for n, cpu in enumerate(used_by, 1))
    span = replace(ONE_GIL.knee, states=States("knee", 10.0, tuple(threads), 500))
    reading = read_evidence(Evidence(span, runtime=runtime, cpu_limit=2.0))
    names = [station.name for station in stations(reading, suspects_of(reading), ())]
    assert f"the CPU ({words})" in names


def test_what_fills_no_known_resource_has_no_number_but_the_reason() -> None:
    # Nine tenths of a full core go with it, and what is left of 0.08 ms would fill it at 12,500/s.
    evidence = replace(ONE_GIL, knee=replace(ONE_GIL.knee, profile=profile(score=990, render=10)))
    found = predicted(evidence, climb())["score"]
    assert found.what_if is None
    assert "no known resource would be full at" in found.withheld
    assert ", 10 times the capacity" in found.withheld


def test_python_code_beside_native_code_is_left_with_one_gil() -> None:
    # 16 ms of CPU each on eight cores, of which the GIL is held for 4 ms: 3 ms in render.
    held = replace(profile(hash=250, render=750), mode=ProfileMode.GIL, ticks=2500, seconds=10.0)
    moment = ["serve>view>hash on_cpu"] * 3 + ["serve>view>render on_cpu*"]
    evidence = Evidence(
        Span(100.0, profile=held, instants=series(*[moment] * 64), resources=used(1.6, limit=2.0)),
        cpu_limit=2.0,
    )
    what_if = what_if_of(predicted(evidence, climb())["hash"])
    assert what_if.cap == "then the GIL of its only busy process would be the limit"
    assert what_if.saturated == pytest.approx(1 / 3e-3, rel=0.01)


def test_two_processes_beside_native_code_are_left_with_a_gil_each() -> None:
    # The same in two processes, on more cores than they could hold the GIL on.
    held = replace(profile(hash=250, render=750), mode=ProfileMode.GIL, ticks=2500, seconds=10.0)
    moment = ["serve>view>hash on_cpu"] * 3 + ["serve>view>render on_cpu*"]
    threads = tuple(ThreadTime(pid, pid, "worker", {"on_cpu": 1.4}) for pid in (1, 2))
    span = Span(
        200.0,
        profile=held,
        instants=series(*[moment] * 64),
        states=States("knee", 10.0, threads, 500),
        resources=used(2.8, limit=4.0),
    )
    climbed = climb(replace(KNEE, rate=200.0, low=190.0, high=210.0), 280.0)
    what_if = what_if_of(predicted(Evidence(span, cpu_limit=4.0), climbed)["hash"])
    assert what_if.cap == "then the GIL of each of 2 processes would be the limit"


def test_a_bound_that_says_no_more_than_the_knee_is_no_number_but_a_bracket() -> None:
    # Twenty samples: what is left without `score` may be anything.
    few = replace(ONE_GIL, knee=replace(ONE_GIL.knee, profile=profile(score=6, render=14)))
    note = "at least: the service kept up with all that was offered"
    found = predicted(few, climb(capacity=110.0, note=note))["score"]
    assert found.what_if is None
    assert found.withheld.startswith(
        "one core (the GIL of its only busy process) would be the limit"
    )
    assert found.withheld.endswith("that is known too little for a number")


def test_where_more_than_a_queue_is_slow_no_bound_is_told() -> None:
    # The knee is at a third of what one core would give, and no trial tells how latency grows.
    early = replace(KNEE, rate=40.0, low=38.0, high=42.0)
    seen = replace(ONE_GIL.knee, completed=40.0, resources=used(0.32, limit=8.0))
    found = predicted(replace(ONE_GIL, knee=seen), climb(early))["score"]
    assert found.what_if is None
    assert found.withheld.startswith("the SLO breaks at 32 % of what one core")
    assert "more than its queue is slow there; without it" in found.withheld
