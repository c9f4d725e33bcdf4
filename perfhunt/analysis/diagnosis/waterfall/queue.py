"""The time of a request before a thread has it: in a socket that no thread has read, or ready for
an event loop that is busy.

A socket with an unread request is seen from outside. The rest of the queue no thread shows: it is
what is left of the latency, and it is called a queue only where the resource that it would be for
was seen to be taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from perfhunt.analysis.blame.charge import Blame, Cause
from perfhunt.analysis.blame.reading import EvidenceReading, SpanReading
from perfhunt.analysis.diagnosis.features import Features
from perfhunt.analysis.diagnosis.limiting import (
    STOPPED,
    Limiting,
    LimitingResource,
    users_of_threads,
)
from perfhunt.analysis.diagnosis.waterfall.parts import NOBODY, ONE_LINE, PartKey, kind_of
from perfhunt.model.finding import LatencyPart
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Share

# Of an event loop's time: from here a request that comes finds it busy more often than not, for
# Poisson arrivals see time averages (Wolff 1982).
LOOP_TAKEN: Share = 0.5


@dataclass(frozen=True, slots=True)
class QueueFor:
    """What requests queue for before a thread has them, and by what share each use of it keeps
    them; `certain`: it was seen to be taken.
    """

    kind: LatencyPart
    users: dict[PartKey, Share]
    certain: bool


def queue_for(reading: EvidenceReading, features: Features, limiting: Limiting) -> QueueFor:
    """The queue that requests of this service stand in at the knee."""
    knee = reading.knee
    group = max(knee.pools, key=lambda g: knee.pools[g].busy, default=())
    if features.loop is not None and features.pool_is_loop and group in knee.account.by_group:
        users = users_of_threads(knee, group)
        certain = features.loop.taken >= LOOP_TAKEN
        return QueueFor(LatencyPart.LOOP, _shares(LatencyPart.LOOP, users), certain)
    certain, users = limiting.resource is not LimitingResource.AWAIT, limiting.users
    if not certain and group in knee.account.by_group:
        users = users_of_threads(knee, group)
    shares = _shares(LatencyPart.QUEUED, users)
    if limiting.resource is LimitingResource.CPU and (stopped := _stopped(knee)):
        shares = {key: (1.0 - stopped) * share for key, share in shares.items()}
        shares[PartKey(LatencyPart.QUEUED, NOBODY, LatencyPart.RUN_QUEUE)] = stopped
    return QueueFor(LatencyPart.QUEUED, shares, certain)


def _stopped(knee: SpanReading) -> Share:
    """For how much of the time in which the service could have run its CPU quota kept it from that:
    it ran on as many cores as it wanted for the rest.
    """
    resources, trial = knee.span.resources, knee.span.trial
    if resources is None or (resources.throttled or 0.0) < STOPPED:
        return 0.0
    states = knee.account.states()
    ran, waited = (states.get(state, 0.0) for state in (ThreadState.ON_CPU, ThreadState.RUN_QUEUE))
    host = (trial.interference.cores if trial is not None and trial.interference else None) or inf
    return max(0.0, 1.0 - ran / min(ran + waited, host)) if ran else 0.0


def _shares(kind: LatencyPart, users: Blame) -> dict[PartKey, Share]:
    """By what the users of a resource do with it, the part of its queue; all of it to nobody in
    particular where that is not known.
    """
    weights: dict[PartKey, float] = {}
    for (function, cause, doing), weight in users.items():
        does = kind_of(doing if cause == Cause.OWN else cause)
        key = PartKey(kind, NOBODY if does in ONE_LINE else function, does)
        weights[key] = weights.get(key, 0.0) + weight
    whole = sum(weights.values())
    return {key: n / whole for key, n in weights.items()} if whole > 0 else {PartKey(kind): 1.0}
