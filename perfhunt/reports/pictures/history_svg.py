"""The knee over commits, as one self-contained SVG: a point with its interval for each run, oldest
on the left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfhunt.model.units import PerSecond, format_rate
from perfhunt.reports.pictures.axes import Axis, nice_ceiling
from perfhunt.reports.pictures.svg import escape, number

HEIGHT, LEFT, RIGHT, TOP, BOTTOM, EACH = 340, 64, 24, 44, 76, 74
_STYLE = (
    "text{font:12px"
    " system-ui,sans-serif;fill:#333}.t{font-size:15px;font-weight:600}.m{fill:#767676}"
    ".g{stroke:#ddd}.e{stroke:#1f6feb;stroke-width:2}.l{stroke:#1f6feb;stroke-opacity:.35;fill:none}.k{fill:#1f6feb}.v{fill:#bf5700}"
    ".n{stroke:#b42318;stroke-width:2}@media(prefers-color-scheme:dark){svg{background:#16181d}text{fill:#ddd}.m{fill:#9a9a9a}.g{stroke:#333}}"
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


def knee_history(points: Sequence[KneePoint], title: str) -> str:
    """The picture; a run without a knee is a cross at the bottom with its reason."""
    width = max(420, LEFT + RIGHT + EACH * max(1, len(points)))
    top = max([p.high or p.rate or 0.0 for p in points], default=0.0)
    y = Axis(0.0, nice_ceiling(top) if top > 0 else 1.0, HEIGHT - BOTTOM, TOP)
    at = [LEFT + EACH * (i + 0.5) for i in range(len(points))]
    parts = [f'<text class="t" x="{LEFT}" y="22">{escape(title)}</text>', *_grid(y, width)]
    line = [
        f"{number(x)},{number(y.at(p.rate))}"
        for x, p in zip(at, points, strict=True)
        if p.rate is not None
    ]
    if len(line) > 1:
        parts.append(f'<polyline class="l" points="{" ".join(line)}"/>')
    for x, point in zip(at, points, strict=True):
        parts += _point(x, point, y)
    if not points:
        parts.append(
            f'<text class="m" x="{LEFT}" y="{HEIGHT / 2:g}">No run with this question yet.</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}"'
        f' height="{HEIGHT}" role="img" aria-label="{escape(title)}"><style>{_STYLE}</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _grid(y: Axis, width: int) -> list[str]:
    parts = []
    for value in y.ticks(5):
        level = number(y.at(value))
        parts.append(
            f'<line class="g" x1="{LEFT}" x2="{width - RIGHT}" y1="{level}" y2="{level}"/>'
        )
        parts.append(
            f'<text class="m" x="{LEFT - 8}" y="{number(y.at(value) + 4)}"'
            f' text-anchor="end">{value:,g}</text>'
        )
    return [*parts, f'<text class="m" x="{LEFT - 8}" y="{TOP - 12}" text-anchor="end">req/s</text>']


def _point(x: float, point: KneePoint, y: Axis) -> list[str]:
    middle, bottom = number(x), HEIGHT - BOTTOM
    label = (
        f'<text x="{middle}" y="{bottom + 20}"'
        f' text-anchor="middle">{escape(point.revision or "no git")}</text>'
    )
    day = (
        f'<text class="m" x="{middle}" y="{bottom + 36}"'
        f' text-anchor="middle">{escape(point.started[:10])}</text>'
    )
    clock = (
        f'<text class="m" x="{middle}" y="{bottom + 51}"'
        f' text-anchor="middle">{escape(point.started[11:16])}</text>'
    )
    if point.rate is None:
        ends = [(x - 5, bottom - 11, x + 5, bottom - 1), (x - 5, bottom - 1, x + 5, bottom - 11)]
        cross = "".join(
            f'<line class="n" x1="{a:g}" y1="{b:g}" x2="{c:g}" y2="{d:g}"/>' for a, b, c, d in ends
        )
        return [
            f"<g><title>{escape(f'no knee: {point.none}')}</title>{cross}</g>",
            label,
            day,
            clock,
        ]
    low, high = point.low or point.rate, point.high or point.rate
    said = (
        f"{point.revision}: knee {format_rate(point.rate)} ({format_rate(low)} to"
        f" {format_rate(high)})"
    )
    bar = (
        f'<line class="e" x1="{middle}" x2="{middle}" y1="{number(y.at(low))}"'
        f' y2="{number(y.at(high))}"/>'
    )
    dot = (
        f'<circle class="{"v" if point.verify else "k"}" cx="{middle}"'
        f' cy="{number(y.at(point.rate))}" r="4.5"/>'
    )
    value = (
        f'<text x="{middle}" y="{number(y.at(high) - 9)}"'
        f' text-anchor="middle">{format_rate(point.rate)}</text>'
    )
    return [f"<g><title>{escape(said)}</title>{bar}{dot}</g>", value, label, day, clock]
