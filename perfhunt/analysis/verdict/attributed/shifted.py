"""Which functions cost more or less per request than before, beyond chance, edited or not."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

from perfhunt.analysis.change.packages import lasting
from perfhunt.analysis.verdict.attributed.demand import SCREEN, demand_of
from perfhunt.model.profile import Frame, FrameKind, Profile, Stack
from perfhunt.model.verdict.attribution import Demand, Measured

MOST = 5  # functions that are named: more are in the picture
_Key = tuple[str, str]  # function, and its file as it is named in any environment


def shifted(
    before: Measured, after: Measured, wanted: Callable[[Frame], bool], *, own: bool = False
) -> tuple[Demand, ...]:
    """The functions `wanted` whose seconds per request differ beyond chance, the largest difference
    first, five at most; `own`: with the function on top, else with what it calls.

    There may be hundreds, so one differs only when intervals at `SCREEN` do not meet; those shown
    are at the usual confidence.
    """
    weights = [_weights(m.profile, wanted, own) for m in (before, after)]
    found = []
    for function, file in sorted({*weights[0], *weights[1]}):
        seen = [each.get((function, file), 0.0) for each in weights]
        demand = partial(demand_of, function, file, (before, after), (seen[0], seen[1]))
        if demand(SCREEN).word != "same":
            found.append(demand())
    return tuple(sorted(found, key=_size, reverse=True)[:MOST])


def _weights(profile: Profile, wanted: Callable[[Frame], bool], own: bool) -> dict[_Key, float]:
    keys: dict[Frame, _Key | None] = {}
    weights: dict[_Key, float] = {}
    for stack, weight in profile.stacks.items():
        for key in _keys(stack[-1:] if own else stack, keys, wanted):
            weights[key] = weights.get(key, 0.0) + weight
    return weights


def _keys(
    stack: Stack, known: dict[Frame, _Key | None], wanted: Callable[[Frame], bool]
) -> Collection[_Key]:
    """The functions of a stack, each once."""
    found = set()
    for frame in stack:
        if frame not in known:
            code = frame.kind not in (FrameKind.THREAD, FrameKind.WAIT)
            told = (frame.function, lasting(frame.file)) if code and wanted(frame) else None
            known[frame] = told
        if (key := known[frame]) is not None:
            found.add(key)
    return found


def _size(demand: Demand) -> float:
    return abs(demand.after.value - demand.before.value)
