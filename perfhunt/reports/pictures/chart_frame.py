"""What charts of a run share: their size, grid, axes, and the lines at the knee and the
capacity.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perfhunt.model.knee import Knee
from perfhunt.model.run import Run
from perfhunt.model.trial import Trial
from perfhunt.model.units import format_rate
from perfhunt.reports.pictures.axes import Axis, nice_ceiling
from perfhunt.reports.pictures.svg import escape, number

WIDTH, HEIGHT = 620, 340
LEFT, RIGHT, TOP, BOTTOM = 58, 40, 40, 44


def rate_axis(run: Run, trials: Iterable[Trial]) -> Axis:
    """From 0 to a little above the highest rate that says anything."""
    rates = [t.step.rate for t in trials]
    if run.capacity is not None:
        rates.append(run.capacity.rate)
    return Axis(0.0, nice_ceiling(max([*rates, 1.0])), LEFT, WIDTH - RIGHT)


def verticals(run: Run, x: Axis) -> list[str]:
    """The knee with its interval as a band, and the capacity."""
    parts, bottom = [], HEIGHT - BOTTOM
    knee, capacity = run.knee, run.capacity
    right_of = ""
    if isinstance(knee, Knee):
        left, right = x.at(knee.low), x.at(knee.high)
        at = number(x.at(knee.rate))
        parts.append(
            f'<rect class="c-band" x="{number(left)}" y="{TOP}"'
            f' width="{number(max(1, right - left))}" height="{bottom - TOP}"/>'
        )
        parts.append(f'<line class="c-knee" x1="{at}" x2="{at}" y1="{TOP}" y2="{bottom}"/>')
        parts.append(
            f'<text class="c-label c-knee-ink" x="{at}" y="{TOP - 8}" text-anchor="end">knee'
            f" {format_rate(knee.rate)}</text>"
        )
        right_of = ' dx="6"' if x.at(knee.rate) + 6 > left else ""
    if capacity is not None:
        at = number(x.at(capacity.rate))
        parts.append(f'<line class="c-capacity" x1="{at}" x2="{at}" y1="{TOP}" y2="{bottom}"/>')
        label = f"capacity {format_rate(capacity.rate)}"
        parts.append(
            f'<text class="c-label c-capacity-ink" x="{at}" y="{TOP - 8}"{right_of}>{label}</text>'
        )
    return parts


def frame(x: Axis, y: Axis, y_ticks: Sequence[tuple[float, str]], x_name: str, y_name: str) -> str:
    """Grid, ticks and axis names."""
    left, right, bottom = number(x.start), number(x.end), number(y.start)
    parts = []
    for value, word in y_ticks:
        at = number(y.at(value))
        parts.append(f'<line class="c-grid" x1="{left}" x2="{right}" y1="{at}" y2="{at}"/>')
        parts.append(
            f'<text class="c-tick" x="{number(x.start - 6)}" y="{number(y.at(value) + 4)}"'
            f' text-anchor="end">{word}</text>'
        )
    for value in x.ticks(7):
        at = number(x.at(value))
        parts.append(
            f'<line class="c-grid-x" x1="{at}" x2="{at}" y1="{bottom}" y2="{number(y.start + 4)}"/>'
        )
        parts.append(
            f'<text class="c-tick" x="{at}" y="{number(y.start + 18)}"'
            f' text-anchor="middle">{value:,g}</text>'
        )
    parts.append(f'<line class="c-axis" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
    parts.append(
        f'<text class="c-name" x="{right}" y="{number(y.start + 36)}"'
        f' text-anchor="end">{x_name}</text>'
    )
    parts.append(f'<text class="c-name" x="4" y="14">{y_name}</text>')
    return "\n".join(parts)


def svg(width: int, height: int, label: str, parts: Sequence[str]) -> str:
    """The chart's element."""
    inside = "\n".join(parts)
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img"'
        f' aria-label="{escape(label)}">\n{inside}\n</svg>\n'
    )
