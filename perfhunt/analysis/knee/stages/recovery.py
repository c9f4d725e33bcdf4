"""Whether a service is itself again after it was overloaded: one that retries, swaps or collects
garbage for a while answers a probe as quickly as ever, and holds half of what it held.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perfhunt.analysis.knee.goal import SearchStage
from perfhunt.analysis.knee.stages.ramp import CLEARLY, clearly_over
from perfhunt.analysis.knee.stages.reference import repeated
from perfhunt.analysis.knee.state import OutOfBudget, SearchState, hot
from perfhunt.analysis.trial.shift import ShiftedMeasure, shifts
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import PerSecond, Seconds, Share

# Times as long as before an overload, from which a service has not come back from it: less is
# drift, or chance, and half of the capacity shows as more wherever it matters.
SLOWER = 1.5
TWICE = 2.0  # and more is the median where service times are twice as long
SLOWER_BY: Seconds = 0.001
COUNTED: Seconds = 6.0  # of a reference that looks for it, at most
# Without load, one after the other, until it is itself again. One that is not by then gets slower
# as it runs, or for good: later references tell.
QUIETS: tuple[Seconds, ...] = (10.0, 30.0)
COLLAPSED: Share = 0.8  # of what was completed before: a burst that completes less left its mark
CHEAP: Share = 0.05  # of what is left of the budget, that a look on no suspicion may take
AFFORDABLE: Share = 0.5  # of what is left of the budget, that a quiet may take


def back_from_ramp(state: SearchState, failed: PerSecond) -> SearchStage[None]:
    """Quiet until the first reference is no slower than the ramp was at a higher rate, where the
    ramp's last rate overloaded the service. Raises OutOfBudget.
    """
    ramped = [trial for trial in state.valid() if trial.step.phase is Phase.RAMP]
    first = next(iter(state.references()), None)
    if first is None or state.noisy:
        return
    above = [t for t in ramped if first.step.rate < t.step.rate < failed and not t.overload]
    if not above or not hot(ramped[-1]):
        return
    usual = above[-1].response.p50 or 0.0

    def slow(reference: Trial) -> bool:
        median = reference.response.p50 or 0.0
        return bool(reference.overload) or median > SLOWER * usual + SLOWER_BY

    yield from _quiet_while(state, slow, first, [])


def back_from_overload(state: SearchState) -> SearchStage[None]:
    """Quiet until the reference is answered as it was before the service was overloaded to see its
    capacity. What was measured meanwhile is set aside. With a short budget only where a burst
    completed less than other trials had. Raises OutOfBudget, too when nothing is left to look
    with.
    """
    if state.noisy or not any(map(hot, state.current)):
        return
    first = next(iter(state.references()), None)
    bursts = [trial for trial in state.current if trial.step.phase is Phase.CAPACITY]
    collapsed = _completes_less(bursts, state.current)
    if first is None and collapsed:
        state.aside += bursts
        raise OutOfBudget
    if first is None or not (collapsed or CHEAP * state.left >= COUNTED):
        return

    def slow(reference: Trial) -> bool:
        return _much_slower(first, reference) or (
            _breaks(reference, state) and not _breaks(first, state)
        )

    again = yield from repeated(state, first, COUNTED)
    yield from _quiet_while(state, slow, again, bursts)


def _completes_less(bursts: Sequence[Trial], others: Sequence[Trial]) -> bool:
    most = max(trial.completed for trial in others)
    return any(burst.completed < COLLAPSED * most for burst in bursts)


def _much_slower(first: Trial, reference: Trial) -> bool:
    """Beyond doubt by the median or the mean; or by so much of the median, which hardly varies at a
    rate that low, that a few seconds need not be beyond doubt.
    """
    return any(
        shift.ratio.value > (SLOWER if shift.slower else TWICE)
        for shift in shifts(first, reference)
        if shift.slower or shift.of is ShiftedMeasure.MEDIAN
    )


def _breaks(trial: Trial, state: SearchState) -> bool:
    return any(clearly_over(trial, criterion, CLEARLY) for criterion in state.goal.criteria)


def _quiet_while(
    state: SearchState, slow: Callable[[Trial], bool], reference: Trial, spoiled: list[Trial]
) -> SearchStage[None]:
    """Longer and longer quiets while the reference is slow. When it is as usual again, the slow
    ones are set aside, and what is `spoiled` where it took a quiet.
    """
    aside = []
    if slow(reference):  # it may have been cold: what it forgot in the drain it has again by now
        aside.append(reference)
        reference = yield from repeated(state, reference, COUNTED)
    for quiet in QUIETS:
        if not slow(reference):
            break
        aside.append(reference)
        if quiet > AFFORDABLE * state.left:
            state.aside += [*aside, *spoiled]
            raise OutOfBudget
        state.quiet = quiet
        yield from state.drain(quiet)
        reference = yield from repeated(state, reference, COUNTED)
    if slow(reference):
        state.quiet = 0.0
    else:
        state.aside += [*aside, *(spoiled if state.quiet else ())]
