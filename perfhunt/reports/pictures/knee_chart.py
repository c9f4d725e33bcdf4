"""The picture of the knee: rate against the share of requests over the limit, every trial in it,
and the fitted curve.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from perfhunt.analysis.knee.fit import FITTED, Fit, refit
from perfhunt.model.knee import Knee, KneeLabel
from perfhunt.model.run import Run
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Count, Trial
from perfhunt.model.units import format_rate, format_share
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

_FLOOR = 1e-4
_STEPS = 80


def knee_criterion(run: Run) -> Criterion | None:
    """The criterion that the knee is about; the first one asked for when there is none, or no
    request is counted by it.
    """
    criteria = run.question.slo.criteria()
    if isinstance(run.knee, Knee) and run.knee.label != KneeLabel.RESOURCE:
        return next((c for c in criteria if c.name == run.knee.criterion), None)
    return criteria[0] if criteria else None


def knee_chart(run: Run) -> str:
    """The SVG; empty text when no trial counted the criterion."""
    criterion = knee_criterion(run)
    if criterion is None:
        return ""
    seen = [
        (t, c)
        for t in (run.baseline, *run.trials)
        if t is not None and (c := t.counts.get(criterion.name)) and c.n
    ]
    if not seen:
        return ""
    lowest = min([c.share for _, c in seen if c.exceed] + [criterion.share])
    floor = max(1e-6, min(_FLOOR, 10.0 ** _decade_below(lowest)))
    x = rate_axis(run, [t for t, _ in seen])
    y = Axis(floor, 1.0, HEIGHT - BOTTOM - 22, TOP, log=True)
    axis = Axis(floor, 1.0, HEIGHT - BOTTOM, TOP, log=True)
    ticks = [(t, f"{t * 100:g} %") for t in y.ticks()]
    over = "requests that fail" if criterion.limit == float("inf") else "requests over the limit"
    parts = [frame(x, axis, [], "requests per second offered", over), _grid(ticks, y)]
    parts += verticals(run, x)
    curve = refit(run.trials, criterion) if isinstance(run.knee, Knee) else None
    if curve is not None:
        parts += _curve(curve, x, y)
    at = number(y.at(criterion.share))
    parts.append(f'<line class="c-limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
    allowed = f"{format_share(criterion.share)} may be"
    parts.append(
        f'<text class="c-label c-limit-ink" x="{LEFT + 6}"'
        f' y="{number(y.at(criterion.share) - 6)}">{allowed}</text>'
    )
    parts += [
        _point(trial, count, x, y)
        for trial, count in sorted(seen, key=lambda pair: _weight(pair[0]))
    ]
    return svg(
        WIDTH, HEIGHT, f"share of requests over the limit of {criterion.name} against rate", parts
    )


def _decade_below(share: float) -> int:
    return math.floor(math.log10(share))


def _grid(ticks: Sequence[tuple[float, str]], y: Axis) -> str:
    parts = []
    for value, word in ticks:
        at = number(y.at(value))
        parts.append(f'<line class="c-grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        parts.append(
            f'<text class="c-tick" x="{LEFT - 6}" y="{number(y.at(value) + 4)}"'
            f' text-anchor="end">{word}</text>'
        )
    parts.append(
        f'<text class="c-tick" x="{LEFT - 6}" y="{HEIGHT - BOTTOM + 2}"'
        ' text-anchor="end">none</text>'
    )
    return "\n".join(parts)


def _curve(curve: Fit, x: Axis, y: Axis) -> list[str]:
    """The fitted share and its interval, where the axis shows them and the trials reach."""
    rates = [p.rate for p in curve.points]
    low, high = min(rates) * 0.9, min(max(rates) * 1.05, x.high)
    grid = [low + (high - low) * i / _STEPS for i in range(_STEPS + 1)]
    shown = [r for r in grid if curve.share_at(r) >= y.low]
    if len(shown) < 2:
        return []
    line = " ".join(f"{number(x.at(r))},{number(y.at(curve.share_at(r)))}" for r in shown)
    bands = [(r, curve.band(r)) for r in shown]
    above = [f"{number(x.at(r))},{number(y.at(b[1]))}" for r, b in bands]
    below = [f"{number(x.at(r))},{number(y.at(b[0]))}" for r, b in reversed(bands)]
    return [
        f'<polygon class="c-fit-band" points="{" ".join((*above, *below))}"/>',
        f'<polyline class="c-fit" points="{line}"/>',
    ]


def _weight(trial: Trial) -> int:
    """Draw what matters last, on top."""
    return 0 if trial.invalid else 2 if trial.step.phase in FITTED and not trial.overload else 1


def _point(trial: Trial, count: Count, x: Axis, y: Axis) -> str:
    cx = x.at(trial.step.rate)
    cy = y.at(count.share) if count.exceed else HEIGHT - BOTTOM
    doubt = (
        f"; overloaded: {trial.overload}"
        if trial.overload
        else f"; invalid: {trial.invalid}"
        if trial.invalid
        else ""
    )
    share = f"{count.exceed:,} of {count.n:,} ({format_share(count.share)})"
    said = f"{trial.step.phase.value} at {format_rate(trial.step.rate)}: {share}{doubt}"
    title = f"<title>{escape(said)}</title>"
    if trial.overload:
        return (
            f'<path class="c-cross" d="M{number(cx - 4)} {number(cy - 4)}l8 8m0 -8l-8'
            f' 8">{title}</path>'
        )
    if trial.invalid:
        return (
            f'<rect class="c-invalid" x="{number(cx - 3.5)}" y="{number(cy - 3.5)}" width="7"'
            f' height="7">{title}</rect>'
        )
    fitted = "c-fitted" if trial.step.phase in FITTED else "c-other"
    return f'<circle class="{fitted}" cx="{number(cx)}" cy="{number(cy)}" r="4.2">{title}</circle>'
