"""The wait-for graph: which threads hold what others wait for, learnt from which functions are
always there while somebody waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from perfhunt.analysis.blame.frames import CallPath, FunctionKey, in_event_loop
from perfhunt.analysis.blame.sites import (
    LockSites,
    WaitSite,
    address_shared,
    joined_sites,
    let_go_by_time,
    wait_site,
    waiters_at,
)
from perfhunt.analysis.blame.snapshots import (
    FOR_A_THREAD,
    SEVERAL,
    Snapshot,
    Snapshots,
    kind_of,
    thread_group,
)
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Share

_RUNNABLE = (ThreadState.ON_CPU, ThreadState.RUN_QUEUE, ThreadState.GIL)


@dataclass(frozen=True, slots=True)
class HolderThresholds:
    """From when a function is taken for the holder, and what it holds for a pool. Chosen on real
    services with a known culprit; not calibrated.
    """

    # Of the waits, the share during which a holder in the acquiring function itself must be seen.
    near: Share = 0.5
    # The same for holders elsewhere, where a bystander is easily mistaken for one.
    far: Share = 0.6
    # Share of the waits by which strangers must explain more than threads of the same requests.
    clear: Share = 0.03
    # Share of the waits from which no further function is looked for: the rest is chance.
    explained: Share = 0.95
    # Share of the waits that each further function must add: less is a bystander.
    gain: Share = 0.08
    # Functions whose gains differ by less than this share of the waits are there equally often.
    tie: Share = 0.1
    # Mean number of threads that hold at once, from which it cannot be a single lock.
    several: float = 1.6
    # Share of waiters on an address that another sleeps on too, from which it is a mutex: that
    # wakes everyone from one address, whereas a condition or a pool gives each waiter its own.
    same_address: Share = 0.5
    # Share of the holders that are of another kind of thread than the waiters, beyond which they
    # work on the waiters' behalf.
    helpers: Share = 0.5


THRESHOLDS = HolderThresholds()
_MOSTLY: Share = 0.5


@dataclass(frozen=True, slots=True)
class Contention:
    """What is known of the sites where threads wait for one lock, or for one of several things.

    `waiter` is the function most of them wait in, `holders` are the functions that hold;
    `coverage` is the share of waits during which one was seen; `concurrent` how many threads held
    at once, on average; `same_address` the share of waiters that waited on the same address as
    another. `waiting` is the mean number of waiters, `kind` what those are called. `depth`: how
    many frames from the root a holder shares with the waiters (0: it is anywhere); `near`: so many
    that it had entered the very function in which the others wait. `handoff`: the holders are
    threads of another kind, which do the waiters' work for them; `by_tasks`: they are tasks that
    were made for a request. `for_result`: the waiters await a bare future, which may be for what is
    elsewhere as well. `told`: the runtime says who holds what, so nothing is inferred. `counted`:
    it says that several may hold it at once. `at_channel`: from channels several may take.
    `paced`: time lets one after the other go, as a rate limiter does; nobody holds anything.
    """

    sites: LockSites
    waiter: FunctionKey
    holders: frozenset[FunctionKey]
    coverage: Share
    concurrent: float
    same_address: Share
    waiting: float
    near: bool
    depth: int = 0
    handoff: bool = False
    by_tasks: bool = False
    for_result: bool = False
    told: bool = False
    counted: bool = False
    at_channel: bool = False
    paced: bool = False
    kind: str = "threads"

    @property
    def is_pool(self) -> bool:
        """Whether threads wait for one of several things (a pool, a semaphore) and not for a single
        lock.

        Several held at once is a pool. So is a holder that went elsewhere with what it took, while
        each waiter has an address of its own to sleep on: a connection that was checked out, not a
        section that was entered.
        """
        if self.handoff:
            return False
        if self.counted:
            return bool(self.holders)
        if self.told:
            return self.concurrent >= THRESHOLDS.several
        if not self.holders:
            return False
        if self.same_address >= THRESHOLDS.same_address:
            return self.at_channel and self.concurrent >= THRESHOLDS.several
        return self.concurrent >= THRESHOLDS.several or not self.near


@dataclass(frozen=True, slots=True)
class WaitForGraph:
    """Every contention that was seen, in the order of its first wait, and the one at each site."""

    contentions: tuple[Contention, ...] = ()
    by_site: Mapping[WaitSite, Contention] = field(default_factory=dict)

    def at(self, waiter: Snapshot) -> Contention | None:
        """What is known of the site where a thread waits."""
        return self.by_site.get(wait_site(waiter))

    def holders_of(self, waiter: Snapshot, present: Sequence[Snapshot]) -> list[Snapshot]:
        """The threads that hold, at this instant, what one thread waits for; empty when they were
        not seen.
        """
        contention = self.at(waiter)
        if contention is None or not contention.holders:
            return []
        if contention.told:
            wanted = (waiter.sample.pid, waiter.sample.wait_on)
            return [s for s in present if any((s.sample.pid, h) == wanted for h in s.sample.holds)]
        candidates = _candidates(contention.sites, present)
        return [
            s
            for s in _followers(candidates, contention.depth)
            if s.owner.key in contention.holders and s is not waiter
        ]


def wait_for_graph(snapshots: Snapshots) -> WaitForGraph:
    """Who waits for whom. A contention without a credible holder has empty `holders`."""
    sites_at = joined_sites(snapshots)
    instants: dict[LockSites, list[int]] = {}
    for index, present in enumerate(snapshots):
        waited = {sites_at[wait_site(s)] for s in present if s.waits_inside}
        for sites in sorted(waited, key=min):
            instants.setdefault(sites, []).append(index)
    found = (
        _contention(sites, [snapshots[i] for i in indices], len(snapshots))
        for sites, indices in instants.items()
    )
    contentions = tuple(c for c in found if c.holders or not c.for_result)
    return WaitForGraph(contentions, {site: c for c in contentions for site in c.sites})


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A thread that may hold what others wait for. `shared` is how many frames from the root it has
    in common with the way of one that waits at the same instant.
    """

    snapshot: Snapshot
    shared: int


