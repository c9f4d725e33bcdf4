"""Flame graphs as one self-contained SVG: readable without scripts, and with them searchable,
zoomable and usable by keys.

Roots are on top. Width is cost: samples, or seconds per request when the scale is known. In a
differential the width is the cost after, red is more than before, blue is less, purple is new; what
vanished has a strip of its own, as wide as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from markupsafe import Markup

from perfhunt.model.profile import Profile, ProfileMode, Stack, regrouped
from perfhunt.model.text.escaping import markup, visible
from perfhunt.model.units import Seconds, Share, format_duration
from perfhunt.reports.pictures.flame_tree import (
    ROOT,
    RUNNING,
    FlameBox,
    FlameNode,
    boxes,
    code_kind,
    depth,
    scaled,
    tree,
    vanished,
)
from perfhunt.reports.pictures.svg import element, lines, shade, template

# All in pixels.
WIDTH = 1200
PAD = 10  # on either side
ROW = 19
LETTER = 7.23  # of the monospaced font
_HEAD, _FOOT = 62, 34  # above and below the boxes
_HEADING = 30  # of a panel
_TITLE = 90  # letters beside the search
NARROWEST: Share = 0.0003  # of the whole: a third of a pixel at full width
NARROWEST_INSIDE: Share = 0.001  # within a page, which holds several
_KINDS = {
    "app": "application",
    "library": "library",
    "runtime": "language runtime",
    "native": "native",
    "kernel": "kernel",
    "wait": "waiting",
    "thread": "thread",
}
_UNSAID = (ProfileMode.NONE, ProfileMode.UNKNOWN)
_UNCHANGED: Share = 0.02  # of a node's cost: less is not worth a colour
# Colours of a differential. More and less are mixed with the paper's grey, a quarter of them at
# least.
_NEW, _SAME = "#b58ae6", "#e3e5ea"
_MORE, _LESS = (229, 83, 75), (72, 133, 237)
_PAPER = 238
_FAINTEST: Share = 0.25

style = partial(template, "perfhunt.reports.pictures", "flame.css")
script = partial(template, "perfhunt.reports.pictures", "flame.js")


@dataclass(frozen=True, slots=True)
class FlamePanel:
    """One block of boxes: its heading, and how to say a weight. `whole` is the weight that is as
    wide as the picture; the root's own when that is more.
    """

    root: FlameNode
    heading: str
    unit: str
    differential: bool = False
    whole: float = 0.0


def flamegraph(
    profile: Profile,
    title: str,
    cost: Seconds | None = None,
    *,
    alone: bool = True,
    narrowest: Share | None = None,
) -> Markup:
    """The SVG of a profile. `cost` is seconds per completed request for one unit of weight; None:
    hover shows samples only.

    `alone`: a file of its own, with its style and script; otherwise the page that holds it brings
    both, and the tools beside it: search, inverted, library code folded, by worker, by state.
    `narrowest`: the share of the whole below which nothing is drawn, when not the usual.
    """
    stacks = scaled(profile.stacks, cost) if cost else profile.stacks
    panel = FlamePanel(tree(stacks), "", "s" if cost else profile.unit)
    if narrowest is None:
        narrowest = NARROWEST if alone else NARROWEST_INSIDE
    return _document([panel], title, health(profile), alone, narrowest)


def differential(
    before: Profile,
    after: Profile,
    title: str,
    costs: tuple[Seconds, Seconds] | None = None,
    *,
    alone: bool = True,
    narrowest: Share | None = None,
) -> Markup:
    """The SVG of what changed, `alone` or within a page as `flamegraph` has it. `costs` are
    seconds per request for one unit of weight, before and after.

    Without them both are scaled to the same total, which hides a change that made everything
    cheaper: the heading says so.
    """
    root = _both(before, after, costs or _to_one(before, after))
    width = (
        "cost per request now" if costs else "share of samples now (both scaled to the same total)"
    )
    panels = [FlamePanel(root, "", "s" if costs else "share", differential=True)]
    if gone := vanished(root):
        heading = "Vanished: was there before, is not any more"
        panels.append(FlamePanel(tree(gone), heading, panels[0].unit, whole=root.total))
    note = f"width: {width}; red more, blue less, purple new. Before: {health(before)}"
    if narrowest is None:
        narrowest = NARROWEST if alone else NARROWEST_INSIDE
    return _document(panels, title, note, alone, narrowest)


def elided(before: Profile, after: Profile, title: str, *, narrowest: Share = NARROWEST) -> Markup:
    """The SVG of what was there before and is not any more, as shares of all there was."""
    gone = vanished(_both(before, after, _to_one(before, after)))
    panel = FlamePanel(tree(gone), "", "share", whole=1.0)
    note = f"width: share of samples before, of what is not there now. Before: {health(before)}"
    return _document([panel], title, note, alone=True, narrowest=narrowest)


def _to_one(before: Profile, after: Profile) -> tuple[float, float]:
    """What scales both to a total of 1."""
    return (1 / (before.total or 1), 1 / (after.total or 1))


def _both(before: Profile, after: Profile, factors: tuple[float, float]) -> FlameNode:
    first, second = factors
    return tree(
        _without_lines(scaled(after.stacks, second)), _without_lines(scaled(before.stacks, first))
    )


def health(profile: Profile) -> str:
    """What was sampled and how well, in a sentence: `1606 samples of py-spy 0.4.1 (gil) at 100/s
    for 15 s; 2 failed reads`.
    """
    unit = profile.unit.removesuffix("s") if profile.total == 1 else profile.unit
    text = f"{profile.total:,.0f} {unit} of {profile.tool}"
    text += f" {profile.version}" if profile.version else ""
    text += f" ({profile.mode})" if profile.mode not in _UNSAID else ""
    text += f" at {profile.rate_hz:.3g}/s" if profile.rate_hz else ""
    text += f" for {format_duration(profile.seconds)}" if profile.seconds else ""
    lost = [(profile.errors, "failed reads"), (profile.dropped, "dropped"), (profile.late, "late")]
    losses = ", ".join(f"{count:,} {what}" for count, what in lost if count)
    return f"{text}; {losses}" if losses else text


def _without_lines(stacks: Mapping[Stack, float]) -> dict[Stack, float]:
    return regrouped(stacks, lambda stack: tuple(replace(frame, line=None) for frame in stack))


def _document(
    panels: Sequence[FlamePanel], title: str, note: str, alone: bool, narrowest: Share
) -> Markup:
    body, top, left_out, kinds = [], _HEAD, 0, set()
    for index, panel in enumerate(panels):
        drawn, few = boxes(panel.root, narrowest, panel.whole)
        left_out += few
        if panel.heading:
            top += _HEADING
            body.append(_note(panel.heading, top - 8))
        body.extend(_frame(box, panel, index, top) for box in drawn)
        if not panel.differential:
            frames = {box.node.frame for box in drawn} - {ROOT, RUNNING}
            kinds |= {code_kind(frame) for frame in frames}
        top += depth(drawn) * ROW
    if not body:
        body.append(_note("No samples.", top + 16))
        top += ROW
    differs = any(panel.differential for panel in panels)
    foot = [
        *_legend(top, [kind for kind in _KINDS if kind in kinds]),
        _footer(top, left_out, narrowest),
    ]
    if alone:
        return _picture(lines(*_header(title, note), *body, *foot), top + _FOOT, title)
    picture = _picture(lines(*body, *foot), top + _FOOT, title, panels[0])
    return element("div", _tools(title, note, differs), picture, class_="pf-box")


def _tools(title: str, note: str, differs: bool) -> Markup:
    """What a page has above the picture. The script works them; without it they are not shown."""
    label = "search functions (regular expression)"
    search = element("input", type="search", placeholder=label, aria_label=label)
    views = [] if differs else [_button("invert", "Inverted"), _button("fold", "Fold library code")]
    chosen = [] if differs else [_choice("worker", "all workers"), _choice("state", "all states")]
    reset = element("button", "Reset", type="button", data_pf="reset")
    found = element("span", "", class_="pf-found", role="status")
    tools = element("div", search, *views, *chosen, reset, found, class_="pf-tools")
    about = element("p", note, class_="pf-about", role="status")
    return lines(element("h3", title), tools, about)


def _button(what: str, words: str) -> Markup:
    return element("button", words, type="button", data_pf=what, aria_pressed="false")


def _choice(what: str, words: str) -> Markup:
    option = element("option", words, value="")
    return element("select", option, data_pf=what, aria_label=f"show only one {what}")


def _picture(inside: Markup, height: int, title: str, panel: FlamePanel | None = None) -> Markup:
    """The SVG: alone, or with what the script of a page has to know of its `panel`."""
    parts, alone = [inside], panel is None
    known = {"data_whole": f"{panel.root.total:.6g}", "data_unit": panel.unit} if panel else {}
    upper = 0 if alone else _HEAD - PAD
    if alone:
        paper = element("rect", class_="pf-paper", width="100%", height="100%")
        parts = [_quoted("style", style()), paper, inside, _quoted("script", script())]
    picture = element(
        "svg",
        lines(Markup(), *parts, Markup()),
        xmlns="http://www.w3.org/2000/svg",
        class_="pf-flame",
        tabindex="0",
        viewBox=f"0 {upper} {WIDTH} {height - upper}",
        width=WIDTH,
        height=height - upper,
        role="group",
        aria_label=f"{title}: flame graph, arrow keys move, Enter zooms",
        **known,
    )
    declaration = Markup('<?xml version="1.0" encoding="UTF-8"?>\n' if alone else "")
    return declaration + picture + "\n"


def _quoted(tag: str, text: str) -> Markup:
    """Text of our own files, which holds no end of such a section."""
    return element(tag, Markup(f"<![CDATA[\n{text}]]>"))


def _note(text: str, y: int) -> Markup:
    return element("text", text, class_="pf-note", x=PAD, y=y)


def _header(title: str, note: str) -> list[Markup]:
    search = element(
        "input",
        xmlns="http://www.w3.org/1999/xhtml",
        type="search",
        placeholder="search (regular expression)",
        aria_label="search functions by regular expression",
        spellcheck="false",
    )
    right, shown = WIDTH - PAD, title if len(title) <= _TITLE else f"{title[: _TITLE - 1]}…"
    return [
        element("text", shown, class_="pf-title", x=PAD, y=24),
        element("text", note, class_="pf-note pf-about", x=PAD, y=46),
        element("text", "", class_="pf-note pf-found", x=right - 268, y=24, text_anchor="end"),
        element("foreignObject", search, x=right - 260, y=6, width=260, height=28),
    ]


def _legend(top: int, kinds: Sequence[str]) -> list[Markup]:
    x, items = PAD, []
    for kind in kinds:
        name = _KINDS[kind]
        items += [
            element("rect", class_=f"pf-{kind}0", x=x, y=top + 12, width=12, height=12, rx=2),
            element("text", name, class_="pf-note", x=x + 17, y=top + 22),
        ]
        x += 32 + 7 * len(name)
    return items


def _footer(top: int, left_out: int, narrowest: Share) -> Markup:
    keys = "click or Enter: zoom · arrows: move · Esc: reset"
    if left_out:
        keys = f"{left_out:,} frames narrower than {narrowest:.2%} are left out · {keys}"
    place = {"x": WIDTH - PAD, "y": top + 22}
    return element("text", keys, class_="pf-note", **place, text_anchor="end")


def _frame(box: FlameBox, panel: FlamePanel, index: int, top: int) -> Markup:
    node, whole = box.node, WIDTH - 2 * PAD
    name = visible(node.frame.function) or "(no name)"
    x, y, width = PAD + box.left * whole, top + node.depth * ROW, max(box.width * whole, 0.3)
    room = int((width - 6) / LETTER)
    shown = "" if room < 3 else name if len(name) <= room else name[: room - 1] + "…"
    if panel.differential:
        fill = {"fill": _difference_fill(node)}
    else:
        fill = {"class_": f"pf-{code_kind(node.frame)}{shade(name)}"}
    return element(
        "g",
        element("title", _title(box, panel, name)),
        element("rect", **fill, x=x, y=y, width=width, height=ROW - 1, rx=1.5),
        *([element("text", shown, x=x + 4, y=y + 13)] if shown else []),
        class_="pf-frame",
        data_n=name,
        data_x=f"{box.left:.6g}",
        data_w=f"{box.width:.6g}",
        data_d=node.depth,
        data_p=index,
    )


def _title(box: FlameBox, panel: FlamePanel, name: str) -> Markup:
    node, unit = box.node, panel.unit
    line = f":{node.frame.line}" if node.frame.line else ""
    place = f" ({node.frame.file}{line})" if node.frame.file else ""
    total, own = _cost(node.total, unit), _cost(node.own, unit)
    said = [f"{name}{place}", f"{total}, {box.width:.1%} of all, {own} of it its own"]
    if panel.differential:
        said.append(_change(node, unit))
    return Markup("\n").join(map(markup, said))


def _change(node: FlameNode, unit: str) -> str:
    change = node.total - node.before
    relative = f"{change / node.before:+.0%}" if node.before else "new"
    sign = "+" if change >= 0 else "−"
    before, by = _cost(node.before, unit), _cost(abs(change), unit)
    return f"before {before}, change {sign}{by} ({relative})"


def _cost(weight: float, unit: str) -> str:
    if unit == "s":
        return f"{format_duration(weight)}/request" if weight else "0"
    return f"{weight:.1%}" if unit == "share" else f"{weight:,.6g} {unit}"


def _difference_fill(node: FlameNode) -> str:
    if node.before == 0:
        return _NEW
    change = (node.total - node.before) / max(node.total, node.before)
    if abs(change) < _UNCHANGED:
        return _SAME
    strength = min(1.0, _FAINTEST + abs(change))
    full = _MORE if change > 0 else _LESS
    r, g, b = (round(_PAPER + (colour - _PAPER) * strength) for colour in full)
    return f"rgb({r},{g},{b})"
