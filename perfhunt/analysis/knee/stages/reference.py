"""Reference trials: one step, well below where the service breaks, asked again in the middle and at
the end. What changes between them is the service, not the load. On a host that is never quiet it
may be the host, and they are not asked.
"""

from __future__ import annotations

from perfhunt.analysis.knee.goal import SearchStage
from perfhunt.analysis.knee.state import SEEDS_APART, OutOfBudget, SearchState
from perfhunt.analysis.trial.shift import shifts, slower
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import PerSecond, Seconds, Share

RATE: Share = 0.7  # of the highest rate the ramp saw held: it queues a little, and does not break
SETTLE: Seconds = 1.0
# Seconds counted, by the budget: two or three of them should cost no more than a tenth of it.
SHORTEST: Seconds = 4.0
LONGEST: Seconds = 10.0
BUDGET_SHARE: Share = 0.05
REQUESTS, LONGEST_SLOW = 60, 20.0  # that one should hold, where that takes no longer than so many s
FEWEST = 50  # requests, below which a comparison says nothing and a slow service is spared it
# Of the budget, that two of them may take: where they would take more (a budget of a minute, a
# service of a few requests a second) nothing is asked twice.
TWO_AT_MOST: Share = 0.15
# Times the latency limit that it lasts at least: a queue may take that long to go, so the seconds
# of a shorter one are alike, and two of them differ by chance.
LIMITS = 6.0
# Load between two of them, as a share of the budget, and seconds at least.
EVERY: Share = 0.2
OFTEN: Seconds = 40.0
# Of the budget, that must be left for the search to begin again with a quicker service: with less
# the old trials are worth more than the few new ones.
RESTART: Share = 0.4
SEED = 70_000  # after the search's own: it never asks for so many trials


class ServiceChanged(Exception):
    """The service is clearly not what it was when the search began."""

    def __init__(self, slower: bool) -> None:
        super().__init__("slower" if slower else "quicker")
        self.slower = slower


def first_reference(state: SearchState, held: PerSecond) -> SearchStage[None]:
    """The step as the young service answers it, at a share of a rate that held, if the budget
    allows for two. It keeps what the last one takes. None of a service so slow that one would hold
    too few requests.
    """
    goal = state.goal
    rate = max(min(goal.start, held), RATE * held)
    counted = min(LONGEST, max(SHORTEST, BUDGET_SHARE * goal.seconds))
    seconds = SETTLE + float(round(max(counted, min(LONGEST_SLOW, REQUESTS / rate))))
    too_little = rate * seconds < FEWEST or seconds < LIMITS * state.limit
    if 2 * seconds > TWO_AT_MOST * goal.seconds or too_little:
        return
    yield from _ask(state, rate, seconds)
    state.reserve = seconds


def reference_if_due(state: SearchState) -> SearchStage[None]:
    """Another one when enough load has gone by. Raises ServiceChanged when it says so, and the one
    before it did too.
    """
    references = state.references()
    if (
        references
        and not state.noisy
        and _load_since(state, references[-1]) >= max(OFTEN, EVERY * state.goal.seconds)
    ):
        yield from another_reference(state)


def another_reference(state: SearchState) -> SearchStage[None]:
    """The step once more, and a second time when it was slower than at first: a service that only
    stumbled has come back by then. Raises ServiceChanged.
    """
    first, *_ = state.references()
    again = yield from repeated(state, first)
    if slower(first, again):
        again = yield from repeated(state, first)
        if slower(first, again):
            raise ServiceChanged(slower=True)
    left = state.left >= RESTART * state.goal.seconds
    if left and any(shift.quicker for shift in shifts(first, again)):
        raise ServiceChanged(slower=False)


def last_reference(state: SearchState) -> SearchStage[None]:
    """One at the end, unless the latest trial is one, or was before the service was back from an
    overload. Raises ServiceChanged, and nothing when the
    budget does not allow it.
    """
    references = state.references()
    latest = state.trials[-1] if state.trials else None
    if not references or state.noisy:
        return
    if any(latest is t for t in (references[-1], *state.aside)):
        return
    state.reserve = 0.0
    try:
        yield from another_reference(state)
    except OutOfBudget:
        return


def repeated(
    state: SearchState, first: Trial, counted: Seconds = LONGEST_SLOW
) -> SearchStage[Trial]:
    """The step of a reference once more, from a drained service, or its first seconds."""
    yield from state.rest()
    step = first.step
    return (yield from _ask(state, step.rate, min(step.duration, SETTLE + counted)))


def _ask(state: SearchState, rate: PerSecond, seconds: Seconds) -> SearchStage[Trial]:
    seed = state.goal.seed * SEEDS_APART + SEED
    return (yield from state.measure(Phase.REFERENCE, rate, seconds, SETTLE, seed=seed))


def _load_since(state: SearchState, reference: Trial) -> Seconds:
    at = next(i for i, trial in enumerate(state.trials) if trial is reference)
    return sum(trial.seconds for trial in state.trials[at + 1 :])