_Candidates: TypeAlias = Sequence[Sequence[_Candidate]]  # per instant


@dataclass(frozen=True, slots=True)
class _Holders:
    """Functions that hold, the share of waits they explain, and how deep they follow the waiters'
    way.
    """

    functions: frozenset[FunctionKey] = frozenset()
    coverage: Share = 0.0
    depth: int = 0


def _contention(
    sites: LockSites, instants: Sequence[Sequence[Snapshot]], captured: int
) -> Contention:
    """The contention at `sites`, from the instants at which somebody waits there, of `captured`."""
    waiters = [s for present in instants for s in waiters_at(sites, present)]
    candidates = [_candidates(sites, present) for present in instants]
    for_threads, for_result = _wait_for_threads(waiters), _wait_for_result(waiters)
    anywhere = for_threads or for_result
    told = _told(sites, instants)
    holders = _cover(told, 0)
    is_told = holders.coverage >= THRESHOLDS.near
    if is_told:
        candidates = told  # Others that are in the same functions hold nothing.
    else:
        holders = _cover(candidates, 0) if anywhere else _holders(candidates, waiters)
    paced = not (is_told or anywhere) and let_go_by_time(sites, instants)
    if paced or (for_result and holders.coverage < THRESHOLDS.far):
        holders = _Holders()
    holding = [
        [s for s in _followers(at_once, holders.depth) if s.owner.key in holders.functions]
        for at_once in candidates
    ]
    counts = [len(at_once) for at_once in holding if at_once]
    held = [s for at_once in holding for s in at_once]
    waiter, _ = Counter(s.owner.key for s in waiters).most_common(1)[0]
    same_address = address_shared(sites, instants)
    at_channel = _mostly(s.at_channel for s in waiters)
    # Who was there before the requests, and takes one after the other, works for all at a channel.
    one_queue = at_channel and _mostly(s.outlives_requests for s in held)
    return Contention(
        sites=sites,
        waiter=waiter,
        holders=holders.functions,
        coverage=holders.coverage,
        concurrent=float(np.mean(counts)) if counts else 0.0,
        same_address=same_address,
        waiting=len(waiters) / captured,
        near=bool(holders.functions) and holders.depth >= min(s.owner_depth for s in waiters),
        depth=holders.depth,
        handoff=for_threads
        or for_result
        or _mostly(s.of_a_pool_of_processes for s in held)
        or (
            not is_told
            and holders.depth == 0
            and (one_queue or same_address < THRESHOLDS.same_address)
            and _are_helpers(held, waiters)
        ),
        by_tasks=not anywhere and _mostly(s.sample.task and not s.outlives_requests for s in held),
        for_result=for_result,
        told=is_told,
        counted=_mostly(s.sample.wait_on.startswith(SEVERAL) for s in waiters),
        at_channel=at_channel,
        paced=paced,
        kind=kind_of(waiters),
    )


