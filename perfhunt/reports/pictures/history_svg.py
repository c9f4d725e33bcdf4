"""A number over commits: a point with its interval for each run, oldest on the left, and where its
level changed. For a page of its own as a self-contained SVG, else styled by `style()`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from perfhunt.model.units import format_rate
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
        ".s{stroke:#7c4dbd;stroke-width:2;stroke-dasharray:5 4}",
        ".w{fill:#7c4dbd}",
        ".n{stroke:#b42318;stroke-width:2}",
        "@media(prefers-color-scheme:dark){",
        "svg{background:#16181d}text{fill:#ddd}.m{fill:#9a9a9a}.g{stroke:#333}",
        "}",
    )
)


@dataclass(frozen=True, slots=True)
class HistoryPoint:
    """One run: what revision it measured (`+` for uncommitted work), when, and its number. `value`
    None: `none` says why.
    """

    revision: str
    started: str
    value: float | None
    low: float | None = None
    high: float | None = None
    none: str = ""
    verify: bool = False
    run: str = ""


@dataclass(frozen=True, slots=True)
class HistoryScale:
    """What is drawn: its name, the unit of the axis, how a value is written."""

    name: str
    unit: str
    written: Callable[[float], str]


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """A change of level before the point `at`, and what is written at it."""

    at: int
    words: str


KNEE_SCALE = HistoryScale("knee", "req/s", format_rate)


def knee_history(points: Sequence[HistoryPoint], title: str) -> Markup:
    """The knees as one self-contained picture; a run without one is a cross at the bottom with its
    reason.
    """
    inside, width = _inside(points, title, KNEE_SCALE, ())
    styled = element("style", Markup(_STYLE)) + inside
    return _document(styled, width, title, xmlns="http://www.w3.org/2000/svg") + "\n"


def history_chart(
    points: Sequence[HistoryPoint], scale: HistoryScale, steps: Sequence[HistoryStep] = ()
) -> Markup:
    """The same of any number, for a page that has `style()` and says the name itself."""
    inside, width = _inside(points, "", scale, steps)
    return _document(inside, width, scale.name, class_="history")


def style() -> str:
    """The style of `history_chart`."""
    kept = _STYLE.partition("@media")[0]
    return "".join(f".history {rule}}}" for rule in kept.split("}") if rule) + (
        "@media(prefers-color-scheme:dark){"
        ".history text{fill:#ddd}.history .m{fill:#9a9a9a}.history .g{stroke:#333}}"
    )


def _inside(
    points: Sequence[HistoryPoint],
    title: str,
    scale: HistoryScale,
    steps: Sequence[HistoryStep],
) -> tuple[Markup, int]:
    """What is in the picture, and its width."""
    width = max(NARROWEST, LEFT + RIGHT + EACH * max(1, len(points)))
    top = max([p.high or p.value or 0.0 for p in points], default=0.0)
    y = Axis(0.0, nice_ceiling(top) if top > 0 else 1.0, HEIGHT - BOTTOM, TOP)
    placed = [(LEFT + EACH * (i + 0.5), point) for i, point in enumerate(points)]
    heading = [element("text", title, class_="t", x=LEFT, y=22)] if title else []
    parts = [*heading, *_grid(y, width, scale.unit)]
    line = [f"{number(x)},{number(y.at(p.value))}" for x, p in placed if p.value is not None]
    if len(line) > 1:
        parts.append(element("polyline", class_="l", points=" ".join(line)))
    for step in steps:
        parts += _step(step)
    for x, point in placed:
        parts += _point(x, point, y, scale)
    if not points:
        nothing = "No run with this question yet."
        parts.append(element("text", nothing, class_="m", x=LEFT, y=HEIGHT / 2))
    return lines(Markup(), *parts, Markup()), width


def _document(inside: Markup, width: int, title: str, **attributes: str) -> Markup:
    return element(
        "svg",
        inside,
        **attributes,
        viewBox=f"0 0 {width} {HEIGHT}",
        width=width,
        height=HEIGHT,
        role="img",
        aria_label=title,
    )


def _step(step: HistoryStep) -> list[Markup]:
    x = LEFT + EACH * step.at
    return [
        element("line", class_="s", x1=x, x2=x, y1=TOP - 8, y2=HEIGHT - BOTTOM),
        element("text", step.words, class_="w", x=x + 5, y=TOP),
    ]


def _grid(y: Axis, width: int, unit: str) -> list[Markup]:
    parts, left = [], LEFT - 8
    for value in y.ticks(5):
        at = y.at(value)
        parts += [
            element("line", class_="g", x1=LEFT, x2=width - RIGHT, y1=at, y2=at),
            element("text", f"{value:,g}", class_="m", x=left, y=at + 4, text_anchor="end"),
        ]
    return [*parts, element("text", unit, class_="m", x=left, y=TOP - 12, text_anchor="end")]


def _point(x: float, point: HistoryPoint, y: Axis, scale: HistoryScale) -> list[Markup]:
    bottom, middle = HEIGHT - BOTTOM, {"text_anchor": "middle"}
    day, clock = point.started[:10], point.started[11:16]
    labels = [
        element("text", point.revision or "no git", x=x, y=bottom + 20, **middle),
        element("text", day, class_="m", x=x, y=bottom + 36, **middle),
        element("text", clock, class_="m", x=x, y=bottom + 51, **middle),
    ]
    if point.value is None:
        return [_cross(x, bottom, f"{_whose(point)}no {scale.name}: {point.none}"), *labels]
    return [*_dot(x, point, point.value, y, scale), *labels]


def _whose(point: HistoryPoint) -> str:
    return f"{point.run}, " if point.run else ""


def _cross(x: float, bottom: float, words: str) -> Markup:
    left, right, above, below = x - 5, x + 5, bottom - 11, bottom - 1
    return element(
        "g",
        element("title", words),
        element("line", class_="n", x1=left, y1=above, x2=right, y2=below),
        element("line", class_="n", x1=left, y1=below, x2=right, y2=above),
    )


def _dot(x: float, point: HistoryPoint, value: float, y: Axis, scale: HistoryScale) -> list[Markup]:
    low, high = point.low or value, point.high or value
    interval = f" ({scale.written(low)} to {scale.written(high)})" if low < high else ""
    words = f"{_whose(point)}{point.revision}: {scale.name} {scale.written(value)}{interval}"
    kind = "v" if point.verify else "k"
    return [
        element(
            "g",
            element("title", words),
            element("line", class_="e", x1=x, x2=x, y1=y.at(low), y2=y.at(high)),
            element("circle", class_=kind, cx=x, cy=y.at(value), r=4.5),
        ),
        element("text", scale.written(value), x=x, y=y.at(high) - 9, text_anchor="middle"),
    ]
