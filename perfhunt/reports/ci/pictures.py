"""Charts of a run as files of their own: for chat, for a comment, for a browser."""

from __future__ import annotations

import math
import re

from markupsafe import Markup

from perfhunt.model.run import Run
from perfhunt.reports.pictures.knee_chart import knee_chart
from perfhunt.reports.pictures.svg import element, template
from perfhunt.reports.pictures.waterfall_chart import waterfall_chart

# Pixels of a picture that says in words why there is none.
WIDTH, HEIGHT = 620, 60
_BOX = re.compile(r'viewBox="0 0 (\d+(?:\.\d+)?) (\d+(?:\.\d+)?)"')
_DARK = re.compile(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
_LIVELY = re.compile(r"<(script|foreignObject)\b.*?</\1>", re.DOTALL)
# What a page does with a chart, and the halo of a label, which CairoSVG draws over it.
_OF_PAGES = re.compile(r"width: 100%; height: auto;|paint-order: stroke;[^}]*")
_GIVEN = re.compile(r"(--[\w-]+):\s*([^;}]+)")
_TAKEN = re.compile(r"var\((--[\w-]+)\)")


def knee_svg(run: Run) -> str:
    """Where it breaks."""
    return alone(knee_chart(run) or _words("No trial counted requests over a limit."))


def waterfall_svg(run: Run) -> str:
    """Where the added latency went."""
    return alone(waterfall_chart(run) or _words("What load added to the latency is not known."))


def size(picture: str) -> tuple[int, int]:
    """Width and height of one of our own pictures, in pixels, rounded up."""
    box = _BOX.search(picture)
    width, height = (float(box[1]), float(box[2])) if box else (WIDTH, HEIGHT)
    return math.ceil(width), math.ceil(height)


def alone(chart: str) -> str:
    """A chart as a file of its own: with the report's colours, on its card."""
    style = template("perfhunt.reports.html", "report.css")
    width, height = size(chart)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
    card = f'<style>{style}</style><rect width="{width}" height="{height}" fill="var(--card)"/>'
    # As plain text: Markup escapes what it is joined with, and all of this is markup.
    opened, _, rest = str(chart).partition(">")
    return f"{opened.replace('<svg', head, 1)}>{card}{rest}"


def still(picture: str) -> str:
    """A picture without what only a browser's window has a use for (script, search field), and with
    its variables filled in as they are on white paper: librsvg and CairoSVG know none.
    """
    plain = _OF_PAGES.sub("", _DARK.sub("", _LIVELY.sub("", picture)))
    given: dict[str, str] = {}
    for name, value in _GIVEN.findall(plain):
        given.setdefault(name, value.strip())
    return _TAKEN.sub(lambda m: given.get(m[1], "none"), plain)


def _words(sentence: str) -> Markup:
    text = element("text", sentence, class_="c-label", x=16, y=HEIGHT / 2 + 4)
    return element("svg", text, class_="chart", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img")
