"""The picture of the knee: rate against the share of requests over the limit, every trial in it,
and the curve that the run holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from perfhunt.model.knee import FittedCurve, Knee, breaking_criterion
from perfhunt.model.run import Run, RunKind
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import FITTED_PHASES, Count, Trial
from perfhunt.model.units import Share, format_rate, format_share
from perfhunt.reports.pictures.axes import Axis
from perfhunt.reports.pictures.chart_frame import (
    BOTTOM,
    HEIGHT,
    LEFT,
    TOP,
    chart,
    frame,
    limit_line,
    rate_axis,
    verticals,
    y_grid,
)
from perfhunt.reports.pictures.svg import element, lines, number

# The axis of shares ends at this share, lower where a trial needs it, and never below the last.
FLOOR: Share = 1e-4
LOWEST_FLOOR: Share = 1e-6
NONE_STRIP = 22  # pixels below the axis of shares, for trials with nothing over the limit


def knee_criterion(run: Run) -> Criterion | None:
    """The criterion that the knee is about; the first one asked for when there is none, or no
    request is counted by it.
    """
    name = breaking_criterion(run.knee, run.question.slo)
    return next((c for c in run.question.slo.criteria() if c.name == name), None)


def knee_chart(run: Run) -> Markup:
    """The SVG; empty text when no trial counted the criterion, or one rate alone was asked."""
    if run.kind == RunKind.SMOKE:
        return Markup()
    criterion = knee_criterion(run)
    counted = _counted(run, criterion) if criterion is not None else []
    if criterion is None or not counted:
        return Markup()
    x, y = rate_axis(run, [t for t, _ in counted]), _share_axis(criterion, counted)
    around = Axis(y.low, y.high, HEIGHT - BOTTOM, TOP, log=True)
    over = "requests over the limit" if math.isfinite(criterion.limit) else "requests that fail"
    parts = [frame(x, around, [], "requests per second offered", over), _grid(y)]
    parts += verticals(run, x)
    if isinstance(run.knee, Knee) and run.knee.curve is not None:
        parts += _curve(run.knee.curve, x, y)
    may = format_share(criterion.share)
    parts += limit_line(y.at(criterion.share), f"{may} allowed")
    parts += [_point(trial, count, x, y) for trial, count in sorted(counted, key=_on_top)]
    label = f"share of requests over the limit against rate; {may} allowed"
    return chart(HEIGHT, label, parts)


def _counted(run: Run, criterion: Criterion) -> list[tuple[Trial, Count]]:
    return [
        (trial, count)
        for trial in (run.baseline, *run.trials)
        if trial is not None and (count := trial.counts.get(criterion.name)) and count.n
    ]


def _share_axis(criterion: Criterion, counted: Sequence[tuple[Trial, Count]]) -> Axis:
    lowest = min([count.share for _, count in counted if count.exceed] + [criterion.share])
    decade = 10.0 ** math.floor(math.log10(lowest))
    floor = max(LOWEST_FLOOR, min(FLOOR, decade))
    return Axis(floor, 1.0, HEIGHT - BOTTOM - NONE_STRIP, TOP, log=True)


def _grid(y: Axis) -> Markup:
    ticks = [(share, f"{share * 100:g} %") for share in y.ticks()]
    place = {"x": LEFT - 6, "y": HEIGHT - BOTTOM + 2}
    none = element("text", "none", class_="c-tick", **place, text_anchor="end")
    return lines(*y_grid(y, ticks), none)


def _curve(curve: FittedCurve, x: Axis, y: Axis) -> list[Markup]:
    """The stored share and its interval, where the axes show them."""
    shown = [
        (x.at(rate), share, low, high)
        for rate, share, low, high in zip(
            curve.rates, curve.shares, curve.low, curve.high, strict=True
        )
        if rate <= x.high and share >= y.low
    ]
    if len(shown) < 2:
        return []
    line = [f"{number(at)},{number(y.at(share))}" for at, share, _, _ in shown]
    above = [f"{number(at)},{number(y.at(high))}" for at, _, _, high in shown]
    below = [f"{number(at)},{number(y.at(low))}" for at, _, low, _ in reversed(shown)]
    return [
        element("polygon", class_="c-fit-band", points=" ".join((*above, *below))),
        element("polyline", class_="c-fit", points=" ".join(line)),
    ]


def _on_top(counted: tuple[Trial, Count]) -> int:
    """Draw what matters last, on top."""
    trial, _ = counted
    if trial.invalid:
        return 0
    return 2 if trial.step.phase in FITTED_PHASES and not trial.overload else 1


def _point(trial: Trial, count: Count, x: Axis, y: Axis) -> Markup:
    cx = x.at(trial.step.rate)
    cy = y.at(count.share) if count.exceed else HEIGHT - BOTTOM
    title = element("title", _words(trial, count))
    if trial.overload and not trial.set_aside:
        cross = f"M{number(cx - 4)} {number(cy - 4)}l8 8m0 -8l-8 8"
        return element("path", title, class_="c-cross", d=cross)
    if trial.invalid:
        place = {"x": cx - 3.5, "y": cy - 3.5}
        return element("rect", title, class_="c-invalid", **place, width=7, height=7)
    fitted = "c-fitted" if trial.step.phase in FITTED_PHASES else "c-other"
    return element("circle", title, class_=fitted, cx=cx, cy=cy, r=4.2)


def _words(trial: Trial, count: Count) -> str:
    doubt = ""
    if trial.set_aside:
        doubt = f"; {trial.invalid}"
    elif trial.overload:
        doubt = f"; overloaded: {trial.overload}"
    elif trial.invalid:
        doubt = f"; invalid: {trial.invalid}"
    share = f"{count.exceed:,} of {count.n:,} ({format_share(count.share)})"
    return f"{trial.step.phase.value} at {format_rate(trial.step.rate)}: {share}{doubt}"
