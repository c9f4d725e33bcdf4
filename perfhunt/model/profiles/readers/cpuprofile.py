"""Reader of V8's CPU profiles, as the DevTools Protocol gives them (Profiler.Profile)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import msgspec

from perfhunt.errors import Unreadable
from perfhunt.model import redact
from perfhunt.model.document.bounded import Allowance
from perfhunt.model.profile import (
    COLLECTS_GARBAGE,
    MOST_FRAMES,
    Frame,
    FrameKind,
    Profile,
    Stack,
)
from perfhunt.model.profiles.readers.foreign import kind_of, profile_of, which

_IDLE = "(idle)"  # V8's name for a thread that waits in its event loop
_COLLECTS = replace(COLLECTS_GARBAGE, kind=FrameKind.JS)
_WHAT = "the V8 profile"
_VALUES = ("samples", "microseconds")

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
    startTime: float = 0.0
    endTime: float = 0.0
    timeDeltas: list[float] = []
    unit: str = ""  # ours: of what was written from times


def without_code(profile: dict[str, Any]) -> dict[str, Any]:
    """The same profile, its places changed where they are code themselves (`data:` addresses) or
    addresses with a query. Raises KeyError or TypeError when it is none.
    """
    for node in profile["nodes"]:
        node["callFrame"]["url"] = redact.file_name(str(node["callFrame"]["url"]))
    return profile


def parse_cpuprofile(profile: Mapping[str, Any]) -> tuple[dict[Stack, float], int]:
    """(stacks to samples, samples while idle) of a V8 CPU profile; garbage is collected in the
    stack that was seen last, where V8 tells of none. Raises CpuprofileError when it is none,
    Unreadable when it is larger than is read.
    """
    read = _shaped(profile)
    seen, collected = _with_collector(read)
    stacks, idle = _by_stack(read, seen)
    for stack, n in _by_stack(read, collected)[0].items():
        above = (*stack, _COLLECTS)
        stacks[above] = stacks.get(above, 0.0) + n
    return stacks, int(idle)


def _with_collector(read: _V8Profile) -> tuple[Counter[int], Counter[int]]:
    """(samples by leaf, samples while garbage was collected by the leaf right before)."""
    calls = {node.id: node.callFrame for node in read.nodes}
    names = {leaf: call.functionName for leaf, call in calls.items() if not call.url}
    seen, collected, last = Counter[int](), Counter[int](), 0
    for leaf in read.samples:
        if names.get(leaf) == COLLECTS_GARBAGE.function and last:
            collected[last] += 1
        else:
            seen[leaf] += 1
            last = leaf if names.get(leaf) != _IDLE else 0
    return seen, collected


def _shaped(profile: Mapping[str, Any]) -> _V8Profile:
    try:
        return msgspec.convert(profile, _V8Profile)
    except (msgspec.ValidationError, ValueError) as error:  # of a key with half a character too
        raise CpuprofileError(f"{_WHAT} is none: {error}") from error


def _by_stack(read: _V8Profile, by_leaf: Mapping[int, float]) -> tuple[dict[Stack, float], float]:
    nodes = {node.id: node for node in read.nodes}
    parents = {child: node.id for node in read.nodes for child in node.children}
    frames = {node.id: _frame(node.callFrame) for node in read.nodes}
    allowed = Allowance(MOST_FRAMES, "frames", _WHAT)
    stacks: dict[Stack, float] = {}
    idle = 0.0
    for leaf, n in by_leaf.items():
        if leaf not in nodes:
            raise CpuprofileError(f"{_WHAT} has a sample of node {leaf}, which it does not hold")
        if nodes[leaf].callFrame.functionName == _IDLE:
            idle += n
        elif stack := _stack(leaf, parents, frames, allowed):
            stacks[stack] = stacks.get(stack, 0.0) + n
    return stacks, idle


def is_cpuprofile(value: Any) -> bool:
    """Whether a JSON value looks like one."""
    return isinstance(value, dict) and {"nodes", "samples"} <= value.keys()


def read_cpuprofile(value: Any, asked: str = "") -> Profile:
    """Its samples, or the time that they stand for, those of an idle thread left out. Raises
    CpuprofileError, Unreadable, UsageError.
    """
    read = _shaped(value)
    timed = len(read.timeDeltas) == len(read.samples)
    unit = _VALUES[which(asked, _VALUES if timed else _VALUES[:1], timed and read.unit != "")]
    by_leaf = _lasted(read) if unit == _VALUES[1] else Counter(read.samples)
    stacks, idle = _by_stack(read, by_leaf)
    notes = [f"{idle:,.0f} {unit} of an idle thread are left out"] if idle else []
    return profile_of("V8", stacks, unit=unit, notes=notes)


def _lasted(read: _V8Profile) -> Mapping[int, float]:
    """Leaves to microseconds: each sample lasts until the next, and the last to the end."""
    lasts: dict[int, float] = {}
    ends = _until_next(read.timeDeltas, read.endTime - read.startTime)
    for leaf, time in zip(read.samples, ends, strict=True):
        lasts[leaf] = lasts.get(leaf, 0.0) + time
    return lasts


def _until_next(deltas: Sequence[float], whole: float) -> Sequence[float]:
    """V8 notes samples of other threads late: a time that goes back is none."""
    last = whole - sum(deltas)
    return [max(delta, 0.0) for delta in (*deltas[1:], last)] if deltas else []


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
    file = call.url.removeprefix("file://")
    return Frame(
        call.functionName or "(anonymous)",
        file,
        line if line > 0 else None,
        kind=kind_of(file, FrameKind.JS),
    )
