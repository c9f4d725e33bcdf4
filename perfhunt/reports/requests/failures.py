"""Why requests failed, once for all formats: how they ended, how many did, and the first of each
kind; what clients and generator said of it. Runs that did not keep this by kind say what they can.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus

from perfhunt.model import redact
from perfhunt.model.knee import Knee, KneeLabel
from perfhunt.model.latency import RequestOutcome
from perfhunt.model.run import Run
from perfhunt.model.trial import RouteResult, Trial
from perfhunt.model.units import PerSecond, format_duration, format_rate

_OUTCOMES = {
    RequestOutcome.TIMEOUT: "not answered in time",
    RequestOutcome.CONNECT: "no connection came about",
    RequestOutcome.RESET: "cut off before the answer was whole",
    RequestOutcome.PROTOCOL: "answered with what is no HTTP",
    RequestOutcome.TLS: "TLS failed",
    RequestOutcome.TOO_LARGE: "answered with more than is read",
    RequestOutcome.GENERATOR: "the generator had no descriptor or port left",
    RequestOutcome.NOT_CLEARED: "led to where load was not cleared for",
}
_HOW = {outcome.name.lower(): words for outcome, words in _OUTCOMES.items()}
_STATUS = RequestOutcome.STATUS.name.lower()
_FIRST_ERROR = 400  # of the statuses (RFC 9110)
_DIGITS = re.compile(r"\d[\d.,]*")


@dataclass(frozen=True, slots=True)
class FailedRequests:
    """Requests to `route` that failed alike: `count` of the `n` that were sent to it in those
    trials, at rates from `low` to `high`. `how` they ended, in words; `first`: the first of them,
    where the run kept it.
    """

    route: str
    how: str
    count: int
    n: int
    low: PerSecond
    high: PerSecond
    first: str = ""
    unit: str = "requests to"  # or `tasks`, of a locustfile

    @property
    def rates(self) -> str:
        """`at 10/s`, `at 1/s to 10/s`."""
        low, high = format_rate(self.low), format_rate(self.high)
        return f"at {low}" if low == high else f"at {low} to {high}"

    @property
    def sentence(self) -> str:
        """`16 of 28 requests to list: answered 401 Unauthorized, at 1/s to 10/s`."""
        return f"{self.count:,} of {self.n:,} {self.unit} {self.route}: {self.how}, {self.rates}"


def failed_requests(run: Run, most: PerSecond = math.inf) -> tuple[FailedRequests, ...]:
    """By route and by how they failed, over all trials at rates up to `most`; the most first."""
    kinds: dict[tuple[str, str], FailedRequests] = {}
    for trial in (trial for trial in run.trials if trial.step.rate <= most):
        for name, route in trial.routes.items():
            for how, count, first in _failed(run, trial, name, route):
                rate = trial.step.rate
                new = FailedRequests(
                    route=name,
                    how=how,
                    count=count,
                    n=route.response.n,
                    low=rate,
                    high=rate,
                    first=first,
                    unit="tasks" if trial.generator.tasks else "requests to",
                )
                known = kinds.get((name, how))
                kinds[name, how] = new if known is None else _together(known, new)
    return tuple(sorted(kinds.values(), key=lambda kind: -kind.count))


def failed_where_it_holds(run: Run) -> tuple[FailedRequests, ...]:
    """Those that are no matter of too much load: at rates below the knee; all of them where there
    is no knee, or errors are what breaks there.
    """
    knee = run.knee
    if not isinstance(knee, Knee) or knee.label == KneeLabel.ERRORS:
        return failed_requests(run)
    return failed_requests(run, knee.low)


def error_texts(run: Run) -> tuple[tuple[str, int], ...]:
    """What clients said when requests failed (exceptions, the system's words) and how often, the
    most first.
    """
    texts: Counter[str] = Counter()
    for trial in run.trials:
        for text, count in trial.generator.mishaps.items():
            texts[redact.sentence(text)] += count
    return tuple(texts.most_common())


def generator_notes(run: Run) -> tuple[str, ...]:
    """What the generator noted of trials, but for the texts of errors: notes that differ by their
    numbers alone are one, the first, with the number of trials that had it.
    """
    alike: dict[str, list[str]] = {}
    for trial in run.trials:
        errors = {f"{count} x {text}" for text, count in trial.generator.mishaps.items()}
        for note in trial.generator.notes:
            if note not in errors:
                at = f"{trial.step.phase} at {format_rate(trial.step.rate)}"
                alike.setdefault(_DIGITS.sub("#", note), []).append(
                    f"{redact.sentence(note).rstrip('.')} ({at}"
                )
    return tuple(
        f"{notes[0]})." if len(notes) == 1 else f"{notes[0]}; alike in {len(notes) - 1} more)."
        for notes in alike.values()
    )


def _together(known: FailedRequests, new: FailedRequests) -> FailedRequests:
    return replace(
        known,
        count=known.count + new.count,
        n=known.n + new.n,
        low=min(known.low, new.low),
        high=max(known.high, new.high),
        first=known.first or new.first,
    )


def _failed(
    run: Run, trial: Trial, name: str, route: RouteResult
) -> Iterator[tuple[str, int, str]]:
    """(how, how many, the first of them) of one route in one trial."""
    for failure in route.failures:
        after = f"{format_duration(failure.first)} into {trial.step.phase}"
        first = (
            f"{_request(run, name)}, {after} at {format_rate(trial.step.rate)},"
            f" ended after {format_duration(failure.took)}"
        )
        yield _how(failure.outcome, failure.status), failure.count, first
    if not route.failures:
        yield from ((*kind, "") for kind in _counted(route))


def _counted(route: RouteResult) -> Iterator[tuple[str, int]]:
    """The same from the counts alone, where each kind was not kept."""
    for outcome, count in route.outcomes.items():
        if outcome in _HOW:
            yield _HOW[outcome], count
    errors = {code: n for code, n in route.statuses.items() if code >= _FIRST_ERROR}
    unexpected = route.outcomes.get(_STATUS, 0)
    for code, count in errors.items() if unexpected else ():
        yield _how(_STATUS, code), count
    if unexpected > sum(errors.values()):
        yield _how(_STATUS, 0), unexpected - sum(errors.values())


def _how(outcome: str, status: int) -> str:
    if outcome != _STATUS:
        return _HOW.get(outcome, outcome)
    if status >= _FIRST_ERROR:
        return f"answered {_named(status)}"
    return f"answered {_named(status) or 'otherwise'}, which is not what was expected"


def _named(status: int) -> str:
    """`401 Unauthorized`; the number alone where it has no name."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status) if status else ""


def _request(run: Run, route: str) -> str:
    """The request line of a route as it may be shown; the route's own name where it has none."""
    for template in run.question.traffic:
        if template.name == route:
            return f"{template.method} {redact.url(template.path)}"
    return redact.route(route)
