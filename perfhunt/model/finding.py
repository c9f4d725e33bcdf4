"""What stops the service: suspects, the class of bottleneck, and doubts about the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from perfhunt.model.interval import Interval
from perfhunt.model.units import PerSecond, Seconds, Share


class BottleneckClass(StrEnum):
    """What can stop a service, and what kind of time a finding costs: one vocabulary for both.

    A finding's class is what its threads, or those behind it, wait for or do.
    """

    CPU = "cpu"
    CPU_QUOTA = "cpu-quota"
    GIL = "gil"
    EVENT_LOOP = "event-loop"  # busy with its own work
    EVENT_LOOP_BLOCKED = "event-loop-blocked"  # held up by a call that should not run on it
    LOCK = "lock"
    DATABASE = "database"  # or a cache
    DOWNSTREAM = "downstream"  # any other service
    POOL = "pool"
    WORKERS = "workers"
    DISK = "disk"
    MEMORY = "memory"
    LEAK = "leak"  # slower with every request, while something grows
    GC = "gc"
    SLEEP = "sleep"
    NETWORK = "network"
    DELAYED_ACK = "delayed-ack"  # answers in pieces wait for the client to acknowledge the first
    CONNECTIONS = "connections"  # a new one per request
    BACKLOG = "backlog"  # the accept queue is full
    DESCRIPTORS = "descriptors"  # a process may open no more files
    LIMITER = "limiter"
    GENERATOR = "generator"
    HOST = "host"  # other work took the cores
    OTHER = "other"  # of a finding: a wait that nothing names
    UNDETERMINED = "undetermined"

    @classmethod
    def _missing_(cls, value: object) -> BottleneckClass | None:
        """What findings of stored runs call it that had words of their own."""
        return FORMER_CLASSES.get(str(value))


# Words of stored runs, as they are read now.
FORMER_CLASSES: Mapping[str, BottleneckClass] = {
    "socket": BottleneckClass.DOWNSTREAM,
    "poll": BottleneckClass.OTHER,
}


# What happens between client and service: no function is to blame for it, nor could one be changed.
ON_THE_WIRE = frozenset(
    {
        BottleneckClass.DELAYED_ACK,
        BottleneckClass.CONNECTIONS,
        BottleneckClass.BACKLOG,
        BottleneckClass.DESCRIPTORS,
    }
)


class CautionCode(StrEnum):
    """What a doubt is about; stable, for scripts that act on it. None is ever taken out: old runs
    hold them.
    """

    TRIALS_SPOILED = "trials-spoiled"
    GENERATOR_BUSY = "generator-busy"
    HOST_BUSY = "host-busy"
    TRIALS_SET_ASIDE = "trials-set-aside"  # for other work on the host
    NO_KNEE = "no-knee"
    KNEE_SOFT = "knee-soft"
    KNEE_WIDE = "knee-wide"
    RESOURCE_FIRST = "resource-first"
    PROBE_EFFECT = "probe-effect"
    PROBE_UNKNOWN = "probe-unknown"
    NO_PROFILE = "no-profile"
    PROFILE_SHORT = "profile-short"
    PROFILE_LOSSY = "profile-lossy"
    NATIVE_SHARE = "native-share"
    COMPILING = "compiling"  # the runtime still compiled the service: it was not warm
    NO_INSTANTS = "no-instants"
    INSTANTS_FEW = "instants-few"
    NO_IDLE = "no-idle"
    TOP_TWO_CLOSE = "top-two-close"
    UNDETERMINED = "undetermined"
    IDLE = "idle"  # a profile of a service that nobody used
    PER_SECOND = "per-second"  # a profile without load of ours: costs are per second
    NO_ATTRIBUTION = "no-attribution"
    VERSION = "version"
    COLD_START = "cold-start"
    OUTLIER = "outlier"
    TOO_QUICK = "too-quick"
    SHELL_START = "shell-start"  # the shell before a command takes much of what was timed
    NULL_OUTPUT = "null-output"  # nobody read what a command printed, which some notice
    LEFT_RUNNING = "left-running"  # what a command started went on beside the runs after
    DRIFT = "drift"  # the service changed while it was looked at
    DELAYED_ACK = "delayed-ack"  # answers wait for it, and something else stops the service
    THROTTLED = "throttled"  # by the CPU quota, and something else stops it
    MEMORY_LIMIT = "memory-limit"  # nearly used up, or killed for, and something else stops it
    TASKS_REFUSED = "tasks-refused"  # no more threads or processes were allowed
    FILES_LIMIT = "files-limit"  # a process could open no more, and something else stops it
    ACCEPT_QUEUE = "accept-queue"  # it was full, and something else stops the service
    EVIDENCE_LOST = "evidence-lost"  # looked for and not got, with how much of it
    NOT_CLEARED = "not-cleared"  # connections of a locustfile to elsewhere, refused
    GROWTH = "growth"  # memory, files or threads grow with the requests served
    GREENLETS = "greenlets"  # requests waited in them, where nobody can look
    UNEVEN = "uneven"  # one process has the work while another rests
    SESSION_ENDED = "session-ended"  # answers became 401 in the middle of the run
    REDIRECTED = "redirected"  # answers lead elsewhere, and nobody said that they may
    SHORTER_ANSWERS = "shorter-answers"  # successes under load, than any without it
    NOT_ASKED = "not-asked"  # objectives that a smoke leaves to a whole run
    NOT_KEPT = "not-kept"  # a report, a copy or more of what was made could not be written


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What removing a finding would bring: the predicted knee, and the resource that caps it next.

    `saturated` is the capacity then, `binding` the resource that limits now; None and "" in runs of
    versions that did not tell. `at_least`: the rates are lower bounds.
    """

    rate: PerSecond
    low: PerSecond
    high: PerSecond
    removed: Share  # how much of the finding is supposed gone
    cap: str = ""
    caveat: str = ""
    saturated: PerSecond | None = None
    saturated_low: PerSecond | None = None
    saturated_high: PerSecond | None = None
    at_least: bool = False
    binding: str = ""

    def moves(self, knee: PerSecond) -> bool:
        """Whether the knee, now at that rate, is expected to move."""
        return self.at_least or self.rate > knee


