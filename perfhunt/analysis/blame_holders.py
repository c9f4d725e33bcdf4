"""Who holds what others wait for, found from which functions are always there while somebody waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perfhunt.analysis.blame_views import Site, View, Views
from perfhunt.analysis.frames import Key
from perfhunt.model.states import ThreadState

_NEAR = 0.5  # least share of waits during which a holder in the acquiring function itself must be seen
_FAR = 0.6  # the same for holders elsewhere, where a bystander is easily mistaken for one
_ENOUGH = 0.95
_GAIN = 0.08
_TIE = 0.1


@dataclass(frozen=True, slots=True)
class Holding:
    """What is known of one place where threads wait for each other.

    `holders` are the functions that hold; `coverage` the share of waits during which one was seen; `concurrent` how many
    threads held at once, on average; `shared` the share of waiters that waited on the same address as another (a mutex
    wakes everyone from one address, a condition or a pool gives each waiter its own); `near`: the holder had passed the
    very place where the others wait.
    """

    waiter: Key
    holders: frozenset[Key]
    coverage: float
    concurrent: float
    shared: float
    waiting: float
    near: bool


def holdings(views: Views) -> Mapping[Site, Holding]:
    """The holder of every wait site that was seen. A site without a credible holder has empty `holders`."""
    sites: dict[Site, list[int]] = {}
    for index, now in enumerate(views):
        for site in {v.site for v in now if v.state == ThreadState.LOCK}:
            sites.setdefault(site, []).append(index)
    return {site: _holding(site, views, at) for site, at in sites.items()}


def _holding(site: Site, views: Views, at: Sequence[int]) -> Holding:
    waiters = [v for i in at for v in views[i] if v.state == ThreadState.LOCK and v.site == site]
    near = [candidates(site, views[i], near=True) for i in at]
    far = [candidates(site, views[i], near=False) for i in at]
    chosen, coverage, is_near = _cover(near), 0.0, True
    if chosen is not None and chosen[1] >= _NEAR:
        holders, coverage = chosen
    else:
        everyone = [n + f for n, f in zip(near, far, strict=True)]
        found = _cover(everyone)
        holders, coverage = found if found is not None and found[1] >= _FAR else (frozenset(), 0.0)
        is_near = False
    pool = near if is_near else [n + f for n, f in zip(near, far, strict=True)]
    held = [sum(v.owner.key in holders for v in now) for now in pool]
    seen = [count for count in held if count]
    return Holding(
        waiters[0].owner.key, holders, coverage, float(np.mean(seen)) if seen else 0.0, _shared(views, site, at),
        len(waiters) / len(views), is_near,
    )  # fmt: skip


def candidates(site: Site, now: Sequence[View], *, near: bool) -> list[View]:
    """Busy threads that may hold what `site` waits for: past the acquiring function (`near`), or anywhere else in it."""
    waiting = [v for v in now if v.state == ThreadState.LOCK and v.site == site]
    pids = {v.sample.pid for v in waiting}
    own = waiting[0].owner.key if waiting else None
    found = []
    for other in now:
        if other in waiting or (not site[1] and other.sample.pid not in pids) or other.parked_path:
            continue
        past = own in other.app or (bool(site[0]) and site[0][-1] in other.calls)
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


def _shared(views: Views, site: Site, at: Sequence[int]) -> float:
    same = total = 0
    for index in at:
        waits = [(v.sample.pid, v.sample.wait_on) for v in views[index] if v.state == ThreadState.LOCK and v.site == site]
        if len(waits) > 1:
            total += len(waits)
            same += sum(waits.count(wait) > 1 for wait in waits)
    return same / total if total else 0.0
