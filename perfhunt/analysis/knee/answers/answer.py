"""What a search found, as a knee with its interval and label, or as the reason there is none."""

from __future__ import annotations

import math
from statistics import stdev

from perfhunt.analysis.knee.answers.notes import notes
from perfhunt.analysis.knee.answers.routes import route_knees
from perfhunt.analysis.knee.answers.shown import Shown, shown
from perfhunt.analysis.knee.answers.unbroken import ended_early
from perfhunt.analysis.knee.curve.fit import SOFT, KneeFit
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.analysis.knee.observed import (
    completions,
    good_answers,
    mostly_failures,
    observed_capacity,
)
from perfhunt.analysis.knee.stages.passes import first_to_break, fits_of
from perfhunt.analysis.knee.stages.ramp import CLEARLY, Bracket, clearly_over
from perfhunt.analysis.knee.state import SearchState
from perfhunt.analysis.trial.exceedance import LIKELY, Standing, standing
from perfhunt.model.knee import AT_LEAST, Capacity, Knee, KneeLabel, NoKnee, NoKneeCode
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import FITTED_PHASES, Phase, Trial
from perfhunt.model.units import (
    PerSecond,
    Share,
    format_rate,
)

SEEN_ENOUGH = 0.9  # of the lower end: further down, too little was seen of a heavy tail
WIDE: Share = 0.15  # half-width beyond which an interval is called a bracket and not a knee

# The interval of a capacity from its seconds as blocks: a t quantile of few seconds (97.5 % of 7
# degrees of freedom is 2.36). With no more than two seconds, a tenth either side.
BLOCK_T, FEWEST_BLOCKS = 2.4, 3
UNKNOWN_SPREAD: Share = 0.1

# A single short trial shows that a rate holds when no more than this part of what is allowed is
# late: near the knee a quiet dozen seconds come as often as not.
HELD_WELL: Share = 0.5
UNHURRIED = 2.0  # times the rate that failed over a ramp's rate that is shown to hold
BRACKET_CONFIDENCE: Share = 0.9  # of a bracket that nothing was fitted in


def no_knee(
    state: SearchState,
    code: NoKneeCode,
    reason: str,
    low: PerSecond | None = None,
    high: PerSecond | None = None,
) -> SearchResult:
    """The result of a search that found no knee."""
    why = NoKnee(code, reason, low, high)
    return result_of(state, why, tuple(why for _ in state.goal.criteria))


def answer(state: SearchState, bracket: Bracket) -> SearchResult:
    """The result of a search: the fitted knee where there are passes to fit, else the bracket."""
    fits = fits_of(state) if any(t.step.phase is Phase.PASS for t in state.current) else {}
    leader = first_to_break(fits)
    if leader is None:
        return _bracketed_answer(state, bracket)
    by_name = {
        name: fitted(state, fit) if fit is leader else reached(state, fit)
        for name, fit in fits.items()
    }
    knees = tuple(by_name.get(c.name) or _not_reached(state, c, True) for c in state.goal.criteria)
    return result_of(state, by_name[leader.criterion.name], knees)


def reached(state: SearchState, fit: KneeFit) -> Knee | NoKnee:
    """The fitted knee of a criterion that does not break first; none where it would lie beyond all
    that the service was seen to complete.
    """
    _, most = _most_completed(state)
    if fit.knee <= most:
        return fitted(state, fit)
    reason = (
        f"{fit.criterion.name} would hold beyond {format_rate(most)}, the most that the service was"
        " seen to complete: another criterion breaks first"
    )
    return NoKnee(NoKneeCode.NOT_REACHED, reason, fit.low if fit.low < most else None)


def _bracketed_answer(state: SearchState, bracket: Bracket) -> SearchResult:
    criteria = state.goal.criteria
    broken = [criterion for criterion in criteria if _broken(state, criterion)]
    first = broken[0] if broken else criteria[0]
    knees = tuple(
        bracketed(state, c, bracket) if c in broken else _not_reached(state, c, bool(broken))
        for c in criteria
    )
    return result_of(state, bracketed(state, first, bracket), knees)


