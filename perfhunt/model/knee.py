"""Where a service breaks: an interval, or the reason there is none."""

from __future__ import annotations

from dataclasses import dataclass

from perfhunt.model.units import PerSecond, Seconds, Share

RESOURCE = "resource"


@dataclass(frozen=True, slots=True)
class Knee:
    """The largest rate at which a criterion still holds.

    `sharpness` is d ln P / d ln rate at the knee (P: share of requests over the limit); below 4 the
    knee is soft. `label` is one of "sharp", "soft", "bracket", "errors", "resource" (CPU or memory,
    which no request is counted by; its `limit` is infinite and the note tells the share). `phi` is
    the dispersion of exceedance counts over binomial.
    """

    rate: PerSecond
    low: PerSecond
    high: PerSecond
    confidence: Share
    criterion: str
    limit: Seconds
    sharpness: float | None
    label: str
    phi: float | None = None
    passes: int = 0
    load: Seconds = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class NoKnee:
    """Why no knee was found: a short stable `code`, and the reason as a sentence.

    Codes: below-max-rate, generator-limited, errors-at-once, never-stationary, missed-at-baseline,
    not-reached (another criterion breaks first), budget, target-lost, stopped. `low` and `high`
    hold what is known (None: nothing).
    """

    code: str
    reason: str
    low: PerSecond | None = None
    high: PerSecond | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """Completions per second when saturated: the second number, always beside the knee."""

    rate: PerSecond
    low: PerSecond
    high: PerSecond
    offered: PerSecond
    note: str = ""
