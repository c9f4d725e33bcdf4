"""Flame graphs as one self-contained SVG: readable without scripts, and with them searchable,
zoomable and usable by keys.

Roots are on top. Width is cost: samples, or seconds per request when the scale is known. In a
differential the width is the cost after, red is more than before, blue is less, purple is new; what
vanished has a strip of its own, as wide as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

from perfhunt.model.profile import Profile, Stack
from perfhunt.model.units import Seconds, format_duration
from perfhunt.reports.pictures.flame_tree import (
    Box,
    FlameNode,
    boxes,
    code_kind,
    depth,
    scaled,
    tree,
    vanished,
)
from perfhunt.reports.pictures.svg import escape, number, shade, visible

WIDTH, PAD, ROW, LETTER = 1200, 10, 19, 7.23
NARROWEST = 0.0003  # of the whole: a third of a pixel at full width
NARROWEST_INSIDE = 0.001  # within a page, which holds several
_HEAD, _FOOT = 62, 34
_KINDS = {
    "app": "application",
    "library": "library",
    "runtime": "language runtime",
    "native": "native",
    "kernel": "kernel",
    "wait": "waiting",
    "thread": "thread",
}
_UNCHANGED = 0.02  # of a node's cost: less is not worth a colour


@dataclass(frozen=True, slots=True)
class Part:
    """One block of boxes: its heading, and how to say a weight."""

    root: FlameNode
    heading: str
    unit: str
    differential: bool = False
    whole: float = (
        0.0  # the weight that is as wide as the picture; the root's own when that is more
    )


def flamegraph(
    profile: Profile, title: str, cost: Seconds | None = None, *, alone: bool = True
) -> str:
    """The SVG of a profile. `cost` is seconds per completed request for one unit of weight; None:
    hover shows samples only.

    `alone`: a file of its own, with its style and script; otherwise the page that holds it brings
    both.
    """
    stacks = scaled(profile.stacks, cost) if cost else profile.stacks
    part = Part(tree(stacks), "", "s" if cost else profile.unit)
    return _document([part], title, health(profile), alone)


def differential(
    before: Profile,
    after: Profile,
    title: str,
    costs: tuple[Seconds, Seconds] | None = None,
    *,
    alone: bool = True,
) -> str:
    """The SVG of what changed. `costs` are seconds per request for one unit of weight, before and
    after.

    Without them both are scaled to the same total, which hides a change that made everything
    cheaper: the heading says so.
    """
    first, second = costs or (1 / (before.total or 1), 1 / (after.total or 1))
    root = tree(
        _without_lines(scaled(after.stacks, second)), _without_lines(scaled(before.stacks, first))
    )
    unit = "s" if costs else "share"
    note = (
        "width: cost per request now"
        if costs
        else "width: share of samples now (both scaled to the same total)"
    )
    parts = [Part(root, "", unit, differential=True)]
    gone = vanished(root)
    if gone:
        parts.append(
            Part(tree(gone), "Vanished: was there before, is not any more", unit, whole=root.total)
        )
    return _document(
        parts, title, f"{note}; red more, blue less, purple new. Before: {health(before)}", alone
    )


def health(profile: Profile) -> str:
    """What was sampled and how well, in a sentence: `1606 samples of py-spy 0.4.1 (gil) at 100/s
    for 15 s; 2 failed reads`.
    """
    unit = profile.unit.removesuffix("s") if profile.total == 1 else profile.unit
    text = f"{profile.total:,.0f} {unit} of {profile.tool} {profile.version} ({profile.mode})"
    text += f" at {profile.rate_hz:.3g}/s for {format_duration(profile.seconds)}"
    lost = [(profile.errors, "failed reads"), (profile.dropped, "dropped"), (profile.late, "late")]
    said = ", ".join(f"{count:,} {what}" for count, what in lost if count)
    return f"{text}; {said}" if said else text


@cache
def asset(name: str) -> str:
    """The text of a file in `templates`."""
    return (
        resources.files("perfhunt.reports.html")
        .joinpath("templates", name)
        .read_text(encoding="utf-8")
    )


def _without_lines(stacks: Mapping[Stack, float]) -> dict[Stack, float]:
    merged: dict[Stack, float] = {}
    for stack, weight in stacks.items():
        key = tuple(replace(frame, line=None) for frame in stack)
        merged[key] = merged.get(key, 0.0) + weight
    return merged


def _document(parts: Sequence[Part], title: str, note: str, alone: bool) -> str:
    body, top, left_out, kinds = [], _HEAD, 0, set()
    narrowest = NARROWEST if alone else NARROWEST_INSIDE
    for index, part in enumerate(parts):
        found, few = boxes(part.root, narrowest, part.whole)
        left_out += few
        if part.heading:
            top += 30
            body.append(
                f'<text class="pf-note" x="{PAD}" y="{top - 8}">{escape(part.heading)}</text>'
            )
        body.extend(_frame(box, part, index, top) for box in found)
        kinds |= {code_kind(box.node.frame) for box in found}
        top += depth(found) * ROW
    if not body:
        body.append(f'<text class="pf-note" x="{PAD}" y="{top + 16}">No samples.</text>')
        top += ROW
    differs = any(part.differential for part in parts)
    footer = _footer(top, [] if differs else [k for k in _KINDS if k in kinds], left_out, narrowest)
    inside = [_header(title, note), *body, footer]
    return _wrapped("\n".join(inside), top + _FOOT, title, alone)


def _wrapped(inside: str, height: int, title: str, alone: bool) -> str:
    label = f'role="img" aria-label="{escape(title)}"'
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="pf-flame" tabindex="0" {size} {label}>'
    )
    if not alone:
        return f"{opening}\n{inside}\n</svg>\n"
    style = f"<style><![CDATA[\n{asset('flame.css')}]]></style>"
    paper = '<rect class="pf-paper" width="100%" height="100%"/>'
    script = f"<script><![CDATA[\n{asset('flame.js')}]]></script>"
    return (
        '<?xml version="1.0"'
        f' encoding="UTF-8"?>\n{opening}\n{style}\n{paper}\n{inside}\n{script}\n</svg>\n'
    )


def _header(title: str, note: str) -> str:
    box = (
        f'<foreignObject x="{WIDTH - PAD - 260}" y="6" width="260" height="28"><input'
        ' xmlns="http://www.w3.org/1999/xhtml" type="search" placeholder="search (regular'
        ' expression)" aria-label="search functions by regular expression"'
        ' spellcheck="false"/></foreignObject>'
    )
    return "\n".join(
        (
            f'<text class="pf-title" x="{PAD}" y="24">{escape(title)}</text>',
            f'<text class="pf-note pf-about" x="{PAD}" y="46">{escape(note)}</text>',
            f'<text class="pf-note pf-found" x="{WIDTH - PAD}" y="50" text-anchor="end"></text>',
            box,
        )
    )


def _footer(top: int, kinds: Sequence[str], left_out: int, narrowest: float) -> str:
    x, items = PAD, []
    for kind in kinds:
        items.append(
            f'<rect class="pf-{kind}0" x="{x}" y="{top + 12}" width="12" height="12" rx="2"/>'
        )
        items.append(f'<text class="pf-note" x="{x + 17}" y="{top + 22}">{_KINDS[kind]}</text>')
        x += 32 + 7 * len(_KINDS[kind])
    keys = "click or Enter: zoom · arrows: move · Esc: reset"
    if left_out:
        keys = f"{left_out:,} frames narrower than {narrowest:.2%} are left out · {keys}"
    items.append(
        f'<text class="pf-note" x="{WIDTH - PAD}" y="{top + 22}" text-anchor="end">{keys}</text>'
    )
    return "\n".join(items)


def _frame(box: Box, part: Part, index: int, top: int) -> str:
    node, width = box.node, WIDTH - 2 * PAD
    name = visible(node.frame.function) or "(no name)"
    x, y, w = PAD + box.left * width, top + node.depth * ROW, max(box.width * width, 0.3)
    room = int((w - 6) / LETTER)
    shown = "" if room < 3 else name if len(name) <= room else name[: room - 1] + "…"
    fill = (
        _difference_fill(node)
        if part.differential
        else f'class="pf-{code_kind(node.frame)}{shade(name)}"'
    )
    return (
        f'<g class="pf-frame" data-n="{escape(name)}" data-x="{box.left:.7g}"'
        f' data-w="{box.width:.7g}" data-d="{node.depth}"'
        f' data-p="{index}"><title>{_title(box, part, name)}</title><rect {fill} x="{number(x)}"'
        f' y="{y}" width="{number(w)}" height="{ROW - 1}" rx="1.5"/><text x="{number(x + 4)}"'
        f' y="{y + 13}">{escape(shown)}</text></g>'
    )


def _title(box: Box, part: Part, name: str) -> str:
    node = box.node
    place = (
        f" ({node.frame.file}{f':{node.frame.line}' if node.frame.line else ''})"
        if node.frame.file
        else ""
    )
    lines = [
        f"{name}{place}",
        (
            f"{_cost(node.total, part.unit)}, {box.width:.1%} of all, {_cost(node.own, part.unit)}"
            " of it its own"
        ),
    ]
    if part.differential:
        lines.append(_change(node, part.unit))
    return "\n".join(escape(line) for line in lines)


def _change(node: FlameNode, unit: str) -> str:
    change = node.total - node.before
    relative = f"{change / node.before:+.0%}" if node.before else "new"
    sign = "+" if change >= 0 else "−"
    return (
        f"before {_cost(node.before, unit)}, change {sign}{_cost(abs(change), unit)} ({relative})"
    )


def _cost(weight: float, unit: str) -> str:
    if unit == "s":
        return f"{format_duration(weight)}/request" if weight else "0"
    return f"{weight:.1%}" if unit == "share" else f"{weight:,.6g} {unit}"


def _difference_fill(node: FlameNode) -> str:
    if node.before == 0:
        return 'fill="#b58ae6"'
    change = (node.total - node.before) / max(node.total, node.before)
    if abs(change) < _UNCHANGED:
        return 'fill="#e3e5ea"'
    strength = min(1.0, 0.25 + abs(change))
    full = (229, 83, 75) if change > 0 else (72, 133, 237)
    r, g, b = (round(238 + (c - 238) * strength) for c in full)
    return f'fill="rgb({r},{g},{b})"'