def result_of(
    state: SearchState, knee: Knee | NoKnee, knees: tuple[Knee | NoKnee, ...]
) -> SearchResult:
    """The result with everything that was measured."""
    return SearchResult(
        knee=knee,
        knees=knees,
        capacity=_capacity(state),
        route_knees=route_knees(state, _first(state, knee)),
        trials=tuple(state.trials),
        drains=tuple(state.drains),
    )


def _first(state: SearchState, knee: Knee | NoKnee) -> Criterion:
    """The criterion that a result is about."""
    named = (c for c in state.goal.criteria if isinstance(knee, Knee) and c.name == knee.criterion)
    return next(named, state.goal.criteria[0])


def _broken(state: SearchState, criterion: Criterion) -> bool:
    return any(clearly_over(trial, criterion, 0.0) for trial in state.unsaturated())


def _not_reached(state: SearchState, criterion: Criterion, other_breaks: bool) -> NoKnee:
    """A criterion that held as far as the search went; another one breaks first, or none did."""
    phases = FITTED_PHASES if other_breaks else FITTED_PHASES | {Phase.RAMP}
    rates = (t.step.rate for t in state.valid() if t.step.phase in phases)
    top = max(rates, default=state.goal.start)
    why = "another criterion breaks first" if other_breaks else "the search ended before it broke"
    reason = f"{criterion.name} held at every rate tried, up to {format_rate(top)}: {why}"
    return NoKnee(NoKneeCode.NOT_REACHED, reason, top)


def fitted(state: SearchState, fit: KneeFit) -> Knee:
    """The fitted knee with its label, its curve, and what a narrower interval would cost."""
    label = _label(state, fit)
    clear = Shown(0.0, math.inf) if fit.part is None else shown(state.current, fit.criterion)
    high = max(fit.high, _first_failure(state, fit)) if label == KneeLabel.BRACKET else fit.high
    # No knee lies beyond what the service was ever seen to complete.
    completed, most = _most_completed(state)
    rate = min(max(fit.knee, clear.held), clear.failed, completed)
    broke, kept = _disputed(state, fit.criterion) if state.noisy else (math.inf, 0.0)
    room = 1.0 if fit.part else state.heavy_room
    return Knee(
        rate=rate,
        low=min(max(fit.low * room, clear.held), rate, broke),
        high=max(min(max(high, kept), clear.failed, most), rate),
        confidence=fit.confidence,
        criterion=fit.criterion.name,
        limit=fit.criterion.limit,
        sharpness=fit.sharpness,
        label=label,
        phi=fit.phi,
        passes=state.passes,
        load=state.load,
        note="; ".join(notes(state, fit, label, rate)),
        # A curve that crosses elsewhere than at the knee would contradict it.
        curve=fit.curve() if rate == fit.knee else None,
    )


def _disputed(state: SearchState, criterion: Criterion) -> tuple[PerSecond, PerSecond]:
    """(lowest rate that likely failed, highest that likely held): where other work comes and goes
    the knee moves between them, and no interval should leave either out.
    """
    stand = [
        (trial.step.rate, standing(trial, criterion, LIKELY))
        for trial in state.valid()
        if trial.step.phase in FITTED_PHASES
    ]
    return (
        min((rate for rate, stands in stand if stands is Standing.FAILED), default=math.inf),
        max((rate for rate, stands in stand if stands is Standing.HELD), default=0.0),
    )


def _label(state: SearchState, fit: KneeFit) -> KneeLabel:
    if mostly_failures(state.current, fit.criterion):
        return KneeLabel.ERRORS
    if fit.part is None and state.heavy_room < SEEN_ENOUGH:
        return KneeLabel.BRACKET
    if fit.sharpness < SOFT:
        return KneeLabel.SOFT
    wide = state.goal.quick or fit.half_width > WIDE
    return KneeLabel.BRACKET if wide else KneeLabel.SHARP


