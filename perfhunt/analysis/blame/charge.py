"""Every waiting thread charged to the function it waits for, instant by instant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from perfhunt.analysis.blame.frames import Key
from perfhunt.analysis.blame.holders import Holdings, holdings
from perfhunt.analysis.blame.snapshots import Snapshot, Snapshots, thread_group
from perfhunt.model.states import ThreadState

Series: TypeAlias = NDArray[np.float64]  # thread counts, one per instant
Charges: TypeAlias = dict[
    tuple[Key, str, str], float
]  # (function, cause, what the function was doing) -> threads

POOL = "pool"  # a lock wait that is a wait for one of several things
HANDOFF = "handoff"  # a lock wait for what another kind of thread does on the waiter's behalf
OWN = "own"  # the thread's own doing; any other cause is the state of the thread that waits
NOBODY: Key = ("", "")  # ahead in a queue, and not seen
_QUEUES = {ThreadState.GIL, ThreadState.RUN_QUEUE, ThreadState.LOCK}
_DEPTH = 4  # a chain of waits longer than this is taken to end where it is


@dataclass(slots=True)
class BlameAccount:
    """Thread counts per instant: what functions did themselves, held up others for, and had beneath
    them.

    `own[(function, state)]` counts threads in the function by state, waits of every kind included:
    it adds up to all busy threads. `blamed[(function, cause, doing)]` adds up to the same, with
    queues (GIL, CPU, locks) charged to whoever was ahead. `unknown` is queue time whose head was
    not seen, by cause and by the queue at the end of the chain.
    """

    instants: int
    own: dict[tuple[Key, str], Series] = field(default_factory=dict)
    blamed: dict[tuple[Key, str, str], Series] = field(default_factory=dict)
    total: dict[Key, Series] = field(default_factory=dict)
    unknown: dict[tuple[str, str], Series] = field(default_factory=dict)
    by_pool: dict[tuple[Key, ...], Charges] = field(default_factory=dict)
    via: dict[Key, Counter[str]] = field(default_factory=dict)
    wait_on: dict[Key, Counter[str]] = field(default_factory=dict)
    lines: dict[Key, Counter[int]] = field(default_factory=dict)
    callers: dict[Key, Counter[str]] = field(default_factory=dict)
    app: set[Key] = field(default_factory=set)
    holdings: Holdings = field(default_factory=Holdings)
    profiled: bool = False

    def busy(self) -> float:
        """Mean number of threads that were not idle."""
        return sum(float(series.mean()) for series in self.own.values())

    def states(self) -> dict[str, float]:
        """Mean number of busy threads per state."""
        found: dict[str, float] = {}
        for (_, state), series in self.own.items():
            found[state] = found.get(state, 0.0) + float(series.mean())
        return found


def charge(
    views: Snapshots, cpu_shares: Mapping[Key, float], profiled: bool = False
) -> BlameAccount:
    """The ledger of a span. `cpu_shares` (function -> share of CPU) settles queues whose head was
    not seen.

    `profiled`: the shares come from a profile, hundreds of samples that know who had the CPU or the
    GIL far better than a few looks do; then those two queues are charged by it altogether.
    """
    ledger = BlameAccount(
        len(views), holdings=holdings(views), profiled=profiled and bool(cpu_shares)
    )
    for index, now in enumerate(views):
        for v in now:
            _note(ledger, v, index)
            pool = ledger.by_pool.setdefault(thread_group(v.sample), {})
            for (key, cause, doing), weight in _blame(v, now, ledger).items():
                if not v.parked_path:
                    pool[(key, cause, doing)] = pool.get((key, cause, doing), 0.0) + weight
                if key == NOBODY:
                    _add(ledger.unknown, (cause, doing), index, weight, ledger.instants)
                else:
                    _add(ledger.blamed, (key, cause, doing), index, weight, ledger.instants)
    _settle(ledger, cpu_shares)
    return ledger


def _note(ledger: BlameAccount, v: Snapshot, index: int) -> None:
    key = v.owner.key
    _add(ledger.own, (key, v.state), index, 1.0, ledger.instants)
    for above in set(v.app) | {key}:
        _add(ledger.total, above, index, 1.0, ledger.instants)
    if v.owner.is_app:
        ledger.app.add(key)
    ledger.via.setdefault(key, Counter())[v.owner.via] += 1
    if v.sample.wait_on:
        ledger.wait_on.setdefault(key, Counter())[v.sample.wait_on] += 1
    if v.owner.frame.line is not None:
        ledger.lines.setdefault(key, Counter())[v.owner.frame.line] += 1
    caller = next((name for name, file in reversed(v.app) if (name, file) != key), "")
    if caller:
        ledger.callers.setdefault(key, Counter())[caller] += 1


def _add(into: dict, key: object, index: int, weight: float, size: int) -> None:  # type: ignore[type-arg]
    into.setdefault(key, np.zeros(size))[index] += weight


def _blame(v: Snapshot, now: Sequence[Snapshot], ledger: BlameAccount) -> Charges:
    """Where one thread's presence is charged: to itself, or to those it waits for, followed to the
    end of the chain.
    """
    if v.state not in _QUEUES:
        return {(v.owner.key, OWN, v.state): 1.0}
    cause = v.state
    if v.state == ThreadState.LOCK and (holding := ledger.holdings.at(v)) is not None:
        cause = HANDOFF if holding.handoff else POOL if holding.is_pool else cause
    ends: Charges = {}
    for key, doing, weight in _ends(v, now, ledger, _DEPTH):
        ends[(key, cause, doing)] = ends.get((key, cause, doing), 0.0) + weight
    return ends


def _ends(
    v: Snapshot, now: Sequence[Snapshot], ledger: BlameAccount, depth: int
) -> list[tuple[Key, str, float]]:
    if v.state not in _QUEUES or depth == 0:
        return [(v.owner.key, v.state, 1.0)]
    ahead = _ahead(v, now, ledger)
    if not ahead:
        holding = ledger.holdings.at(v) if v.state == ThreadState.LOCK else None
        if v.state == ThreadState.LOCK and (holding is None or not holding.holders):
            return [(v.owner.key, v.state, 1.0)]
        return [(NOBODY, v.state, 1.0)]
    share = 1.0 / len(ahead)
    return [
        (key, doing, share * w) for a in ahead for key, doing, w in _ends(a, now, ledger, depth - 1)
    ]


def _ahead(v: Snapshot, now: Sequence[Snapshot], ledger: BlameAccount) -> list[Snapshot]:
    """The threads one thread waits for at an instant; empty when they were not seen."""
    if v.state == ThreadState.LOCK:
        return ledger.holdings.ahead(v, now)
    if ledger.profiled:
        return []
    others = [o for o in now if o is not v and not o.parked_path]
    if v.state == ThreadState.RUN_QUEUE:
        return [o for o in others if o.state == ThreadState.ON_CPU]
    peers = [o for o in others if o.sample.pid == v.sample.pid]
    return [o for o in peers if o.sample.holds_gil] or [
        o for o in peers if o.state == ThreadState.ON_CPU
    ]


def _settle(ledger: BlameAccount, cpu_shares: Mapping[Key, float]) -> None:
    """Queue time without a seen head goes to the users of what was queued for, else to the
    functions seen ahead, by share.
    """
    on_cpu = str(ThreadState.ON_CPU)
    for (cause, queue), series in ledger.unknown.items():
        users = {(key, cause, on_cpu): share for key, share in cpu_shares.items()}
        seen = {k: float(s.sum()) for k, s in ledger.blamed.items() if k[1] == cause}
        by = seen if queue == ThreadState.LOCK or not ledger.profiled else users
        by = by if sum(by.values()) > 0 else users
        whole = sum(by.values())
        for key, weight in by.items():
            ledger.blamed[key] = ledger.blamed.get(key, np.zeros(ledger.instants)) + series * (
                weight / whole
            )
