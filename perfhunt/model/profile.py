"""Samples of what code was running: stacks to weights, with everything needed to know what they
mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias

from perfhunt.model.units import Cores, PerSecond, Seconds, Share

# What is read of one profile. A hold of ten minutes at 100 Hz of eight deep workers has half as
# many frames in its different stacks; the largest programs have as many functions.
MOST_FRAMES = 5_000_000
MOST_DIFFERENT_FRAMES = 500_000


class FrameKind(StrEnum):
    """What a frame is of."""

    PYTHON = "python"
    NATIVE = "native"
    KERNEL = "kernel"
    JS = "js"
    JVM = "jvm"
    GO = "go"
    WAIT = "wait"  # what a thread at rest waited for
    THREAD = "thread"  # a label that a tool put at the root


class ProfileMode(StrEnum):
    """Which threads a profiler counts."""

    CPU = "cpu"  # those that run
    GIL = "gil"  # the one that holds the GIL
    WALL = "wall"  # all, at work or at rest
    NONE = "none"  # nothing was profiled
    UNKNOWN = "unknown"  # a file of others, which does not say


# What a sample of each is of, as the end of a phrase: two counts of samples may be of two kinds.
_SAMPLED: Mapping[ProfileMode, str] = {
    ProfileMode.CPU: " of threads on a CPU",
    ProfileMode.GIL: " of the GIL's holder",
    ProfileMode.WALL: " of all threads, running and waiting",
}


class ProfilePolicy(StrEnum):
    """How much a run depends on its profiles."""

    AUTO = "auto"  # a profiler attaches where one can
    REQUIRED = "required"  # the run ends with AttachFailed when none can
    OFF = "off"


class SpanName(StrEnum):
    """A stretch of load that was looked into; `-waits` is where its threads worked or waited."""

    BASELINE = "baseline"
    KNEE = "knee"
    ABOVE = "above"  # where the service breaks
    BASELINE_WAITS = "baseline-waits"
    KNEE_WAITS = "knee-waits"
    ABOVE_WAITS = "above-waits"

    @property
    def waits(self) -> SpanName:
        """The same stretch, by where its threads worked or waited."""
        return self if self.value.endswith("-waits") else SpanName(f"{self.value}-waits")


class EvidenceKind(StrEnum):
    """What is looked for in a target, and can be lost."""

    ON_CPU = "the stacks on the CPU"
    WAITS = "the stacks of waiting threads"
    IDLE = "the stacks of threads without load"
    STATES = "the states of threads"
    PEERS = "what works for the target"


@dataclass(frozen=True, slots=True)
class Loss:
    """Evidence that was looked for and not got: of what kind, how much of it (None: nobody can
    tell), why, as a clause without a full stop, and what to do about it.
    """

    what: EvidenceKind
    share: Share | None
    why: str
    next: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """A function on a stack. `file` is as full as the tool gives it; `line` is a hint, never part
    of identity in rankings.
    """

    function: str
    file: str = ""
    line: int | None = None
    kind: FrameKind = FrameKind.PYTHON

    @property
    def key(self) -> tuple[str, str]:
        """(function, file): what the ranking groups by."""
        return (self.function, self.file)


# On top of the stack of a thread that collects garbage now, in the word that V8 has for it.
COLLECTS_GARBAGE = Frame("(garbage collector)")

Stack: TypeAlias = tuple[Frame, ...]  # root first


def regrouped(
    stacks: Mapping[Stack, float], changed: Callable[[Stack], Stack]
) -> dict[Stack, float]:
    """The weights by stacks as `changed` makes them: of those that become alike, they add."""
    weights: dict[Stack, float] = {}
    for stack, weight in stacks.items():
        key = changed(stack)
        weights[key] = weights.get(key, 0.0) + weight
    return weights


def counted(total: float, mode: ProfileMode, unit: str = "samples") -> str:
    """So many samples, with what they are of; in another unit, that unit."""
    noun = unit.removesuffix("s") if total == 1 else unit
    return f"{total:,.0f} {noun}{_SAMPLED.get(mode, '')}"


@dataclass(frozen=True, slots=True)
class LockWait:
    """Threads that waited to enter a lock: with which stack, how many on average, `n` waits. `of`
    is the kind: `lock`, or `pool` where several may have it at once. Of the kind `gc`, every thread
    stood still for the collector: `threads` is the share of the time, parted among the stacks that
    took the memory, and `n` the pauses.
    """

    stack: Stack
    of: str
    threads: float
    n: int


@dataclass(frozen=True, slots=True)
class LongPoll:
    """Tasks of an event loop that kept a thread of it to themselves: which, the mean time of a poll
    of theirs, and how many polls that is of.
    """

    task: str
    mean: Seconds
    polls: int


@dataclass(frozen=True, slots=True)
class Profile:
    """Stacks with their weights (samples, unless `unit` says otherwise).

    `ticks` is how many times the tool looked (None: unknown); `errors`
    how often it failed to read; `dropped` how many samples a strict reader or the tool itself threw
    away. `command` is the exact command line.
    """

    tool: str
    version: str
    mode: ProfileMode
    rate_hz: float
    seconds: Seconds
    stacks: Mapping[Stack, float]
    pids: tuple[int, ...] = ()
    unit: str = "samples"
    ticks: int | None = None
    errors: int = 0
    dropped: int = 0
    late: int = 0
    command: tuple[str, ...] = ()
    started: Seconds = 0.0  # since the run began
    notes: tuple[str, ...] = ()
    raw: str = ""  # file name of the tool's own output within the run
    # What a tool that knows them saw of locks; in `raw` only, not in run.json.
    lock_waits: tuple[LockWait, ...] = ()
    long_polls: tuple[LongPoll, ...] = ()
    # Bytes that stacks allocated meanwhile, of a runtime that tells; in a file beside `raw` only.
    allocated: Mapping[Stack, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Sum of all weights."""
        return sum(self.stacks.values())

    @property
    def mostly_lost(self) -> bool:
        """Whether more samples were lost than kept: those are then some kinds of code, not all."""
        return self.errors + self.dropped > self.total

    @property
    def counted(self) -> str:
        """How much there is, and of what kind: `29 samples of the GIL's holder`."""
        return counted(self.total, self.mode, self.unit)

    @property
    def mean_threads(self) -> float | None:
        """Threads that a look found, on average; None when nobody counted the looks."""
        return self.total / self.ticks if self.ticks else None

    def seconds_per_request(
        self, completed: PerSecond, cpu: Cores | None = None, *, nominal: bool = False
    ) -> Seconds | None:
        """Seconds of a completed request that all weight together stands for; None when unknown.

        On-CPU stacks divide the CPU time that was counted, `cpu` (utilisation law, D = U/X: Denning
        & Buzen 1978); others, or those without it, the mean number of threads (Little's law,
        R = N/X). `nominal`: where the tool did not count its looks, its rate says how many.
        """
        if completed <= 0:
            return None
        if cpu is not None and self.mode == ProfileMode.CPU:
            return cpu / completed
        looks = self.ticks or (self.rate_hz * self.seconds if nominal else 0.0)
        return self.total / looks / completed if looks else None

    def seconds_per_sample(
        self, completed: PerSecond, cpu: Cores | None = None, *, nominal: bool = False
    ) -> Seconds | None:
        """What one unit of weight costs a completed request, as `seconds_per_request` divides it;
        None when that is unknown or nothing was sampled.
        """
        whole = self.seconds_per_request(completed, cpu, nominal=nominal)
        return None if whole is None or not self.total else whole / self.total

    def merged(self, other: Profile) -> Profile:
        """Both profiles as one: weights add, health adds. Raises ValueError for unlike tools, modes
        or rates.
        """
        if (self.tool, self.mode, self.rate_hz) != (other.tool, other.mode, other.rate_hz):
            raise ValueError(
                f"unlike profiles: {self.tool}/{self.mode} and {other.tool}/{other.mode}"
            )
        stacks = dict(self.stacks)
        for stack, weight in other.stacks.items():
            stacks[stack] = stacks.get(stack, 0.0) + weight
        allocated = dict(self.allocated)
        for stack, size in other.allocated.items():
            allocated[stack] = allocated.get(stack, 0.0) + size
        ticks = None if self.ticks is None or other.ticks is None else max(self.ticks, other.ticks)
        return replace(
            self,
            seconds=max(self.seconds, other.seconds),
            stacks=stacks,
            pids=self.pids + other.pids,
            ticks=ticks,
            errors=self.errors + other.errors,
            dropped=self.dropped + other.dropped,
            late=self.late + other.late,
            notes=self.notes + other.notes,
            lock_waits=self.lock_waits + other.lock_waits,
            long_polls=self.long_polls + other.long_polls,
            allocated=allocated,
        )


