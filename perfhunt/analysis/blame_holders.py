"""Who holds what others wait for, found from which functions are always there while somebody waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from perfhunt.analysis.blame_sites import Place, Site, place, sites
from perfhunt.analysis.blame_views import View, Views, thread_group
from perfhunt.analysis.frames import Key
from perfhunt.model.states import ThreadState

_RUNS = (ThreadState.ON_CPU, ThreadState.RUN_QUEUE, ThreadState.GIL)
_NEAR = 0.5  # least share of waits during which a holder in the acquiring function itself must be seen
_FAR = 0.6  # the same for holders elsewhere, where a bystander is easily mistaken for one
_ENOUGH = 0.95
_GAIN = 0.08
_TIE = 0.1
_SEVERAL = 1.6  # mean number of threads that hold at once, from which it cannot be a single lock


@dataclass(frozen=True, slots=True)
class Holding:
    """What is known of one site where threads wait for each other.

    `holders` are the functions that hold; `coverage` the share of waits during which one was seen; `concurrent` how many
    threads held at once, on average; `shared` the share of waiters that waited on the same address as another (a mutex
    wakes everyone from one address, a condition or a pool gives each waiter its own); `near`: the holder had passed the
    very place where the others wait. `waiting` is the mean number of waiters. `handoff`: the holders are threads of another
    kind, which do the waiters' work for them.
    """

    waiter: Key
    holders: frozenset[Key]
    coverage: float
    concurrent: float
    shared: float
    waiting: float
    near: bool
    handoff: bool = False

    @property
    def is_pool(self) -> bool:
        """Whether threads wait for one of several things (a pool, a semaphore) and not for a single lock.

        Several held at once is a pool. So is a holder that went elsewhere with what it took, while each waiter has an address
        of its own to sleep on: a connection that was checked out, not a section that was entered.
        """
        if not self.holders or self.shared >= 0.5 or self.handoff:
            return False
        return self.concurrent >= _SEVERAL or not self.near


@dataclass(frozen=True, slots=True)
class Holdings:
    """Every site that was seen, by the places that make it up."""

    site_of: Mapping[Place, Site] = field(default_factory=dict)
    of: Mapping[Site, Holding] = field(default_factory=dict)

    def at(self, v: View) -> Holding | None:
        """What is known of the place where a thread waits."""
        site = self.site_of.get(place(v))
        return None if site is None else self.of.get(site)

    def ahead(self, v: View, now: Sequence[View]) -> list[View]:
        """The threads that hold, at this instant, what one thread waits for; empty when they were not seen."""
        holding = self.at(v)
        if holding is None or not holding.holders:
            return []
        site = self.site_of[place(v)]
        found = candidates(site, now, near=True)
        if not holding.near:
            found = found + candidates(site, now, near=False)
        return [o for o in found if o.owner.key in holding.holders and o is not v]


def holdings(views: Views) -> Holdings:
    """The holder of every site that was seen. A site without a credible holder has empty `holders`."""
    site_of = sites(views)
    at: dict[Site, list[int]] = {}
    for index, now in enumerate(views):
        for site in {site_of[place(v)] for v in now if v.state == ThreadState.LOCK}:
            at.setdefault(site, []).append(index)
    return Holdings(site_of, {site: _holding(site, views, indices) for site, indices in at.items()})


def _waiters(site: Site, now: Sequence[View]) -> list[View]:
    return [v for v in now if v.state == ThreadState.LOCK and place(v) in site]


def _holding(site: Site, views: Views, at: Sequence[int]) -> Holding:
    waiters = [v for i in at for v in _waiters(site, views[i])]
    near = [candidates(site, views[i], near=True) for i in at]
    anyone = [found + candidates(site, views[i], near=False) for found, i in zip(near, at, strict=True)]
    chosen, from_far = _cover(near), _cover(anyone)
    is_near = chosen is not None and chosen[1] >= _NEAR
    if chosen is None or not is_near:
        chosen = from_far if from_far is not None and from_far[1] >= _FAR else (frozenset(), 0.0)
    holders, coverage = chosen
    held = [sum(v.owner.key in holders for v in now) for now in (near if is_near else anyone)]
    seen = [count for count in held if count]
    waiter, _ = Counter(v.owner.key for v in waiters).most_common(1)[0]
    concurrent = float(np.mean(seen)) if seen else 0.0
    shared = _shared(site, views, at)
    kinds = {thread_group(v.sample) for v in waiters}
    helpers = [thread_group(v.sample) not in kinds for now in anyone for v in now if v.owner.key in holders]
    handoff = not is_near and shared < 0.5 and bool(helpers) and float(np.mean(helpers)) > 0.5
    return Holding(waiter, holders, coverage, concurrent, shared, len(waiters) / len(views), is_near, handoff)


def candidates(site: Site, now: Sequence[View], *, near: bool) -> list[View]:
    """Busy threads that may hold what `site` waits for: past the acquiring function (`near`), or anywhere else."""
    waiting = _waiters(site, now)
    pids = {v.sample.pid for v in waiting}
    owners = {v.owner.key for v in waiting}
    everywhere = all(named for _, named in site)  # a file lock or the like: any process may hold it
    acquiring = {calls[-1] for calls, _ in site if calls}
    doors = {(v.calls[-1:], v.line) for v in waiting if v.line is not None}
    found = []
    for other in now:
        # One that runs at the very line where the others wait is on its way in, or was only just let through.
        if other.state in _RUNS and (other.calls[-1:], other.line) in doors:
            continue
        if any(other is w for w in waiting) or other.parked_path or not (everywhere or other.sample.pid in pids):
            continue
        past = not owners.isdisjoint(other.app) or not acquiring.isdisjoint(other.calls)
        if past is near and (near or other.owner.is_app):
            found.append(other)
    return found


def _cover(seen: Sequence[Sequence[View]]) -> tuple[frozenset[Key], float] | None:
    """The fewest functions of which one is nearly always there, and how often one is; None when there is nobody.

    Greedy set cover. Between functions that are there about equally often, the one whose count varies least goes first: while
    somebody waits, the holders of a lock or a pool number exactly its size, whereas bystanders come and go as Poisson does.
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
        gains = {key: float((covered | (count > 0)).mean() - covered.mean()) for key, count in counts.items()}
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


def _shared(site: Site, views: Views, at: Sequence[int]) -> float:
    same = total = 0
    for index in at:
        waits = [(v.sample.pid, v.sample.wait_on) for v in _waiters(site, views[index])]
        if len(waits) > 1:
            total += len(waits)
            same += sum(waits.count(wait) > 1 for wait in waits)
    return same / total if total else 0.0
