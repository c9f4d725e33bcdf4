"""Which function stands for a cost: the one whose loop it is spent in, else the one that spends it.

From the root of the application's frames down: where one function beneath holds nearly all of what
another does again and again, that one is looked at; where it spreads over several, the function is
the thing to fix, and those beneath it are its leaves. What a function calls once stands for itself.

    view -> price_order -> [ for line in order: ] -> base 0.30, tax 0.25, discount 0.25 ms
         -> render_page 0.40 ms

Here `price_order` is the culprit with 0.8 ms and three leaves; `view` calls two unlike things once,
so `render_page` stands for itself. Were `base` called by another route as well, it would too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from perfhunt.analysis.blame.culprits.repeated import (
    Repeats,
    Sources,
    repeats_of,
    without_wrappers,
)
from perfhunt.analysis.blame.culprits.trails import Call, Trail
from perfhunt.analysis.blame.frames import MODULE, CallPath, FunctionKey
from perfhunt.model.units import Share


@dataclass(frozen=True, slots=True)
class CulpritThresholds:
    """When a function stands for those it calls."""

    # Of what it does again and again, the part of one function beneath from which that one is the
    # thing to fix: mending all else brings less than half of what mending that one does.
    nearly_all: Share = 0.7
    # Of a leaf's cost, the part beneath the function from which it is its leaf. A helper that
    # others call as well stands for itself; one stack in ten or so was read while it changed.
    belongs: Share = 0.8
    # Samples beneath it, below which how they spread is chance.
    samples: float = 10.0


THRESHOLDS = CulpritThresholds()


@dataclass(slots=True)
class _Beneath:
    """What a function does again and again: samples, cost, and the part of it that is spent in each
    function beneath and by each leaf. `anywhere` is the cost of all stacks it is on.
    """

    samples: float = 0.0
    cost: float = 0.0
    anywhere: float = 0.0
    within: dict[FunctionKey, float] = field(default_factory=dict)
    leaves: dict[FunctionKey, float] = field(default_factory=dict)

    def add(self, trail: Trail, below: Sequence[Call]) -> None:
        """Count a trail on which these calls are beneath the function."""
        self.samples += trail.samples
        self.cost += trail.weight
        self.leaves[trail.leaf] = self.leaves.get(trail.leaf, 0.0) + trail.weight
        for key in {call.key for call in below}:
            self.within[key] = self.within.get(key, 0.0) + trail.weight

    def spreads(self, key: FunctionKey) -> bool:
        """Whether no single function, itself (`key`) or beneath, holds nearly all of it."""
        most = max((self.leaves.get(key, 0.0), *self.within.values()))
        return (
            self.samples >= THRESHOLDS.samples
            and bool(self.within)
            and most < THRESHOLDS.nearly_all * self.cost
        )


def culprits(
    trails: Sequence[Trail], sources: Sources, standing: frozenset[FunctionKey] = frozenset()
) -> dict[FunctionKey, FunctionKey]:
    """Leaf -> the function that stands for it, for those that another one stands for; that one is
    no leaf of a third.

    `standing` are functions on the stacks of the idle service: they are there before a request is,
    so their loops are none of a request's. What runs and what waits is looked at apart: a loop over
    a query and a computation names neither of them less.
    """
    culprit_of: dict[FunctionKey, FunctionKey] = {}
    for waits in (False, True):
        kind = [
            replace(t, calls=without_wrappers(t.calls, sources)) for t in trails if t.waits == waits
        ]
        _assign(kind, repeats_of(kind, sources), standing, culprit_of)
    return culprit_of


def standing_functions(paths: Sequence[CallPath]) -> frozenset[FunctionKey]:
    """The functions on the stacks of a service that waits for work."""
    return frozenset(key for path in paths for key in path)


def _assign(
    trails: Sequence[Trail],
    repeats: Repeats,
    standing: frozenset[FunctionKey],
    culprit_of: dict[FunctionKey, FunctionKey],
) -> None:
    """Adds to `culprit_of` what these trails say, the outermost function first."""
    torn = _torn_of(trails)
    cost: dict[FunctionKey, float] = {}
    for trail in (t for t in trails if len(t.calls) > 1 or t.leaf not in torn):
        cost[trail.leaf] = cost.get(trail.leaf, 0.0) + trail.weight
    beneath = _beneath(trails, repeats, standing)
    for key in sorted(beneath, key=lambda k: (-beneath[k].anywhere, k)):
        if key in culprit_of or not beneath[key].spreads(key):
            continue
        taken = {*culprit_of, *culprit_of.values()}
        for leaf, weight in beneath[key].leaves.items():
            if leaf != key and leaf not in taken and weight >= THRESHOLDS.belongs * cost[leaf]:
                culprit_of[leaf] = key


def _torn_of(trails: Sequence[Trail]) -> frozenset[FunctionKey]:
    """Leaves that are seen without any caller, and mostly with one: the stack was read while a
    generator was resumed, and says nothing of who called.
    """
    alone: dict[FunctionKey, float] = {}
    called: dict[FunctionKey, float] = {}
    for trail in trails:
        seen = called if len(trail.calls) > 1 else alone
        seen[trail.leaf] = seen.get(trail.leaf, 0.0) + trail.samples
    return frozenset(leaf for leaf, n in alone.items() if n < called.get(leaf, 0.0))


def _beneath(
    trails: Sequence[Trail], repeats: Repeats, standing: frozenset[FunctionKey]
) -> Mapping[FunctionKey, _Beneath]:
    """What every function does again and again, by itself or for a caller that does."""
    found: dict[FunctionKey, _Beneath] = {}
    for trail in trails:
        again: list[bool] = []
        for index, call in enumerate(trail.calls):
            own = call.key not in standing and repeats.at(trail.calls, index)
            again.append(own or (bool(again) and again[-1]))
        # Of one that recurs, the innermost: what it calls beside itself.
        for key, index in {call.key: i for i, call in enumerate(trail.calls)}.items():
            if key in standing or key[0] == MODULE:
                continue
            at = found.setdefault(key, _Beneath())
            at.anywhere += trail.weight
            if again[index]:
                at.add(trail, trail.calls[index + 1 :])
    return found
