"""Where threads wait for each other: places in the code, joined when they are seen to wait for the
same lock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TypeAlias

from perfhunt.analysis.blame.idle import Path
from perfhunt.analysis.blame.snapshots import Snapshot, Snapshots
from perfhunt.model.states import ThreadState

Place: TypeAlias = tuple[
    Path, str
]  # the calls down to the one that waits, and what any process may wait for ("" if none)
Site: TypeAlias = frozenset[Place]
_SAME = 0.5  # share of a place's waits on one known lock, from which the place belongs to that lock


def place(v: Snapshot) -> Place:
    """Where a thread waits. Locks in memory are a process's own; a file lock or a semaphore is
    named, for all to see.
    """
    on = v.sample.wait_on
    return (v.calls, "" if on.startswith("futex:") else on)


def sites(views: Snapshots) -> Mapping[Place, Site]:
    """The site of every place: alone, or together with the other places whose waiters sleep on the
    same address.

    An address on which two threads were seen to sleep at the same moment is a lock; one that is
    seen with a single sleeper at a time may be anything (each waiter of a condition has its own,
    and the allocator gives them out again).
    """
    at_lock: dict[tuple[int, str], Counter[Place]] = {}
    shared: set[tuple[int, str]] = set()
    waits: Counter[Place] = Counter()
    for now in views:
        here: Counter[tuple[int, str]] = Counter()
        for v in now:
            if v.state == ThreadState.LOCK:
                address = (v.sample.pid, v.sample.wait_on)
                here[address] += 1
                waits[place(v)] += 1
                at_lock.setdefault(address, Counter())[place(v)] += 1
        shared |= {address for address, count in here.items() if count > 1 and address[1]}
    parent: dict[Place, Place] = {one: one for one in waits}
    for address in sorted(shared):
        chief = max(at_lock[address], key=lambda p: (at_lock[address][p], p))
        for one, count in at_lock[address].items():
            if count >= _SAME * waits[one]:
                parent[_top(one, parent)] = _top(chief, parent)
    joined: dict[Place, set[Place]] = {}
    for one in waits:
        joined.setdefault(_top(one, parent), set()).add(one)
    return {one: frozenset(joined[_top(one, parent)]) for one in waits}


def _top(one: Place, parent: Mapping[Place, Place]) -> Place:
    while parent[one] != one:
        one = parent[one]
    return one
