"""The pictures of a report as inline SVG: where it breaks, how latency climbs, what threads do.
Colours come from the page.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from perfhunt.model.run import Run
from perfhunt.model.trial import Trial
from perfhunt.model.units import format_duration, format_rate
from perfhunt.reports.pictures.axes import Axis
from perfhunt.reports.pictures.chart_frame import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    frame,
    rate_axis,
    svg,
    verticals,
)
from perfhunt.reports.pictures.svg import escape, number

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


def latency_chart(run: Run) -> str:
    """Response percentiles of every trial against its rate, with the limit; empty text when there
    is nothing to draw.
    """
    trials = [
        t for t in (run.baseline, *run.trials) if t is not None and t.response.p99 and not t.invalid
    ]
    if not trials:
        return ""
    limit = getattr(run.knee, "limit", None)
    values = [v for t in trials for p in _PERCENTILES if (v := getattr(t.response, p))]
    low, high = min(values) / 1.4, max([*values, limit or 0]) * 1.4
    x = rate_axis(run, trials)
    y = Axis(low, high, HEIGHT - BOTTOM, TOP, log=True)
    parts = [
        frame(
            x,
            y,
            [(t, format_duration(t)) for t in y.ticks()],
            "requests per second",
            "response time",
        )
    ]
    parts += verticals(run, x)
    if limit is not None and limit < high:
        at = number(y.at(limit))
        parts.append(
            f'<line class="c-limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>'
        )
        above = number(y.at(limit) - 6)
        parts.append(
            f'<text class="c-label c-limit-ink" x="{LEFT + 6}" y="{above}">{format_duration(limit)}'
            " limit</text>"
        )
    calm = [t for t in trials if not t.overload]
    labels = []
    for percentile in _PERCENTILES:
        parts.append(_line(percentile, calm, x, y))
        parts += [_dot(percentile, t, x, y) for t in trials]
        last = max(calm or trials, key=lambda t: t.step.rate)
        labels.append((y.at(getattr(last.response, percentile)), percentile))
    parts += _direct_labels(labels, x.at(max(t.step.rate for t in calm or trials)))
    return svg(WIDTH, HEIGHT, "response time percentiles against rate", parts)


def _line(percentile: str, trials: Sequence[Trial], x: Axis, y: Axis) -> str:
    """Through the middle trial at each rate: a value that was measured, not a mean of
    percentiles.
    """
    rates = sorted({t.step.rate for t in trials})
    middle = [
        statistics.median_low([getattr(t.response, percentile) for t in trials if t.step.rate == r])
        for r in rates
    ]
    points = " ".join(
        f"{number(x.at(r))},{number(y.at(v))}" for r, v in zip(rates, middle, strict=True)
    )
    return f'<polyline class="c-line c-{percentile}" points="{points}"/>'


def _dot(percentile: str, trial: Trial, x: Axis, y: Axis) -> str:
    value = getattr(trial.response, percentile)
    cx, cy = x.at(trial.step.rate), y.at(value)
    at_least = "at least " if trial.overload else ""
    title = (
        f"<title>{percentile} {at_least}{format_duration(value)} at {format_rate(trial.step.rate)},"
        f" n={trial.n:,}</title>"
    )
    if trial.overload:
        d = f"M{number(cx - 3)} {number(cy - 3)}l6 6m0 -6l-6 6"
        return f'<path class="c-cross" d="{d}">{title}</path>'
    return (
        f'<circle class="c-dot c-{percentile}" cx="{number(cx)}" cy="{number(cy)}"'
        f' r="2.8">{title}</circle>'
    )


def _direct_labels(labels: Iterable[tuple[float, str]], x: float) -> list[str]:
    """Names next to the ends of lines, pushed apart where they would touch."""
    placed, parts = -100.0, []
    for y, name in sorted(labels):
        placed = max(y + 4, placed + 13)
        parts.append(
            f'<text class="c-label c-ink-{name}" x="{number(x + 8)}"'
            f' y="{number(placed)}">{name}</text>'
        )
    return parts


def states_chart(run: Run) -> str:
    """What threads were doing, baseline above knee: mean number of threads in each state; empty
    text without states.
    """
    spans = [(phase, s.busy()) for phase, s in run.states.items() if s.threads]
    if not spans:
        return ""
    most = max(sum(totals.values()) for _, totals in spans) or 1.0
    x = Axis(0, most, 84, WIDTH - 16)
    parts, top = [], 12
    for phase, totals in spans:
        parts.append(
            f'<text class="c-label" x="76" y="{top + 21}" text-anchor="end">{escape(phase)}</text>'
        )
        left = 0.0
        for state in STATE_ORDER:
            parts.append(_segment(state, left, totals.get(state, 0.0), x, top))
            left += totals.get(state, 0.0)
        top += 44
    ticks = "".join(
        f'<text class="c-tick" x="{number(x.at(t))}" y="{top + 12}"'
        f' text-anchor="middle">{t:g}</text>'
        for t in x.ticks(8)
    )
    parts.append(
        f'{ticks}<text class="c-tick" x="{WIDTH - 16}" y="{top + 30}" text-anchor="end">threads, on'
        " average</text>"
    )
    shown = [
        s for s in STATE_ORDER if any(totals.get(s, 0.0) > 0.003 * most for _, totals in spans)
    ]
    parts += _legend(shown, top + 44)
    rows = (len(shown) + 3) // 4
    return svg(WIDTH, top + 44 + rows * 20, "thread states at baseline and at the knee", parts)


def _segment(state: str, left: float, threads: float, x: Axis, top: int) -> str:
    start, end = x.at(left), x.at(left + threads)
    if end - start < 0.4:
        return ""
    title = f"<title>{STATE_WORDS[state]}: {threads:.2f} threads on average</title>"
    word = f"{threads:.2g}" if end - start > 30 else ""
    text = (
        f'<text class="c-on-colour" x="{number((start + end) / 2)}" y="{top + 21}"'
        f' text-anchor="middle">{word}</text>'
    )
    return (
        f'<g>{title}<rect class="s-{state}" x="{number(start)}" y="{top}"'
        f' width="{number(end - start)}" height="32"/>'
        f"{text if word else ''}</g>"
    )


def _legend(states: Sequence[str], top: int) -> list[str]:
    parts = []
    for index, state in enumerate(states):
        x, y = 84 + (index % 4) * 134, top + (index // 4) * 20
        parts.append(f'<rect class="s-{state}" x="{x}" y="{y}" width="11" height="11" rx="2"/>')
        parts.append(f'<text class="c-tick" x="{x + 16}" y="{y + 10}">{STATE_WORDS[state]}</text>')
    return parts


def interval_bar(low: float, value: float, high: float, most: float) -> str:
    """A small picture of an estimate with its interval on a scale from 0 to `most`."""
    x = Axis(0, most or 1.0, 2, 118)
    left, middle, right = (number(x.at(v)) for v in (low, value, high))
    return (
        '<svg class="c-bar" viewBox="0 0 120 12" width="120" height="12" aria-hidden="true"><rect'
        f' class="c-bar-fill" x="2" y="3.5" width="{number(x.at(value) - 2)}" height="5"'
        f' rx="1"/><line class="c-bar-range" x1="{left}" x2="{right}" y1="6" y2="6"/><circle'
        f' class="c-bar-dot" cx="{middle}" cy="6" r="2.6"/></svg>'
    )
