"""What was asked of a service: target, traffic, SLO, ramp and seeds. Two runs compare only when
their questions are equal.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from perfhunt.model import redact
from perfhunt.model.slo import Slo
from perfhunt.model.units import PerSecond, Seconds


class TargetEnvironment(StrEnum):
    """Whose traffic a target serves, and so how much care load on it takes."""

    LOCAL = "local"
    CI = "ci"
    STAGING = "staging"
    PRODUCTION = "production"


class RampMode(StrEnum):
    """How the load climbs."""

    SEARCH = "search"  # to the knee
    STAIRCASE = "staircase"  # the given plateaus, one after the other


class ArrivalLaw(StrEnum):
    """How requests are spread over time."""

    POISSON = "poisson"
    UNIFORM = "uniform"


class LoopKind(StrEnum):
    """Whether requests wait for the answers to earlier ones."""

    OPEN = "open"
    CLOSED = "closed"  # only with a locustfile; labelled everywhere


@dataclass(frozen=True, slots=True)
class ProcessSelector:
    """How to find the target's process: exactly one of these is set."""

    pid: int | None = None
    port: int | None = None
    pidfile: str | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where load goes and whose machine it is. `url` is scheme://host[:port], without a path."""

    url: str
    environment: TargetEnvironment = TargetEnvironment.LOCAL
    process: ProcessSelector = ProcessSelector()
    verify_tls: bool = True
    name: str = ""


@dataclass(frozen=True, slots=True)
class Feed:
    """Rows that fill `{placeholders}`; a request picks its row by the seed. `sha256` pins the
    content to the question.
    """

    path: str
    columns: tuple[str, ...]
    sha256: str


@dataclass(frozen=True, slots=True)
class Expect:
    """What counts as success. Empty `status`: any code below 400. `body` is text the response must
    contain.
    """

    status: tuple[int, ...] = ()
    body: str | None = None


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """One weighted request template. `{column}` comes from the feed, `${NAME}` from the environment
    at send time.

    `headers` and `body` keep their `${NAME}` unfilled here, so that no secret is ever stored.
    """

    name: str
    method: str
    path: str
    weight: float = 1.0
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    feed: Feed | None = None
    expect: Expect = Expect()


@dataclass(frozen=True, slots=True)
class Plateau:
    """One step of a staircase: a rate held for a time."""

    rate: PerSecond
    duration: Seconds


DEFAULT_STAIRCASE = (Plateau(10, 60), Plateau(50, 120), Plateau(100, 120), Plateau(200, 120))


@dataclass(frozen=True, slots=True)
class Ramp:
    """How the load climbs."""

    mode: RampMode = RampMode.SEARCH
    start: PerSecond = 10.0
    staircase: tuple[Plateau, ...] = DEFAULT_STAIRCASE
    budget: Seconds = 600.0
    arrivals: ArrivalLaw = ArrivalLaw.POISSON
    timeout: Seconds = 10.0
    # An arrival later than this is shed, not sent; None: twice the largest limit, at least 2 s.
    deadline: Seconds | None = None
    precision: float = 0.10  # stop when the knee's interval is within this share either side
    baseline: Seconds = 15.0
    hold: Seconds = 25.0
    loop: LoopKind = LoopKind.OPEN
    max_rate: PerSecond | None = None  # where the climb ends at the latest; None: safety.max_rate


@dataclass(frozen=True, slots=True)
class Killswitch:
    """Any one of these stops the load within a second."""

    file: str = ".perfhunt/stop"
    url: str = ""


@dataclass(frozen=True, slots=True)
class Safety:
    """What load is allowed to be sent, and who can stop it."""

    allow_hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "::1")
    max_rate: PerSecond = 5000.0
    max_duration: Seconds = 3600.0
    killswitch: Killswitch = Killswitch()
    comms: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """Everything that was asked. `seed` decides arrivals, the mix of endpoints and feed rows."""

    target: Target
    traffic: tuple[RequestTemplate, ...]
    slo: Slo
    ramp: Ramp = Ramp()
    safety: Safety = Safety()
    seed: int = 1
    locustfile: str | None = None
    locustfile_sha256: str | None = None
    # What the locustfile may connect to besides the target: "host:port", "unix:/path".
    locustfile_connects: tuple[str, ...] = ()
    source: str = field(default="", compare=False)

    def redacted(self) -> Question:
        """The question as it may be stored: header values, bodies and query values only where they
        hold no secret.

        What was removed is a short hash, so the fingerprint stays what it was.
        """
        traffic = tuple(_redacted(endpoint) for endpoint in self.traffic)
        killswitch = replace(self.safety.killswitch, url=redact.url(self.safety.killswitch.url))
        target = replace(self.target, url=redact.url(self.target.url))
        return replace(
            self, target=target, traffic=traffic, safety=replace(self.safety, killswitch=killswitch)
        )

    def identity(self) -> dict[str, Any]:
        """The part that must be equal for two runs to compare: not where the service listens, nor
        its pid; no secrets.
        """
        plain = asdict(self.redacted())
        for key in ("target", "safety", "source", "locustfile", "locustfile_connects"):
            del plain[key]
        for endpoint in plain["traffic"]:
            if endpoint["feed"]:
                del endpoint["feed"]["path"]
        same: dict[str, Any] = _with_float_numbers(plain)
        return same

    def fingerprint(self) -> str:
        """A short stable hash of `identity()`: 16 hex digits."""
        text = json.dumps(self.identity(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _redacted(endpoint: RequestTemplate) -> RequestTemplate:
    return replace(
        endpoint,
        path=redact.url(endpoint.path),
        headers=tuple((name, redact.header(name, value)) for name, value in endpoint.headers),
        body=redact.body(endpoint.body),
        expect=replace(endpoint.expect, body=redact.body(endpoint.expect.body)),
    )


def _with_float_numbers(plain: Any) -> Any:
    """Every number as a float: 10 and 10.0 ask the same."""
    if isinstance(plain, dict):
        return {key: _with_float_numbers(value) for key, value in plain.items()}
    if isinstance(plain, (list, tuple)):
        return [_with_float_numbers(value) for value in plain]
    return float(plain) if isinstance(plain, int) and not isinstance(plain, bool) else plain
