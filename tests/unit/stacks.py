"""Stacks written by hand against the source they are of."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent

from perfhunt.analysis.blame.culprits.culprits import culprits
from perfhunt.analysis.blame.culprits.source_lines import SourceLines, source_lines
from perfhunt.analysis.blame.culprits.trails import Trail, way_of
from perfhunt.analysis.blame.frames import Code
from perfhunt.model.profile import Frame, Stack

APP = "/srv/shop/app.py"
HEAPQ = "/usr/lib/python3.11/heapq.py"

SHOP = """
def view(request):
    order = load(request)
    total = price_order(order)
    return render_page(order, total)

def price_order(order):
    total = 0
    for line in order:
        total += base(line)
        total += tax(line)
        total -= discount(line)
    return total
"""


def frame_at(source: str, place: str, file: str = APP) -> Frame:
    """`price_order/base(line)`: the function, and text that only the line it has reached holds."""
    function, _, text = place.partition("/")
    lines = dedent(source).splitlines()
    return Frame(function, file, next(n for n, line in enumerate(lines, 1) if text in line))


def stack(source: str, *places: str) -> Stack:
    return tuple(
        Frame(place, HEAPQ, 1) if place == "library" else frame_at(source, place)
        for place in places
    )


def trail(stack: Stack, weight: float, waits: bool = False) -> Trail:
    way = way_of(stack, Code())
    assert way is not None
    return Trail(calls=way.calls, inner=way.inner, samples=weight * 10, weight=weight, waits=waits)


def parsed(source: str) -> Mapping[str, SourceLines]:
    lines = source_lines(dedent(source))
    assert lines is not None
    return {APP: lines}


def stands_for(
    source: str, *weighted: tuple[float, *tuple[str, ...]], known: bool = True, waits: str = ""
) -> dict[str, str]:
    """Leaf -> culprit, by name, of stacks with their weights; `waits` are leaves that wait."""
    trails = [
        trail(s := stack(source, *places), weight, s[-1].function in waits.split())
        for weight, *places in weighted
    ]
    found = culprits(trails, parsed(source) if known else {})
    return {leaf[0]: culprit[0] for leaf, culprit in found.items()}
