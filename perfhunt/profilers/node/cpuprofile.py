"""Reader of V8's CPU profiles, as the DevTools Protocol gives them (Profiler.Profile)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from perfhunt.model import redact
from perfhunt.model.profile import Frame, FrameKind, Stack

_IDLE = "(idle)"  # V8's name for a thread that waits in its event loop


def without_code(profile: dict[str, Any]) -> dict[str, Any]:
    """The same profile, its places changed where they are code themselves (`data:` addresses) or
    addresses with a query. Raises KeyError or TypeError when it is none.
    """
    for node in profile["nodes"]:
        node["callFrame"]["url"] = redact.file_name(str(node["callFrame"]["url"]))
    return profile


def parse_cpuprofile(profile: Mapping[str, Any]) -> tuple[dict[Stack, float], int]:
    """(stacks to samples, samples while idle) of a V8 CPU profile. Raises KeyError or TypeError
    when it is none.
    """
    nodes = {node["id"]: node for node in profile["nodes"]}
    parents = {child: node["id"] for node in nodes.values() for child in node.get("children", ())}
    stacks: Counter[Stack] = Counter()
    idle = 0
    for leaf, n in Counter(profile["samples"]).items():
        if nodes[leaf]["callFrame"]["functionName"] == _IDLE:
            idle += n
            continue
        frames, at = [], leaf
        while at in parents:  # The node without a parent is "(root)", which is no function.
            frames.append(_frame(nodes[at]["callFrame"]))
            at = parents[at]
        if frames:
            stacks[tuple(reversed(frames))] += n
    return dict(stacks), idle


def _frame(call: Mapping[str, Any]) -> Frame:
    file = str(call["url"]).removeprefix("file://")
    line = int(call["lineNumber"]) + 1  # The protocol counts lines from 0.
    return Frame(
        str(call["functionName"]) or "(anonymous)",
        file,
        line if line > 0 else None,
        kind=FrameKind.JS,
    )
