"""Every waiting thread charged to the function it waits for, instant by instant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from perfhunt.analysis.blame.frames import FunctionKey, in_event_loop
from perfhunt.analysis.blame.snapshots import Snapshot, Snapshots, ThreadGroup, thread_group
from perfhunt.analysis.blame.wait_for import WaitForGraph, wait_for_graph
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Share


class Cause(StrEnum):
    """Why a thread's time is charged to a function, where the thread's own state does not say."""

    OWN = "own"  # its own doing
    POOL = "pool"  # a lock wait that is a wait for one of several things
    HANDOFF = "handoff"  # a lock wait for what another kind of thread does on the waiter's behalf
    PACED = "paced"  # a lock wait for one's turn, which time alone gives
    PEER = "peer"  # a wait for a CPU that a peer used on the target's behalf
    ACK = "ack"  # an answer that was sent in pieces waits for an acknowledgement
    COLLECTOR = "gc"  # every thread stands still while what it took of the memory is collected
    AWAIT = "await"  # requests wait where only coroutines do, while the event loop idles


ThreadCounts: TypeAlias = NDArray[np.float64]  # one per instant
# (function, cause, what the function was doing): the cause is a `Cause` or the state of the thread
# that waits, what it was doing a state.
BlameKey: TypeAlias = tuple[FunctionKey, str, str]
Blame: TypeAlias = dict[BlameKey, float]  # threads
_K = TypeVar("_K")

NOBODY: FunctionKey = ("", "")  # ahead in a queue, and not seen
_QUEUES = frozenset({ThreadState.GIL, ThreadState.RUN_QUEUE, ThreadState.LOCK, ThreadState.LOOP})
# Queues whose users the profile of the CPU does not know: who was seen ahead says more.
_NOT_OF_THE_CPU = frozenset({ThreadState.LOCK, ThreadState.LOOP, ThreadState.AWAIT})
# Waits in a row. A longer chain is taken to end where it is: instants are not so exact that its end
# could be known, and two threads may seem to wait for each other.
_LONGEST_CHAIN = 4


@dataclass(slots=True)
class BlameAccount:
    """Thread counts per instant: what functions did themselves, held up others for, and had beneath
    them.

    `own[(function, state)]` counts threads in the function by state, waits of every kind included:
    it adds up to all busy threads. `blamed[(function, cause, doing)]` adds up to the same, with
    queues (GIL, CPU, locks) charged to whoever was ahead. `unknown` is queue time whose head was
    not seen, by cause and by the queue at the end of the chain. `profiled`: a profile settles who
    had the CPU and the GIL.
    """

    instants: int
    graph: WaitForGraph = field(default_factory=WaitForGraph)
    profiled: bool = False
    own: dict[tuple[FunctionKey, str], ThreadCounts] = field(default_factory=dict)
    blamed: dict[BlameKey, ThreadCounts] = field(default_factory=dict)
    total: dict[FunctionKey, ThreadCounts] = field(default_factory=dict)
    unknown: dict[tuple[str, str], ThreadCounts] = field(default_factory=dict)
    by_group: dict[ThreadGroup, Blame] = field(default_factory=dict)
    via: dict[FunctionKey, Counter[str]] = field(default_factory=dict)
    wait_on: dict[FunctionKey, Counter[str]] = field(default_factory=dict)
    lines: dict[FunctionKey, Counter[int]] = field(default_factory=dict)
    callers: dict[FunctionKey, Counter[str]] = field(default_factory=dict)

    def busy(self) -> float:
        """Mean number of threads that were not idle."""
        return sum(float(counts.mean()) for counts in self.own.values())

    def states(self) -> dict[str, float]:
        """Mean number of busy threads per state."""
        means: dict[str, float] = {}
        for (_, state), counts in self.own.items():
            means[state] = means.get(state, 0.0) + float(counts.mean())
        return means


def charge(
    snapshots: Snapshots, cpu_shares: Mapping[FunctionKey, Share], profiled: bool = False
) -> BlameAccount:
    """The account of a span. `cpu_shares` (function -> share of CPU) settles queues whose head was
    not seen.

    `profiled`: the shares come from a profile, hundreds of samples that know who had the CPU or the
    GIL far better than a few instants do; then those two queues are charged by it altogether.
    """
    account = BlameAccount(
        instants=len(snapshots),
        graph=wait_for_graph(snapshots),
        profiled=profiled and bool(cpu_shares),
    )
    for index, present in enumerate(snapshots):
        for snapshot in present:
            _note(account, snapshot, present, index)
            _charge_one(account, snapshot, present, index)
    _settle(account, cpu_shares)
    return account


def _note(
    account: BlameAccount, snapshot: Snapshot, present: Sequence[Snapshot], index: int
) -> None:
    """What one thread was seen to do itself, where, and called by whom."""
    owner = snapshot.owner
    key = owner.key
    weight = _weight(snapshot, present, account.graph)
    _add(account.own, (key, snapshot.state), index, weight, account.instants)
    for function in snapshot.on_stack:
        _add(account.total, function, index, weight, account.instants)
    account.via.setdefault(key, Counter())[owner.via] += 1
    if snapshot.sample.wait_on:
        account.wait_on.setdefault(key, Counter())[snapshot.sample.wait_on] += 1
    if owner.frame.line is not None:
        account.lines.setdefault(key, Counter())[owner.frame.line] += 1
    caller = next((name for name, file in reversed(snapshot.app) if (name, file) != key), "")
    if caller:
        account.callers.setdefault(key, Counter())[caller] += 1


def _charge_one(
    account: BlameAccount, snapshot: Snapshot, present: Sequence[Snapshot], index: int
) -> None:
    group = account.by_group.setdefault(thread_group(snapshot.sample), {})
    whole = _weight(snapshot, present, account.graph)
    for blame_key, part in _blame(snapshot, present, account).items():
        weight = whole * part
        key, cause, doing = blame_key
        if not snapshot.on_idle_path:
            group[blame_key] = group.get(blame_key, 0.0) + weight
        if key == NOBODY:
            _add(account.unknown, (cause, doing), index, weight, account.instants)
        else:
            _add(account.blamed, blame_key, index, weight, account.instants)


def _weight(snapshot: Snapshot, present: Sequence[Snapshot], graph: WaitForGraph) -> float:
    """How much of a request its presence is. A task that handed its work to a thread or another
    task is at hand twice while that has it, working or waiting itself; only those beyond them
    queue, wherever they wait for the same.
    """
    contention = graph.at(snapshot) if snapshot.sample.task else None
    if contention is None or not contention.handoff:
        return 1.0
    if contention.told:
        on = snapshot.sample.wait_on
        waiting = sum(s.sample.wait_on == on for s in present if s.waits_inside)
    else:
        ways = (graph.at(s) for s in present if s.waits_inside)
        waiting = sum(
            way is not None and way.handoff and not way.holders.isdisjoint(contention.holders)
            for way in ways
        )
    holding = graph.holders_of(snapshot, present)
    kinds = {thread_group(s.sample) for s in holding if not s.sample.task}
    stuck = sum(
        s.waits_inside and not s.sample.task and thread_group(s.sample) in kinds for s in present
    )
    return max(0.0, 1.0 - (len(holding) + stuck) / max(waiting, 1))


def _add(counts: dict[_K, ThreadCounts], key: _K, index: int, weight: float, instants: int) -> None:
    if key not in counts:
        counts[key] = np.zeros(instants)
    counts[key][index] += weight


def _blame(snapshot: Snapshot, present: Sequence[Snapshot], account: BlameAccount) -> Blame:
    """Where one thread's presence is charged: to itself, or to those it waits for, followed to the
    end of the chain.
    """
    if not _queues(snapshot, account.graph):
        return {(snapshot.owner.key, Cause.OWN, snapshot.state): 1.0}
    cause = _cause(snapshot, account.graph)
    blame: Blame = {}
    for key, doing, weight in _ends(snapshot, present, account, _LONGEST_CHAIN):
        blame[(key, cause, doing)] = blame.get((key, cause, doing), 0.0) + weight
    return blame


def _queues(snapshot: Snapshot, graph: WaitForGraph) -> bool:
    """Whether it waits for others of the service, rather than by its own wish or for the world."""
    return snapshot.state in _QUEUES or (
        snapshot.awaits_a_result and graph.at(snapshot) is not None
    )


def _cause(waiter: Snapshot, graph: WaitForGraph) -> str:
    """What a thread queues for: its state, told further apart where that is a lock."""
    contention = graph.at(waiter) if waiter.waits_inside else None
    if contention is None:
        return waiter.state
    if contention.handoff:
        return Cause.HANDOFF
    if contention.paced:
        return Cause.PACED
    return Cause.POOL if contention.is_pool else waiter.state


def _ends(
    snapshot: Snapshot, present: Sequence[Snapshot], account: BlameAccount, longest: int
) -> list[tuple[FunctionKey, str, float]]:
    """The functions at the end of a chain of waits, what they do there, and each one's part."""
    if not _queues(snapshot, account.graph) or longest == 0:
        return [(snapshot.owner.key, snapshot.state, 1.0)]
    ahead = _ahead(snapshot, present, account)
    if not ahead:
        contention = account.graph.at(snapshot)
        if snapshot.state == ThreadState.LOCK and (contention is None or not contention.holders):
            return [(snapshot.owner.key, snapshot.state, 1.0)]
        return [(NOBODY, snapshot.state, 1.0)]
    part = 1.0 / len(ahead)
    return [
        (key, doing, part * weight)
        for holder in ahead
        for key, doing, weight in _ends(holder, present, account, longest - 1)
    ]


