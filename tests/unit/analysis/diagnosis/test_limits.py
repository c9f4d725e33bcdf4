"""Limits that a service lives under: which is told as a doubt, and what more cores would bring."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.answer.limit_doubts import about_limits
from perfhunt.analysis.diagnosis.prediction.foreseen import with_more_cores
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.model.finding import Bottleneck, BottleneckClass, CautionCode
from perfhunt.model.knee import Capacity, Knee, KneeLabel
from perfhunt.model.trial import Interference, Resources
from tests.unit.scenes import profile, used
from tests.unit.trials import HELD

MIB = 1 << 20
USED = Resources(
    seconds=5.0,
    cpu_limit=0.5,
    throttled=0.0,
    rss_peak=20 * MIB,
    memory_share=0.3,
    memory_limit=64 * MIB,
    memory_limit_source="cgroup v2 memory limit",
    memory_hits=0,
    oom_kills=0,
    tasks_refused=0,
)


def told(used: Resources, category: BottleneckClass = BottleneckClass.LOCK) -> dict[str, str]:
    trials = [replace(HELD, resources=USED), replace(HELD, resources=used)]
    stopped = Bottleneck(category, 0.9, ("It waits.",))
    return {caution.code: caution.sentence for caution in about_limits(trials, stopped)}


def test_a_service_far_from_its_limits_is_told_of_none() -> None:
    assert told(USED) == {}
    # Page cache meets the limit too, and is given back at once.
    assert told(replace(USED, memory_hits=40)) == {}


@pytest.mark.parametrize(
    "near", [replace(USED, memory_share=0.95), replace(USED, rss_peak=int(0.95 * 64 * MIB))]
)
def test_memory_near_its_limit_is_told_with_how_often_it_was_met(near: Resources) -> None:
    sentence = told(replace(near, memory_hits=7))[CautionCode.MEMORY_LIMIT]
    assert "up to 95 % of its 64 MiB (cgroup v2 memory limit), and was at that limit 7" in sentence


def test_killed_processes_are_told_where_something_else_stops_the_service() -> None:
    killed = replace(USED, oom_kills=2)
    assert told(killed)[CautionCode.MEMORY_LIMIT].startswith("2 processes were killed for lack of")
    assert told(killed, BottleneckClass.MEMORY) == {}


def test_a_thread_that_was_not_to_be_had_is_told() -> None:
    assert "a thread or a process 3 times" in told(replace(USED, tasks_refused=3))["tasks-refused"]


def test_a_quota_that_stops_a_service_otherwise_stopped_is_told() -> None:
    stopped = replace(USED, throttled=0.2)
    assert "quota of 0.5 cores stopped the service in up to 20 %" in told(stopped)["throttled"]
    assert told(stopped, BottleneckClass.CPU_QUOTA) == {}


def with_more(cpu: float, quota: float, host: float, runtime: str = "cpython") -> str:
    """What is said of more cores, of a knee at 90/s and a capacity of 100/s."""
    knee = Knee(90.0, 85.0, 95.0, 0.95, "latency.p99", 0.2, 8.0, KneeLabel.SHARP)
    climb = SearchResult(knee, (knee,), Capacity(100.0, 97.0, 103.0, 200.0), (), ())
    evidence = Evidence(
        Span(90.0, profile=profile(score=900), resources=used(cpu)),
        runtime=runtime,
        cpu_limit=quota,
    )
    reading = read_evidence(evidence)
    trials = [replace(HELD, interference=Interference(seconds=5.0, cores=host))]
    stopped = Bottleneck(BottleneckClass.CPU_QUOTA, 0.9, ("The quota.",))
    told = with_more_cores(stopped, reading, suspects_of(reading), climb, trials)
    return told.evidence[-1]


def test_twice_the_quota_holds_twice_the_capacity_less_the_same_room() -> None:
    # 5 ms each on half a core are 100/s, on a whole one 200/s; the room of 10/s below stays.
    assert with_more(cpu=0.45, quota=0.5, host=4.0).startswith(
        "With 1 core instead of 0.5 it would hold about 190/s ("
    )


def test_more_cores_than_one_gil_each_bring_nothing_that_is_promised() -> None:
    # One process: 10 ms each of its only core are 100/s, whatever the quota beyond.
    said = with_more(cpu=0.9, quota=1.0, host=4.0)
    assert (
        "it would hold about 90/s" in said
        and "then one core for its only busy process would be" in said
    )
    assert "it would hold about 190/s" in with_more(cpu=0.9, quota=1.0, host=4.0, runtime="go")


def test_a_host_without_another_core_is_promised_none() -> None:
    assert with_more(cpu=0.9, quota=1.0, host=1.0) == "The quota."
