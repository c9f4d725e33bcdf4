"""One plateau of load: when its requests are due and which they are, and what came of it.

The schedule is a pure function of seed and rate, so that a run can be asked again exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from typing import TYPE_CHECKING

from perfhunt.model.latency import Latency, RouteFailure, TaskTime
from perfhunt.model.units import Bytes, Cores, PerSecond, Seconds, Share

if TYPE_CHECKING:  # As in `latency`.
    import numpy as np
    from numpy.typing import NDArray


class Phase(StrEnum):
    """Why a step is run."""

    WARMUP = "warmup"
    BASELINE = "baseline"
    RAMP = "ramp"
    COARSE = "coarse"
    PASS = "pass"
    REFERENCE = "reference"  # one step asked again and again, to see whether the service changes
    SOAK = "soak"  # at a share of the knee for long, to see what grows
    STAIRCASE = "staircase"
    CAPACITY = "capacity"
    HOLD = "hold"  # profiled, at the knee; never used in the knee fit
    ABOVE = "above"  # profiled, where the service breaks
    QUIET = "quiet"  # at the knee with no profiler, before and after the hold
    JUDGE = "judge"  # at the load the SLO names
    FIXED = "fixed"  # a rate fixed in advance, as verify asks


# Phases whose trials the knee is fitted to: a ramp's are too short to be stationary, and the others
# are watched, saturated or spoiled on purpose.
FITTED_PHASES = frozenset({Phase.COARSE, Phase.PASS, Phase.STAIRCASE})

# Phases in which profilers are attached; no quantity of theirs is compared between two runs.
WATCHED_PHASES = frozenset({Phase.HOLD, Phase.ABOVE})


@dataclass(frozen=True, slots=True)
class Step:
    """A rate to hold. The first `settle` seconds are sent but not counted. `seed` decides the
    arrivals.
    """

    phase: Phase
    rate: PerSecond
    duration: Seconds
    seed: int
    settle: Seconds = 0.0
    stop_on_overload: bool = True
    arrivals: str = "poisson"


_ARRIVALS, _MIX, _FEED = 1, 2, 3  # independent random streams of one seed


def _stream(seed: int, stream: int) -> np.random.Generator:
    import numpy as np

    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, stream])))


def arrivals(
    seed: int, rate: PerSecond, duration: Seconds, law: str = "poisson"
) -> NDArray[np.float64]:
    """Due times in seconds from the start of a step, ascending, all below `duration`; shape (n,).

    `poisson`: unit-rate exponential gaps drawn from the seed and divided by the rate, so that the
    same seed at another rate is the same pattern, stretched (common random numbers). `uniform`:
    evenly spaced, first at 0. Raises ValueError otherwise.
    """
    import numpy as np

    if law == "uniform":
        # The comparison guards against the last one landing on `duration` by rounding.
        due = np.arange(int(np.ceil(rate * duration)), dtype=np.float64) / rate
        return due[due < duration]
    if law != "poisson":
        raise ValueError(f"unknown arrival law {law!r} (poisson or uniform)")
    random = _stream(seed, _ARRIVALS)
    expected = rate * duration
    due = np.cumsum(random.standard_exponential(int(expected + 6 * np.sqrt(expected) + 16))) / rate
    while due[-1] < duration:
        due = np.concatenate([due, due[-1] + np.cumsum(random.standard_exponential(1024)) / rate])
    return due[due < duration]


def mix(seed: int, n: int, weights: Sequence[float]) -> NDArray[np.uint16]:
    """Indices into `weights` of what each of n arrivals asks for, in proportion; shape (n,)."""
    import numpy as np

    share = np.asarray(weights, dtype=np.float64)
    return _stream(seed, _MIX).choice(len(share), size=n, p=share / share.sum()).astype(np.uint16)


def feed_rows(seed: int, n: int, rows: int) -> NDArray[np.uint32]:
    """Which feed row fills each of n arrivals: uniform with replacement; shape (n,)."""
    return _stream(seed, _FEED).integers(0, rows, size=n, dtype="uint32")


@dataclass(frozen=True, slots=True)
class Count:
    """Of n counted requests, how many exceeded a criterion (too slow, failed, shed or cut)."""

    n: int
    exceed: int

    @property
    def share(self) -> Share:
        return self.exceed / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class SecondRow:
    """One second of a trial, as it happened; `second` counts from the step's start. Rows merge by
    addition where they can.
    """

    second: int
    due: int
    sent: int
    done: int
    failed: int
    shed: int
    # Per criterion, in the order the engine was given them, by the second they were due.
    exceed: tuple[int, ...]
    in_flight: float  # time average over the second (due but not answered)
    p50: Seconds | None
    p99: Seconds | None
    lag_p99: Seconds | None
    generator_cpu: Share  # of one core


@dataclass(frozen=True, slots=True)
class Resources:
    """What the target's process tree and its host used during a trial. Absent readings are None,
    not 0.
    """

    seconds: Seconds
    cpu: Cores | None = None  # on-CPU seconds per second, whole tree
    cpu_seconds: Seconds | None = None  # exact, from the scheduler
    cpu_share: Share | None = None  # of what the target may use
    cpu_limit: Cores | None = None  # cgroup quota, else affinity, else cores of the host
    cpu_limit_source: str = ""
    throttled: Share | None = None  # of quota periods
    rss: Bytes | None = None  # at the end
    rss_peak: Bytes | None = None
    rss_slope: float | None = None  # bytes per second at held load
    memory_share: Share | None = None
    memory_limit: Bytes | None = None
    memory_limit_source: str = ""
    fds: int | None = None
    fds_most: int | None = None  # of the process nearest to its limit of them
    fds_limit: int | None = None
    threads: int | None = None
    processes: int | None = None
    switches_voluntary: float | None = None  # per second
    switches_involuntary: float | None = None  # per second
    memory_hits: int | None = None  # times that its cgroup's memory was at its limit
    oom_kills: int | None = None
    tasks_refused: int | None = None  # threads and processes that its cgroup's pids.max forbade
    host_cpu_share: Share | None = None
    psi_cpu: Share | None = None  # share of time some task waited for a CPU
    psi_io: Share | None = None
    psi_memory: Share | None = None
    accept_queue: int | None = None  # highest seen of the listen socket's queue
    accept_backlog: int | None = None
    listen_overflows: int | None = None
    listen_drops: int | None = None  # SYNs dropped for any reason, overflows among them
    syn_retransmits: int | None = None  # sent again from this host
    retransmits: int | None = None  # segments that the target's side sent again
    connections: Mapping[str, int] = field(default_factory=dict)  # to whom -> highest seen
    unread: float | None = None  # connections of clients with bytes not read yet, on average
    unread_error: float = 0.0


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A program that is neither the target nor of perfhunt, and what it used of the host."""

    name: str
    cpu: Cores


