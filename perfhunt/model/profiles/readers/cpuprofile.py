"""Reader of V8's CPU profiles, as the DevTools Protocol gives them (Profiler.Profile)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from perfhunt.errors import Unreadable
from perfhunt.model import redact
from perfhunt.model.document.bounded import Allowance
from perfhunt.model.profile import MOST_FRAMES, Frame, FrameKind, Profile, Stack
from perfhunt.model.profiles.readers.foreign import only_value, profile_of

_IDLE = "(idle)"  # V8's name for a thread that waits in its event loop
_WHAT = "the V8 profile"

_Line = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]  # of the protocol's own type, integer


class CpuprofileError(Unreadable):
    """The value is no V8 profile; the message says what is wrong, and where."""


class _Call(msgspec.Struct):
    functionName: str
    url: str
    lineNumber: _Line


class _Node(msgspec.Struct):
    id: int
    callFrame: _Call
    children: list[int] = []


class _V8Profile(msgspec.Struct):
    nodes: list[_Node]
    samples: list[int]


def without_code(profile: dict[str, Any]) -> dict[str, Any]:
    """The same profile, its places changed where they are code themselves (`data:` addresses) or
    addresses with a query. Raises KeyError or TypeError when it is none.
    """
    for node in profile["nodes"]:
        node["callFrame"]["url"] = redact.file_name(str(node["callFrame"]["url"]))
    return profile


def parse_cpuprofile(profile: Mapping[str, Any]) -> tuple[dict[Stack, float], int]:
    """(stacks to samples, samples while idle) of a V8 CPU profile. Raises CpuprofileError when it
    is none, Unreadable when it is larger than is read.
    """
    try:
        read = msgspec.convert(profile, _V8Profile)
    except (msgspec.ValidationError, ValueError) as error:  # of a key with half a character too
        raise CpuprofileError(f"{_WHAT} is none: {error}") from error
    nodes = {node.id: node for node in read.nodes}
    parents = {child: node.id for node in read.nodes for child in node.children}
    frames = {node.id: _frame(node.callFrame) for node in read.nodes}
    allowed = Allowance(MOST_FRAMES, "frames", _WHAT)
    stacks: Counter[Stack] = Counter()
    idle = 0
    for leaf, n in Counter(read.samples).items():
        if leaf not in nodes:
            raise CpuprofileError(f"{_WHAT} has a sample of node {leaf}, which it does not hold")
        if nodes[leaf].callFrame.functionName == _IDLE:
            idle += n
        elif stack := _stack(leaf, parents, frames, allowed):
            stacks[stack] += n
    return dict(stacks), idle


def is_cpuprofile(value: Any) -> bool:
    """Whether a JSON value looks like one."""
    return isinstance(value, dict) and {"nodes", "samples"} <= value.keys()


def read_cpuprofile(value: Any, asked: str = "") -> Profile:
    """Its samples, those of an idle thread left out. Raises CpuprofileError, Unreadable."""
    only_value(asked, "samples")
    stacks, idle = parse_cpuprofile(value)
    notes = [f"{idle:,} samples of an idle thread are left out"] if idle else []
    return profile_of("V8", stacks, notes=notes)


def _stack(
    leaf: int, parents: Mapping[int, int], frames: Mapping[int, Frame], allowed: Allowance
) -> Stack:
    """The frames from the root to a leaf. The node without a parent is "(root)": no function."""
    stack, at = [], leaf
    while at in parents:
        allowed.take()
        stack.append(frames[at])
        at = parents[at]
        if len(stack) > len(frames):
            raise CpuprofileError(f"{_WHAT} is no tree: node {leaf} is below itself")
        if at not in frames:
            raise CpuprofileError(f"{_WHAT} has no node {at}, which others are below")
    return tuple(reversed(stack))


def _frame(call: _Call) -> Frame:
    line = call.lineNumber + 1  # The protocol counts lines from 0.
    return Frame(
        call.functionName or "(anonymous)",
        call.url.removeprefix("file://"),
        line if line > 0 else None,
        kind=FrameKind.JS,
    )
