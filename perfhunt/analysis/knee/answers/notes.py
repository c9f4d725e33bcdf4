"""What is said beside a knee: which part broke, of which route, how it fails, and what a narrower
interval would cost.
"""

from __future__ import annotations

from collections.abc import Iterator

from perfhunt.analysis.knee.answers.cost import cost_of_narrower
from perfhunt.analysis.knee.answers.failures import failures_of
from perfhunt.analysis.knee.answers.shown import WITNESSES
from perfhunt.analysis.knee.curve.fit import KneeFit
from perfhunt.analysis.knee.observed import observed_capacity
from perfhunt.analysis.knee.state import SearchState
from perfhunt.analysis.trial.late_route import late_route
from perfhunt.model.knee import KneeLabel
from perfhunt.model.units import PerSecond, format_rate, format_share

# How surely requests are turned away on purpose, from which it is said so.
SURE = 0.5


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
    """How requests fail, in words: status, route, share, and whether it is a policy."""
    failures = failures_of(state.valid(), state.baseline)
    if failures is None:
        return "requests fail before they are slow"
    return f"{failures}{': a limiter, not a bottleneck' if failures.policy >= SURE else ''}"