@dataclass(frozen=True, slots=True)
class Interference:
    """What took the machine from target and generator during a trial. None: not read, never 0.

    Waiting is core-seconds per second in which threads could run and did not, up to what others
    (and the hypervisor) took of the cores in question: what the target's own threads do to each
    other, or the generator to them, is no interference. `others` is the CPU of processes that are
    neither the target's, nor ours, nor at the other end of a connection of the target.
    """

    seconds: Seconds
    cores: Cores | None = None  # of the host
    target_ran: Cores | None = None
    target_waited: Cores | None = None
    target_busy: Cores | None = None  # of the cores that it may run on, whoever kept them so
    generator_ran: Cores | None = None
    generator_waited: Cores | None = None
    others: Cores | None = None
    busiest: tuple[Neighbour, ...] = ()  # the most first
    steal: Share | None = None  # of the host's time, taken by the hypervisor
    throttled: Share | None = None  # of the target's quota periods
    # Speed of a core at a fixed piece of work, over the best of the run: median, slowest tenth.
    speed: Share | None = None
    speed_worst: Share | None = None
    readings: int = 0  # of the speed


@dataclass(frozen=True, slots=True)
class Generator:
    """How the generator itself did: whether the numbers of a trial may be believed."""

    lag_p50: Seconds | None
    lag_p99: Seconds | None
    cpu: Share | None  # of one core per load process, the busiest second
    connections_opened: int = 0
    gc_pause_max: Seconds = 0.0
    fds_share: Share | None = None
    ports_share: Share | None = None
    little_ratio: float | None = None  # mean in-flight / (rate x mean response); 1: nothing is late
    notes: tuple[str, ...] = ()
    # Where a locustfile would have gone -> connections that were refused it.
    refused: Mapping[str, int] = field(default_factory=dict)
    mishaps: Mapping[str, int] = field(default_factory=dict)  # what went wrong, in words -> count
    tasks: tuple[TaskTime, ...] = ()  # of a locustfile


