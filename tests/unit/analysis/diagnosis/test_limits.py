"""Limits that a service lives under: which is told as a doubt, and what more cores would bring."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.diagnosis.answer.limit_doubts import about_limits
from perfhunt.model.finding import Bottleneck, BottleneckClass, CautionCode
from perfhunt.model.trial import Resources
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


@pytest.mark.parametrize("used", [{"memory_share": 0.95}, {"rss_peak": int(0.95 * 64 * MIB)}])
def test_memory_near_its_limit_is_told_with_how_often_it_was_met(used: dict[str, float]) -> None:
    sentence = told(replace(USED, memory_hits=7, **used))[CautionCode.MEMORY_LIMIT]
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
