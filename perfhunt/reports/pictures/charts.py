"""The pictures of a report as inline SVG: where it breaks, how latency climbs, what threads do.
Colours come from the page.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from perfhunt.model.run import Run
from perfhunt.model.trial import Trial
from perfhunt.model.units import format_duration, format_rate
from perfhunt.reports.pictures.axes import Axis
from perfhunt.reports.pictures.chart_frame import (
    BOTTOM,
    HEIGHT,
    TOP,
    WIDTH,
    chart,
    frame,
    limit_line,
    rate_axis,
    verticals,
)
from perfhunt.reports.pictures.svg import element, number

_PERCENTILES = ("p50", "p95", "p99")
STATE_ORDER = (
    "on_cpu",
    "run_queue",
    "gil",
    "lock",
    "socket",
    "disk",
    "sleep",
    "other",
    "unknown",
    "poll",
    "idle",
)
STATE_WORDS = {
    "on_cpu": "on CPU",
    "run_queue": "run queue",
    "gil": "waits for the GIL",
    "lock": "waits for a lock",
    "socket": "waits on a socket",
    "disk": "waits for the disk",
    "sleep": "sleeps",
    "other": "other waits",
    "poll": "polls for events",
    "idle": "waits for work",
    "unknown": "unknown",
}


# The rows of the states, in pixels.
ROWS_LEFT = 84
ROW = 44  # from one to the next
ROW_HEIGHT = 32
SEGMENT_DRAWN = 0.4  # a narrower segment is left out
SEGMENT_NUMBERED = 30  # a narrower one has no number in it
_WHOLE = 100  # threads, from which two figures are no number as people write them
# Their legend: pixels of a cell, and how many cells stand side by side.
CELL = 134
LEGEND_ROW = 20
LEGEND_COLUMNS = 4
LEGEND_SHARE = 0.003  # of the longest row: a state below it is not in the legend
HEADROOM = 1.4  # times the lowest and highest latency, beyond which the axis ends


def latency_chart(run: Run) -> Markup:
    """Response percentiles of every trial against its rate, with the limit; empty text when there
    is nothing to draw.
    """
    trials = [
        t for t in (run.baseline, *run.trials) if t is not None and t.response.p99 and not t.invalid
    ]
    if not trials:
        return Markup()
    limit = getattr(run.knee, "limit", None)
    if limit is not None and math.isinf(limit):  # of a criterion that is no time
        limit = None
    latencies = [v for t in trials for p in _PERCENTILES if (v := getattr(t.response, p))]
    low, high = min(latencies) / HEADROOM, max([*latencies, limit or 0]) * HEADROOM
    x, y = rate_axis(run, trials), Axis(low, high, HEIGHT - BOTTOM, TOP, log=True)
    ticks = [(t, format_duration(t)) for t in y.ticks()]
    parts = [frame(x, y, ticks, "requests per second", "response time"), *verticals(run, x)]
    if limit is not None and limit < high:
        parts += limit_line(y.at(limit), f"{format_duration(limit)} limit")
    calm = [t for t in trials if not t.overload]
    for percentile in _PERCENTILES:
        parts.append(_line(percentile, calm, x, y))
        parts += [_dot(percentile, t, x, y) for t in trials]
    parts += _line_names(calm or trials, x, y)
    return chart(HEIGHT, "response time percentiles against rate", parts)


def _line(percentile: str, trials: Sequence[Trial], x: Axis, y: Axis) -> Markup:
    """Through the middle trial at each rate: a measured value, not a mean of percentiles."""
    by_rate: dict[float, list[float]] = {}
    for trial in trials:
        by_rate.setdefault(trial.step.rate, []).append(getattr(trial.response, percentile))
    points = " ".join(
        f"{number(x.at(rate))},{number(y.at(statistics.median_low(values)))}"
        for rate, values in sorted(by_rate.items())
    )
    return element("polyline", class_=f"c-line c-{percentile}", points=points)


def _dot(percentile: str, trial: Trial, x: Axis, y: Axis) -> Markup:
    latency = getattr(trial.response, percentile)
    cx, cy = x.at(trial.step.rate), y.at(latency)
    at_least = "at least " if trial.overload else ""
    words = (
        f"{percentile} {at_least}{format_duration(latency)} at {format_rate(trial.step.rate)},"
        f" n={trial.n:,}"
    )
    title = element("title", words)
    if trial.overload:
        cross = f"M{number(cx - 3)} {number(cy - 3)}l6 6m0 -6l-6 6"
        return element("path", title, class_="c-cross", d=cross)
    return element("circle", title, class_=f"c-dot c-{percentile}", cx=cx, cy=cy, r=2.8)


def _line_names(trials: Sequence[Trial], x: Axis, y: Axis) -> list[Markup]:
    """Names next to the ends of lines, pushed apart where they would touch."""
    last = max(trials, key=lambda t: t.step.rate)
    ends = sorted((y.at(getattr(last.response, p)), p) for p in _PERCENTILES)
    placed, parts, right = -100.0, [], x.at(last.step.rate) + 8
    for end, name in ends:
        placed = max(end + 4, placed + 13)
        parts.append(element("text", name, class_=f"c-label c-ink-{name}", x=right, y=placed))
    return parts


def states_chart(run: Run) -> Markup:
    """What threads were doing, baseline above knee: mean number of threads in each state; empty
    text without states.
    """
    phases = [(phase, s.busy()) for phase, s in run.states.items() if s.threads]
    if not phases:
        return Markup()
    most = max(sum(totals.values()) for _, totals in phases) or 1.0
    x = Axis(0, most, ROWS_LEFT, WIDTH - 16)
    parts, top = [], 12
    for phase, totals in phases:
        parts += _row(phase, totals, x, top)
        top += ROW
    parts.append(_threads_axis(x, top))
    shown = [
        s
        for s in STATE_ORDER
        if any(totals.get(s, 0.0) > LEGEND_SHARE * most for _, totals in phases)
    ]
    parts += _legend(shown, top + ROW)
    rows = (len(shown) + LEGEND_COLUMNS - 1) // LEGEND_COLUMNS
    height = top + ROW + rows * LEGEND_ROW
    return chart(height, "thread states at baseline and at the knee", parts)


def _row(phase: str, totals: Mapping[str, float], x: Axis, top: int) -> list[Markup]:
    parts = [element("text", phase, class_="c-label", x=76, y=top + 21, text_anchor="end")]
    left = 0.0
    for state in STATE_ORDER:
        threads = totals.get(state, 0.0)
        parts.append(_segment(state, left, threads, x, top))
        left += threads
    return parts


def _threads_axis(x: Axis, top: int) -> Markup:
    middle, end = {"text_anchor": "middle"}, {"text_anchor": "end"}
    ticks = Markup().join(
        element("text", f"{t:g}", class_="c-tick", x=x.at(t), y=top + 12, **middle)
        for t in x.ticks(8)
    )
    name = "threads, on average"
    return ticks + element("text", name, class_="c-tick", x=WIDTH - 16, y=top + 30, **end)


def _segment(state: str, left: float, threads: float, x: Axis, top: int) -> Markup:
    start, end = x.at(left), x.at(left + threads)
    if end - start < SEGMENT_DRAWN:
        return Markup()
    parts = [
        element("title", f"{STATE_WORDS[state]}: {threads:.2f} threads on average"),
        element("rect", class_=f"s-{state}", x=start, y=top, width=end - start, height=ROW_HEIGHT),
    ]
    if end - start > SEGMENT_NUMBERED:
        place = {"x": (start + end) / 2, "y": top + 21}
        count = f"{threads:.2g}" if threads < _WHOLE else f"{threads:,.0f}"
        parts.append(element("text", count, class_="c-on-colour", **place, text_anchor="middle"))
    return element("g", *parts)


def _legend(states: Sequence[str], top: int) -> list[Markup]:
    parts = []
    for index, state in enumerate(states):
        x = ROWS_LEFT + (index % LEGEND_COLUMNS) * CELL
        y = top + (index // LEGEND_COLUMNS) * LEGEND_ROW
        parts += [
            element("rect", class_=f"s-{state}", x=x, y=y, width=11, height=11, rx=2),
            element("text", STATE_WORDS[state], class_="c-tick", x=x + 16, y=y + 10),
        ]
    return parts


def interval_bar(low: float, value: float, high: float, most: float) -> Markup:
    """A small picture of an estimate with its interval on a scale from 0 to `most`."""
    x = Axis(0, most or 1.0, 2, 118)
    at = x.at(value)
    return element(
        "svg",
        element("rect", class_="c-bar-fill", x=2, y=3.5, width=at - 2, height=5, rx=1),
        element("line", class_="c-bar-range", x1=x.at(low), x2=x.at(high), y1=6, y2=6),
        element("circle", class_="c-bar-dot", cx=at, cy=6, r=2.6),
        class_="c-bar",
        viewBox="0 0 120 12",
        width=120,
        height=12,
        aria_hidden="true",
    )
