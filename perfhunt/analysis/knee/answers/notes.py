"""What is said beside a knee: which part broke, of which route, how it fails, and what a narrower
interval would cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from perfhunt.analysis.knee.answers.cost import cost_of_narrower
from perfhunt.analysis.knee.answers.shown import WITNESSES
from perfhunt.analysis.knee.curve.fit import KneeFit
from perfhunt.analysis.knee.observed import observed_capacity
from perfhunt.analysis.knee.state import SearchState
from perfhunt.analysis.trial.late_route import late_route
from perfhunt.model.knee import KneeLabel
from perfhunt.model.trial import Phase
from perfhunt.model.units import PerSecond, format_rate, format_share

# A limiter answers with these while latency stays below twice the baseline's (and 5 ms more).
LIMITER_STATUSES = (429, 503)
FLAT, FLAT_BY = 2.0, 0.005


def notes(state: SearchState, fit: KneeFit, label: KneeLabel, rate: PerSecond) -> Iterator[str]:
    """The sentences of a knee's note, the most telling first."""
    capacity = observed_capacity(state.current)
    if rate < fit.knee and capacity is not None and rate >= capacity:
        yield f"the fit says {format_rate(fit.knee)}, more than the service was seen to complete"
    elif rate != fit.knee:
        yield f"the fit says {format_rate(fit.knee)}, and {WITNESSES} trials clearly show otherwise"
    if label == KneeLabel.ERRORS:
        yield _failures(state)
    if fit.part is not None:
        yield (
            f"a part of the traffic breaks first: about {format_share(fit.part)} of the requests"
            " are late from there on, and the others as quick as before"
        )
    if state.quiet:
        yield (
            "an overload is not forgotten: afterwards the service was slower until it had"
            f" {state.quiet:.0f} s without load, so keep well below the knee"
        )
    beyond = (t for t in state.unsaturated() if t.step.rate >= fit.knee and not t.overload)
    if route := late_route(beyond, fit.criterion.limit):
        yield f"nearly all late requests are of {route}"
    if cost := cost_of_narrower(fit):
        yield cost


def _failures(state: SearchState) -> str:
    """How the service refuses, in words: a limiter answers 429 or 503 while others stay quick."""
    statuses: Counter[int] = Counter()
    for trial in state.valid():
        for route in trial.routes.values():
            statuses.update({code: n for code, n in route.statuses.items() if code >= 400})
    if not statuses:
        return "requests fail before they are slow"
    status, _ = statuses.most_common(1)[0]
    calm = state.baseline.response.p50 or 0.0
    medians = [t.response.p50 or 0.0 for t in state.valid() if t.step.phase is Phase.PASS]
    if status in LIMITER_STATUSES and medians and medians[-1] < FLAT * calm + FLAT_BY:
        return f"the service answers {status} with flat latency: a limiter, not a bottleneck"
    return f"requests fail with {status} before they are slow"
