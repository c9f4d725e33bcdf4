"""Whether a trial was one steady thing: arrivals as planned, a service in one state, answers that
are separate observations.

Lancet (Kogias et al., ATC 2019) names these checks; its public code skips two of them. Each gives a
sentence, or "".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from perfhunt.model.question import ArrivalLaw
from perfhunt.model.trial import SecondRow
from perfhunt.model.units import PerSecond, Seconds, Share, format_duration, format_rate

Floats = NDArray[np.floating[Any]]

ENOUGH = 200  # requests, below which none of this is told from chance
# Below two milliseconds bunching is of no consequence, and every generator's.
FINEST: Seconds = 2e-3
MOST = 50_000  # looked at, of more: the first
DISTANCE = 0.08  # between the distributions of gaps (Kolmogorov-Smirnov): less does not matter
KOLMOGOROV = 1.63  # over the square root of n: the 1 % point of the distance under chance alone
TOLERANCE = 2.0  # times that point, as Lancet has it
STRAY_GAP: Share = 0.5  # of a uniform stream's gap: off by more than this is another gap
TREND_BLOCKS = 8
BLOCK_LEAST = 25  # requests, below which the median of a block is chance
TREND = 1.25  # last third of the blocks over the first
TREND_LEVEL = 0.01  # at which Kendall's tau is no chance
GROWTH: Share = 0.05  # of the rate: requests in flight that stay in flight
GROWTH_ERRORS = 3.0  # standard errors that the slope must be from nothing
GROWTH_LEAST = 4  # seconds, below which a slope has no error
LAGS = (1, 2, 5, 10, 25, 50, 100, 200, 500, 1000)  # as Lancet tries them
CHANCE = 1e-10  # Lancet's threshold for a correlation of neighbours
THINNED = 10  # neighbours alike further than this are worth saying


def arrivals_strayed(sent: Floats, rate: PerSecond, law: str) -> str:
    """Whether requests left in another pattern than planned. `sent`: ascending send times in
    seconds, shape (n,).
    """
    # Every k-th request is looked at, so that their gaps are not finer than what matters.
    k = max(1, math.ceil(rate * FINEST))
    gaps = np.diff(sent[: MOST * k : k]) * rate
    if len(gaps) < ENOUGH:
        return ""
    distance = (
        _from_uniform(gaps / k)
        if law == ArrivalLaw.UNIFORM
        else float(stats.kstest(gaps, stats.gamma(k).cdf).statistic)
    )
    if distance <= max(DISTANCE, TOLERANCE * KOLMOGOROV / math.sqrt(len(gaps))):
        return ""
    return (
        f"requests did not leave as the {law} stream"
        f" that was planned (distance {distance:.2f}, 0 is exact)"
    )


def _from_uniform(gaps: Floats) -> float:
    """The share of gaps that are off by more than half of what they should be."""
    return float(np.mean(np.abs(gaps - 1.0) > STRAY_GAP))


def response_drifted(due: Floats, response: Floats) -> str:
    """Whether the service was still changing: a trend in the medians of successive blocks (Mann
    1945, Kendall's tau).
    """
    n = len(due)
    if n < max(ENOUGH, TREND_BLOCKS * BLOCK_LEAST):
        return ""
    medians = np.array([np.median(block) for block in np.array_split(response, TREND_BLOCKS)])
    third = max(2, TREND_BLOCKS // 3)
    first, last = float(np.median(medians[:third])), float(np.median(medians[-third:]))
    if min(first, last) <= 0 or max(first / last, last / first) < TREND:
        return ""
    if stats.kendalltau(np.arange(TREND_BLOCKS), medians).pvalue > TREND_LEVEL:
        return ""
    way = "rising" if last > first else "falling"
    return (
        "the service was not steady:"
        f" its median was {way} from {format_duration(first)} to {format_duration(last)}"
    )


def in_flight_grew(rows: Sequence[SecondRow], rate: PerSecond) -> str:
    """Whether more came than was answered: past saturation requests in flight grow by the
    difference, for ever.
    """
    if len(rows) < GROWTH_LEAST:
        return ""
    fit = stats.linregress(np.arange(len(rows)), np.array([row.in_flight for row in rows]))
    slope, error = float(fit.slope), float(fit.stderr)
    if slope <= GROWTH * rate or slope < GROWTH_ERRORS * error:
        return ""
    return (
        f"requests in flight grew by {format_rate(slope)} at {format_rate(rate)}: the service was"
        " falling behind"
    )


def answers_alike(response: Floats) -> str:
    """How far neighbouring answers resemble each other, when that is far: n answers are then fewer
    observations.
    """
    values = response[:MOST]
    if len(values) < ENOUGH:
        return ""
    ranks = stats.rankdata(values)
    if np.ptp(ranks) == 0:
        return ""
    apart = next(
        (lag for lag in LAGS if lag * 4 < len(ranks) and not _correlated(ranks, lag)), None
    )
    if apart is not None and apart <= THINNED:
        return ""
    worth = len(values) // (apart or max(lag for lag in LAGS if lag * 4 < len(ranks)))
    return (
        "neighbouring answers resemble each other:"
        f" {len(values)} of them are worth about {worth} independent ones"
    )


def _correlated(ranks: Floats, lag: int) -> bool:
    correlation = stats.pearsonr(ranks[:-lag], ranks[lag:])  # of ranks: Spearman's
    return bool(correlation.statistic > 0 and correlation.pvalue < CHANCE)


def doubts(
    due: Floats,
    sent: Floats,
    response: Floats,
    rows: Sequence[SecondRow],
    rate: PerSecond,
    law: str,
    settle: Seconds = 0.0,
) -> tuple[str, ...]:
    """Every check, as sentences; none when all is well. The arrays are in the order the requests
    were due, shape (n,).
    """
    whole = [row for row in rows if row.second >= settle][:-1]
    sentences = (
        arrivals_strayed(np.sort(sent), rate, law),
        response_drifted(due, response),
        in_flight_grew(whole, rate),
        answers_alike(response),
    )
    return tuple(sentence for sentence in sentences if sentence)
