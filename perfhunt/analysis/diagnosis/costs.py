"""What each function cost a request, with the doubt of it: its own CPU, its own waits, and the
queues it held up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import hypot, sqrt

import numpy as np
from scipy import stats

from perfhunt.analysis.blame.charge import Cause, ThreadCounts
from perfhunt.analysis.blame.evidence import Span
from perfhunt.analysis.blame.frames import FunctionKey
from perfhunt.analysis.blame.reading import SpanReading
from perfhunt.model.interval import Interval
from perfhunt.model.states import Peer, ThreadState
from perfhunt.model.units import Seconds, Share

# Variance over mean of a count of samples: samples of one request follow each other, so counts vary
# more than Poisson's, whose ratio is 1.
_DISPERSION = 2.0
# Blocks that a series of instants is cut into for the error of its mean (batch means), and the
# fewest instants in one.
_BLOCKS = 16
_SHORTEST_BLOCK = 3
# Student's t for 95 % with a degree of freedom less than there are blocks.
STUDENT_T = float(stats.t.ppf(0.975, _BLOCKS - 1))
# The same to three digits, as growth has always been given.
STUDENT_T_ROUNDED = 2.13
# How the cause of a charge begins that is for requests no thread had: they waited while threads
# were in the state that follows.
_UNSEEN = "unseen:"
_ON_CPU = str(ThreadState.ON_CPU)
# States of waits for what is at the other end of a connection; a coroutine's have no thread.
WAITS_FOR_OTHERS = (str(ThreadState.SOCKET), str(ThreadState.AWAIT))
# Waits that do not say on what they are.
_UNNAMED = ("", "socket", "unix")
# Of the connections to a peer that is at rest, the part that may be waited on all the same: what it
# does may not show as work (it waits for others itself).
_IDLE_PEER = 0.1
# Of what the parts of a request grew by, the part by which its answers took longer: below the first
# the parts grew by chance, as others shrank, and from the second on it is their growth.
_GROWTH = (0.1, 0.3)


def unseen(kind: str) -> str:
    """The name of the same kind of time for requests that no thread had."""
    return _UNSEEN + kind


def is_unseen(kind: str) -> bool:
    """Whether a kind of time is that of requests which no thread had."""
    return kind.startswith(_UNSEEN)


@dataclass(slots=True)
class Cost:
    """Seconds per request of one function: `cpu` on top of a CPU, `waits` by state, `queues` that
    it is charged with by (cause, what it was doing). `error` is the standard error of `blamed`,
    `own_error` that of `own`.
    """

    key: FunctionKey
    cpu: Seconds = 0.0
    waits: dict[str, Seconds] = field(default_factory=dict)
    queues: dict[tuple[str, str], Seconds] = field(default_factory=dict)
    error: Seconds = 0.0
    own_error: Seconds = 0.0

    @property
    def own(self) -> Seconds:
        return self.cpu + sum(self.waits.values())

    @property
    def blamed(self) -> Seconds:
        return self.own + sum(self.queues.values())

    def queued(self, *causes: str) -> Seconds:
        """The part of the blame that came by these causes, within threads or before them."""
        return sum(
            value
            for (cause, _), value in self.queues.items()
            if cause.removeprefix(_UNSEEN) in causes
        )

    @property
    def running(self) -> Seconds:
        """What it takes of the cores: by itself, and for collecting what it left."""
        return self.cpu + self.queues.get((Cause.COLLECTOR, _ON_CPU), 0.0)

    @property
    def unseen(self) -> Seconds:
        """The part of the blame that is requests which no thread had."""
        return sum(value for (cause, _), value in self.queues.items() if is_unseen(cause))

    def charge(self, cause: str, doing: str, value: Seconds) -> None:
        """Add to a queue that the function held up."""
        self.queues[(cause, doing)] = self.queues.get((cause, doing), 0.0) + value

    def joined(self, other: Cost) -> Cost:
        """Both costs as this function's; their errors are independent."""
        whole = Cost(self.key, cpu=self.cpu + other.cpu)
        for cost in (self, other):
            for state, value in cost.waits.items():
                whole.waits[state] = whole.waits.get(state, 0.0) + value
            for (cause, doing), value in cost.queues.items():
                whole.charge(cause, doing, value)
        whole.error = hypot(self.error, other.error)
        whole.own_error = hypot(self.own_error, other.own_error)
        return whole


