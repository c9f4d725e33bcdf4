"""What load added to the mean latency as a list of the page: a bridge of bars from the baseline to
the knee.
"""

from __future__ import annotations

from markupsafe import Markup

from perfhunt.model.finding import LatencyPart, Rise, Waterfall
from perfhunt.model.interval import Interval
from perfhunt.model.run import Run
from perfhunt.model.units import Seconds, Share
from perfhunt.reports.pictures.axes import Axis, nice_ceiling
from perfhunt.reports.pictures.svg import element, lines
from perfhunt.reports.pictures.waterfall_chart import colour
from perfhunt.reports.pictures.waterfall_words import largest
from perfhunt.reports.words import held_at, ms, ms_column, plural

# A bar's own units, which it stretches to the width there is, and its height in pixels.
WIDTH, BAR = 600, 12
MOST = 6  # parts with a row of their own: the table has all of them
SHOWN: Share = 0.005  # of the axis: a bar that is shorter cannot be seen
MILLISECOND = 1e-3  # seconds


def waterfall_list(run: Run) -> Markup:
    """A list of rows, each with its name and number above its bar, all on one scale: it reads on a
    narrow screen, and aloud. Empty text where there is no waterfall.
    """
    waterfall = run.waterfall
    if waterfall is None or not waterfall.parts:
        return lines()
    x = Axis(0.0, nice_ceiling(_furthest(waterfall)), 0, WIDTH)
    together = _together(waterfall)
    shown = [p for p in together if abs(p.added.value) >= SHOWN * x.high]
    rows = [_total("mean at the baseline", waterfall.base, x)]
    at = waterfall.base + sum(p.added.value for p in together if p not in shown)
    added = ms_column([part.added for part in shown], signed=True)
    for part, words in zip(shown, added, strict=True):
        rows.append(_step(part, words, at, x))
        at += part.added.value
    rows.append(_total(f"mean {held_at(run)}", waterfall.knee, x))
    return element("ol", lines(*rows), class_="bridge")


def _together(waterfall: Waterfall) -> list[Rise]:
    """The largest parts, the others as one, and what is not accounted for."""
    kept = largest(waterfall.parts, MOST)
    others = [part for part in waterfall.parts if part not in kept]
    rest = []
    if others:
        added = sum(part.added.value for part in others)
        rest.append(
            Rise(
                kind=LatencyPart.OTHER,
                name=plural(len(others), "smaller part"),
                base=sum(part.base for part in others),
                knee=sum(part.knee for part in others),
                added=Interval(added, added, added, 0),
            )
        )
    return [*kept, *rest, *([waterfall.unexplained] if waterfall.unexplained else [])]


def _furthest(waterfall: Waterfall) -> Seconds:
    """How far to the right the bars reach."""
    at = furthest = max(waterfall.base, waterfall.knee, MILLISECOND)
    at = waterfall.base
    for part in _together(waterfall):
        at += part.added.value
        furthest = max(furthest, at)
    return furthest


def _total(name: str, value: Seconds, x: Axis) -> Markup:
    bar = element("rect", class_="w-total", x=0, y=0, width=x.at(value), height=BAR)
    return _row(name, f"{ms(value)} ms", "w-sum", bar)


def _step(part: Rise, words: str, start: Seconds, x: Axis) -> Markup:
    """One bar from where the last one ended, with the interval of what was added as a line."""
    added = part.added
    one, other = sorted((x.at(start), x.at(start + added.value)))
    fallen = " w-fallen" if added.value < 0 else ""
    class_ = f"{colour(part)}{fallen}"
    line = {"x1": x.at(start + added.low), "x2": x.at(start + added.high)}
    return _row(
        part.name,
        f"{words} ms",
        "w-part",
        element("rect", class_=class_, x=one, y=0, width=max(other - one, 1), height=BAR),
        element("line", class_="w-range", **line, y1=BAR / 2, y2=BAR / 2),
    )


def _row(name: str, words: str, class_: str, *bar: Markup) -> Markup:
    stretched = {"viewBox": f"0 0 {WIDTH} {BAR}", "preserveAspectRatio": "none"}
    return element(
        "li",
        element("span", name),
        element("b", words),
        element("svg", *bar, **stretched, aria_hidden="true"),
        class_=class_,
    )
