"""Where threads wait for each other: places in the code, joined when they are seen to wait for the
same lock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from perfhunt.analysis.blame.frames import CallPath
from perfhunt.analysis.blame.snapshots import CHANNEL, FUTEX, PACED, Snapshot, Snapshots
from perfhunt.model.units import Share

# The calls down to the one that waits, and what any process may wait for ("" if none).
WaitSite: TypeAlias = tuple[CallPath, str]
# The sites whose waiters wait for the same lock.
LockSites: TypeAlias = frozenset[WaitSite]
_Address: TypeAlias = tuple[int, str]  # process and what its thread sleeps on

# Of the waits at a site on one known lock, the share from which the site belongs to that lock: a
# majority, so that it can belong to one only.
SAME_LOCK: Share = 0.5
# Of the waits, or of the instants with one, the share from which time ends them: a majority.
BY_TIME: Share = 0.5


def wait_site(snapshot: Snapshot) -> WaitSite:
    """Where a thread waits. Locks in memory are a process's own; a file lock or a semaphore is
    named, for all to see.
    """
    target = snapshot.sample.wait_on
    return snapshot.calls, "" if target.startswith(FUTEX) else target


def waiters_at(sites: LockSites, present: Sequence[Snapshot]) -> list[Snapshot]:
    """The threads that wait at some sites."""
    return [s for s in present if s.waits_inside and wait_site(s) in sites]


def address_shared(sites: LockSites, instants: Sequence[Sequence[Snapshot]]) -> Share:
    """The share of waiters, where there are several, on an address that another sleeps on too."""
    same = total = 0
    for present in instants:
        waits = [(s.sample.pid, s.sample.wait_on) for s in waiters_at(sites, present)]
        if len(waits) > 1:
            total += len(waits)
            same += sum(waits.count(wait) > 1 for wait in waits)
    return same / total if total else 0.0


def let_go_by_time(sites: LockSites, instants: Sequence[Sequence[Snapshot]]) -> bool:
    """Whether time alone ends the waits at `sites`: each was given its own end, or they are at
    channels (permits of a semaphore that counts are had by somebody) while mostly nobody is at work
    who could have what they wait for. Who has a lock is there for as long as others wait for it.
    """
    waiters = paced = at_channel = alone = 0
    for present in instants:
        here = waiters_at(sites, present)
        waiters += len(here)
        paced += sum(s.sample.wait_on.startswith(PACED) for s in here)
        at_channel += sum(s.sample.wait_on.startswith(CHANNEL) for s in here)
        alone += not any(not s.on_idle_path and s not in here for s in present)
    given_ends, nobody = paced > BY_TIME * waiters, alone > BY_TIME * len(instants)
    return given_ends or (at_channel > BY_TIME * waiters and nobody)


@dataclass(slots=True)
class _Sightings:
    """Waits by site, by the address that was slept on, and the addresses that were shared.

    An address on which two threads were seen to sleep at the same moment is a lock; one that is
    seen with a single sleeper at a time may be anything (each waiter of a condition has its own,
    and the allocator gives them out again).
    """

    by_site: Counter[WaitSite] = field(default_factory=Counter)
    by_address: dict[_Address, Counter[WaitSite]] = field(default_factory=dict)
    shared: set[_Address] = field(default_factory=set)


def joined_sites(snapshots: Snapshots) -> Mapping[WaitSite, LockSites]:
    """For every site where threads wait for a lock, all sites that wait for the same one: itself,
    and the others whose waiters sleep on the same address.
    """
    sightings = _sightings(snapshots)
    parent = {site: site for site in sightings.by_site}
    for address in sorted(sightings.shared):
        waits = sightings.by_address[address]
        chief = max(waits, key=lambda site: (waits[site], site))
        for site, count in waits.items():
            if count >= SAME_LOCK * sightings.by_site[site]:
                parent[_root(site, parent)] = _root(chief, parent)
    joined: dict[WaitSite, set[WaitSite]] = {}
    for site in parent:
        joined.setdefault(_root(site, parent), set()).add(site)
    return {site: frozenset(joined[_root(site, parent)]) for site in parent}


def _sightings(snapshots: Snapshots) -> _Sightings:
    sightings = _Sightings()
    for present in snapshots:
        sleepers: Counter[_Address] = Counter()
        for waiter in (s for s in present if s.waits_inside):
            address, site = (waiter.sample.pid, waiter.sample.wait_on), wait_site(waiter)
            sleepers[address] += 1
            sightings.by_site[site] += 1
            sightings.by_address.setdefault(address, Counter())[site] += 1
        sightings.shared |= {
            address for address, count in sleepers.items() if count > 1 and address[1]
        }
    return sightings


def _root(site: WaitSite, parent: Mapping[WaitSite, WaitSite]) -> WaitSite:
    while parent[site] != site:
        site = parent[site]
    return site
