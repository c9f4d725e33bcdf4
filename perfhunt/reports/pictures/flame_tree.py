"""A profile as the tree a flame graph draws: frames merged by function and file, positions as
shares of the whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from perfhunt.analysis.blame.frames import Code, Origin
from perfhunt.model.profile import Frame, FrameKind, Stack
from perfhunt.model.units import Share

ROOT = Frame("all", kind=FrameKind.THREAD)
RUNNING = Frame("running", kind=FrameKind.THREAD)  # in a picture by state: above what did not wait
LOST = 1e-12  # of the whole: what is left by rounding when children are taken from their parent
_DRAWN_BY_KIND = frozenset({FrameKind.KERNEL, FrameKind.THREAD, FrameKind.WAIT})
# Programs that run code of others: their own is not the application's.
_INTERPRETER = re.compile(r"/(?:python|pypy|node|java|php|ruby|perl|dotnet|beam\.smp)[^/]*$")


@dataclass(slots=True)
class FlameNode:
    """One frame in its callers' context. It is filled while the tree is built, then only read.
    Weights are the profile's.
    """

    frame: Frame
    depth: int
    total: float = 0.0
    own: float = 0.0
    before: float = 0.0  # in a differential: the total before, in the same unit
    children: dict[tuple[str, str, str], FlameNode] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FlameBox:
    """A node with its place: left edge and width as shares of the root."""

    node: FlameNode
    left: Share
    width: Share


def tree(stacks: Mapping[Stack, float], before: Mapping[Stack, float] | None = None) -> FlameNode:
    """The root of all stacks (root first); with `before`, every node holds both weights, vanished
    ones a total of 0.
    """
    root = FlameNode(ROOT, 0)
    for stack, weight in stacks.items():
        _add(root, stack, weight, before=False)
    for stack, weight in (before or {}).items():
        _add(root, stack, weight, before=True)
    return root


def _add(root: FlameNode, stack: Stack, weight: float, before: bool) -> None:
    path = [root]
    for frame in stack:
        key = (frame.function, frame.file, frame.kind)
        node = path[-1].children.get(key)
        if node is None:
            node = path[-1].children[key] = FlameNode(frame, len(path))
        path.append(node)
    for node in path:
        if before:
            node.before += weight
        else:
            node.total += weight
    if not before:
        path[-1].own += weight


def boxes(root: FlameNode, narrowest: Share, whole: float = 0.0) -> tuple[list[FlameBox], int]:
    """Every node at least `narrowest` wide, parents before children, siblings by name; and how many
    were left out.

    Widths are shares of `whole`, or of the root when that weighs more.
    """
    if root.total <= 0:
        return [], 0
    whole = max(whole, root.total)
    drawn, left_out = [], 0
    waiting = [(root, 0.0)]
    while waiting:
        node, left = waiting.pop()
        drawn.append(FlameBox(node, left, node.total / whole))
        for child in sorted(node.children.values(), key=_name):
            if child.total / whole >= narrowest:
                waiting.append((child, left))
            elif child.total > 0:
                left_out += 1
            left += child.total / whole
    return drawn, left_out


def vanished(root: FlameNode) -> dict[Stack, float]:
    """What was there before and is not any more: the path to each such subtree with the weight it
    had.
    """
    gone: dict[Stack, float] = {}
    waiting: list[tuple[FlameNode, Stack]] = [(root, ())]
    while waiting:
        node, path = waiting.pop()
        if node.total == 0 and node.before > 0:
            own = node.before - sum(c.before for c in node.children.values())
            if own > LOST * root.before:
                gone[path] = gone.get(path, 0.0) + own
        waiting.extend((child, (*path, child.frame)) for child in node.children.values())
    return gone


def scaled(stacks: Mapping[Stack, float], factor: float) -> dict[Stack, float]:
    """The stacks with every weight multiplied."""
    return {stack: weight * factor for stack, weight in stacks.items()}


def code_kind(frame: Frame) -> str:
    """Whose code a frame is drawn as: app, library, runtime (the language's own), native, kernel or
    thread; `wait` for a wait itself.
    """
    if frame.kind in _DRAWN_BY_KIND:
        return frame.kind
    if frame.kind == FrameKind.NATIVE and (
        "/" not in frame.file or _INTERPRETER.search(frame.file)
    ):
        return frame.kind
    # The runtime's own states, such as Node's "(garbage collector)", have no file.
    return Code().origin(frame) if frame.file else Origin.RUNTIME


def depth(drawn: Iterable[FlameBox]) -> int:
    """How many rows the boxes need."""
    return max((box.node.depth for box in drawn), default=-1) + 1


def _name(node: FlameNode) -> tuple[str, str]:
    return (node.frame.function, node.frame.file)