def _told(sites: LockSites, instants: Sequence[Sequence[Snapshot]]) -> list[list[_Candidate]]:
    """The threads that provably hold what some wait for at `sites`, per instant."""
    told = []
    for present in instants:
        wanted = {(s.sample.pid, s.sample.wait_on) for s in waiters_at(sites, present)}
        holding = (s for s in present if any((s.sample.pid, h) in wanted for h in s.sample.holds))
        told.append([_Candidate(s, 0) for s in holding])
    return told


def _mostly(found: Iterable[bool]) -> bool:
    """Whether it is so of more than half of some."""
    each = list(found)
    return sum(each) > _MOSTLY * len(each)


def _wait_for_threads(waiters: Sequence[Snapshot]) -> bool:
    """Whether they are tasks that wait for threads of a pool: of the first it is not known yet."""
    return _mostly(s.sample.wait_on.startswith(FOR_A_THREAD) for s in waiters)


def _wait_for_result(waiters: Sequence[Snapshot]) -> bool:
    """Whether they are tasks that await what somebody sets."""
    return all(s.awaits_a_result for s in waiters)


def _are_helpers(holding: Sequence[Snapshot], waiters: Sequence[Snapshot]) -> bool:
    """Whether most of those that hold are threads of another kind than those that wait."""
    kinds = {thread_group(s.sample) for s in waiters}
    helpers = [thread_group(s.sample) not in kinds for s in holding]
    return bool(helpers) and float(np.mean(helpers)) > THRESHOLDS.helpers


def _holders(candidates: _Candidates, waiters: Sequence[Snapshot]) -> _Holders:
    """Those that share the most of the waiters' way in, and are there often enough.

    The further in a thread followed the waiters' own way, the likelier it holds what they wait for
    there: past the very call, else in a function further up that took it and went on elsewhere; a
    thread with nothing in common comes last.
    """
    deepest = max(len(s.path) for s in waiters)
    acquiring = min(s.owner_depth for s in waiters)
    shallowest = min(
        (n for s in waiters for n, key in enumerate(s.path, 1) if key in s.app), default=deepest + 1
    )
    for depth in range(deepest, acquiring - 1, -1):
        holders = _cover(candidates, depth)
        if holders.coverage >= THRESHOLDS.near:
            return holders
    # Other threads of the same requests are there often as well, so those that share less must not
    # explain clearly more.
    strangers = _cover(_strangers(candidates, waiters, shallowest), 0)
    for depth in range(acquiring - 1, shallowest - 1, -1):
        holders = _cover(candidates, depth)
        least = max(THRESHOLDS.far, strangers.coverage - THRESHOLDS.clear)
        if holders.coverage >= least:
            return holders
    if strangers.coverage < THRESHOLDS.far:
        strangers = _cover(candidates, 0)
    return strangers if strangers.coverage >= THRESHOLDS.far else _Holders()