@dataclass(frozen=True, slots=True)
class Wire:
    """What passed between client and service during a trial, as the client saw it: of the `answers`
    that count, but connections of the whole trial.

    `in_pieces` of them came in more than one piece, a gap from the first piece to the last (median,
    p99, and all of them added), `head_first` with the head alone in the first. `held` of the gaps
    are longer than they need be by the delay of an acknowledgement, `held_total` altogether:
    `hurried` requests that do not count had their answer's first piece acknowledged at once, and
    their median gap is `hurried_gap`.
    """

    answers: int
    size_mean: float | None = None  # bytes, head included
    size_p99: float | None = None
    encodings: tuple[str, ...] = ()  # those that occurred; `identity` for none
    in_pieces: int = 0
    head_first: int = 0
    gap_p50: Seconds | None = None
    gap_p99: Seconds | None = None
    gap_total: Seconds = 0.0
    held: int = 0
    held_total: Seconds = 0.0
    hurried: int = 0
    hurried_gap: Seconds | None = None
    connects: int = 0  # that came about
    new_connections: int = 0  # of those, for requests that count
    connect_p50: Seconds | None = None  # until a request could be written: TLS included
    connect_p99: Seconds | None = None
    slow_connects: int = 0  # that took a second or more, as when a SYN is sent again
    resolution: Seconds | None = None  # of the host's name, once, and in no latency


@dataclass(frozen=True, slots=True)
class RouteResult:
    """One endpoint's share of a trial."""

    response: Latency
    service: Latency
    statuses: Mapping[int, int]
    outcomes: Mapping[str, int]  # Outcome name, lower case -> count
    # Criterion name -> requests of the route over its limit; empty in runs that did not count.
    over: Mapping[str, int] = field(default_factory=dict)
    failures: tuple[RouteFailure, ...] = ()  # the most first; empty in runs that did not keep them
    sizes: Mapping[int, int] = field(default_factory=dict)  # of successes: power of two -> count


@dataclass(frozen=True, slots=True)
class AttachedTool:
    """Something of ours that looked at the target during a trial, and how often: what is looked at
    runs otherwise. None for what sets its own pace.
    """

    name: str
    rate_hz: PerSecond | None = None


# How `Trial.invalid` begins when the load was stopped from outside.
STOPPED = "stopped: "
# How it begins when other work on the host decided the trial, and the search asked for it again.
SET_ASIDE = "set aside: "


@dataclass(frozen=True, slots=True)
class Trial:
    """The outcome of a step: counts for the fit, distributions for people, and whether to believe
    them.

    `counts` is keyed by criterion name. `achieved` is requests sent per second of the counted span;
    `completed` answers per second. `overload` and `invalid` are sentences, empty when nothing was
    wrong. `samples` names the raw file, if any. `attached` is what looked at the target meanwhile;
    None in runs that did not keep it.
    """

    step: Step
    seconds: Seconds  # of load, settle included
    achieved: PerSecond
    completed: PerSecond
    counts: Mapping[str, Count]
    response: Latency
    service: Latency
    outcomes: Mapping[str, int]
    generator: Generator
    overload: str = ""
    invalid: str = ""
    routes: Mapping[str, RouteResult] = field(default_factory=dict)
    rows: tuple[SecondRow, ...] = ()
    resources: Resources | None = None
    samples: str = ""
    started: Seconds = 0.0  # since the run began
    interference: Interference | None = None
    wire: Wire | None = None
    attached: tuple[AttachedTool, ...] | None = None

    @property
    def n(self) -> int:
        return self.response.n

    @property
    def stopped(self) -> bool:
        """Whether the load was stopped from outside."""
        return self.invalid.startswith(STOPPED)

    @property
    def set_aside(self) -> bool:
        """Whether other work on the host spoiled it, and it was asked for again."""
        return self.invalid.startswith(SET_ASIDE)

    @property
    def failed(self) -> int:
        return sum(count for outcome, count in self.outcomes.items() if outcome != "ok")


@dataclass(frozen=True, slots=True)
class Drain:
    """Ask for no load until nothing is in flight and a probe is answered as quickly as at baseline,
    giving up after `cap`; and then for `quiet` seconds more.
    """

    cap: Seconds = 60.0
    quiet: Seconds = 0.0


@dataclass(frozen=True, slots=True)
class Drained:
    """How long a drain took, and whether the target came back; `why` it is not known."""

    seconds: Seconds
    recovered: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Other work on the host over a search: how many of its `trials` were set aside, and how many
    were disturbed and used all the same, for there was no quiet time. `busy` is the share of the
    host that others took in those that were used (in those set aside, where none was); None when it
    is not known. `names`: the most first.
    """

    trials: int
    set_aside: int
    used: int
    busy: Share | None
    names: tuple[str, ...]


def served_at(history: Sequence[Trial]) -> list[float]:
    """Requests served when each trial ended, since the first began."""
    return list(accumulate(trial.achieved * trial.seconds for trial in history))


def steady_trials(history: Sequence[Trial]) -> list[Trial]:
    """Trials of one load that was asked again and again, so that what the load itself takes is the
    same each time: of a soak, else the references.
    """
    valid = [trial for trial in history if not trial.invalid]
    soaked = [trial for trial in valid if trial.step.phase is Phase.SOAK]
    return soaked or [trial for trial in valid if trial.step.phase is Phase.REFERENCE]