@dataclass(frozen=True, slots=True)
class Leaf:
    """A function that another one calls again and again, and so many seconds per request of its
    own.
    """

    function: str
    file: str
    own: Interval


@dataclass(frozen=True, slots=True)
class Finding:
    """A suspect. Times are seconds per completed request, with intervals.

    `withheld` is why there is no `what_if` for it, where there is a knee. `own` is time with the
    function, or one of its `leaves`, on top, `total` with it anywhere on the stack; `blamed` adds
    the time other threads spent waiting for it (`own` plus that). What counts for a leaf here
    counts for no other finding.
    """

    rank: int
    function: str
    file: str
    line: int | None
    category: BottleneckClass
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
    withheld: str = ""
    leaves: tuple[Leaf, ...] = ()  # the costliest first

    @property
    def members(self) -> tuple[tuple[str, str], ...]:
        """The functions it stands for, as (function, file): itself and its leaves."""
        leaves = ((leaf.function, leaf.file) for leaf in self.leaves)
        return ((self.function, self.file), *leaves)


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """The class of bottleneck with its score (0..1), its evidence as sentences, and the runner-up
    (None: nothing else scored).
    """

    category: BottleneckClass
    score: float
    evidence: tuple[str, ...]
    runner_up: BottleneckClass | None = None
    runner_up_score: float = 0.0

    def __post_init__(self) -> None:
        if not self.runner_up_score:  # Earlier versions named a class of which nothing was seen.
            object.__setattr__(self, "runner_up", None)


@dataclass(frozen=True, slots=True)
class Caution:
    """A doubt about the run: a full sentence, and the next command (or what to do)."""

    code: CautionCode
    sentence: str
    next: str = ""


@dataclass(frozen=True, slots=True)
class ProbeEffect:
    """What profiling did to the service: ratios of profiled to quiet spans (1 = nothing), `cpu` of
    CPU seconds per request, `cpu_waits` of the same while waits were looked at in a span of their
    own, which no function is charged with (None: in the same span). `between` has the interval of
    each at 95 %, by its name here, where it is known: from so many seconds, or spans for CPU.

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
    between: Mapping[str, Interval] = field(default_factory=dict)
    cpu_waits: float | None = None


class LatencyPart(StrEnum):
    """What a part of a request's latency was spent on."""

    CPU = "cpu"
    RUN_QUEUE = "run_queue"  # for a CPU that its own threads had, or that its quota kept from it
    NEIGHBOURS = "neighbours"  # for a CPU that other programs had
    GIL = "gil"
    LOCK = "lock"
    POOL = "pool"  # one of several things that others had taken
    HANDOFF = "handoff"  # for what another kind of thread does on the waiter's behalf
    PACED = "paced"  # for one's turn, which a rate limiter gives
    AWAIT = "await"  # in a coroutine, while its event loop went on
    SOCKET = "socket"
    CLIENT = "client"  # for the client to send its request, or to take its answer
    POLL = "poll"
    DISK = "disk"
    SLEEP = "sleep"
    OTHER = "other"
    LOOP = "loop"  # ready to go on, while the thread of the event loop was busy
    QUEUED = "queued"  # before a thread had it
    ACK = "delayed-ack"  # the second piece of an answer, for an acknowledgement of the first
    OUTSIDE = "outside"  # the network and whatever else no thread shows, as at the baseline
    GENERATOR = "generator"  # sent late
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True)
class Rise:
    """One part of the mean latency: seconds of a request at the baseline and at the knee, and what
    load added, with its interval.

    `meanwhile` is what the threads spent their time on while a request waited for one (LOOP,
    QUEUED). `inferred` is how much of `knee` no thread and no socket shows: it is what is left
    where the resource that it waits for was seen to be taken.
    """

    kind: LatencyPart
    name: str
    base: Seconds
    knee: Seconds
    added: Interval
    function: str = ""
    file: str = ""
    meanwhile: LatencyPart | None = None
    inferred: Seconds = 0.0


@dataclass(frozen=True, slots=True)
class Waterfall:
    """From the mean latency at the baseline to that at the knee, part by part, each trial with the
    profilers that saw the parts. `parts` with `unexplained` sum to `base` and to `knee` exactly.

    `missing` says why there is none; then there are no parts. `closure` is the unexplained part
    over the growth, without its sign; None where latency did not grow. `differs`: how the largest
    part disagrees with the class of bottleneck. Percentiles do not add up: those of the same trials
    are told beside it.
    """

    parts: tuple[Rise, ...] = ()
    base: Seconds = 0.0
    knee: Seconds = 0.0
    unexplained: Rise | None = None
    closure: Share | None = None
    base_p99: Seconds | None = None
    knee_p99: Seconds | None = None
    differs: str = ""
    missing: str = ""

    @property
    def growth(self) -> Seconds:
        """What load added to the mean latency."""
        return self.knee - self.base

    @property
    def inferred(self) -> Share:
        """The share of the growth that is told from what is taken, and not seen."""
        told = sum(part.inferred for part in self.parts)
        return told / self.growth if self.growth > 0 else 0.0
