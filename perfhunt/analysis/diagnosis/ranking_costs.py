"""What each function cost a request, with the doubt of it: its own CPU, its own waits, and the
queues it held up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt

import numpy as np
from scipy import stats

from perfhunt.analysis.blame.charge import NOBODY, OWN, Charges, Series
from perfhunt.analysis.blame.frames import Key
from perfhunt.analysis.blame.reading import EvidenceReading, SpanReading, on_cpu
from perfhunt.analysis.blame.snapshots import windows
from perfhunt.model.interval import Interval
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Seconds, Share

# before the cause of a charge: requests that waited for a thread while threads waited for that
UNSEEN = "unseen:"
SATURATED: Share = (
    0.85  # of what a resource can do: from here its queue, not the work, decides latency
)
EXHAUSTED: Share = 0.7  # of a pool's threads
AWAIT = "await"
_DISPERSION = (
    2.0  # samples of one request follow each other, so counts vary more than Poisson's would
)
_ON_CPU = str(ThreadState.ON_CPU)


@dataclass(slots=True)
class Cost:
    """Seconds per request of one function: `cpu` on top of a CPU, `waits` by state, `queues` it is
    charged with by cause.
    """

    key: Key
    cpu: Seconds = 0.0
    waits: dict[str, Seconds] = field(default_factory=dict)
    queues: dict[tuple[str, str], Seconds] = field(default_factory=dict)  # (cause, doing)
    error: float = 0.0  # standard error of `blamed`
    own_error: float = 0.0

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
            if cause.removeprefix(UNSEEN) in causes
        )

    @property
    def unseen(self) -> Seconds:
        """The part of the blame that is requests which no thread had."""
        return sum(value for (cause, _), value in self.queues.items() if cause.startswith(UNSEEN))


def costs(reading: SpanReading) -> dict[Key, Cost]:
    """The cost of every function in a span, per completed request; empty when nothing was
    completed.
    """
    rate = reading.span.completed
    if not rate:
        return {}
    found: dict[Key, Cost] = {}
    shares = reading.use.shares()
    busy = (
        reading.cpu if reading.cpu is not None else reading.ledger.states().get(_ON_CPU, 0.0) / rate
    )
    for key, share in shares.items():
        cost = found.setdefault(key, Cost(key))
        cost.cpu = share * busy
        seen = reading.use.own[key]
        cost.own_error = cost.error = (
            cost.cpu * sqrt(_DISPERSION * max(1 - share, 0.0) / seen) if seen else 0.0
        )
    series: dict[Key, list[Series]] = {}
    for (key, cause, doing), counts in reading.ledger.blamed.items():
        if cause == OWN and doing == _ON_CPU:
            continue
        cost = found.setdefault(key, Cost(key))
        value = (
            float(counts.mean())
            / rate
            * (reading.own_part if cause == ThreadState.RUN_QUEUE else 1.0)
        )
        if cause == OWN:
            cost.waits[doing] = cost.waits.get(doing, 0.0) + value
        else:
            cost.queues[(cause, doing)] = cost.queues.get((cause, doing), 0.0) + value
        series.setdefault(key, []).append(counts)
    for key, all_counts in series.items():
        cost = found[key]
        cost.error = sqrt(cost.error**2 + (mean_error(np.sum(all_counts, axis=0)) / rate) ** 2)
        cost.own_error = sqrt(cost.own_error**2 + (mean_error(own_waits(reading, key)) / rate) ** 2)
    return found


def own_waits(reading: SpanReading, key: Key) -> Series:
    """Threads of a function in a wait of its own (not in a queue), per instant."""
    found = [
        s
        for (k, cause, doing), s in reading.ledger.blamed.items()
        if k == key and cause == OWN and doing != _ON_CPU
    ]
    return np.sum(found, axis=0) if found else np.zeros(reading.ledger.instants)


def mean_error(counts: Series) -> float:
    """Standard error of the mean of a series, from blocks long enough to forget each other."""
    means = [float(counts[a:b].mean()) for a, b in windows(len(counts))]
    return (
        float(np.std(means, ddof=1)) / sqrt(len(means)) if len(means) > 1 else float(counts.mean())
    )


def interval(value: float, error: float, n: int) -> Interval:
    """A 95 % interval by Student's t with 15 degrees of freedom (16 blocks); never below 0 for a
    time.
    """
    reach = float(stats.t.ppf(0.975, 15)) * error
    return Interval(value, max(0.0, value - reach), value + reach, n)


def charge_unseen(found: dict[Key, Cost], picture: EvidenceReading) -> str:
    """Charge the requests that no thread had to whatever keeps the threads busy; says which
    resource that is, or "".
    """
    reading = picture.knee
    rate = reading.span.completed
    limiting, weights = limiting_use(picture)
    whole = sum(weights.values())
    if not rate or not whole:
        return limiting
    seen = {key: cost.blamed for key, cost in found.items()}
    for (key, why, doing), weight in weights.items():
        cost = found.setdefault(key, Cost(key))
        cause = (UNSEEN + (doing if why == OWN else why), doing)
        cost.queues[cause] = cost.queues.get(cause, 0.0) + reading.unseen / rate * weight / whole
    for key, cost in found.items():  # what is charged by a share is as doubtful as the share
        if cost.unseen > 0:
            doubt = cost.error / seen[key] if seen.get(key) else 1.0
            cost.error += min(doubt, 1.0) * cost.unseen
    return limiting


def limiting_use(picture: EvidenceReading) -> tuple[str, Charges]:
    """The resource that requests queue for before a thread has them ("cpu", "threads" or "await"),
    and who uses it.

    A saturated CPU (or a process that uses one core, the most that one GIL allows) comes before
    threads that are all taken: threads are all taken because they wait for it.
    """
    reading = picture.knee
    if cpu_saturation(picture) >= SATURATED:
        return "cpu", {(key, OWN, _ON_CPU): share for key, share in reading.use.shares().items()}
    # Less than half a thread is no pool but stacks that were read while they changed.
    pools = {
        g: busy / n
        for g, (n, busy) in reading.pools.items()
        if n >= 0.5 and reading.ledger.by_pool.get(g)
    }
    taken = {group: reading.pools[group][1] for group, used in pools.items() if used >= EXHAUSTED}
    if not taken:
        # Nothing inside is full, so requests wait where only coroutines do; who awaits is known,
        # for how long is not.
        return "await", {(key, AWAIT, AWAIT): weight for key, weight in reading.use.awaits.items()}
    group = max(taken, key=lambda g: taken[g])
    return "threads", _shared_out(reading, group)


def _shared_out(reading: SpanReading, group: tuple[Key, ...]) -> Charges:
    """What keeps the threads of a pool, with its time on a CPU and its waits for one divided as the
    profile says.
    """
    here = {key for key, _, _ in reading.ledger.by_pool[group]}
    shares = {
        key: share
        for key, share in reading.use.shares().items()
        if key in here or not reading.ledger.profiled
    }
    shares = {
        key: share / sum(shares.values()) for key, share in shares.items()
    } or reading.use.shares()
    found: Charges = {}
    for (key, cause, doing), weight in reading.ledger.by_pool[group].items():
        own = weight * (reading.own_part if cause == ThreadState.RUN_QUEUE else 1.0)
        divided = key == NOBODY or (reading.ledger.profiled and cause == OWN and doing == _ON_CPU)
        users = (
            {k: (_ON_CPU, share) for k, share in shares.items()} if divided else {key: (doing, 1.0)}
        )
        for user, (did, share) in users.items():
            found[(user, cause, did)] = found.get((user, cause, did), 0.0) + own * share
    return found


def cpu_saturation(picture: EvidenceReading) -> Share:
    """How much of its CPU the target uses: of its cores, or of the one core that the GIL leaves its
    busiest process.
    """
    span = picture.knee.span
    used, cores = on_cpu(span), picture.evidence.cores
    of_cores = used / cores if used is not None and cores else 0.0
    return (
        max(of_cores, *per_process(picture, _ON_CPU).values(), 0.0)
        if picture.evidence.runtime == "cpython"
        else of_cores
    )


def per_process(picture: EvidenceReading, state: str) -> dict[int, float]:
    """Mean threads in a state per process, from the exact thread states where there are any, else
    from the instants.
    """
    span = picture.knee.span
    found: dict[int, float] = {0: 0.0}
    if span.states is not None:
        for thread in span.states.threads:
            found[thread.pid] = found.get(thread.pid, 0.0) + thread.states.get(state, 0.0)
        return found
    for v in (v for now in picture.knee.views for v in now if v.state == state):
        found[v.sample.pid] = found.get(v.sample.pid, 0.0) + 1 / picture.knee.ledger.instants
    exact = on_cpu(span) if state == ThreadState.ON_CPU else None
    if (
        exact is not None and sum(found.values()) > exact
    ):  # a look finds running what had been about to wait
        return {pid: mean * exact / sum(found.values()) for pid, mean in found.items()}
    return found
