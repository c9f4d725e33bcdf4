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

# Pixels: the picture, its margins, a row with its words above its bar, and both of these.
WIDTH, MARGIN, TOP = 620, 8, 20
ROW, WORDS, BAR = 35, 14, 13
LETTER = 6.3  # pixels, of the font of charts
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


def waterfall_chart(run: Run) -> Markup:
    """The SVG; empty text where there is no waterfall."""
    waterfall = run.waterfall
    if waterfall is None or not waterfall.parts:
        return Markup()
    most = _furthest(waterfall)
    x = Axis(0.0, nice_ceiling(most), MARGIN, WIDTH - MARGIN - 30)
    shown = [p for p in every_part(waterfall) if abs(p.added.value) >= SHOWN * x.high]
    height = TOP + ROW * (len(shown) + 2) + 4
    parts = [*_grid(x, height - 4)]
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
        at, anchor = scaled.at(tick), "middle" if tick else "start"
        parts += [
            element("line", class_="c-grid", x1=at, x2=at, y1=TOP, y2=bottom),
            element("text", f"{tick:g} ms", class_="c-tick", x=at, y=TOP - 8, text_anchor=anchor),
        ]
    return parts


def _total(name: str, value: Seconds, x: Axis, row: int) -> list[Markup]:
    top, words = TOP + row * ROW + WORDS + 4, f"{ms(value)} ms"
    return [
        *_words(name, words, row, "c-label"),
        element(
            "rect", class_="w-total", x=x.start, y=top, width=x.at(value) - x.start, height=BAR
        ),
    ]


def _step(part: Rise, start: Seconds, x: Axis, row: int) -> list[Markup]:
    """One bar from where the last one ended, with the interval of what was added as a line."""
    added, top = part.added, TOP + row * ROW + WORDS + 4
    one, other = sorted((x.at(start), x.at(start + added.value)))
    fallen = " w-fallen" if added.value < 0 else ""
    class_ = f"{_COLOURS.get(part.kind, _QUEUES)}{fallen}"
    words = f"{part.name}: {ms(part.base)} ms at the baseline, {ms(part.knee)} ms at the knee"
    middle = top + BAR / 2
    line = {"x1": x.at(start + added.low), "x2": x.at(start + added.high), "y1": middle}
    return [
        *_words(part.name, f"{added_words(added)} ms", row),
        element(
            "g",
            element("title", words),
            element("rect", class_=class_, x=one, y=top, width=max(other - one, 1), height=BAR),
        ),
        element("line", class_="w-range", **line, y2=middle),
    ]


def _words(name: str, number: str, row: int, class_: str = "w-name") -> list[Markup]:
    """What a bar is on the left above it, its number on the right; the name gives way."""
    y, room = TOP + row * ROW + WORDS, int((WIDTH - 2 * MARGIN) / LETTER) - len(number) - 2
    cut = name if len(name) <= room else f"{name[: room - 1]}…"
    whole = [element("title", name)] if cut != name else []
    return [
        element("text", *whole, cut, class_=class_, x=MARGIN, y=y),
        element("text", number, class_=class_, x=WIDTH - MARGIN, y=y, text_anchor="end"),
    ]
