"""The picture of what load added to the mean latency: a bridge of bars from the baseline to the
knee.
"""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from perfhunt.model.finding import LatencyPart, Rise, Waterfall
from perfhunt.model.run import Run
from perfhunt.model.units import Seconds, Share
from perfhunt.reports.pictures.axes import Axis, nice_ceiling
from perfhunt.reports.pictures.svg import element, lines
from perfhunt.reports.pictures.waterfall_words import added_words, every_part
from perfhunt.reports.words import held_at, ms

# Pixels: the picture, the names to its left, the numbers to its right, a row and the bar in it.
WIDTH, LEFT, RIGHT, TOP = 1180, 420, 190, 22
ROW, BAR = 25, 16
NAME = 62  # characters of a name: more do not fit beside the bars
SHOWN: Share = 0.005  # of the axis: a bar that is shorter cannot be seen
MILLISECOND = 1e-3  # seconds
# The colours of the states of threads, where a part is one of them.
_COLOURS: Mapping[LatencyPart, str] = {
    LatencyPart.CPU: "s-on_cpu",
    LatencyPart.RUN_QUEUE: "s-run_queue",
    LatencyPart.NEIGHBOURS: "s-run_queue",
    LatencyPart.GIL: "s-gil",
    LatencyPart.LOCK: "s-lock",
    LatencyPart.POOL: "s-lock",
    LatencyPart.HANDOFF: "s-lock",
    LatencyPart.PACED: "s-lock",
    LatencyPart.SOCKET: "s-socket",
    LatencyPart.AWAIT: "s-socket",
    LatencyPart.CLIENT: "s-socket",
    LatencyPart.POLL: "s-poll",
    LatencyPart.DISK: "s-disk",
    LatencyPart.SLEEP: "s-sleep",
    LatencyPart.OTHER: "s-other",
    LatencyPart.OUTSIDE: "s-other",
    LatencyPart.UNEXPLAINED: "w-unexplained",
}
_QUEUES = "w-queue"


def colour(part: Rise) -> str:
    """The class of style that a part's bar has."""
    return _COLOURS.get(part.kind, _QUEUES)


def waterfall_chart(run: Run) -> Markup:
    """The SVG; empty text where there is no waterfall."""
    waterfall = run.waterfall
    if waterfall is None or not waterfall.parts:
        return Markup()
    most = _furthest(waterfall)
    x = Axis(0.0, nice_ceiling(most), LEFT, WIDTH - RIGHT)
    shown = [p for p in every_part(waterfall) if abs(p.added.value) >= SHOWN * x.high]
    height = TOP + ROW * (len(shown) + 2) + 24
    parts = [*_grid(x, height - 24)]
    parts += _total("mean at the baseline", waterfall.base, x, 0)
    at = waterfall.base + sum(p.added.value for p in every_part(waterfall) if p not in shown)
    for row, part in enumerate(shown, 1):
        parts += _step(part, at, x, row)
        at += part.added.value
    parts += _total(f"mean {held_at(run)}", waterfall.knee, x, len(shown) + 1)
    inside = lines(Markup(), *parts, Markup())
    label = "what load added to the mean latency, part by part"
    box = f"0 0 {WIDTH} {height}"
    return element("svg", inside, class_="chart", viewBox=box, role="img", aria_label=label) + "\n"


def _furthest(waterfall: Waterfall) -> Seconds:
    """How far to the right the bars reach."""
    at = furthest = max(waterfall.base, waterfall.knee, MILLISECOND)
    at = waterfall.base
    for part in every_part(waterfall):
        at += part.added.value
        furthest = max(furthest, at)
    return furthest


def _grid(x: Axis, bottom: float) -> list[Markup]:
    scaled = Axis(x.low / MILLISECOND, x.high / MILLISECOND, x.start, x.end)
    parts = []
    for tick in scaled.ticks(6):
        at = scaled.at(tick)
        parts += [
            element("line", class_="c-grid", x1=at, x2=at, y1=TOP, y2=bottom),
            element("text", f"{tick:g} ms", class_="c-tick", x=at, y=TOP - 8, text_anchor="middle"),
        ]
    return parts


def _total(name: str, value: Seconds, x: Axis, row: int) -> list[Markup]:
    top = TOP + row * ROW + (ROW - BAR) / 2
    return [
        _name(name, row, "c-label"),
        element(
            "rect", class_="w-total", x=x.start, y=top, width=x.at(value) - x.start, height=BAR
        ),
        _number(f"{ms(value)} ms", row, "c-label"),
    ]


def _step(part: Rise, start: Seconds, x: Axis, row: int) -> list[Markup]:
    """One bar from where the last one ended, with the interval of what was added as a line."""
    added, top = part.added, TOP + row * ROW + (ROW - BAR) / 2
    one, other = sorted((x.at(start), x.at(start + added.value)))
    fallen = " w-fallen" if added.value < 0 else ""
    class_ = f"{colour(part)}{fallen}"
    words = f"{part.name}: {ms(part.base)} ms at the baseline, {ms(part.knee)} ms at the knee"
    middle = top + BAR / 2
    line = {"x1": x.at(start + added.low), "x2": x.at(start + added.high), "y1": middle}
    return [
        _name(part.name, row),
        element(
            "g",
            element("title", words),
            element("rect", class_=class_, x=one, y=top, width=max(other - one, 1), height=BAR),
        ),
        element("line", class_="w-range", **line, y2=middle),
        _number(added_words(added), row),
    ]


def _name(name: str, row: int, class_: str = "") -> Markup:
    cut = name if len(name) <= NAME else f"{name[: NAME - 1]}…"
    place = {"x": LEFT - 10, "y": TOP + row * ROW + ROW / 2 + 4}
    return element("text", cut, class_=class_ or "w-name", **place, text_anchor="end")


def _number(words: str, row: int, class_: str = "") -> Markup:
    place = {"x": WIDTH - RIGHT + 10, "y": TOP + row * ROW + ROW / 2 + 4}
    return element("text", words, class_=class_ or "w-name", **place)
