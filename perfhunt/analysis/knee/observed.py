"""What trials show without any fit: the rates that held, the capacity, and whether requests fail
before they are slow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from perfhunt.analysis.knee.answers.shown import shown
from perfhunt.analysis.trial.exceedance import LIKELY, Standing, standing
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import FITTED_PHASES, Phase, Trial
from perfhunt.model.units import PerSecond, Seconds, Share

# A short trial shows that its rate holds when it had requests enough to see one late, no more than
# this part of what is allowed was, and nothing failed below so many times its rate: a queue takes
# its time to fill.
HELD_WELL: Share = 0.5
FAR = 4.0
_NOT_EVIDENCE = (Phase.HOLD, Phase.ABOVE, Phase.CAPACITY, Phase.WARMUP)

# A burst did not saturate a service that gave so many good answers of those it was asked for, while
# fewer than half of the requests were late.
KEPT_UP: Share = 0.97
MOSTLY_LATE: Share = 0.5

# A trial shows what the service completes in quiet when it holds this many requests of which hardly
# any is late. A little is taken off, since chance moves the count of a short trial.
QUIET_REQUESTS = 200
QUIET_LATE: Share = 0.05
QUIET_ALLOWANCE: Share = 0.95

# Of what exceeded a criterion: beyond this share of failures it broke by failing, not by being
# slow.
MOSTLY_FAILED: Share = 0.5
# Outcomes of requests that fail at once, rather than wait.
_FAILED_AT_ONCE = frozenset(
    {"status", "connect", "reset", "protocol", "tls", "too_large", "not_cleared"}
)


def holds(trial: Trial, criteria: Sequence[Criterion]) -> bool:
    """Whether a trial kept every criterion and was not overloaded."""
    kept = all(trial.counts[c.name].share <= c.share for c in criteria if c.name in trial.counts)
    return kept and not trial.overload


def bracket(
    trials: Iterable[Trial], criteria: Sequence[Criterion]
) -> tuple[PerSecond | None, PerSecond | None]:
    """(highest rate shown to hold, lowest shown to fail), which the knee lies between; None for
    what is not shown.

    Several trials show it (`shown`); one shows that a rate holds only far below all that failed.
    Nearer to the knee a trial holds or fails by chance. Profiled, warming and saturated trials are
    no evidence, nor are invalid ones.
    """
    evidence = [t for t in trials if not t.invalid and t.step.phase not in _NOT_EVIDENCE]
    clear = [shown(evidence, criterion) for criterion in criteria]
    tops = [t.step.rate for t in evidence]
    failed = [t.step.rate for t in evidence if any(_likely_failed(t, c) for c in criteria)]
    far_below = min(failed, default=max(tops, default=0.0)) / FAR
    easily = [
        t.step.rate for t in evidence if t.step.rate <= far_below and _holds_well(t, criteria)
    ]
    held = max((*easily, min(each.held for each in clear)), default=0.0)
    fails = min(each.failed for each in clear)
    return held or None, fails if math.isfinite(fails) else None


def _likely_failed(trial: Trial, criterion: Criterion) -> bool:
    return standing(trial, criterion, LIKELY) is Standing.FAILED


def _holds_well(trial: Trial, criteria: Sequence[Criterion]) -> bool:
    allowed = [(trial.counts[c.name], c.share) for c in criteria if c.name in trial.counts]
    well = all(n.n * share >= 1 and n.share <= HELD_WELL * share for n, share in allowed)
    return well and not trial.overload


def completions(burst: Trial) -> PerSecond | None:
    """Good answers per second of a saturated burst; None when the service kept up, so that it was
    not saturated.
    """
    late = max((count.share for count in burst.counts.values()), default=0.0)
    good = good_answers(burst)
    return None if good >= KEPT_UP * burst.step.rate and late < MOSTLY_LATE else good


def good_answers(trial: Trial) -> PerSecond:
    """Answers per second of a trial, those left out that refused or failed."""
    refused = trial.outcomes.get("status", 0) / max(1.0, trial.seconds - trial.step.settle)
    return max(0.0, trial.completed - refused)


def observed_capacity(trials: Iterable[Trial]) -> PerSecond | None:
    """The capacity that the curve is held to: the saturated burst's, or what was completed in quiet
    if that is more.

    A service that collapses under saturation completes less there than it can. None when nothing
    saturated it.
    """
    saturated = in_quiet = 0.0
    for trial in trials:
        if trial.invalid:
            continue
        if trial.step.phase is Phase.CAPACITY:
            saturated = completions(trial) or saturated
        elif _in_quiet(trial):
            in_quiet = max(in_quiet, QUIET_ALLOWANCE * good_answers(trial))
    return max(saturated, in_quiet) if saturated else None


def _in_quiet(trial: Trial) -> bool:
    calm = all(count.share < QUIET_LATE for count in trial.counts.values())
    return trial.step.phase in FITTED_PHASES and trial.n >= QUIET_REQUESTS and calm


def mostly_failures(trials: Iterable[Trial], criterion: Criterion) -> bool:
    """Whether what exceeded a criterion did so by failing at once (refused, errors), not by being
    slow.
    """
    failed = exceed = 0
    for trial in trials:
        count = trial.counts.get(criterion.name)
        if count is not None and not trial.invalid and trial.step.phase in FITTED_PHASES:
            failed += failed_at_once(trial)
            exceed += count.exceed
    return exceed > 0 and failed > MOSTLY_FAILED * exceed


def failed_at_once(trial: Trial) -> int:
    """Requests of a trial that failed at once, rather than wait."""
    return sum(n for outcome, n in trial.outcomes.items() if outcome in _FAILED_AT_ONCE)


def longest_limit(criteria: Iterable[Criterion]) -> Seconds:
    """The largest latency limit; 0 when none has one. Nothing is known of a request before it."""
    return max((c.limit for c in criteria if math.isfinite(c.limit)), default=0.0)


def lowest_baseline(trials: Sequence[Trial]) -> Trial | None:
    """The baseline that counts: the last one measured, at the lowest rate."""
    return next((t for t in reversed(trials) if t.step.phase is Phase.BASELINE), None)


def baselines_before(trials: Sequence[Trial], floor: Trial) -> tuple[Trial, ...]:
    """The baselines that did not hold, downwards to the floor that was found below them. A first
    look at fewer requests, which held, is none.
    """
    before: list[Trial] = []
    for trial in trials:
        if trial.step.phase is Phase.BASELINE and trial != floor and not trial.invalid:
            before = [t for t in before if t.step.rate >= trial.step.rate] + [trial]
    return tuple(before)
