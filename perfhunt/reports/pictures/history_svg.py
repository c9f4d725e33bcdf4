"""The knee over commits, as one self-contained SVG: a point with its interval for each run, oldest
on the left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from perfhunt.model.units import PerSecond, format_rate
from perfhunt.reports.pictures.axes import Axis, nice_ceiling
from perfhunt.reports.pictures.svg import element, lines, number

# Pixels of the picture, and of the margins around the plot.
HEIGHT = 340
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 44, 76
EACH = 74  # of each run
NARROWEST = 420  # of a picture with few runs
_STYLE = "".join(
    (
        "text{font:12px system-ui,sans-serif;fill:#333}",
        ".t{font-size:15px;font-weight:600}",
        ".m{fill:#767676}",
        ".g{stroke:#ddd}",
        ".e{stroke:#1f6feb;stroke-width:2}",
        ".l{stroke:#1f6feb;stroke-opacity:.35;fill:none}",
        ".k{fill:#1f6feb}",
        ".v{fill:#bf5700}",
        ".n{stroke:#b42318;stroke-width:2}",
        "@media(prefers-color-scheme:dark){",
        "svg{background:#16181d}text{fill:#ddd}.m{fill:#9a9a9a}.g{stroke:#333}",
        "}",
    )
)


@dataclass(frozen=True, slots=True)
class KneePoint:
    """One run: what revision it measured (`+` for uncommitted work), when, and its knee. `rate`
    None: `none` says why.
    """

    revision: str
    started: str
    rate: PerSecond | None
    low: PerSecond | None = None
    high: PerSecond | None = None
    none: str = ""
    verify: bool = False


def knee_history(points: Sequence[KneePoint], title: str) -> Markup:
    """The picture; a run without a knee is a cross at the bottom with its reason."""
    width = max(NARROWEST, LEFT + RIGHT + EACH * max(1, len(points)))
    top = max([p.high or p.rate or 0.0 for p in points], default=0.0)
    y = Axis(0.0, nice_ceiling(top) if top > 0 else 1.0, HEIGHT - BOTTOM, TOP)
    placed = [(LEFT + EACH * (i + 0.5), point) for i, point in enumerate(points)]
    parts = [element("text", title, class_="t", x=LEFT, y=22), *_grid(y, width)]
    line = [f"{number(x)},{number(y.at(p.rate))}" for x, p in placed if p.rate is not None]
    if len(line) > 1:
        parts.append(element("polyline", class_="l", points=" ".join(line)))
    for x, point in placed:
        parts += _point(x, point, y)
    if not points:
        nothing = "No run with this question yet."
        parts.append(element("text", nothing, class_="m", x=LEFT, y=HEIGHT / 2))
    return _document(lines(Markup(), *parts, Markup()), width, title)


def _document(inside: Markup, width: int, title: str) -> Markup:
    picture = element(
        "svg",
        element("style", Markup(_STYLE)),
        inside,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {HEIGHT}",
        width=width,
        height=HEIGHT,
        role="img",
        aria_label=title,
    )
    return picture + "\n"


def _grid(y: Axis, width: int) -> list[Markup]:
    parts, left = [], LEFT - 8
    for value in y.ticks(5):
        at = y.at(value)
        parts += [
            element("line", class_="g", x1=LEFT, x2=width - RIGHT, y1=at, y2=at),
            element("text", f"{value:,g}", class_="m", x=left, y=at + 4, text_anchor="end"),
        ]
    return [*parts, element("text", "req/s", class_="m", x=left, y=TOP - 12, text_anchor="end")]


def _point(x: float, point: KneePoint, y: Axis) -> list[Markup]:
    bottom, middle = HEIGHT - BOTTOM, {"text_anchor": "middle"}
    day, clock = point.started[:10], point.started[11:16]
    labels = [
        element("text", point.revision or "no git", x=x, y=bottom + 20, **middle),
        element("text", day, class_="m", x=x, y=bottom + 36, **middle),
        element("text", clock, class_="m", x=x, y=bottom + 51, **middle),
    ]
    if point.rate is None:
        return [_cross(x, bottom, point.none), *labels]
    return [*_knee(x, point, point.rate, y), *labels]


def _cross(x: float, bottom: float, reason: str) -> Markup:
    left, right, above, below = x - 5, x + 5, bottom - 11, bottom - 1
    return element(
        "g",
        element("title", f"no knee: {reason}"),
        element("line", class_="n", x1=left, y1=above, x2=right, y2=below),
        element("line", class_="n", x1=left, y1=below, x2=right, y2=above),
    )


def _knee(x: float, point: KneePoint, rate: PerSecond, y: Axis) -> list[Markup]:
    low, high = point.low or rate, point.high or rate
    interval = f"{format_rate(low)} to {format_rate(high)}"
    words = f"{point.revision}: knee {format_rate(rate)} ({interval})"
    kind = "v" if point.verify else "k"
    return [
        element(
            "g",
            element("title", words),
            element("line", class_="e", x1=x, x2=x, y1=y.at(low), y2=y.at(high)),
            element("circle", class_=kind, cx=x, cy=y.at(rate), r=4.5),
        ),
        element("text", format_rate(rate), x=x, y=y.at(high) - 9, text_anchor="middle"),
    ]
