"""What stops the service: suspects, the class of bottleneck, and doubts about the run."""

from __future__ import annotations

from dataclasses import dataclass, field

from perfhunt.model.interval import Interval
from perfhunt.model.units import PerSecond, Share


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What removing a finding would bring: the predicted rate, and the resource that caps it next.
    Bounds, not promises.
    """

    rate: PerSecond
    low: PerSecond
    high: PerSecond
    removed: Share  # how much of the finding is supposed gone
    cap: str = ""
    caveat: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A suspect. Times are seconds per completed request, with intervals.

    `cls` is what kind of time it is: cpu, gil, lock, socket, sleep, disk, poll, other. `own` is
    time with the function on top, `total` with it anywhere on the stack; `blamed` adds the time
    other threads spent waiting for it (`own` plus that).
    """

    rank: int
    function: str
    file: str
    line: int | None
    cls: str
    self_share: Share
    total_share: Share
    own: Interval
    total: Interval
    blamed: Interval
    grew: Interval | None = None  # own at the knee minus own at baseline
    via: str = ""  # the library call on top of it, when the time is spent in there
    evidence: str = ""
    what_if: WhatIf | None = None
    runtime: str = "python"


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """The class of bottleneck with its score (0..1), its evidence as sentences, and the runner-up.

    Classes: cpu, cpu-quota, gil, event-loop, event-loop-blocked, lock, downstream, pool, workers,
    disk, memory, gc, sleep, network, limiter, generator, undetermined.
    """

    cls: str
    score: float
    evidence: tuple[str, ...]
    runner_up: str = ""
    runner_up_score: float = 0.0


@dataclass(frozen=True, slots=True)
class Caution:
    """A doubt about the run: a full sentence, and the next command (or what to do)."""

    code: str
    sentence: str
    next: str = ""


@dataclass(frozen=True, slots=True)
class ProbeEffect:
    """What profiling did to the service: ratios of profiled to quiet spans (1 = nothing).

    `flagged` when throughput or p99 moved by more than 5 % and more than the quiet spans differ
    among themselves.
    """

    throughput: float | None
    p99: float | None
    cpu: float | None
    p50: float | None = None
    quiet_p99: tuple[float, ...] = field(default=())
    flagged: bool = False
    note: str = ""
