"""How requests fail at the rates that broke: with which status, on which route, how many, and
whether the others stayed quick. The knee's note and the class of bottleneck are told by the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from perfhunt.analysis.knee.observed import failed_at_once
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import (
    PerSecond,
    Seconds,
    Share,
    format_duration,
    format_rate,
    format_share,
)

# Of the requests of a trial, from which it shows how they fail, and how many that must be.
FAILING: Share = 0.02
FEWEST = 3
# Times the lowest rate that failed: further up, a service that is flooded fails in other ways.
NEARBY = 1.6
# Of the failures: beyond it they are one route's.
NEARLY_ALL: Share = 0.8
# Too Many Requests (RFC 6585) and Service Unavailable (RFC 9110): the request was turned away.
TURNED_AWAY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
FIRST_ERROR = 400  # of the statuses (RFC 9110)
# Bad Gateway and Gateway Timeout (RFC 9110).
_OF_A_PROXY = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})
# From where to where the median of all answers, over that at baseline, says that the service became
# slow; the timer and the network are given so much before anything is called slower.
SLOWER = (2.0, 5.0)
SLOWER_BY: Seconds = 0.005
# Of the failures, from where to where those with the commonest status are a policy.
ALIKE = (0.5, 0.9)
EVEN = 0.5  # surer that answers stayed quick than that they did not
_SAMPLED = frozenset({Phase.CAPACITY, Phase.WARMUP})  # saturated or cold on purpose
_WORDS: Mapping[str, str] = {
    "connect": "cannot connect",
    "reset": "are cut off before the answer is whole",
    "protocol": "are answered with what is no HTTP",
    "tls": "fail in TLS",
    "too_large": "are answered with more than is read",
    "not_cleared": "lead to where load was not cleared for",
}


@dataclass(frozen=True, slots=True)
class Failures:
    """Failures from `rate` on: `share` of all requests, `status` the commonest of the answers (0:
    not answered, then `outcome` says how), `alike` its part of all failures. `route` is the one
    that has nearly all of them ("": several) and `route_share` how many of its
    requests fail. `slower` is the median of the service time over that at baseline (None: unknown),
    `median` itself. `mishap` is what went wrong most often where the answers were no errors: what
    fails then is a locustfile by itself.
    """

    rate: PerSecond
    n: int
    share: Share
    status: int
    outcome: str
    alike: Share
    route: str
    route_share: Share
    median: Seconds | None
    slower: float | None
    mishap: str = ""

    @property
    def quick(self) -> Share:
        """How surely the answers stayed as quick as at baseline, 0 to 1."""
        if self.slower is None:
            return 0.0
        low, high = SLOWER
        return 1.0 - min(1.0, max(0.0, (self.slower - low) / (high - low)))

    @property
    def policy(self) -> Share:
        """How surely requests are turned away on purpose, 0 to 1: nearly all failures are 429 or
        503, and the median answer is as quick as at baseline. A service that refuses because it is
        swamped is slow as well.
        """
        if self.status not in TURNED_AWAY:
            return 0.0
        low, high = ALIKE
        return self.quick * min(1.0, max(0.0, (self.alike - low) / (high - low)))

    @property
    def of_proxy(self) -> bool:
        """Whether the answers are those of a proxy whose upstream fails."""
        return self.status in _OF_A_PROXY

    def __str__(self) -> str:
        """`from 130/s on 31 % of requests to GET /x are answered 503`, without a full stop."""
        of = f"{format_share(self.route_share)} of requests to {self.route}"
        whose = of if self.route else f"{format_share(self.share)} of requests"
        if self.mishap:
            share = format_share(self.route_share if self.route else self.share)
            return (
                f"from {format_rate(self.rate)} on {share} of tasks fail by themselves, not by an"
                f" answer: {self.mishap}"
            )
        how = f"are answered {self.status}" if self.status else _WORDS.get(self.outcome, "fail")
        quick = ""
        if self.median is not None and self.quick > EVEN:
            quick = f", and the median answer takes {format_duration(self.median)} as at baseline"
        return f"from {format_rate(self.rate)} on {whose} {how}{quick}"


def failures_of(trials: Iterable[Trial], baseline: Trial | None) -> Failures | None:
    """How requests fail in the trials that broke by it, nearest to the lowest such rate; None where
    none did. A baseline that failed itself is nothing to compare with.
    """
    failing = [trial for trial in trials if _fails(trial)]
    if not failing:
        return None
    lowest = min(trial.step.rate for trial in failing)
    near = [trial for trial in failing if trial.step.rate <= NEARBY * lowest]
    n = sum(trial.n for trial in near)
    failed = sum(map(failed_at_once, near))
    kinds = _kinds(near)
    (status, outcome), most = kinds.most_common(1)[0] if kinds else ((0, "status"), failed)
    route, route_share = _route(near)
    median = _median(near)
    usual = baseline.service.p50 if baseline is not None else None
    return Failures(
        rate=lowest,
        n=n,
        share=failed / n,
        status=status,
        outcome=outcome,
        alike=min(1.0, most / failed),
        route=route,
        route_share=route_share,
        median=median,
        slower=max(0.0, median - SLOWER_BY) / usual if usual and median is not None else None,
        mishap=_mishap(near) if outcome == "status" and status < FIRST_ERROR else "",
    )


def _mishap(trials: Sequence[Trial]) -> str:
    """What went wrong most often, where that is enough to be why requests failed."""
    mishaps = sum((Counter(trial.generator.mishaps) for trial in trials), Counter[str]())
    if mishaps.total() < EVEN * sum(map(failed_at_once, trials)):
        return ""
    return mishaps.most_common(1)[0][0]


def _fails(trial: Trial) -> bool:
    failed = failed_at_once(trial)
    return (
        not trial.invalid
        and trial.step.phase not in _SAMPLED
        and failed >= FEWEST
        and failed >= FAILING * trial.n
    )


def _kinds(trials: Iterable[Trial]) -> Counter[tuple[int, str]]:
    """Failures by (status, outcome); the status of those that were not answered is 0. A status that
    is no error failed where none is: another one was expected.
    """
    kinds: Counter[tuple[int, str]] = Counter()
    for trial in trials:
        kinds.update({(0, o): n for o, n in trial.outcomes.items() if o in _WORDS})
        if trial.outcomes.get("status"):
            kinds.update({(code, "status"): n for code, n in _wrong_statuses(trial).items()})
    return kinds


def _wrong_statuses(trial: Trial) -> Counter[int]:
    statuses: Counter[int] = Counter()
    for route in trial.routes.values():
        statuses.update(route.statuses)
    errors = Counter({code: n for code, n in statuses.items() if code >= FIRST_ERROR})
    return errors or statuses


def _route(trials: Sequence[Trial]) -> tuple[str, Share]:
    """(the route of nearly all failures, the share of its requests that fail)."""
    failed: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for trial in trials:
        for name, route in trial.routes.items():
            asked[name] += route.response.n
            failed[name] += sum(
                n for o, n in route.outcomes.items() if o in _WORDS or o == "status"
            )
    if not failed.total():
        return "", 0.0
    name, most = failed.most_common(1)[0]
    return (name, most / asked[name]) if most >= NEARLY_ALL * failed.total() else ("", 0.0)


def _median(trials: Iterable[Trial]) -> Seconds | None:
    """The largest median of the service time: one trial that is slow is enough."""
    return max((t.service.p50 for t in trials if t.service.p50 is not None), default=None)