@dataclass(frozen=True, slots=True)
class ThreadSample:
    """One thread at one instant: its stack (root first), what the kernel said it was doing, and
    whether it held the GIL. Or one task of an event loop that waits (`task`, tid 0): its stack is
    the chain of coroutines it awaits through.

    `state` is a `ThreadState` value; `wait_on` names the endpoint, file or futex address it waited
    for ("" when none); `holds` is what it provably has, by the names that `wait_on` of others have.
    `still`: it provably did not move between the readings around its stack, so that stack and state
    belong together.
    """

    pid: int
    tid: int
    stack: Stack
    state: str
    wait_on: str = ""
    holds_gil: bool = False
    thread_name: str = ""
    still: bool = False
    task: bool = False
    holds: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Instant:
    """Every thread of the target at (nearly) one moment; `at` is seconds since the run began."""

    at: Seconds
    threads: tuple[ThreadSample, ...]


@dataclass(frozen=True, slots=True)
class Instants:
    """A series of instants from one span, with the health of the capture."""

    seconds: Seconds
    instants: tuple[Instant, ...]
    errors: int = 0
    notes: tuple[str, ...] = field(default=())

    def __iter__(self) -> Iterator[Instant]:
        return iter(self.instants)

    def __len__(self) -> int:
        return len(self.instants)
