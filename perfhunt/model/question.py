"""What was asked of a service: target, traffic, SLO, ramp and seeds. Two runs compare only when
their questions are equal.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeAlias

from perfhunt.model import redact
from perfhunt.model.slo import Slo, SmokeLoad
from perfhunt.model.traffic.parts import BELOW_400, BodyPart, Expect, Feed
from perfhunt.model.units import PerSecond, Seconds, format_duration


class EngineName(StrEnum):
    """What makes the load (`load.engines`)."""

    LOCUST = "locust"
    K6 = "k6"
    VEGETA = "vegeta"


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
class RequestTemplate:
    """One weighted request template. `{column}` comes from the feed, `${NAME}` from the environment
    at send time.

    `headers` and `body` keep their `${NAME}` unfilled here, so that no secret is ever stored.
    `withheld` is a mark of what a stored question leaves out, so that two still compare.

    One with later steps (`then`) is the first of a journey; each step is sent when the one before
    it was answered as expected, and `think` after that. `extract` has names of columns for the
    steps after it, each with where in the answer its value stands. Weight and feed are the first's.
    """

    name: str
    method: str
    path: str
    weight: float = 1.0
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    feed: Feed | None = None
    expect: Expect = BELOW_400
    withheld: str = ""
    parts: tuple[BodyPart, ...] = ()  # of a body that has files or several parts, else none
    extract: tuple[tuple[str, str], ...] = ()
    think: Seconds = 0.0
    then: tuple[RequestTemplate, ...] = ()

    @property
    def steps(self) -> tuple[RequestTemplate, ...]:
        """Itself, and what follows it."""
        return (self, *self.then)

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything that is filled before it is sent, of its later steps too."""
        parts = (text for part in self.parts for text in (part.name, part.text, part.filename))
        own = (self.path, *(value for _, value in self.headers), self.body or "", *parts)
        return (*own, *(text for step in self.then for text in step.texts))

    def redacted(self) -> RequestTemplate:
        """The template as it may be stored: values of headers, bodies and queries only where they
        hold no secret.
        """
        # The mark covers what the feed and files hold, too: their own hashes are for whoever reads
        # them now.
        feed = replace(self.feed, sha256="") if self.feed and self.withheld else self.feed
        parts = tuple(part.redacted() for part in self.parts)
        if self.withheld:
            parts = tuple(part.pinned(part.file.path) if part.file else part for part in parts)
        return replace(
            self,
            feed=feed,
            path=redact.url(self.path),
            headers=tuple((name, redact.header(name, value)) for name, value in self.headers),
            body=redact.body(self.body),
            expect=replace(self.expect, body=redact.body(self.expect.body)),
            parts=parts,
            then=tuple(step.redacted() for step in self.then),
        )

    def is_redacted(self) -> bool:
        """Whether values are missing that must be there to send it."""
        stored = bool(self.withheld) and self.redacted() == self
        hidden = any(map(redact.is_hidden, (*self.texts, self.expect.body or "")))
        return stored or hidden or any(step.is_redacted() for step in self.then)

    def marked(self, mark: redact.Mark) -> RequestTemplate:
        """The template with a mark of what redacting it would leave out, and of its feed."""
        if self.then:
            then = tuple(step.marked(mark) for step in self.then)
            return replace(replace(self, then=()).marked(mark), then=then)
        content = self.feed and self.feed.sha256
        parts = tuple(
            part.pinned("", part.file.sha256) if part.file else part for part in self.parts
        )
        said = (self.path, self.headers, self.body, self.expect.body, content)
        whole = repr((*said, parts) if parts else said)
        outside = self.feed is not None or any(part.file for part in parts)
        if self.withheld or (not outside and self.redacted() == self):
            return self
        return replace(self, withheld=mark(whole))

    def identity(self) -> dict[str, Any]:
        """What must be equal for two templates to ask the same, without secrets where they were
        marked.
        """
        plain = asdict(self.redacted() if self.withheld else self)
        for file in (plain["feed"], *(part["file"] for part in plain["parts"])):
            if file:
                del file["path"]
        plain["then"] = [step.identity() for step in self.then]
        for key in ("parts", "extract", "think", "then"):
            if not plain[key]:  # as in runs from before there were any
                del plain[key]
        if not self.withheld:
            del plain["withheld"]
        return plain


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


