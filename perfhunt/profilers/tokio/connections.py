"""Tasks that wait for one of the connections that a pool has, where the pool gives them by what its
own code tells a task, and not by tokio's permits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from perfhunt.analysis.blame.snapshots import SEVERAL
from perfhunt.model.units import Share
from perfhunt.profilers.tokio.awaits import Await, AwaitKind

# Of the looks in which some were told to wait, those in which every connection had an answer under
# way: a pool that is empty has no free one, but for the moment in which one goes from hand to hand.
_MOSTLY: Share = 0.8
_KNOWN_AFTER = 5  # such looks


@dataclass(frozen=True, slots=True)
class ConnectionQueue:
    """One pool in one look, by where in the list of awaits those are that wait and that have one of
    its connections.
    """

    name: str
    waiting: tuple[int, ...]
    having: tuple[int, ...]


class ConnectionQueues:
    """Knows the pools of one process by what was the rule in its looks so far."""

    def __init__(self) -> None:
        # By the end and the function that asks it: looks with some that waited, and those of them
        # in which all connections were in use.
        self._seen: dict[tuple[str, str], Counter[bool]] = {}

    def among(
        self, awaits: Sequence[Await], connections: Callable[[str], int]
    ) -> list[ConnectionQueue]:
        """The pools that tasks wait for in this look; `connections` says how many the process has
        to an end.
        """
        told = [(n, each) for n, each in enumerate(awaits) if each.is_told_by_others]
        found = []
        for (end, function), having in _asking(awaits).items() if told else ():
            waiting = tuple(n for n, each in told if each.within(function))
            if not waiting:
                continue
            seen = self._seen.setdefault((end, function), Counter())
            seen[len(having) == connections(end)] += 1
            if seen.total() >= _KNOWN_AFTER and seen[True] > _MOSTLY * seen.total():
                found.append(ConnectionQueue(f"{SEVERAL}connection:{end}", waiting, having))
        return found


def _asking(awaits: Sequence[Await]) -> Mapping[tuple[str, str], tuple[int, ...]]:
    """Who waits for an answer: of which end, and in which function."""
    asking: dict[tuple[str, str], tuple[int, ...]] = {}
    for n, each in enumerate(awaits):
        if each.kind is AwaitKind.SOCKET and each.lead is not None and not each.lead.inbound:
            key = each.lead.name, each.own[-1].function
            asking[key] = (*asking.get(key, ()), n)
    return asking
