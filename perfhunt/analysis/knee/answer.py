"""What a search found, as a knee with its interval and label, or as the reason there is none."""

from __future__ import annotations

import math
from statistics import stdev

from perfhunt.analysis.knee.curve.fit import SOFT, KneeFit
from perfhunt.analysis.knee.goal import Goal, SearchResult
from perfhunt.analysis.knee.notes import notes
from perfhunt.analysis.knee.observed import completions, mostly_failures, observed_capacity
from perfhunt.analysis.knee.shown import Shown, shown
from perfhunt.analysis.knee.stages.passes import first_to_break, fits_of
from perfhunt.analysis.knee.stages.ramp import CLEARLY, Bracket, clearly_over
from perfhunt.analysis.knee.state import SearchState
from perfhunt.analysis.trial.exceedance import LIKELY, Standing, standing
from perfhunt.model.knee import Capacity, Knee, KneeLabel, NoKnee, NoKneeCode
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import FITTED_PHASES, Count, Phase, Trial
from perfhunt.model.units import (
    PerSecond,
    Share,
    format_duration,
    format_rate,
    format_share,
)

WIDE: Share = 0.15  # half-width beyond which an interval is called a bracket and not a knee

# A baseline is refused for errors with at least so many failures, and this share of requests.
FAILURES, ERRORS_AT_ONCE = 3, 0.05
# It is refused for lateness beyond so many standard deviations of a Poisson count, and two requests
# more: requests are late in bursts, so a binomial test would refuse too soon.
BURST_SIGMAS, BURST_REQUESTS = 5.0, 2

# The interval of a capacity from its seconds as blocks: a t quantile of few seconds (97.5 % of 7
# degrees of freedom is 2.36). With no more than two seconds, a tenth either side.
BLOCK_T, FEWEST_BLOCKS = 2.4, 3
UNKNOWN_SPREAD: Share = 0.1

# A single short trial shows that a rate holds when no more than this part of what is allowed is
# late: near the knee a quiet dozen seconds come as often as not.
HELD_WELL: Share = 0.5
UNHURRIED = 2.0  # times the rate that failed over a ramp's rate that is shown to hold
BRACKET_CONFIDENCE: Share = 0.9  # of a bracket that nothing was fitted in


def refused_at_baseline(goal: Goal, baseline: Trial) -> NoKnee | None:
    """Why there is nothing to search for, if the baseline already says so."""
    start = format_rate(goal.start)
    if baseline.failed >= FAILURES and baseline.failed > ERRORS_AT_ONCE * baseline.n:
        failed = f"{baseline.failed} of {baseline.n} requests failed at the baseline of {start}"
        return NoKnee(NoKneeCode.ERRORS_AT_ONCE, failed)
    if baseline.overload:
        reason = f"the service does not hold the baseline of {start}: {baseline.overload}"
        return NoKnee(NoKneeCode.MISSED_AT_BASELINE, reason, None, goal.start)
    for criterion in goal.criteria:
        count = baseline.counts.get(criterion.name)
        if count is not None and _missed(count, criterion.share):
            reason = (
                f"{criterion.name} is missed at the baseline already: {format_share(count.share)}"
                f" of {count.n} requests at {start} were over {format_duration(criterion.limit)},"
                f" {format_share(criterion.share)} may be"
            )
            return NoKnee(NoKneeCode.MISSED_AT_BASELINE, reason, None, goal.start)
    return None


def _missed(count: Count, allowed: Share) -> bool:
    expected = allowed * count.n
    return count.exceed > expected + BURST_SIGMAS * math.sqrt(expected) + BURST_REQUESTS


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
    by_name = {name: fitted(state, fit) for name, fit in fits.items()}
    knees = tuple(by_name.get(c.name) or _not_reached(state, c) for c in state.goal.criteria)
    return result_of(state, by_name[leader.criterion.name], knees)


def _bracketed_answer(state: SearchState, bracket: Bracket) -> SearchResult:
    criteria = state.goal.criteria
    broken = [criterion for criterion in criteria if _broken(state, criterion)]
    first = broken[0] if broken else criteria[0]
    knees = tuple(
        bracketed(state, c, bracket) if c in broken else _not_reached(state, c) for c in criteria
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
        trials=tuple(state.trials),
        drains=tuple(state.drains),
    )


def _broken(state: SearchState, criterion: Criterion) -> bool:
    return any(clearly_over(trial, criterion, 0.0) for trial in state.unsaturated())


def _not_reached(state: SearchState, criterion: Criterion) -> NoKnee:
    """Another criterion breaks first, and this one held as far as the search went."""
    rates = (t.step.rate for t in state.valid() if t.step.phase in FITTED_PHASES)
    top = max(rates, default=state.goal.start)
    reason = (
        f"{criterion.name} held at every rate tried, up to {format_rate(top)}:"
        " another criterion breaks first"
    )
    return NoKnee(NoKneeCode.NOT_REACHED, reason, top)


def fitted(state: SearchState, fit: KneeFit) -> Knee:
    """The fitted knee with its label, its curve, and what a narrower interval would cost."""
    label = _label(state, fit)
    clear = Shown(0.0, math.inf) if fit.part is None else shown(state.current, fit.criterion)
    high = max(fit.high, _first_failure(state, fit)) if label == KneeLabel.BRACKET else fit.high
    rate = min(max(fit.knee, clear.held), clear.failed)
    broke, kept = _disputed(state, fit.criterion) if state.noisy else (math.inf, 0.0)
    return Knee(
        rate=rate,
        low=min(max(fit.low, clear.held), rate, broke),
        high=max(min(high, clear.failed, max(fit.knee, _most_completed(state))), rate, kept),
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


def _most_completed(state: SearchState) -> PerSecond:
    """What the service was ever seen to complete, at most: no knee lies beyond it. Infinite when
    nothing saturated it.
    """
    burst, observed = _capacity(state), observed_capacity(state.current)
    return max(burst.high, observed) if burst is not None and observed is not None else math.inf


def bracketed(state: SearchState, criterion: Criterion, bracket: Bracket) -> Knee | NoKnee:
    """The gap between what held and what did not, where nothing could be fitted.

    Only a trial with enough requests to hold one allowed exceedance shows that a rate holds;
    lacking that, the start does.
    """
    if bracket.high is None:
        return NoKnee(NoKneeCode.BUDGET, "the budget ended before any rate failed", bracket.low)
    shown = Bracket(_shown_to_hold(state, criterion, bracket.high), bracket.high)
    return Knee(
        rate=shown.middle,
        low=shown.low,
        high=bracket.high,
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
    rate = burst.completed if saturated is None else saturated
    kept_up = "at least: the service kept up with all that was offered"
    spread = _spread(burst, rate)
    return Capacity(
        rate=rate,
        low=max(0.0, rate - spread),
        high=rate + spread,
        offered=burst.step.rate,
        note=kept_up if saturated is None else "",
    )


def _spread(burst: Trial, rate: PerSecond) -> PerSecond:
    blocks = [row.done for row in burst.rows if row.second >= burst.step.settle]
    if len(blocks) < FEWEST_BLOCKS:
        return UNKNOWN_SPREAD * rate
    return BLOCK_T * stdev(blocks) / math.sqrt(len(blocks))