# Names of options as Locust has them in its namespace, each with what follows it.
LocustOptions: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]


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
    # Its own options and Locust's, as on the command line of Locust, and its classes of users that
    # are to come (none named: all).
    locust_options: LocustOptions = ()
    locust_classes: tuple[str, ...] = ()
    locust_withheld: str = ""  # a mark of the values of options that a stored question leaves out
    engine: EngineName = EngineName.LOCUST
    k6_script: str | None = None  # that k6 runs instead of traffic
    k6_script_sha256: str | None = None
    # Asked before the load, once for each of so many `sessions` (0: of its rows); `session_values`
    # are names of columns for the traffic, each with where in the answer its value stands.
    login: RequestTemplate | None = None
    session_values: tuple[tuple[str, str], ...] = ()
    sessions: int = 0
    smoke: SmokeLoad = field(default=SmokeLoad(), compare=False)
    source: str = field(default="", compare=False)
    # Whether texts of exceptions are kept: they may hold anything that the target or a locustfile
    # had in hand.
    keep_error_text: bool = field(default=False, compare=False)

    @property
    def steps(self) -> tuple[RequestTemplate, ...]:
        """Every request of the traffic: first those that an arrival sends, in the order of the
        file, then the later steps of each journey. They are the routes of its trials.
        """
        return (*self.traffic, *(step for first in self.traffic for step in first.then))

    @property
    def requests_per_arrival(self) -> float:
        """How many requests an arrival sends on average when all is well: 1 without journeys."""
        weight = sum(first.weight for first in self.traffic)
        return sum(f.weight * len(f.steps) for f in self.traffic) / weight if weight else 1.0

    @property
    def rates_said(self) -> str:
        """What a rate is where there are journeys, as a sentence; else ""."""
        if len(self.steps) == len(self.traffic):
            return ""
        kind = "journeys" if all(f.then for f in self.traffic) else "journeys and single requests"
        said = (
            f"rates are of requests: 100/s begin {100 / self.requests_per_arrival:.3g} {kind} a"
            " second, each of whose steps is a request"
        )
        if not self.think:
            return said
        lead = format_duration(self.think)
        return f"{said}; what is counted begins {lead} later, since one thinks for so long"

    @property
    def think(self) -> Seconds:
        """How long the journey that thinks longest does: load is whole only after that."""
        return max((sum(step.think for step in f.then) for f in self.traffic), default=0.0)

    def redacted(self) -> Question:
        """The question as it may be stored and shown: what redacting leaves out has no trace in it
        but its marks, so the fingerprint of a marked question stays what it was.
        """
        switch, process = self.safety.killswitch, self.target.process
        command = process.command and " ".join(redact.command(process.command.split()))
        target = replace(
            self.target,
            url=redact.url(self.target.url),
            process=replace(process, command=command),
        )
        safety = replace(
            self.safety,
            killswitch=replace(switch, url=redact.url(switch.url)),
            comms=redact.marked(self.safety.comms),
        )
        traffic = tuple(endpoint.redacted() for endpoint in self.traffic)
        return replace(
            self,
            target=target,
            traffic=traffic,
            login=self.login and self.login.redacted(),
            safety=safety,
            locust_options=self._kept_options(),
        )

    def _kept_options(self) -> LocustOptions:
        """The locustfile's options as they may be stored: values only where they are `${NAME}`."""
        return tuple(
            (name, tuple(redact.marked(value) for value in values))
            for name, values in self.locust_options
        )

    def is_redacted(self) -> bool:
        """Whether values are missing that must be there to ask it again."""
        values = [value for _, given in self.locust_options for value in given]
        asked = (*self.traffic, *((self.login,) if self.login else ()))
        return any(map(redact.is_hidden, values)) or any(e.is_redacted() for e in asked)

    def marked(self, mark: redact.Mark) -> Question:
        """The question with marks, under a store's key, of what is not stored there: bodies and
        other values, and the content of its files. The values stay. Marking twice changes nothing.
        """
        withheld = self.locust_withheld
        if not withheld and self._kept_options() != self.locust_options:
            withheld = mark(repr(self.locust_options))
        return replace(
            self,
            traffic=tuple(endpoint.marked(mark) for endpoint in self.traffic),
            login=self.login and self.login.marked(mark),
            locustfile_sha256=self.locustfile_sha256 and mark(self.locustfile_sha256),
            k6_script_sha256=self.k6_script_sha256 and mark(self.k6_script_sha256),
            locust_withheld=withheld,
        )

    def identity(self) -> dict[str, Any]:
        """The part that must be equal for two runs to compare: not where the service listens, nor
        its pid; no secrets of a marked question.
        """
        plain = asdict(self)
        for key in (
            *("target", "safety", "source", "locustfile", "locustfile_connects"),
            *("keep_error_text", "k6_script", "smoke"),
        ):
            del plain[key]
        # Of runs from before there were any, the same was asked.
        if self.locust_withheld:
            plain["locust_options"] = self._kept_options()
        for key in (
            *("locust_options", "locust_classes", "locust_withheld", "k6_script_sha256"),
            *("login", "session_values", "sessions"),
        ):
            if not plain[key]:
                del plain[key]
        if self.engine is EngineName.LOCUST:
            del plain["engine"]
        plain["traffic"] = [endpoint.identity() for endpoint in self.traffic]
        if self.login is not None:
            plain["login"] = self.login.identity()
        same: dict[str, Any] = _with_float_numbers(plain)
        return same

    def fingerprint(self) -> str:
        """A short stable hash of `identity()`: 16 hex digits."""
        text = json.dumps(self.identity(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _with_float_numbers(plain: Any) -> Any:
    """Every number as a float: 10 and 10.0 ask the same."""
    if isinstance(plain, dict):
        return {key: _with_float_numbers(value) for key, value in plain.items()}
    if isinstance(plain, (list, tuple)):
        return [_with_float_numbers(value) for value in plain]
    return float(plain) if isinstance(plain, int) and not isinstance(plain, bool) else plain
