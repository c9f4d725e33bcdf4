"""The shape of run.json where it is not that of the nouns: other keys, milliseconds for seconds,
numbers that are worked out. Key names are public and stable.

A noun that is not here (`Environment`, `Caution`, ...) is written field by field as it is. What
each key means stands in `meanings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from perfhunt.model.finding import BottleneckClass, Caution, LatencyPart, ProbeEffect, WhatIf
from perfhunt.model.inside.look import InsideLook, StartedService
from perfhunt.model.knee import Capacity, Drift, FittedCurve, KneeLabel, NoKneeCode, RouteKnee
from perfhunt.model.latency import RouteFailure
from perfhunt.model.profile import ProfileMode
from perfhunt.model.question import (
    EngineName,
    LocustOptions,
    Ramp,
    RequestTemplate,
    Safety,
    Target,
)
from perfhunt.model.run import Environment, RunKind, TargetProcess
from perfhunt.model.slo import Judgement, Slo, SmokeLoad
from perfhunt.model.states import PeerKind, PeerProcess, ThreadTime
from perfhunt.model.trial import (
    AttachedTool,
    Count,
    Disturbance,
    Drained,
    Generator,
    Interference,
    Phase,
    Resources,
    SecondRow,
    Wire,
)

# Fields that the noun and its document shape differently; the others are the same in both.
RUN_RESHAPED = (
    *("question", "judged", "judged_at", "knee", "knees", "baseline", "trials"),
    *("bottleneck", "findings", "waterfall", "states", "peers", "profiles"),
)
TRIAL_RESHAPED = ("step", "response", "service", "routes", "rows", "started")
LATENCIES = ("p50", "p90", "p95", "p99", "mean", "max")  # seconds in one, milliseconds in the other


class LatencyDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """A latency distribution; percentiles in milliseconds, null when there were no requests."""

    n: int
    censored: int
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    mean: float | None
    max: float | None


class IntervalDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """An estimate in milliseconds with its interval; null for infinity."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    confidence: float


class RouteDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """One endpoint's share of a trial."""

    response: LatencyDocument
    service: LatencyDocument
    statuses: Mapping[int, int]
    outcomes: Mapping[str, int]
    over: Mapping[str, int] = {}
    failures: tuple[RouteFailure, ...] = ()
    sizes: Mapping[int, int] = {}


class TrialDocument(Struct, frozen=True):
    """One plateau of load and what came of it."""

    phase: Phase
    rate: float
    achieved: float
    completed: float
    n: int
    exceed: int | None
    overload: str
    invalid: str
    response: LatencyDocument
    service: LatencyDocument
    errors: int
    lag_p99_ms: float | None
    resources: Resources | None
    counts: Mapping[str, Count]
    outcomes: Mapping[str, int]
    routes: Mapping[str, RouteDocument]
    generator: Generator
    duration_s: float
    settle_s: float
    seconds: float
    seed: int
    arrivals: str
    stop_on_overload: bool
    started_s: float
    samples: str
    rows: tuple[SecondRow, ...] | UnsetType = UNSET
    interference: Interference | None = None
    wire: Wire | None = None
    attached: tuple[AttachedTool, ...] | None = None


class JudgedDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the SLO, as it came out."""

    name: str
    op: str
    limit: float
    value: float | None
    unit: str
    n: int
    verdict: Judgement
    window_s: float | None
    note: str


class SloDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """The SLO as judged."""

    verdict: Judgement
    judged_at: float | None
    objectives: tuple[JudgedDocument, ...]


class KneeDocument(Struct, frozen=True):
    """Where the service breaks."""

    rate: float
    low: float
    high: float
    confidence: float
    criterion: str
    sharpness: float | None
    label: KneeLabel
    phi: float | None
    passes: int
    note: str
    limit_ms: float | None
    load_s: float
    curve: FittedCurve | None = None


class NoKneeDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """Why it is not known where the service breaks."""

    none: str
    code: NoKneeCode
    low: float | None
    high: float | None


# A knee or none is told by the key `none`, which msgspec has no union for: read by `reading`.
KneeOrNone = Annotated[
    dict[str, Any],
    Meta(
        extra_json_schema={
            "type": "object",
            "oneOf": [{"$ref": "#/$defs/KneeDocument"}, {"$ref": "#/$defs/NoKneeDocument"}],
        }
    ),
]


class BottleneckDocument(Struct, frozen=True):
    """What kind of thing stops the service."""

    category: BottleneckClass = field(name="class")
    score: float
    evidence: tuple[str, ...]
    runner_up: str
    runner_up_score: float


class LeafDocument(Struct, frozen=True):
    """A function that a suspect calls again and again."""

    function: str
    file: str
    own_ms: IntervalDocument


class FindingDocument(Struct, frozen=True):
    """A suspect."""

    rank: int
    function: str
    file: str
    line: int | None
    category: BottleneckClass = field(name="class")
    self_share: float
    total_share: float
    ms_per_request: IntervalDocument
    own_ms: IntervalDocument
    total_ms: IntervalDocument
    grew_ms: IntervalDocument | None
    via: str
    evidence: str
    what_if: WhatIf | None
    runtime: str
    withheld: str = ""  # joined
    leaves: tuple[LeafDocument, ...] = ()


class RiseDocument(Struct, frozen=True):
    """One part of the mean latency."""

    kind: LatencyPart
    name: str
    function: str
    file: str
    meanwhile: LatencyPart | None
    base_ms: float | None
    knee_ms: float | None
    inferred_ms: float | None
    added_ms: IntervalDocument


class WaterfallDocument(Struct, frozen=True):
    """From the mean latency at the baseline to that at the knee, part by part."""

    base_ms: float | None
    knee_ms: float | None
    base_p99_ms: float | None
    knee_p99_ms: float | None
    parts: tuple[RiseDocument, ...]
    unexplained: RiseDocument | None
    closure: float | None
    inferred: float
    differs: str
    missing: str


class ProfileDocument(Struct, frozen=True):
    """A profile; its stacks are in `file`."""

    tool: str
    version: str
    mode: ProfileMode
    rate_hz: float
    seconds: float
    pids: tuple[int, ...]
    unit: str
    ticks: int | None
    errors: int
    dropped: int
    late: int
    command: tuple[str, ...]
    started: float
    notes: tuple[str, ...]
    raw: str
    weight: float
    file: str


class GeneratorDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """The worst the generator did over all valid trials."""

    lag_p99_ms: float | None
    cpu: float | None
    achieved_share: float | None
    invalid_trials: int


class QuestionDocument(Struct, frozen=True, kw_only=True):
    """What was asked; values that may be secret are left out."""

    target: Target
    traffic: tuple[RequestTemplate, ...]
    slo: Slo
    ramp: Ramp = Ramp()
    safety: Safety = Safety()
    seed: int = 1
    locustfile: str | None = None
    locustfile_sha256: str | None = None
    locustfile_connects: tuple[str, ...] = ()
    locust_options: LocustOptions = ()
    locust_classes: tuple[str, ...] = ()
    locust_withheld: str = ""
    engine: EngineName = EngineName.LOCUST
    k6_script: str | None = None
    k6_script_sha256: str | None = None
    login: RequestTemplate | None = None
    session_values: tuple[tuple[str, str], ...] = ()
    sessions: int = 0
    smoke: SmokeLoad = SmokeLoad()
    source: str = ""
    keep_error_text: bool = False
    fingerprint: str


class StatesDocument(Struct, frozen=True, kw_only=True):
    """Thread states over one span of load."""

    phase: str
    seconds: float
    threads: tuple[ThreadTime, ...]
    ticks: int
    source: str = "syscall"
    cost: float = 0.0
    notes: tuple[str, ...] = ()
    idle: Mapping[str, float] = field(default_factory=dict)
    totals: Mapping[str, float]


class PeerDocument(Struct, frozen=True, kw_only=True):
    """What worked for the target at the other end of its connections, over one span of load."""

    name: str
    addresses: tuple[str, ...]
    connections: float
    pids: tuple[int, ...] = ()
    others: float = 0.0
    cores: float | None = None
    queued: float | None = None
    allowed: float | None = None
    busiest: float | None = None
    threads: int = 0
    states: Mapping[str, float] = field(default_factory=dict)
    waits_on: Mapping[str, float] = field(default_factory=dict)
    doing: Mapping[str, float] = field(default_factory=dict)
    processes: tuple[PeerProcess, ...] = ()
    note: str = ""
    kind: PeerKind
    busy_share: float | None


class RunDocument(Struct, frozen=True, kw_only=True):
    """One investigation. Keys may be added within schema 1; none is renamed, removed or given
    another unit.
    """

    schema: Literal[1]
    kind: RunKind
    id: str
    started: str
    perfhunt: str
    verdict: Judgement
    ended: str
    exit_code: int
    seconds: float
    next_step: str
    question: QuestionDocument
    environment: Environment
    target: TargetProcess | None
    launched: StartedService | None = None
    inside: tuple[InsideLook, ...] = ()
    slo: SloDocument
    knee: KneeOrNone
    knees: tuple[KneeOrNone, ...]
    capacity: Capacity | None
    drift: Drift | None = None
    disturbance: Disturbance | None = None
    route_knees: tuple[RouteKnee, ...] = ()
    baseline: TrialDocument | None
    trials: tuple[TrialDocument, ...]
    drains: tuple[Drained, ...]
    bottleneck: BottleneckDocument | None
    findings: tuple[FindingDocument, ...]
    waterfall: WaterfallDocument | None = None
    states: Mapping[str, StatesDocument]
    peers: Mapping[str, tuple[PeerDocument, ...]] = field(default_factory=dict)
    profiles: Mapping[str, ProfileDocument]
    # Worked out from the trials, for readers of the file: not missed where it is not there.
    generator: GeneratorDocument | UnsetType = UNSET
    probe_effect: ProbeEffect | None
    cautions: tuple[Caution, ...]
    artifacts: Mapping[str, str]
