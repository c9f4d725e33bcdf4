"""What charts of a run share: size, grid, axes, and the lines at the knee and the capacity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from perfhunt.model.knee import AT_LEAST, Capacity, Knee
from perfhunt.model.run import Run
from perfhunt.model.trial import Trial
from perfhunt.model.units import format_rate
from perfhunt.reports.pictures.axes import Axis, nice_ceiling
from perfhunt.reports.pictures.svg import element, lines

# Pixels of the whole picture, and of the margins around the plot.
WIDTH, HEIGHT = 620, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 40, 40, 44
LETTER = 7.2  # pixels, of a label


def rate_axis(run: Run, trials: Iterable[Trial]) -> Axis:
    """From 0 to a little above the highest rate that says anything."""
    rates = [t.step.rate for t in trials]
    if run.capacity is not None:
        rates.append(run.capacity.rate)
    return Axis(0.0, nice_ceiling(max([*rates, 1.0])), LEFT, WIDTH - RIGHT)


def verticals(run: Run, x: Axis) -> list[Markup]:
    """The knee with its interval as a band, and the capacity."""
    knee = run.knee if isinstance(run.knee, Knee) else None
    parts = _knee_line(knee, x) if knee is not None else []
    if run.capacity is not None:
        beside = knee is not None and x.at(knee.rate) + 6 > x.at(knee.low)
        parts += _capacity_line(run.capacity, x, beside)
    return parts


def _knee_line(knee: Knee, x: Axis) -> list[Markup]:
    left, right, at, bottom = x.at(knee.low), x.at(knee.high), x.at(knee.rate), HEIGHT - BOTTOM
    width = max(1, right - left)
    label = f"knee {format_rate(knee.rate)}"
    ink = "c-label c-knee-ink"
    return [
        element("rect", class_="c-band", x=left, y=TOP, width=width, height=bottom - TOP),
        element("line", class_="c-knee", x1=at, x2=at, y1=TOP, y2=bottom),
        element("text", label, class_=ink, x=at, y=TOP - 8, text_anchor="end"),
    ]


def _capacity_line(capacity: Capacity, x: Axis, beside: bool) -> list[Markup]:
    bound = f"{AT_LEAST} " if capacity.at_least else ""
    at, label = x.at(capacity.rate), f"capacity {bound}{format_rate(capacity.rate)}"
    ink = "c-label c-capacity-ink"
    start = min(at + 6 * beside, WIDTH - LETTER * len(label))
    return [
        element("line", class_="c-capacity", x1=at, x2=at, y1=TOP, y2=HEIGHT - BOTTOM),
        element("text", label, class_=ink, x=start, y=TOP - 8),
    ]


def level(class_: str, y: float) -> Markup:
    """A line across the plot."""
    return element("line", class_=class_, x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y)


def limit_line(at: float, label: str) -> list[Markup]:
    """The line of a limit, with what it says."""
    return [
        level("c-limit", at),
        element("text", label, class_="c-label c-limit-ink", x=LEFT + 6, y=at - 6),
    ]


def frame(
    x: Axis, y: Axis, y_ticks: Sequence[tuple[float, str]], x_name: str, y_name: str
) -> Markup:
    """Grid, ticks and axis names."""
    left, right, bottom = x.start, x.end, y.start
    parts = y_grid(y, y_ticks)
    for value in x.ticks(7):
        at, word = x.at(value), f"{value:,g}"
        parts += [
            element("line", class_="c-grid-x", x1=at, x2=at, y1=bottom, y2=bottom + 4),
            element("text", word, class_="c-tick", x=at, y=bottom + 18, text_anchor="middle"),
        ]
    parts += [
        element("line", class_="c-axis", x1=left, x2=right, y1=bottom, y2=bottom),
        element("text", x_name, class_="c-name", x=right, y=bottom + 36, text_anchor="end"),
        element("text", y_name, class_="c-name", x=4, y=14),
    ]
    return lines(*parts)


def y_grid(y: Axis, ticks: Sequence[tuple[float, str]]) -> list[Markup]:
    """A line and a word at each tick."""
    parts = []
    for value, word in ticks:
        at = y.at(value)
        parts += [
            level("c-grid", at),
            element("text", word, class_="c-tick", x=LEFT - 6, y=at + 4, text_anchor="end"),
        ]
    return parts


def chart(height: int, label: str, parts: Sequence[Markup]) -> Markup:
    """The chart's element."""
    inside = lines(Markup(), *parts, Markup())
    box = f"0 0 {WIDTH} {height}"
    return element("svg", inside, class_="chart", viewBox=box, role="img", aria_label=label) + "\n"
