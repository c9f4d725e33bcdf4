"""The stacks of a profile as a tree of calls: what formats are written from that know callers by
their nodes, or by what lies within what in time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from perfhunt.model.profile import Frame, Profile
from perfhunt.model.profiles.writers.grain import Grain


@dataclass(slots=True, eq=False)
class TreeCall:
    """A function where one way of callers leads to it; `own` is what was seen in it itself, in
    whole numbers of a format's grain.
    """

    frame: Frame | None  # None: the root, which is no function
    own: int = 0
    callees: dict[Frame, TreeCall] = field(default_factory=dict)


def call_tree(profile: Profile, grain: Grain) -> TreeCall:
    """The root of its calls. Raises UsageError for a weight that the format cannot hold."""
    root = TreeCall(None)
    for stack, weight in profile.stacks.items():
        at = root
        for frame in stack:
            within = at.callees.get(frame)
            if within is None:
                within = at.callees[frame] = TreeCall(frame)
            at = within
        at.own += grain.whole(profile, weight)
    return root


def callers_first(root: TreeCall) -> Iterator[TreeCall]:
    """Every call below the root, each before those that it calls, in the order of the profile."""
    left = [root]
    while left:
        call = left.pop()
        yield call
        left += reversed(call.callees.values())