def certainty_of_growth(
    knee: SpanReading, baseline: SpanReading | None, added: Iterable[Seconds]
) -> Share:
    """How sure it is, 0 to 1, that answers took longer at the knee, where their parts grew by
    `added`; 1 where nobody timed them.
    """
    now = (knee.span.waits or knee.span).service
    before = baseline.span.service if baseline is not None else None
    grown = sum(value for value in added if value > 0)
    if now is None or before is None or not grown:
        return 1.0
    return float(np.interp((now - before) / grown, _GROWTH, (0.0, 1.0)))


def costs_of(reading: SpanReading) -> dict[FunctionKey, Cost]:
    """The cost of every function in a span, per completed request; empty when nothing was
    completed.
    """
    rate = reading.span.completed
    if not rate:
        return {}
    costs = _cpu_costs(reading)
    series: dict[FunctionKey, list[ThreadCounts]] = {}
    for (key, cause, doing), counts in reading.account.blamed.items():
        if cause == Cause.OWN and doing == _ON_CPU:
            continue
        cost = costs.setdefault(key, Cost(key))
        own_part = reading.own_part if cause == ThreadState.RUN_QUEUE else 1.0
        value = float(counts.mean()) / rate * own_part
        if cause == Cause.OWN:
            cost.waits[doing] = cost.waits.get(doing, 0.0) + value
        else:
            cost.charge(cause, doing, value)
        series.setdefault(key, []).append(counts)
    for key, counts in _behind_peers(reading).items():
        cost = costs.setdefault(key, Cost(key))
        cost.charge(Cause.PEER, str(ThreadState.SOCKET), float(counts.mean()) / rate)
        series.setdefault(key, []).append(counts)
    waits = _own_waits(reading)
    for key, all_counts in series.items():
        cost, own = costs[key], mean_error(waits[key]) if key in waits else 0.0
        cost.error = sqrt(cost.error**2 + (mean_error(np.sum(all_counts, axis=0)) / rate) ** 2)
        cost.own_error = sqrt(cost.own_error**2 + (own / rate) ** 2)
    for (key, cause), (threads, n) in reading.contended.items():
        cost, value = costs.setdefault(key, Cost(key)), threads / rate
        cost.charge(cause, ThreadState.LOCK, value)
        cost.error = sqrt(cost.error**2 + _DISPERSION / n * value**2)
    return costs


def destinations(
    reading: SpanReading, elsewhere: SpanReading | None = None
) -> dict[FunctionKey, dict[str, float]]:
    """Where the waits of each function for others lead: endpoint -> weight, in samples. A wait that
    does not say on what it is (a coroutine's) leads to where the target is connected; where it was
    seen connected to nothing, to where it was `elsewhere`.
    """
    likely = _likely(reading.span)
    if not likely and elsewhere is not None:
        likely = _likely(elsewhere.span)
    leads: dict[FunctionKey, dict[str, float]] = {}
    for snapshot in (s for present in reading.snapshots for s in present):
        if snapshot.state not in WAITS_FOR_OTHERS:
            continue
        on = snapshot.sample.wait_on
        named = on not in _UNNAMED or (snapshot.state == ThreadState.SOCKET and not likely)
        to = leads.setdefault(snapshot.owner.key, {})
        for endpoint, part in ({on: 1.0} if named else likely).items():
            to[endpoint] = to.get(endpoint, 0.0) + part
    return leads


def _likely(span: Span) -> dict[str, Share]:
    """Where a wait leads that does not say so: to the peers by how much they were at work, and
    little to those that were not.
    """
    peers = span.peers or ()
    weights = {p.addresses[0]: _at_work(p) for p in peers} if peers else {}
    if not peers and span.resources is not None:
        weights = {endpoint: float(n) for endpoint, n in span.resources.connections.items()}
    whole = sum(weights.values())
    return {endpoint: weight / whole for endpoint, weight in weights.items()} if whole else {}


