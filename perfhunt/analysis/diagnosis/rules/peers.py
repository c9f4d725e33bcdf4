"""Whether what works for the target stops it: its database, or another service."""

from __future__ import annotations

from dataclasses import dataclass, replace

from perfhunt.analysis.blame.charge import Cause
from perfhunt.analysis.diagnosis.costs import unseen
from perfhunt.analysis.diagnosis.features import Features
from perfhunt.analysis.diagnosis.limiting import LimitingResource
from perfhunt.analysis.diagnosis.peers import PeerLoad
from perfhunt.analysis.diagnosis.rules.polled import asked_again, polled, slept_words
from perfhunt.analysis.diagnosis.rules.score import (
    ClassScore,
    RampBounds,
    as_sentence,
    nothing,
    of_added,
    outside_cpu,
    part,
    ramp,
)
from perfhunt.model.finding import BottleneckClass
from perfhunt.model.states import PeerKind, ThreadState
from perfhunt.model.units import Share

_NAMED = 2  # peers named in the evidence
# Requests that wait while no thread works on them, from which they are a queue and not the error of
# their number.
_LEAST_AWAITING = 1.0


@dataclass(frozen=True, slots=True)
class PeerThresholds:
    """When a peer is the reason."""

    added: RampBounds = (0.2, 0.6)  # share of added latency
    # Share of its time that an event loop's thread is blocked, beyond which its waits may be a
    # blocking call to that peer, and what of the score is left then.
    loop_blocked: Share = 0.2
    beside_blocked_loop: float = 0.6
    # Share of its time that an event loop's thread is on a CPU, and how much of the score that
    # takes: an answer that came is seen late by a loop that has no time.
    loop_on_cpu: RampBounds = (0.5, 0.9)
    busy_loop_takes: float = 0.7
    # Connections to the peer per request that waits: with fewer something rations them, and this
    # is left of the score.
    rationed: float = 0.5
    beside_rationing: float = 0.85
    # Share of the cores that peers and target filled together, or a peer those that it may use: as
    # for the target's own CPU.
    filled: RampBounds = (0.6, 0.9)
    # Of the CPU that target and peers used together, the peer's part: beyond the half it is its.
    of_cpu: RampBounds = (0.45, 0.65)
    # Share of added latency that waits for it, from which a full peer is full for the target.
    waited_for: RampBounds = (0.05, 0.2)
    by_status: float = 0.6  # the most that a proxy's word is worth: it does not say why


PEER = PeerThresholds()


def database(features: Features) -> ClassScore:
    """The target waits for where its data is kept, or that has the cores."""
    return _peers_of(features, PeerKind.DATABASE, BottleneckClass.DATABASE)


def downstream(features: Features) -> ClassScore:
    """The target waits for another service, or that has the cores; or a proxy says so."""
    waited = _peers_of(features, PeerKind.SERVICE, BottleneckClass.DOWNSTREAM)
    asked = polled(features) * asked_again(features)
    if asked > waited.value:
        again = f"{slept_words(features)}: requests sleep before they ask another service again."
        # What they wait for its answers is little beside that, and no reason.
        waited = replace(waited, value=asked, evidence=(again, *waited.evidence[:-1]))
    failures = features.failures
    if failures is None or not failures.of_proxy:
        return waited
    gave_up = PEER.by_status * failures.alike
    if gave_up <= waited.value:
        return waited
    sentence = f"{as_sentence(failures)}: a proxy gave up on what is behind it."
    return ClassScore(BottleneckClass.DOWNSTREAM, gave_up, (sentence,))


def _peers_of(features: Features, kind: PeerKind, category: BottleneckClass) -> ClassScore:
    awaited = awaited_for(features)
    loads = [load for load in features.peers if load.kind is kind]
    share_of = {load: _share(features, load, awaited.get(load, 0.0)) for load in loads}
    loads.sort(key=lambda load: -(share_of[load] + part(load.cpu, features.cores or 0.0)))
    if not loads:
        return nothing(category)
    share = min(1.0, sum(share_of.values()))
    waited = outside_cpu(features, ramp(share, PEER.added), features.of_cores)
    first = loads[0]
    if features.loop is not None:
        busy = ramp(features.loop.on_cpu, PEER.loop_on_cpu)
        waited *= 1.0 - PEER.busy_loop_takes * busy
        if features.loop.blocked > PEER.loop_blocked:
            waited *= PEER.beside_blocked_loop
    if awaited.get(first) and connections(features, first) < PEER.rationed * features.unseen:
        waited *= PEER.beside_rationing
    full = max(_filled(features, loads), *(_full(load, share_of[load]) for load in loads))
    named = [load for load in loads if share_of[load] > 0 or load.cpu > 0] or loads[:1]
    evidence = [sentence for load in named[:_NAMED] for sentence in load.sentences]
    evidence += [
        f"{connections(features, load)} connections to {load.peer.name} were open while"
        f" {features.unseen:.1f} requests waited that nothing in the service worked on."
        for load in named[:_NAMED]
        if awaited.get(load)
    ]
    evidence.append(f"That is {of_added(features, share)}.")
    return ClassScore(category, max(waited, full), tuple(evidence))


def _share(features: Features, load: PeerLoad, awaiting: float) -> Share:
    """The share of added latency that waits for a peer, of threads and of coroutines."""
    threads = features.share_of(load.added if features.compared else load.standing)
    coroutines = features.share(unseen(Cause.AWAIT)) * part(awaiting, features.unseen)
    # Without stacks the kernel says how long threads waited on each endpoint, and not which did.
    here = sum(features.endpoints.get(address, 0.0) for address in load.peer.addresses)
    by_state = part(here, sum(features.endpoints.values()))
    return threads + coroutines + by_state * features.share_anywhere(ThreadState.SOCKET)


def _filled(features: Features, loads: list[PeerLoad]) -> float:
    """The cores are full, and mostly with what these do for the target."""
    theirs = sum(load.cpu for load in loads)
    whole = (features.cpu or 0.0) + sum(load.cpu for load in features.peers)
    return ramp(features.filled, PEER.filled) * ramp(part(theirs, whole), PEER.of_cpu)


def _full(load: PeerLoad, share: Share) -> float:
    """The peer has no more to give, and it is waited for."""
    return ramp(load.saturation, PEER.filled) * ramp(share, PEER.waited_for)


def is_awaited(features: Features) -> bool:
    """Whether requests wait that no thread works on, while nothing inside is full."""
    return features.limiting is LimitingResource.AWAIT and features.unseen >= _LEAST_AWAITING


def connections(features: Features, load: PeerLoad) -> int:
    """How many connections the target had to a peer, the most that were seen."""
    seen = sum(features.connections.get(address, 0) for address in load.peer.addresses)
    return max(seen, round(load.peer.connections))


def awaited_for(features: Features) -> dict[PeerLoad, float]:
    """How many of the requests that wait while an event loop idles wait for each peer: as many as
    it is seen to work on, and of the others its part of the connections.
    """
    if not is_awaited(features):
        return {}
    open_to = {load: connections(features, load) for load in features.peers}
    at_work = {load: min(load.peer.busy or 0.0, float(n)) for load, n in open_to.items()}
    seen = min(1.0, part(features.unseen, sum(at_work.values())) or 1.0)
    left = max(0.0, features.unseen - sum(at_work.values()))
    whole = sum(open_to.values())
    return {load: at_work[load] * seen + left * part(n, whole) for load, n in open_to.items() if n}