def _strangers(
    candidates: _Candidates, waiters: Sequence[Snapshot], shallowest: int
) -> _Candidates:
    """The candidates that share none of the application's code with any waiter's way."""
    ways = {s.path for s in waiters}
    return [
        [c for c in at_once if all(_common(c.snapshot.path, way) < shallowest for way in ways)]
        for at_once in candidates
    ]


def _candidates(sites: LockSites, present: Sequence[Snapshot]) -> list[_Candidate]:
    """The busy threads that may hold what others wait for at `sites`, at one instant."""
    waiting = waiters_at(sites, present)
    pids = {s.sample.pid for s in waiting}
    # A file lock or the like has a name, and any process may hold it.
    for_threads = _wait_for_threads(waiting)
    # Who sets a future was there before the request, and is of another kind than who awaits it.
    asking = {thread_group(s.sample) for s in waiting} if _wait_for_result(waiting) else None
    handed = any(s.handed_over for s in waiting)
    everywhere = all(named for _, named in sites)
    ways = {s.path for s in waiting}
    doors = {s.location for s in waiting if s.line is not None}
    return [
        _Candidate(s, max(_common(s.path, way) for way in ways))
        for s in present
        if not any(s is waiter for waiter in waiting)
        and not s.on_idle_path
        and (everywhere or s.sample.pid in pids or (handed and s.of_a_pool_of_processes))
        and (asking is None or (s.outlives_requests and thread_group(s.sample) not in asking))
        and (not for_threads or not (s.sample.task or in_event_loop(s.sample.stack)))
        # One that runs at the very line where the others wait is on its way in, or was only just
        # let through.
        and not (s.state in _RUNNABLE and s.location in doors)
    ]


def _followers(candidates: Sequence[_Candidate], depth: int) -> list[Snapshot]:
    """Those that share at least `depth` frames of the waiters' way; at depth 0 the application's
    own.
    """
    return [
        c.snapshot for c in candidates if (c.shared >= depth if depth else c.snapshot.owner.is_app)
    ]


def _common(one: CallPath, other: CallPath) -> int:
    """How many frames from the root two ways through the code share."""
    return sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(one, other, strict=False)))


def _cover(candidates: _Candidates, depth: int) -> _Holders:
    """The fewest functions of which one is nearly always there, and how often one is; none when
    there is nobody.

    Greedy set cover. Between functions that are there about equally often, the one whose count
    varies least goes first: while somebody waits, the holders of a lock or a pool number exactly
    its size, whereas bystanders come and go as Poisson does.
    """
    counts: dict[FunctionKey, NDArray[np.float64]] = {}
    for index, at_once in enumerate(candidates):
        for s in _followers(at_once, depth):
            counts.setdefault(s.owner.key, np.zeros(len(candidates)))[index] += 1
    covered = np.zeros(len(candidates), dtype=bool)
    chosen: set[FunctionKey] = set()
    while counts and covered.mean() < THRESHOLDS.explained:
        gains = {
            key: float((covered | (count > 0)).mean() - covered.mean())
            for key, count in counts.items()
        }
        best = max(gains.values())
        if chosen and best < THRESHOLDS.gain:
            break
        tied = [key for key, gain in gains.items() if gain >= best - THRESHOLDS.tie]
        key = min(tied, key=lambda k: (_dispersion(counts[k]), -gains[k], k))
        chosen.add(key)
        covered |= counts.pop(key) > 0
    return _Holders(frozenset(chosen), float(covered.mean()), depth)


def _dispersion(count: NDArray[np.float64]) -> float:
    """Variance over mean: 1 for Poisson, 0 for a constant number."""
    return float(count.var() / count.mean())