def _at_work(peer: Peer) -> float:
    """Of the target's connections to a peer, how many it was likely at work for: all, where it
    could not be seen.
    """
    if peer.busy is None:
        return peer.connections
    return max(min(peer.busy, peer.connections), _IDLE_PEER * peer.connections)


def _behind_peers(reading: SpanReading) -> dict[FunctionKey, ThreadCounts]:
    """Threads that wait for a CPU which a peer has, per instant, by the functions that wait for the
    peer: it does their work.
    """
    peers = {
        address: peer.cores or 0.0
        for peer in reading.span.peers or ()
        for address in peer.addresses
    }
    weights = {
        key: sum(n * peers.get(endpoint, 0.0) for endpoint, n in leads.items())
        for key, leads in destinations(reading).items()
    }
    queued = [
        counts
        for (_, cause, _), counts in reading.account.blamed.items()
        if cause == ThreadState.RUN_QUEUE
    ]
    whole = sum(weights.values())
    if not (whole and queued and reading.peer_part):
        return {}
    behind = np.sum(queued, axis=0) * reading.peer_part / whole
    return {key: behind * weight for key, weight in weights.items() if weight}


def _cpu_costs(reading: SpanReading) -> dict[FunctionKey, Cost]:
    """The CPU seconds per request of every function, with their sampling error."""
    cpu = reading.cpu_per_request
    if cpu is None:
        cpu = reading.account.states().get(_ON_CPU, 0.0) / reading.span.completed
    costs: dict[FunctionKey, Cost] = {}
    for key, share in reading.use.shares().items():
        samples, own = reading.use.own[key], share * cpu
        error = share_error(own, share, samples)
        collecting = reading.use.collects.get(key, 0.0) / reading.use.samples * cpu
        costs[key] = Cost(key, cpu=own - collecting, error=error, own_error=error)
        if collecting:
            costs[key].charge(Cause.COLLECTOR, _ON_CPU, collecting)
    return costs


def share_error(own: float, share: Share, samples: float) -> float:
    """Standard error of a function's part, `own`, of an exact whole: it was on top in so many
    samples, which are that share of all.
    """
    return own * sqrt(_DISPERSION * max(1 - share, 0.0) / samples) if samples else 0.0


def _own_waits(reading: SpanReading) -> dict[FunctionKey, ThreadCounts]:
    """Threads of each function in a wait of its own (not in a queue), per instant."""
    series: dict[FunctionKey, list[ThreadCounts]] = {}
    for (key, cause, doing), counts in reading.account.blamed.items():
        if cause == Cause.OWN and doing != _ON_CPU:
            series.setdefault(key, []).append(counts)
    return {key: np.sum(all_counts, axis=0) for key, all_counts in series.items()}


def mean_error(counts: ThreadCounts) -> float:
    """Standard error of the mean of a series, from blocks long enough to forget each other."""
    means = [float(counts[start:end].mean()) for start, end in _blocks(len(counts))]
    if len(means) < 2:
        return float(counts.mean())
    return float(np.std(means, ddof=1)) / sqrt(len(means))


def _blocks(count: int) -> Sequence[tuple[int, int]]:
    """Index ranges that cut `count` instants into equal blocks, fewer when there are few."""
    blocks = max(1, min(_BLOCKS, count // _SHORTEST_BLOCK or 1, count))
    return list(pairwise(round(i * count / blocks) for i in range(blocks + 1)))


def interval(value: float, error: float, n: int) -> Interval:
    """A 95 % interval by Student's t with 15 degrees of freedom (16 blocks); never below 0 for a
    time.
    """
    reach = STUDENT_T * error
    return Interval(value, max(0.0, value - reach), value + reach, n)


def growth_interval(
    before: tuple[Seconds, Seconds], after: tuple[Seconds, Seconds], n: int
) -> Interval:
    """The 95 % interval of what a time grew by, from two of them, each with its standard error; it
    may lie below 0.
    """
    growth = after[0] - before[0]
    reach = STUDENT_T_ROUNDED * sqrt(after[1] ** 2 + before[1] ** 2)
    return Interval(growth, growth - reach, growth + reach, n)
