"""Who holds what others wait for, found from which functions are always there while somebody
waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from perfhunt.analysis.blame.frames import Key
from perfhunt.analysis.blame.idle import Path
from perfhunt.analysis.blame.sites import Place, Site, place, sites
from perfhunt.analysis.blame.snapshots import Snapshot, Snapshots, thread_group
from perfhunt.model.states import ThreadState

_RUNS = (ThreadState.ON_CPU, ThreadState.RUN_QUEUE, ThreadState.GIL)
_NEAR = (
    0.5  # least share of waits during which a holder in the acquiring function itself must be seen
)
_FAR = 0.6  # the same for holders elsewhere, where a bystander is easily mistaken for one
_CLEAR = 0.03  # by how much more of the waits strangers must explain
_ENOUGH = 0.95
_GAIN = 0.08
_TIE = 0.1
_SEVERAL = 1.6  # mean number of threads that hold at once, from which it cannot be a single lock


@dataclass(frozen=True, slots=True)
class Holding:
    """What is known of one site where threads wait for each other.

    `holders` are the functions that hold; `coverage` the share of waits during which one was seen;
    `concurrent` how many threads held at once, on average; `shared` the share of waiters that
    waited on the same address as another (a mutex wakes everyone from one address, a condition or a
    pool gives each waiter its own). `waiting` is the mean number of waiters. `depth`: how many
    frames from the root a holder shares with the waiters (0: it is anywhere); `near`: so many that
    it had entered the very function in which the others wait. `handoff`: the holders are threads of
    another kind, which do the waiters' work for them.
    """

    waiter: Key
    holders: frozenset[Key]
    coverage: float
    concurrent: float
    shared: float
    waiting: float
    near: bool
    depth: int = 0
    handoff: bool = False

    @property
    def is_pool(self) -> bool:
        """Whether threads wait for one of several things (a pool, a semaphore) and not for a single
        lock.

        Several held at once is a pool. So is a holder that went elsewhere with what it took, while
        each waiter has an address of its own to sleep on: a connection that was checked out, not a
        section that was entered.
        """
        if not self.holders or self.shared >= 0.5 or self.handoff:
            return False
        return self.concurrent >= _SEVERAL or not self.near


@dataclass(frozen=True, slots=True)
class Holdings:
    """Every site that was seen, by the places that make it up."""

    site_of: Mapping[Place, Site] = field(default_factory=dict)
    of: Mapping[Site, Holding] = field(default_factory=dict)

    def at(self, v: Snapshot) -> Holding | None:
        """What is known of the place where a thread waits."""
        site = self.site_of.get(place(v))
        return None if site is None else self.of.get(site)

    def ahead(self, v: Snapshot, now: Sequence[Snapshot]) -> list[Snapshot]:
        """The threads that hold, at this instant, what one thread waits for; empty when they were
        not seen.
        """
        holding = self.at(v)
        if holding is None or not holding.holders:
            return []
        found = candidates(self.site_of[place(v)], now, holding.depth)
        return [o for o in found if o.owner.key in holding.holders and o is not v]


def holdings(views: Snapshots) -> Holdings:
    """The holder of every site that was seen. A site without a credible holder has empty
    `holders`.
    """
    site_of = sites(views)
    at: dict[Site, list[int]] = {}
    for index, now in enumerate(views):
        for site in {site_of[place(v)] for v in now if v.state == ThreadState.LOCK}:
            at.setdefault(site, []).append(index)
    return Holdings(site_of, {site: _holding(site, views, indices) for site, indices in at.items()})


def _waiters(site: Site, now: Sequence[Snapshot]) -> list[Snapshot]:
    return [v for v in now if v.state == ThreadState.LOCK and place(v) in site]


def _holding(site: Site, views: Snapshots, at: Sequence[int]) -> Holding:
    waiters = [v for i in at for v in _waiters(site, views[i])]
    holders, coverage, depth = _found(
        site, views, at, sorted({v.above for v in waiters}, reverse=True), waiters
    )
    pool = [candidates(site, views[i], depth) for i in at]
    seen = [count for now in pool if (count := sum(v.owner.key in holders for v in now))]
    waiter, _ = Counter(v.owner.key for v in waiters).most_common(1)[0]
    near = bool(holders) and depth >= min(v.above for v in waiters)
    shared = _shared(site, views, at)
    kinds = {thread_group(v.sample) for v in waiters}
    helpers = [
        thread_group(v.sample) not in kinds for now in pool for v in now if v.owner.key in holders
    ]
    handoff = depth == 0 and shared < 0.5 and bool(helpers) and float(np.mean(helpers)) > 0.5
    concurrent = float(np.mean(seen)) if seen else 0.0
    return Holding(
        waiter,
        holders,
        coverage,
        concurrent,
        shared,
        len(waiters) / len(views),
        near,
        depth,
        handoff,
    )


def _found(
    site: Site,
    views: Snapshots,
    at: Sequence[int],
    above: Sequence[int],
    waiters: Sequence[Snapshot],
) -> tuple[frozenset[Key], float, int]:
    """(holders, coverage, depth): those that share the most of the waiters' way in, and are there
    often enough.

    The further in a thread followed the waiters' own way, the likelier it holds what they wait for
    there: past the very call, else in a function further up that took it and went on elsewhere; a
    thread with nothing in common comes last.
    """
    deepest = max(len(v.path) for v in waiters)
    shallowest = min(
        (n for v in waiters for n, key in enumerate(v.path, 1) if key in v.app), default=deepest + 1
    )
    for depth in range(deepest, min(above) - 1, -1):
        chosen = _cover([candidates(site, views[i], depth) for i in at])
        if chosen is not None and chosen[1] >= _NEAR:
            return (*chosen, depth)
    # Other threads of the same requests are there often as well, so those that share less must not
    # explain clearly more.
    strangers = _cover([_strangers(candidates(site, views[i], 0), waiters, shallowest) for i in at])
    elsewhere = strangers[1] if strangers is not None else 0.0
    for depth in range(min(above) - 1, shallowest - 1, -1):
        chosen = _cover([candidates(site, views[i], depth) for i in at])
        if chosen is not None and chosen[1] >= max(_FAR, elsewhere - _CLEAR):
            return (*chosen, depth)
    if strangers is None or elsewhere < _FAR:
        strangers = _cover([candidates(site, views[i], 0) for i in at])
    return (
        (*strangers, 0) if strangers is not None and strangers[1] >= _FAR else (frozenset(), 0.0, 0)
    )


def _strangers(
    found: Sequence[Snapshot], waiters: Sequence[Snapshot], shallowest: int
) -> list[Snapshot]:
    ways = {v.path for v in waiters}
    return [o for o in found if all(_common(o.path, way) < shallowest for way in ways)]


def candidates(site: Site, now: Sequence[Snapshot], depth: int) -> list[Snapshot]:
    """Busy threads that may hold what `site` waits for and share at least `depth` frames of the way
    there.
    """
    waiting = _waiters(site, now)
    pids = {v.sample.pid for v in waiting}
    everywhere = all(named for _, named in site)  # a file lock or the like: any process may hold it
    ways = {v.path for v in waiting}
    doors = {(v.path, v.line) for v in waiting if v.line is not None}
    found = []
    for other in now:
        if (
            any(other is w for w in waiting)
            or other.parked_path
            or not (everywhere or other.sample.pid in pids)
        ):
            continue
        # One that runs at the very line where the others wait is on its way in, or was only just
        # let through.
        if other.state in _RUNS and (other.path, other.line) in doors:
            continue
        if depth == 0 and not other.owner.is_app:
            continue
        if depth == 0 or any(_common(other.path, way) >= depth for way in ways):
            found.append(other)
    return found


def _common(one: Path, other: Path) -> int:
    """How many frames from the root two ways through the code share."""
    return next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )


def _cover(seen: Sequence[Sequence[Snapshot]]) -> tuple[frozenset[Key], float] | None:
    """The fewest functions of which one is nearly always there, and how often one is; None when
    there is nobody.

    Greedy set cover. Between functions that are there about equally often, the one whose count
    varies least goes first: while somebody waits, the holders of a lock or a pool number exactly
    its size, whereas bystanders come and go as Poisson does.
    """
    counts: dict[Key, NDArray[np.float64]] = {}
    for index, now in enumerate(seen):
        for v in now:
            counts.setdefault(v.owner.key, np.zeros(len(seen)))[index] += 1
    if not counts:
        return None
    covered = np.zeros(len(seen), dtype=bool)
    chosen: set[Key] = set()
    while counts and covered.mean() < _ENOUGH:
        gains = {
            key: float((covered | (count > 0)).mean() - covered.mean())
            for key, count in counts.items()
        }
        best = max(gains.values())
        if chosen and best < _GAIN:
            break
        tied = [key for key, gain in gains.items() if gain >= best - _TIE]
        key = min(tied, key=lambda k: (_spread(counts[k]), -gains[k], k))
        chosen.add(key)
        covered |= counts.pop(key) > 0
    return frozenset(chosen), float(covered.mean())


def _spread(count: NDArray[np.float64]) -> float:
    return float(count.var() / count.mean())


def _shared(site: Site, views: Snapshots, at: Sequence[int]) -> float:
    same = total = 0
    for index in at:
        waits = [(v.sample.pid, v.sample.wait_on) for v in _waiters(site, views[index])]
        if len(waits) > 1:
            total += len(waits)
            same += sum(waits.count(wait) > 1 for wait in waits)
    return same / total if total else 0.0
