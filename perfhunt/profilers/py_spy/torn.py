"""Stacks torn by reading a thread that ran on: they have a root that no thread starts in."""

from __future__ import annotations

from collections.abc import Mapping

from perfhunt.model.profile import Frame, FrameKind, Stack

# Where a stack of CPython begins: modules run from the top, threads and forked children in their
# bootstrap.
_ROOTS = {
    "<module>",
    "_run_module_as_main",
    "_bootstrap",
    "Thread._bootstrap",
    "_run_code",
    "<shim>",
    "BaseProcess._bootstrap",
}
# A root of any other name is believed when it is in so many samples and in such a share of them:
# torn stacks seldom begin in the same wrong frame twice.
_SEEN_OFTEN, _SEEN_SHARE = 3.0, 0.01


def intact(stacks: Mapping[Stack, float]) -> tuple[dict[Stack, float], float]:
    """(stacks, weight dropped): those that are whole."""
    weights: dict[tuple[str, str], float] = {}
    for stack, n in stacks.items():
        root = _root(stack).key
        weights[root] = weights.get(root, 0.0) + n
    enough = max(_SEEN_OFTEN, _SEEN_SHARE * sum(weights.values()))
    believed = {root for root, weight in weights.items() if root[0] in _ROOTS or weight >= enough}
    kept = {stack: n for stack, n in stacks.items() if _root(stack).key in believed}
    return kept, sum(stacks.values()) - sum(kept.values())


def _root(stack: Stack) -> Frame:
    return next((frame for frame in stack if frame.kind != FrameKind.THREAD), stack[0])
