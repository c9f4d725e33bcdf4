"""The picture of a service that changes as it runs: one load asked again and again, against the
requests it has served, and the memory it holds meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from perfhunt.model.finding import CautionCode
from perfhunt.model.knee import DriftKind
from perfhunt.model.run import Run
from perfhunt.model.trial import Trial, served_at, steady_trials
from perfhunt.model.units import format_bytes, format_duration, format_rate
from perfhunt.reports.pictures.axes import Axis, nice_ceiling
from perfhunt.reports.pictures.chart_frame import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    chart,
    frame,
)
from perfhunt.reports.pictures.svg import element, number

PERCENTILES = ("p50", "p99")
HEADROOM = 1.4  # times the lowest and highest latency, beyond which the axis ends
MEMORY_TOP = 0.9  # of the plot's height, where the most memory lies: the axis names no unit for it
THOUSAND = 1000.0
CHANGED = (DriftKind.SLOWER, DriftKind.QUICKER)

Aged = tuple[float, Trial]


def drift_chart(run: Run) -> Markup:
    """The SVG; empty text where one load was asked once, or nothing changed."""
    if not _changed(run):
        return Markup()
    trials = [trial for trial in run.trials if not trial.invalid]
    aged = list(zip((at / THOUSAND for at in served_at(trials)), trials, strict=True))
    steady = set(map(id, steady_trials(trials)))
    same = [(age, t) for age, t in aged if id(t) in steady and t.response.p50 and t.response.p99]
    if len(same) < 2:
        return Markup()
    latencies = [v for _, t in same for p in PERCENTILES if (v := getattr(t.response, p))]
    x = Axis(0.0, nice_ceiling(aged[-1][0]), LEFT, WIDTH - RIGHT)
    low, high = min(latencies) / HEADROOM, max(latencies) * HEADROOM
    y = Axis(low, high, HEIGHT - BOTTOM, TOP, log=True)
    ticks = [(tick, format_duration(tick)) for tick in y.ticks()]
    rate = format_rate(same[0][1].step.rate)
    parts = [frame(x, y, ticks, "thousand requests served", f"response time at {rate}")]
    parts += _memory(aged, x)
    for percentile in PERCENTILES:
        parts += _latency(percentile, same, x, y)
    return chart(HEIGHT, "response time of one load, and memory, against requests served", parts)


def _changed(run: Run) -> bool:
    doubts = {CautionCode.DRIFT, CautionCode.GROWTH}
    drifted = run.drift is not None and run.drift.kind in CHANGED
    return drifted or any(caution.code in doubts for caution in run.cautions)


def _latency(percentile: str, same: Sequence[Aged], x: Axis, y: Axis) -> list[Markup]:
    places = [(x.at(age), y.at(getattr(trial.response, percentile))) for age, trial in same]
    parts = [_polyline(f"c-line c-{percentile}", places)]
    for (cx, cy), (age, trial) in zip(places, same, strict=True):
        value = format_duration(getattr(trial.response, percentile))
        words = f"{percentile} after {age:,.1f} thousand requests: {value}"
        title = element("title", words)
        parts.append(element("circle", title, class_=f"c-dot c-{percentile}", cx=cx, cy=cy, r=3.4))
    last = places[-1]
    ink = f"c-label c-ink-{percentile}"
    parts.append(element("text", percentile, class_=ink, x=last[0] + 6, y=last[1] + 4))
    return parts


def _memory(aged: Sequence[Aged], x: Axis) -> list[Markup]:
    """Resident memory after every trial, from nothing at the bottom."""
    held = [
        (age, t.resources.rss) for age, t in aged if t.resources is not None and t.resources.rss
    ]
    if len(held) < 2:
        return []
    most = max(rss for _, rss in held)
    y = Axis(0.0, most / MEMORY_TOP, HEIGHT - BOTTOM, TOP)
    places = [(x.at(age), y.at(float(rss))) for age, rss in held]
    words = f"memory {format_bytes(held[0][1])} to {format_bytes(held[-1][1])}"
    at = {"x": places[-1][0], "y": places[-1][1] - 8}
    return [
        _polyline("c-memory", places),
        element("text", words, class_="c-label c-memory-ink", **at, text_anchor="end"),
    ]


def _polyline(class_: str, places: Sequence[tuple[float, float]]) -> Markup:
    points = " ".join(f"{number(px)},{number(py)}" for px, py in places)
    return element("polyline", class_=class_, points=points)
