"""Which route the time in the service belongs to, where one makes most of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from perfhunt.model.run import Run
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import Seconds, Share, format_rate, format_share

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
    """A route's part of the time in the service and of the requests of a trial, from its `n`
    requests.
    """

    route: str
    time: Share
    requests: Share
    n: int
    trial: Trial


def route_time(run: Run) -> RouteTime | None:
    """The route that makes most of the time in the service, for its requests cost more than others;
    None for a single route, for several of which none does, and where too few requests tell.

    Its part is that of rate times mean service time, at the lowest load that has enough requests of
    it: what waits behind others at a higher one is theirs.
    """
    for trial in _trials(run):
        times: dict[str, Seconds] = {
            name: route.service.n * route.service.mean
            for name, route in trial.routes.items()
            if route.service.mean is not None
        }
        whole, n = sum(times.values()), sum(r.service.n for r in trial.routes.values())
        if len(times) < 2 or not whole:
            continue
        first = max(times, key=lambda name: (times[name], name))
        own = trial.routes[first].service.n
        if own < ENOUGH:
            continue
        time, requests = times[first] / whole, own / n
        others = (1 - time) / (1 - requests) if requests < 1 else 0.0
        if time <= MOSTLY or time / requests < COSTLIER * others:
            return None
        return RouteTime(route=first, time=time, requests=requests, n=own, trial=trial)
    return None


def _trials(run: Run) -> Iterator[Trial]:
    """The trials to ask, the quietest first."""
    if run.baseline is not None and not run.baseline.overload:
        yield run.baseline
    held = (t for t in run.trials if t.step.phase in (Phase.QUIET, Phase.HOLD))
    yield from sorted(
        (t for t in held if not (t.invalid or t.overload)), key=lambda t: (t.step.rate, t.started)
    )


def route_time_words(run: Run) -> str:
    """`GET /report makes 97 % of the time in the service (11 % of the requests, n=46 at 5/s)`;
    empty where none does.
    """
    found = route_time(run)
    if found is None:
        return ""
    seen = f"{format_share(found.requests)} of the requests, n={found.n:,}"
    return (
        f"{found.route} makes {format_share(found.time)} of the time in the service"
        f" ({seen} at {format_rate(found.trial.step.rate)})"
    )
