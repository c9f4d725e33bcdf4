"""Where each of several routes breaks what is asked of all requests, without an objective of its
own: the requests of a route that were over the limit, fitted by themselves.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from perfhunt.analysis.knee.curve.fit import SOFT, KneeFit, fit_trials
from perfhunt.analysis.knee.state import SearchState
from perfhunt.analysis.trial.exceedance import EVIDENCE
from perfhunt.model.knee import RouteKnee
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import FITTED_PHASES, Count, Phase, Trial
from perfhunt.model.units import PerSecond, Share, format_rate

MOST = 30  # routes, the busiest ones: a fit takes some milliseconds, and nobody reads more
# Requests that a route's allowance must come to, over all fitted trials, before it is said to hold.
ALLOWANCE = 5.0
# How much wider a soft route's interval is, as a power: its trials lie where the whole traffic
# breaks, which may be far from where it does (read off simulated lanes).
SOFTER = 1.5
# Times the lowest rate measured, that the interval must stay clear of: a route may be too slow at
# any rate, and a curve that bends down to the lowest of them does not tell.
CLEAR_OF = 2.0


def route_knees(state: SearchState, criterion: Criterion) -> tuple[RouteKnee, ...]:
    """A knee for each route, the lowest first, in rates of the whole traffic; empty for a single
    route, a criterion of one route, or trials that did not count by route.
    """
    trials = [t for t in state.valid() if any(r.over for r in t.routes.values())]
    asked = Counter[str]()
    for trial in trials:
        asked.update({name: route.response.n for name, route in trial.routes.items()})
    if len(asked) < 2 or criterion.route is not None:
        return ()
    total = asked.total()
    found = (_route_knee(state, criterion, name, n / total) for name, n in asked.most_common(MOST))
    return tuple(sorted(found, key=lambda route: route.rate or route.high or math.inf))


def _route_knee(state: SearchState, criterion: Criterion, name: str, share: Share) -> RouteKnee:
    mine = list(_of_route(state, criterion, name, share))
    fitted = [t for t in mine if t.step.phase in FITTED_PHASES]
    counts = [t.counts[criterion.name] for t in fitted]
    n, over = sum(c.n for c in counts), sum(c.exceed for c in counts)
    top = max((t.step.rate / share for t in fitted), default=0.0)
    known = RouteKnee(route=name, share=share, n=n, rate=None, low=None, high=None)
    if over < EVIDENCE:
        if n * criterion.share < ALLOWANCE:
            return replace(known, note=f"{n} requests of it are too few to tell")
        return replace(
            known, low=top, note=f"held up to the highest rate tried, {format_rate(top)}"
        )
    fit = fit_trials(mine, criterion)
    bottom = min(t.step.rate / share for t in fitted)
    return known if fit is None else _fitted(known, fit, bottom, top)


def _fitted(known: RouteKnee, fit: KneeFit, bottom: PerSecond, top: PerSecond) -> RouteKnee:
    """The fitted knee, where it lies between the rates at which the route was measured: below them
    a route may be as slow as it ever is.
    """
    widen = SOFTER if fit.sharpness < SOFT else 1.0
    rate = fit.knee / known.share
    low, high = (rate * (end / fit.knee) ** widen for end in (fit.low, fit.high))
    if rate > top:
        note = f"held up to about the highest rate tried, {format_rate(top)}"
        return replace(known, low=min(low, top), note=note)
    high = max(rate, min(high, top))
    if low < CLEAR_OF * bottom:
        note = f"breaks below {format_rate(high)}: too little of it was seen to say where"
        return replace(known, high=high, note=note)
    return replace(known, rate=rate, low=low, high=high)


def _of_route(state: SearchState, criterion: Criterion, name: str, share: Share) -> Iterator[Trial]:
    """Trials as if the route were all there is: its rate, its requests. An overload is the whole
    service's, and says nothing of one route. All of them are fitted, the short ones of the ramp
    too: nothing else was measured where a route breaks long before the others.
    """
    for trial in (state.baseline, *state.valid()):
        route = trial.routes.get(name)
        if route is None or criterion.name not in route.over:
            continue
        saturated = trial.step.phase is Phase.CAPACITY
        phase = Phase.CAPACITY if saturated else Phase.PASS
        count = Count(route.response.n, route.over[criterion.name])
        yield replace(
            trial,
            step=replace(trial.step, rate=trial.step.rate * share, phase=phase),
            completed=trial.completed * share,
            counts={criterion.name: count},
            outcomes=route.outcomes,
            overload="",
            routes={},
        )
