"""Whether a program that made the load and our own probe beside it found the same latencies."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from perfhunt.model.latency import percentiles
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Count
from perfhunt.model.units import Seconds, Share, format_duration

ENOUGH = 100  # requests of either, for a median; and so that one in a hundred can be met
LEVEL = 1e-3  # at which a difference is no chance; two shares are looked at in every trial
MATTERS: Share = 0.15  # of the larger figure: two clients on one core differ by less at rest
FINEST: Seconds = 2e-3  # of difference: another runtime wakes up so much later


def own_doing(name: str, criterion: Criterion, every: Count, probe: Count) -> str:
    """Whether a program exceeded a criterion by itself, as a sentence or "": more of its requests
    did than the criterion allows, and of the probe's that were sent at the same time far fewer
    (binomial test). `every` counts both.
    """
    program = Count(every.n - probe.n, every.exceed - probe.exceed)
    if not probe.n or program.share <= criterion.share:
        return ""
    if stats.binom.cdf(probe.exceed, probe.n, program.share) >= LEVEL:
        return ""
    return (
        f"{name} was late by itself: {program.exceed} of its {program.n} requests exceeded"
        f" {criterion.name}, and {probe.exceed} of {probe.n} of perfhunt's own probe beside it"
    )


def disagreement(
    program: NDArray[np.floating[Any]], probe: NDArray[np.floating[Any]], name: str
) -> str:
    """How the response times of a program's requests and of a probe's differ, in seconds, shapes
    (n,) and (m,): a sentence, or "" where they agree or are too few to say.

    If both are of one distribution, as many of the probe's exceed a percentile of the program's as
    its share says (a binomial test; the program's are many more).
    """
    if min(len(program), len(probe)) < ENOUGH:
        return ""
    for share, word in ((0.99, "p99"), (0.5, "p50")):
        theirs, ours = (percentiles(values, (share,))[0] for values in (program, probe))
        assert theirs is not None
        assert ours is not None
        over = int(np.count_nonzero(probe > theirs))
        chance = stats.binomtest(over, len(probe), 1.0 - share).pvalue
        if chance < LEVEL and abs(ours - theirs) > max(FINEST, MATTERS * max(ours, theirs)):
            return (
                f"{name} says {word} {format_duration(theirs)} (n={len(program)}), and perfhunt's"
                f" own probe beside it {format_duration(ours)} (n={len(probe)})"
            )
    return ""
