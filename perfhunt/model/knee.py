"""Where a service breaks: an interval, or the reason there is none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from perfhunt.model.interval import Interval
from perfhunt.model.slo import Slo
from perfhunt.model.units import PerSecond, Seconds, Share, format_bytes, format_duration


class KneeLabel(StrEnum):
    """How sure a knee is, or what it is a knee of."""

    SHARP = "sharp"
    SOFT = "soft"  # the service gives way gradually
    BRACKET = "bracket"  # between two rates; no curve was fitted, or its interval is wide
    ERRORS = "errors"  # requests fail before they are slow
    RESOURCE = "resource"  # CPU or memory, which no request is counted by


class NoKneeCode(StrEnum):
    """Why there is no knee; stable, for scripts that act on it."""

    BELOW_MAX_RATE = "below-max-rate"
    GENERATOR_LIMITED = "generator-limited"
    ERRORS_AT_ONCE = "errors-at-once"
    NEVER_STATIONARY = "never-stationary"
    MISSED_AT_BASELINE = "missed-at-baseline"
    NOT_REACHED = "not-reached"  # another criterion breaks first
    BUDGET = "budget"
    TARGET_LOST = "target-lost"  # it died, or did not come back
    STOPPED = "stopped"
    HOST_BUSY = "host-busy"  # other work on the host left no trial to be believed
    TEST_ITSELF = "test-itself"  # the locustfile fails by itself, or takes its time
    FAILED = "failed"  # the run ended before, and the target is not why
    NOT_SEARCHED = "not-searched"  # a smoke asks one rate
    NO_LOAD = "no-load"  # a profile of the load that was there


@dataclass(frozen=True, slots=True)
class FittedCurve:
    """The fitted share of requests over the limit at ascending `rates`, with its interval at the
    knee's confidence.

    `shares`, `low` and `high` have one value for each rate.
    """

    rates: tuple[PerSecond, ...]
    shares: tuple[Share, ...]
    low: tuple[Share, ...]
    high: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Knee:
    """The largest rate at which a criterion still holds.

    `sharpness` is d ln P / d ln rate at the knee (P: share of requests over the limit); below 4 the
    knee is soft. The `limit` of a resource knee is infinite and its note tells the share. `phi` is
    the dispersion of exceedance counts over binomial. `curve` is what the knee was read off; None
    when nothing was fitted, and in runs of versions that did not store it.
    """

    rate: PerSecond
    low: PerSecond
    high: PerSecond
    confidence: Share
    criterion: str
    limit: Seconds
    sharpness: float | None
    label: KneeLabel
    phi: float | None = None
    passes: int = 0
    load: Seconds = 0.0
    note: str = ""
    curve: FittedCurve | None = None


@dataclass(frozen=True, slots=True)
class NoKnee:
    """Why no knee was found: a code, and the reason as a sentence. `low` and `high` hold what is
    known (None: nothing).
    """

    code: NoKneeCode
    reason: str
    low: PerSecond | None = None
    high: PerSecond | None = None


@dataclass(frozen=True, slots=True)
class RouteKnee:
    """Where one of several routes breaks what the SLO asks of all requests, at rates of the whole
    traffic; `rate` is None where it was not seen to, and `note` says why.

    `share` is the route's part of the traffic, `n` its requests behind the numbers.
    """

    route: str
    share: Share
    n: int
    rate: PerSecond | None
    low: PerSecond | None
    high: PerSecond | None
    note: str = ""


AT_LEAST = "at least"  # how the note of a lower bound begins


@dataclass(frozen=True, slots=True)
class Capacity:
    """Completions per second when saturated: the second number, always beside the knee. A note that
    begins with `AT_LEAST` makes it a lower bound: the offered rate cut it off.
    """

    rate: PerSecond
    low: PerSecond
    high: PerSecond
    offered: PerSecond
    note: str = ""

    @property
    def at_least(self) -> bool:
        """Whether it is a lower bound."""
        return self.note.startswith(AT_LEAST)


class Growing(StrEnum):
    """What may grow with the requests a service has served."""

    LATENCY = "latency"  # the median at one rate, seconds
    CPU = "cpu"  # per request at one rate, CPU-seconds
    RSS = "rss"  # bytes
    FDS = "fds"  # a count
    THREADS = "threads"  # a count


_GROWING_WORDS = {
    Growing.LATENCY: "The median latency",
    Growing.CPU: "CPU per request",
    Growing.RSS: "Resident memory",
    Growing.FDS: "The number of open files",
    Growing.THREADS: "The number of threads",
}


@dataclass(frozen=True, slots=True)
class Slope:
    """How fast something grows: its own unit per 1,000 requests served, n changes behind it.

    `reached` is what it was at the end. The trend is told from chance by how evenly it grew from
    one trial to the next, so a single jump (a pool that fills, a cache that warms) is no slope.
    """

    of: Growing
    per_thousand: Interval
    reached: float

    @property
    def grows(self) -> bool:
        """Whether it clearly goes up."""
        return self.per_thousand.low > 0

    def __str__(self) -> str:
        growth = self.per_thousand
        value, low, high = (self._shown(v) for v in (growth.value, growth.low, growth.high))
        return (
            f"{_GROWING_WORDS[self.of]} grows by {value} with every 1,000 requests"
            f" ({low} to {high}, n={growth.n})."
        )

    def _shown(self, value: float) -> str:
        if self.of is Growing.RSS:
            return format_bytes(value)
        if self.of in (Growing.LATENCY, Growing.CPU):
            return f"{'-' if value < 0 else ''}{format_duration(abs(value))}"
        return f"{value:.3g}"


class DriftKind(StrEnum):
    """What became of one and the same step, asked early and late."""

    STEADY = "steady"
    SLOWER = "slower"
    QUICKER = "quicker"
    UNCLEAR = "unclear"  # too little was asked to see even a service that became twice as slow


@dataclass(frozen=True, slots=True)
class Drift:
    """Whether the service changed while it was looked at. `kind` and `ratio` (late over early
    response at `rate`) are None where nothing was asked twice.
    """

    kind: DriftKind | None
    rate: PerSecond | None
    ratio: Interval | None
    sentence: str
    slopes: tuple[Slope, ...] = ()

    def growing(self, *of: Growing) -> tuple[Slope, ...]:
        """Those of the slopes that clearly go up."""
        return tuple(slope for slope in self.slopes if slope.of in of and slope.grows)


def breaking_criterion(knee: Knee | NoKnee, slo: Slo) -> str:
    """The name of the criterion that a knee is about; the SLO's first when there is none, or no
    request is counted by it.
    """
    if isinstance(knee, Knee) and knee.label != KneeLabel.RESOURCE:
        return knee.criterion
    return slo.criteria()[0].name