def _ahead(waiter: Snapshot, present: Sequence[Snapshot], account: BlameAccount) -> list[Snapshot]:
    """The threads one thread waits for at an instant; empty when they were not seen."""
    if waiter.waits_inside:
        return account.graph.holders_of(waiter, present)
    if waiter.state == ThreadState.LOOP:
        return [s for s in present if s.sample.pid == waiter.sample.pid and _runs_loop(s)]
    if account.profiled:
        return []
    others = [s for s in present if s is not waiter and not s.on_idle_path]
    if waiter.state == ThreadState.RUN_QUEUE:
        return [s for s in others if s.state == ThreadState.ON_CPU]
    peers = [s for s in others if s.sample.pid == waiter.sample.pid]
    return [s for s in peers if s.sample.holds_gil] or [
        s for s in peers if s.state == ThreadState.ON_CPU
    ]


def _runs_loop(snapshot: Snapshot) -> bool:
    """Whether it is the thread of an event loop, at work."""
    sample = snapshot.sample
    return not (sample.task or snapshot.on_idle_path) and in_event_loop(sample.stack)


def _settle(account: BlameAccount, cpu_shares: Mapping[FunctionKey, Share]) -> None:
    """Queue time without a seen head goes to the users of what was queued for, else to the
    functions seen ahead, by share.
    """
    for (cause, queue), counts in account.unknown.items():
        users: Blame = {
            (key, cause, str(ThreadState.ON_CPU)): share for key, share in cpu_shares.items()
        }
        ahead = {
            key: float(blamed.sum()) for key, blamed in account.blamed.items() if key[1] == cause
        }
        weights = ahead if queue in _NOT_OF_THE_CPU or not account.profiled else users
        weights = weights if sum(weights.values()) > 0 else users
        whole = sum(weights.values())
        for key, weight in weights.items():
            so_far = account.blamed.get(key, np.zeros(account.instants))
            account.blamed[key] = so_far + counts * (weight / whole)
