"""Who waits for a connection, and not yet for the other end: where each connection has one answer
under way and more wait for that end than there are connections, the last to come are in a queue.

A driver's own pool, the sockets of an `http.Agent` and any other queue of callbacks look the same
from here, so nothing is said of whose queue it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from perfhunt.analysis.blame.snapshots import SEVERAL
from perfhunt.model.states import ThreadState
from perfhunt.profilers.node.awaits import endpoint_of
from perfhunt.target.proc.waits import Wait

# By the address of an end: connections to it, and those on which one answer is awaited at a time.
Connections: TypeAlias = Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Awaited:
    """A wait. `unsent`: nothing was written to a connection for it that was seen; where a queue has
    it written later by who frees a connection, it stays so.
    """

    wait: Wait
    unsent: bool = False


def with_queues(
    awaits: Sequence[Awaited], links: Connections
) -> Iterator[tuple[Wait, frozenset[str]]]:
    """For each wait, in the order in which they began, what it is for and what it has meanwhile: a
    place in a queue, or a connection that others queue for.
    """
    queued = {end: _last(awaits, end, n) for end, n in _single(links).items()}
    for index, each in enumerate(awaits):
        queue = queued.get(each.wait.on) if each.wait.state is ThreadState.SOCKET else None
        name = f"{SEVERAL}connection:{each.wait.on}"
        if queue and index in queue:
            yield Wait(ThreadState.LOCK, name), frozenset()
        else:
            yield each.wait, frozenset([name] if queue else ())


def _single(links: Connections) -> dict[str, int]:
    """How many connections there are to each end that has no shared one."""
    counts: dict[str, int] = {}
    shared: set[str] = set()
    for address, (n, single) in links.items():
        end = endpoint_of(address)
        counts[end] = counts.get(end, 0) + n
        if single < n:
            shared.add(end)
    return {end: n for end, n in counts.items() if end and end not in shared}


def _last(awaits: Sequence[Awaited], end: str, connections: int) -> set[int]:
    """Which waits for an end came last, of as many as it has no connection for."""
    there = [n for n, each in enumerate(awaits) if each.wait == Wait(ThreadState.SOCKET, end)]
    queue = [n for n in there if awaits[n].unsent]
    return set(queue[-more:]) if (more := min(len(queue), len(there) - connections)) > 0 else set()
