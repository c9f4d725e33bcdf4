"""What the trials so far say about where the knee is, before any fit: highest rate that held,
lowest that did not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import PerSecond

_NOT_EVIDENCE = (Phase.HOLD, Phase.CAPACITY, Phase.WARMUP)


def holds(trial: Trial, criteria: Sequence[Criterion]) -> bool:
    """Whether a trial kept every criterion and was not overloaded."""
    kept = all(trial.counts[c.name].share <= c.share for c in criteria if c.name in trial.counts)
    return kept and not trial.overload


def bracket(
    trials: Iterable[Trial], criteria: Sequence[Criterion]
) -> tuple[PerSecond | None, PerSecond | None]:
    """(highest rate that held, lowest rate above it that broke); None for what is not known.

    A short trial at a low rate that broke by one stall is outvoted by a higher one that held.

    Profiled, warming and saturated trials are no evidence, nor are invalid ones.
    """
    evidence = [t for t in trials if not t.invalid and t.step.phase not in _NOT_EVIDENCE]
    low = max((t.step.rate for t in evidence if holds(t, criteria)), default=None)
    broke = [t.step.rate for t in evidence if not holds(t, criteria)]
    return low, min((rate for rate in broke if low is None or rate > low), default=None)
