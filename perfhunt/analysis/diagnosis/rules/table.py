"""Every rule: a class of bottleneck without one is never named."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from perfhunt.analysis.diagnosis.features import Features
from perfhunt.analysis.diagnosis.rules.collector import collector
from perfhunt.analysis.diagnosis.rules.cpu import cpu, gil, host, quota
from perfhunt.analysis.diagnosis.rules.event_loop import event_loop, event_loop_blocked
from perfhunt.analysis.diagnosis.rules.peers import database, downstream
from perfhunt.analysis.diagnosis.rules.score import ClassScore
from perfhunt.analysis.diagnosis.rules.surroundings import (
    disk,
    generator,
    limiter,
    memory,
    network,
)
from perfhunt.analysis.diagnosis.rules.waits import lock, pool, sleep, workers
from perfhunt.analysis.diagnosis.rules.wire import (
    backlog,
    connections,
    delayed_ack,
    descriptors,
)
from perfhunt.model.finding import BottleneckClass

Rule: TypeAlias = Callable[[Features], ClassScore]

RULES: tuple[Rule, ...] = (
    generator,
    host,
    limiter,
    quota,
    cpu,
    gil,
    collector,
    event_loop,
    event_loop_blocked,
    lock,
    pool,
    database,
    downstream,
    workers,
    sleep,
    disk,
    memory,
    network,
    delayed_ack,
    connections,
    backlog,
    descriptors,
)
# Classes by which requests queue, so that a service is slow before it fails.
QUEUES = frozenset(
    {
        BottleneckClass.CPU,
        BottleneckClass.CPU_QUOTA,
        BottleneckClass.GIL,
        BottleneckClass.GC,
        BottleneckClass.EVENT_LOOP,
        BottleneckClass.EVENT_LOOP_BLOCKED,
        BottleneckClass.LOCK,
        BottleneckClass.POOL,
        BottleneckClass.DOWNSTREAM,
        BottleneckClass.WORKERS,
        BottleneckClass.DISK,
        BottleneckClass.SLEEP,
        BottleneckClass.NETWORK,
        BottleneckClass.HOST,
    }
)
