"""Which route the time in the service belongs to, where one makes most of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from perfhunt.model.run import Run
from perfhunt.model.trial import Trial
from perfhunt.model.units import PerSecond, Seconds, Share, format_rate, format_share

# Of the time in the service: one route that makes more than all the others together is worth a
# line.
MOSTLY: Share = 0.5
# Times what a request of the other routes takes: of less, a route makes most of the time by being
# asked most.
COSTLIER = 2.0
# Requests of a route, from which the mean of their times is worth telling: its standard error is
# then below a quarter of their spread.
ENOUGH = 20


@dataclass(frozen=True, slots=True)
class RouteTime:
    """A route's part of the time in the service and of the requests, from its `n` requests at loads
    up to `rate`.
    """

    route: str
    time: Share
    requests: Share
    n: int
    rate: PerSecond


def route_time(run: Run) -> RouteTime | None:
    """The route that makes most of the time in the service, for its requests cost more than others;
    None for a single route, for several of which none does, and where too few requests tell.

    Its part is that of requests times mean service time, over the lowest loads that together have
    enough requests of it: what waits behind others at a higher one is theirs.
    """
    times: dict[str, Seconds] = {}
    counts: dict[str, int] = {}
    for trial in _trials(run):
        for name, route in trial.routes.items():
            mean = route.service.mean
            if mean is not None:
                times[name] = times.get(name, 0.0) + route.service.n * mean
                counts[name] = counts.get(name, 0) + route.service.n
        first = max(times, key=lambda name: (times[name], name), default="")
        if len(times) > 1 and counts[first] >= ENOUGH:
            return _costliest(first, times, counts, trial.step.rate)
    return None


def _costliest(
    first: str, times: dict[str, Seconds], counts: dict[str, int], rate: PerSecond
) -> RouteTime | None:
    time, requests = times[first] / sum(times.values()), counts[first] / sum(counts.values())
    others = (1 - time) / (1 - requests)
    if time <= MOSTLY or time / requests < COSTLIER * others:
        return None
    return RouteTime(route=first, time=time, requests=requests, n=counts[first], rate=rate)


def _trials(run: Run) -> Iterator[Trial]:
    """The trials that the service held, of the lowest load first."""
    held = (t for t in run.trials if not (t.invalid or t.overload))
    yield from sorted(held, key=lambda t: (t.step.rate, t.started))


def route_time_words(run: Run) -> str:
    """`GET /report makes 97 % of the time in the service (11 % of the requests, n=46, up to 5/s)`;
    empty where none does.
    """
    found = route_time(run)
    if found is None:
        return ""
    seen = f"{format_share(found.requests)} of the requests, n={found.n:,}"
    return (
        f"{found.route} makes {format_share(found.time)} of the time in the service"
        f" ({seen}, up to {format_rate(found.rate)})"
    )
