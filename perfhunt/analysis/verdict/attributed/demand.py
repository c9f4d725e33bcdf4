"""A function's seconds per request before and after, with intervals, and whether they differ."""

from __future__ import annotations

import math
from statistics import NormalDist

from perfhunt.model.interval import Interval
from perfhunt.model.units import Share
from perfhunt.model.verdict.attribution import Demand, Measured

CONFIDENCE: Share = 0.95
# Confidence for unedited functions: there are hundreds, and one in twenty would differ by chance.
SCREEN: Share = 0.9999


def wilson(weight: float, total: float, confidence: Share = CONFIDENCE) -> Interval:
    """A share with its score interval (Wilson 1927), from `weight` of `total` samples. No samples:
    anything from 0 to 1. (scipy's takes whole counts only, and weights need not be.)
    """
    if total <= 0:
        return Interval(0.0, 0.0, 1.0, 0, confidence)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = weight / total
    middle = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return Interval(
        value=p,
        low=max(0.0, middle - half),
        high=min(1.0, middle + half),
        n=round(total),
        confidence=confidence,
    )


def demand_of(
    function: str,
    file: str,
    measured: tuple[Measured, Measured],
    weights: tuple[float, float],
    confidence: Share = CONFIDENCE,
) -> Demand:
    """What so much weight of each profile costs a request, before and after."""
    old, new = (
        wilson(weight, m.profile.total, confidence).scaled(m.seconds_per_request)
        for m, weight in zip(measured, weights, strict=True)
    )
    return Demand(function=function, file=file, before=old, after=new, word=_word(old, new))


def _word(before: Interval, after: Interval) -> str:
    if before.value == after.value == 0:
        return "unseen"
    if before.low <= after.high and after.low <= before.high:
        return "same"
    if before.value == 0:
        return "appeared"
    if after.value == 0:
        return "vanished"
    return "grown" if after.value > before.value else "shrunk"
