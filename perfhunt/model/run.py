"""One investigation: what it tells whoever watches it, as it happens, and everything kept of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, TypeAlias

from perfhunt.model.finding import Bottleneck, Caution, Finding, ProbeEffect, Waterfall
from perfhunt.model.inside.look import InsideLook, StartedService
from perfhunt.model.knee import Capacity, Drift, Knee, NoKnee, NoKneeCode, RouteKnee
from perfhunt.model.profile import Profile
from perfhunt.model.question import Question
from perfhunt.model.redact import of_one_key
from perfhunt.model.slo import Judged, Judgement
from perfhunt.model.states import Peer, States
from perfhunt.model.text.socket_url import PREFIX
from perfhunt.model.trial import Disturbance, Drained, SecondRow, Step, Trial
from perfhunt.model.units import Bytes, Cores, PerSecond, Seconds

SCHEMA: Final = 1
_NOT_SEARCHED = NoKnee(NoKneeCode.STOPPED, "the run ended before a knee was searched for")


class RunKind(StrEnum):
    """Which question a run answers."""

    INVESTIGATE = "investigate"
    PROFILE = "profile"
    VERIFY = "verify"
    SMOKE = "smoke"


# Kinds of run that look for a knee.
SEARCHED = (RunKind.INVESTIGATE, RunKind.VERIFY)


class RunEnd(StrEnum):
    """How a run ended. All but the first two are followed by a colon and the reason."""

    COMPLETE = "complete"
    RUNNING = "running"  # not yet
    STOPPED = "stopped"
    FAILED = "failed"
    ABORTED = "aborted"  # perfhunt was ended from outside


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """Which process: its pid and its start in seconds since boot, for a pid alone is used again."""

    pid: int
    started: Seconds


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the target's tree; `started` is seconds since boot."""

    pid: int
    parent: int
    started: float
    exe: str
    cmdline: tuple[str, ...]
    cwd: str
    uid: int
    threads: int
    runtime: str = ""  # cpython, node, jvm, go, native
    runtime_version: str = ""

    @property
    def identity(self) -> ProcessIdentity:
        """Which process it is, whoever has its pid later."""
        return ProcessIdentity(self.pid, self.started)


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening TCP socket and the pids that hold it; of a unix socket, `host` is `unix:` with
    its path, and there is no port (0).
    """

    host: str
    port: int
    pids: tuple[int, ...]
    backlog: int | None = None

    @property
    def path(self) -> str:
        """The path of a unix socket; "" of TCP."""
        return "" if self.port else self.host.removeprefix(PREFIX)

    @property
    def place(self) -> str:
        """Where it listens, in words."""
        return f"port {self.port}" if self.port else self.host


@dataclass(frozen=True, slots=True)
class Application:
    """What tells the application's code from that of others, beside where its files lie.

    `modules` are import names that are the application though installed among libraries, for the
    command names them as what is served; `entry` those of the distribution that the command itself
    belongs to. `launchers` are scripts that an installer wrote; `libraries` paths of what was
    installed elsewhere than among the libraries, or crates that were linked in, as `tokio::`.
    """

    modules: tuple[str, ...] = ()
    entry: tuple[str, ...] = ()
    launchers: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetProcess:
    """The live target as found: the tree, its sockets, what it runs on and how much it may use.

    `workers` are the pids that do the work (profiles go there); `framework` is a guess from the
    command line, or "".
    """

    root: int
    processes: tuple[Process, ...]
    listeners: tuple[Listener, ...]
    workers: tuple[int, ...]
    runtime: str
    runtime_version: str
    framework: str = ""
    cpu_limit: Cores | None = None
    cpu_limit_source: str = ""
    memory_limit: Bytes | None = None
    memory_limit_source: str = ""
    git_root: str = ""
    # What a reader of the numbers should know about how it was found; sentences.
    notes: tuple[str, ...] = ()
    application: Application = Application()

    def noted(self, note: str) -> TargetProcess:
        """The same with one more note; "" is none."""
        return replace(self, notes=(*self.notes, note)) if note else self


@dataclass(frozen=True, slots=True)
class Environment:
    """What the numbers depend on besides the code: the host, the interpreter, the tools, the
    revision.
    """

    host: str = ""
    kernel: str = ""
    cpu_model: str = ""
    cores: int = 0
    memory: Bytes = 0
    virtualised: str = ""
    load_average: float | None = None
    perfhunt: str = ""
    python: str = ""
    tools: Mapping[str, str] = field(default_factory=dict)  # name -> version
    pinning: str = ""  # how generator and target were kept apart
    git_revision: str = ""
    git_dirty: bool = False
    git_diff_sha256: str = ""
    # A commit of the working tree as it was measured, when it was not the revision's own tree.
    git_snapshot: str = ""
    # A hash of what the target runs that a build wrote; "" where it runs its sources.
    code_sha256: str = ""
    # What is installed in the target's environment: name -> version.
    distributions: Mapping[str, str] = field(default_factory=dict)
    # A mark of the target's environment variables, under the store's key; values are never stored.
    env_sha256: str = ""
    # Name -> the first 4 hex digits of such a mark of its value: enough to see which one changed.
    variables: Mapping[str, str] = field(default_factory=dict)

    def variables_unlike(self, other: Environment) -> tuple[str, ...]:
        """Names of environment variables that are not the same in both; empty when either run did
        not read them, or they were marked under two keys.
        """
        if not of_one_key(self.env_sha256, other.env_sha256):
            return ()
        mine, theirs = self.variables, other.variables
        return (
            tuple(sorted(n for n in {*mine, *theirs} if mine.get(n) != theirs.get(n)))
            if mine and theirs
            else ()
        )


@dataclass(frozen=True, slots=True)
class Run:
    """One investigation, whole or cut short (`ended` says which). Reports are pure functions of it.

    `ended` is a `RunEnd`, with the reason behind a colon when the run is not whole.
    """

    id: str
    kind: RunKind
    started: str  # ISO 8601, UTC
    perfhunt: str
    question: Question
    environment: Environment
    target: TargetProcess | None
    verdict: Judgement
    launched: StartedService | None = None  # None: it ran already
    inside: tuple[InsideLook, ...] = ()  # in spans of their own, after all trials
    judged: tuple[Judged, ...] = ()
    judged_at: PerSecond | None = None
    knee: Knee | NoKnee = _NOT_SEARCHED
    knees: tuple[Knee | NoKnee, ...] = ()  # per criterion, where the traffic has several
    capacity: Capacity | None = None
    drift: Drift | None = None  # None: not looked for
    disturbance: Disturbance | None = None  # None: none, or not looked for
    route_knees: tuple[RouteKnee, ...] = ()  # of several routes; empty: not counted
    baseline: Trial | None = None
    trials: tuple[Trial, ...] = ()
    drains: tuple[Drained, ...] = ()
    bottleneck: Bottleneck | None = None
    findings: tuple[Finding, ...] = ()
    waterfall: Waterfall | None = None  # None: not worked out
    states: Mapping[str, States] = field(default_factory=dict)  # by SpanName
    # By SpanName; a span is not there when nobody looked.
    peers: Mapping[str, tuple[Peer, ...]] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=dict)  # by SpanName
    probe_effect: ProbeEffect | None = None
    cautions: tuple[Caution, ...] = ()
    artifacts: Mapping[str, str] = field(default_factory=dict)  # format -> file name in the run
    ended: str = RunEnd.COMPLETE
    seconds: Seconds = 0.0
    next_step: str = ""
    exit_code: int = 0

    @property
    def ending(self) -> RunEnd:
        """How it ended, without the reason."""
        return RunEnd(self.ended.partition(":")[0])


@dataclass(frozen=True, slots=True)
class Began:
    """A stage began. `expected` is how long it may take (None: unknown)."""

    stage: str
    sentence: str
    expected: Seconds | None = None


@dataclass(frozen=True, slots=True)
class Ticked:
    """A second of load went by."""

    step: Step
    row: SecondRow


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial ended. `low` and `high` bracket the knee by all trials so far (None: not known)."""

    trial: Trial
    low: PerSecond | None = None
    high: PerSecond | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """Something a person would want to know now."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The run is stored. `directory` is where; `verdict` the word; `exit_code` what the process
    will return.
    """

    run: str
    directory: str
    verdict: str
    exit_code: int


Event: TypeAlias = Began | Ticked | Tried | Noted | Finished
EventWatcher: TypeAlias = Callable[[Event], None]


def unwatched(_: Event) -> None:
    """A watcher that looks away."""