def _first_failure(state: SearchState, fit: KneeFit) -> PerSecond:
    """The lowest rate that clearly failed, up to the capacity: short trials cannot rule out that
    the knee is just below.
    """
    failed = (t for t in state.unsaturated() if clearly_over(t, fit.criterion, CLEARLY))
    lowest = min((trial.step.rate for trial in failed), default=fit.high)
    capacity = observed_capacity(state.current)
    return min(lowest, capacity) if capacity else lowest


def _most_completed(state: SearchState) -> tuple[PerSecond, PerSecond]:
    """(what the service was ever seen to complete, the end of its interval); the highest rate tried
    for both where nothing saturated it.
    """
    burst, observed = _capacity(state), observed_capacity(state.current)
    if burst is None or observed is None:
        tried = [t.step.rate for t in (*state.valid(), state.above) if t is not None]
        top = max(tried, default=math.inf)
        return top, top
    return max(burst.rate, observed), max(burst.high, observed)


def bracketed(state: SearchState, criterion: Criterion, bracket: Bracket) -> Knee | NoKnee:
    """The gap between what held and what did not, where nothing could be fitted.

    Only a trial with enough requests to hold one allowed exceedance shows that a rate holds;
    lacking that, the start does.
    """
    if bracket.high is None:
        return ended_early(state, bracket)
    room, (_, most) = state.heavy_room, _most_completed(state)
    low = max(state.goal.start, room * _shown_to_hold(state, criterion, bracket.high))
    high = max(low, min(bracket.high / room, most))
    return Knee(
        rate=math.sqrt(low * high),
        low=low,
        high=high,
        confidence=BRACKET_CONFIDENCE,
        criterion=criterion.name,
        limit=criterion.limit,
        sharpness=None,
        label=KneeLabel.BRACKET,
        load=state.load,
        note=(
            "between the last rate shown to hold and the first that did not:"
            " nothing near the knee was measured"
        ),
    )


def _shown_to_hold(state: SearchState, criterion: Criterion, below: PerSecond) -> PerSecond:
    shown = [state.goal.start]
    for trial in state.valid():
        count = trial.counts.get(criterion.name)
        holds = (
            count is not None
            and count.n * criterion.share >= 1
            and count.share <= HELD_WELL * criterion.share
        )
        rate = trial.step.rate
        # A queue that is slow to fill does not show in the seconds of a ramp's last rates.
        too_soon = trial.step.phase is Phase.RAMP and rate > below / UNHURRIED
        if holds and not trial.overload and rate < below and not too_soon:
            shown.append(rate)
    return max(shown)


def _capacity(state: SearchState) -> Capacity | None:
    """Good answers per second in the saturated burst, its interval from seconds as blocks; None
    when there was no burst.
    """
    bursts = [trial for trial in state.valid() if trial.step.phase is Phase.CAPACITY]
    if not bursts:
        return None
    burst = bursts[-1]
    saturated = completions(burst)
    rate = good_answers(burst) if saturated is None else saturated
    kept_up = f"{AT_LEAST}: the service kept up with all that was offered"
    spread = _spread(burst, rate)
    return Capacity(
        rate=rate,
        low=max(0.0, rate - spread),
        high=rate + spread,
        offered=burst.step.rate,
        note=kept_up if saturated is None else "",
    )


def _spread(burst: Trial, rate: PerSecond) -> PerSecond:
    blocks = [row.done - row.failed for row in burst.rows if row.second >= burst.step.settle]
    if len(blocks) < FEWEST_BLOCKS:
        return UNKNOWN_SPREAD * rate
    return BLOCK_T * stdev(blocks) / math.sqrt(len(blocks))
