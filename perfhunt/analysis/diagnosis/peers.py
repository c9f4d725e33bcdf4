"""What the target's peers are to its requests: who waits for them, for how long, and what they used
of the cores meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from perfhunt.analysis.blame.charge import Cause
from perfhunt.analysis.blame.frames import FunctionKey
from perfhunt.analysis.blame.idle import CLIENT_SOCKET
from perfhunt.analysis.blame.reading import EvidenceReading, SpanReading
from perfhunt.analysis.blame.snapshots import kind_of
from perfhunt.analysis.diagnosis.costs import WAITS_FOR_OTHERS, Cost, destinations, unseen
from perfhunt.analysis.diagnosis.suspects import Suspects
from perfhunt.model.states import Peer, PeerKind, ThreadState
from perfhunt.model.units import Cores, PerSecond, Seconds, Share, format_share

_SOCKET, _SLEEP = str(ThreadState.SOCKET), str(ThreadState.SLEEP)


@dataclass(frozen=True, slots=True)
class Saying:
    """From when something about a peer is worth a clause."""

    queued: float = 0.2  # mean threads of it that wait for a core
    waiting: float = 0.2  # mean threads of it that wait on the same endpoint
    share: Share = 0.2  # of its work that waits for a lock or for storage
    busiest: Share = 0.8  # of its busiest thread's time: that thread is what it has no more of


SAYING = Saying()


@dataclass(frozen=True, slots=True, eq=False)
class PeerLoad:
    """A peer at the knee; no two are alike.

    `waiting` is mean threads of the target, or `kind_of_waiters`, that wait for it; `added` the
    latency that load added by waits for it, `standing` all such at the knee: seconds per request.
    `cpu` is what it used for the target. `waiter` waits for it most, `wait` seconds per request;
    `waiters` is each function's part of all such waits, `slept` these functions' part of the time
    asleep.
    """

    peer: Peer
    waiting: float = 0.0
    kind_of_waiters: str = "threads"
    added: Seconds = 0.0
    standing: Seconds = 0.0
    cpu: Cores = 0.0
    waiter: str = ""
    wait: Seconds = 0.0
    waiters: Mapping[FunctionKey, Share] = field(default_factory=dict)
    slept: Share = 0.0

    @property
    def kind(self) -> PeerKind:
        return self.peer.kind

    @property
    def saturation(self) -> Share:
        """How much of the cores that it may use it used; of one core's time, where one thread of it
        does nearly all.
        """
        of_cores = (self.peer.cores or 0.0) / self.peer.allowed if self.peer.allowed else 0.0
        return max(of_cores, self.peer.busiest or 0.0) if self.is_serial else of_cores

    @property
    def is_serial(self) -> bool:
        """Whether one thread of it does nearly all that it does: it can use no more than a core."""
        wanted = (self.peer.cores or 0.0) + (self.peer.queued or 0.0)
        return wanted > 0 and (self.peer.busiest or 0.0) >= SAYING.busiest * wanted

    @property
    def sentences(self) -> tuple[str, ...]:
        """What it did and who waits for it, with the numbers."""
        used = used_words(self.peer)
        waits = ""
        if self.waiter:
            whom = "it" if used else self.peer.name
            waits = f"`{self.waiter}` waits for {whom} {self.wait * 1e3:.3g} ms per request"
        elif self.waiting:
            waits = (
                f"{self.waiting:.2f} {self.kind_of_waiters} waited on {self.peer.name} on average"
            )
        first = "; ".join(filter(None, (used, waits)))
        own = (f"{self.peer.name}: {sentence}" for sentence in doings(self.peer))
        note = f"{self.peer.note[0].upper()}{self.peer.note[1:]}." if self.peer.note else ""
        return tuple(filter(None, (first and f"{first}.", *own, note)))


def used_words(peer: Peer) -> str:
    """`postgres used 0.81 cores and wanted 0.40 more`; "" when it could not be looked at."""
    if peer.cores is None:
        return ""
    queued = peer.queued or 0.0
    wanting = f" and wanted {queued:.2f} more" if queued > SAYING.queued else ""
    return f"{peer.name} used {peer.cores:.2f} cores{wanting}"


def peer_at(endpoint: str, reading: SpanReading) -> Peer | None:
    """The peer that an endpoint leads to; None when nobody looked behind it."""
    peers = reading.span.peers or ()
    return next((peer for peer in peers if endpoint in peer.addresses), None)


def doings(peer: Peer) -> list[str]:
    """What a peer itself waits for or is full with, as clauses."""
    said = []
    if peer.locked >= SAYING.share:
        said.append(f"its backends waited for a lock {peer.locked:.2f} of the time they had work.")
    if peer.at_disk >= SAYING.share:
        said.append(f"{format_share(peer.at_disk)} of its work was waiting for storage.")
    endpoint = max(peer.waits_on, key=lambda name: peer.waits_on[name], default="")
    if endpoint and peer.waits_on[endpoint] >= SAYING.waiting:
        waits = f"{peer.waits_on[endpoint]:.2f} threads of it waited on {endpoint}"
        said.append(f"{waits} themselves.")
    only = len(peer.processes) <= 1 and (peer.allowed or 1.0) > 1.0
    if only and peer.busiest is not None and peer.busiest >= SAYING.busiest:
        said.append(
            f"one thread of it ran, or wanted to, {format_share(peer.busiest)} of the time."
        )
    return said


def peer_loads(reading: EvidenceReading, suspects: Suspects) -> tuple[PeerLoad, ...]:
    """Every peer at the knee, the one that is waited for most first. An endpoint that threads wait
    on, and nobody looked behind, is a peer of which nothing else is known.
    """
    knee, base = reading.knee, reading.baseline
    at_knee = _waits(suspects.at_knee, knee)
    at_base = [] if base is None else _waits(suspects.at_baseline, base, knee)
    threads = _threads(knee)
    connected = knee.span.resources.connections if knee.span.resources else {}
    before = {peer.addresses: peer for peer in (base.span.peers or ())} if base else {}
    asleep = {key: cost.waits.get(_SLEEP, 0.0) for key, cost in suspects.at_knee.items()}
    loads = []
    for peer in _peers(knee, [*threads, *connected]):
        now = [w for w in at_knee if w.endpoint in peer.addresses]
        was = sum(w.seconds for w in at_base if w.endpoint in peer.addresses)
        whole = sum(w.seconds for w in now)
        own = _by_function(now)
        waiter = max(own, key=lambda key: own[key], default=("", ""))
        loads.append(
            PeerLoad(
                peer=peer,
                waiting=sum(threads.get(address, 0.0) for address in peer.addresses),
                kind_of_waiters=kind_of(
                    s for s in chain(*knee.snapshots) if s.sample.wait_on in peer.addresses
                ),
                added=whole - was,
                standing=whole,
                cpu=_for_the_target(peer, _same(peer, before), reading),
                waiter=waiter[0],
                wait=own.get(waiter, 0.0),
                waiters={key: value / sum(own.values()) for key, value in own.items() if value},
                slept=sum(asleep.get(key, 0.0) for key in own) / (sum(asleep.values()) or 1.0),
            )
        )
    return tuple(sorted(loads, key=lambda load: (-load.waiting, -load.cpu, load.peer.name)))


class _Waits(NamedTuple):
    """Seconds per request that a function spends on waits that lead to one endpoint (`own`), and
    with those of requests that no thread had meanwhile.
    """

    key: FunctionKey
    endpoint: str
    own: Seconds
    seconds: Seconds


def _by_function(waits: Iterable[_Waits]) -> dict[FunctionKey, Seconds]:
    seconds: dict[FunctionKey, Seconds] = {}
    for wait in waits:
        seconds[wait.key] = seconds.get(wait.key, 0.0) + wait.own
    return seconds


def _peers(knee: SpanReading, endpoints: Iterable[str]) -> list[Peer]:
    """The peers that were looked at, and those of whom only an endpoint is known."""
    seen = list(knee.span.peers or ())
    known = {address for peer in seen for address in peer.addresses}
    return seen + [
        Peer(address or "a socket", (address,), 0.0)
        for address in dict.fromkeys(endpoints)
        if address not in known
    ]


def _same(peer: Peer, before: Mapping[tuple[str, ...], Peer]) -> Peer | None:
    return next((was for was in before.values() if set(was.addresses) & set(peer.addresses)), None)


def _for_the_target(peer: Peer, before: Peer | None, reading: EvidenceReading) -> Cores:
    """Cores it used on the target's behalf: what grows with the target's load, of it, without the
    part of others that are connected to it as well.
    """
    cores: Cores = peer.cores or 0.0
    knee, base = reading.knee.span, reading.baseline.span if reading.baseline else None
    rate: PerSecond = knee.completed
    if before is not None and before.cores is not None and base and rate > base.completed:
        grows = (cores - before.cores) / (rate - base.completed)
        cores = min(cores, max(0.0, grows * rate))
    whole = peer.connections + peer.others
    # A process per connection has a title for it; those that served others are not in its CPU.
    return cores if peer.doing or not whole else cores * peer.connections / whole


def _threads(knee: SpanReading) -> dict[str, float]:
    """Mean threads, and coroutines, waiting on each endpoint that is no client."""
    if not knee.has_instants and knee.span.states is not None:
        exact = knee.span.states.endpoints()
        return {at: n for at, n in exact.items() if not at.startswith(CLIENT_SOCKET)}
    means: dict[str, float] = {}
    for leads in destinations(knee).values():
        for endpoint, weight in leads.items():
            if not endpoint.startswith(CLIENT_SOCKET):
                means[endpoint] = means.get(endpoint, 0.0) + weight / len(knee.snapshots)
    return means


def _waits(
    costs: Mapping[FunctionKey, Cost], reading: SpanReading, elsewhere: SpanReading | None = None
) -> list[_Waits]:
    """What leads to each endpoint, by function."""
    waits = []
    for key, leads in destinations(reading, elsewhere).items():
        cost = costs.get(key)
        if cost is None:
            continue
        own = sum(cost.waits.get(state, 0.0) for state in WAITS_FOR_OTHERS)
        own += cost.queued(Cause.PEER)
        all_of_it = own + cost.queues.get((unseen(_SOCKET), _SOCKET), 0.0)
        parts = {endpoint: n / sum(leads.values()) for endpoint, n in leads.items()}
        waits += [_Waits(key, at, own * part, all_of_it * part) for at, part in parts.items()]
    return waits
