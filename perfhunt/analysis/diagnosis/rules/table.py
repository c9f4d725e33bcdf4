"""Every rule: a class of bottleneck without one is never named."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from perfhunt.analysis.diagnosis.features import Features
from perfhunt.analysis.diagnosis.rules.cpu import cpu, gil, host, quota
from perfhunt.analysis.diagnosis.rules.event_loop import event_loop, event_loop_blocked
from perfhunt.analysis.diagnosis.rules.score import ClassScore
from perfhunt.analysis.diagnosis.rules.surroundings import (
    disk,
    generator,
    limiter,
    memory,
    network,
)
from perfhunt.analysis.diagnosis.rules.waits import downstream, lock, pool, sleep, workers
from perfhunt.analysis.diagnosis.rules.wire import backlog, connections, delayed_ack

Rule: TypeAlias = Callable[[Features], ClassScore]

RULES: tuple[Rule, ...] = (
    generator,
    host,
    limiter,
    quota,
    cpu,
    gil,
    event_loop,
    event_loop_blocked,
    lock,
    pool,
    downstream,
    workers,
    sleep,
    disk,
    memory,
    network,
    delayed_ack,
    connections,
    backlog,
)
