"""Suspects, ranked by how much of the latency that load adds is theirs: what they do, and whom they
keep waiting.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import sqrt

from perfhunt.analysis.blame.charge import Cause
from perfhunt.analysis.blame.culprits.trails import Trail
from perfhunt.analysis.blame.frames import FunctionKey
from perfhunt.analysis.blame.reading import EvidenceReading
from perfhunt.analysis.blame.snapshots import FUTEX
from perfhunt.analysis.diagnosis.costs import (
    Cost,
    destinations,
    growth_interval,
    interval,
    mean_error,
    unseen,
)
from perfhunt.analysis.diagnosis.fitting import fits
from perfhunt.analysis.diagnosis.known.beside_requests import functions_beside
from perfhunt.analysis.diagnosis.limiting import cpu_saturation
from perfhunt.analysis.diagnosis.peers import peer_at, used_words
from perfhunt.analysis.diagnosis.suspects import Suspect, Suspects
from perfhunt.model.finding import BottleneckClass, Finding, Leaf
from perfhunt.model.interval import Interval
from perfhunt.model.states import Peer, PeerKind, ThreadState
from perfhunt.model.units import Seconds, Share

MOST = 20  # findings kept: more than anybody works through
_LEAST_BLAME: Share = 0.001  # of all blame: a function with less is noise
# Weight of a cost that load does not add to: little enough to settle ties only, and what ranks when
# there is no baseline.
_STANDING = 0.1
# What the cost of a function counts that is of another kind than what stops the service: the class
# is told from all that was seen, the cost of one function from a few looks at it.
_ANOTHER_KIND: Share = 0.25
# Of all blame: queues of less say nothing about what they are for.
_LITTLE_QUEUEING: Share = 0.10
# Of the time that a function mostly spends: a queue it causes that is more than half as long names
# its class instead.
_QUEUE_NAMES_CLASS: Share = 0.5
# Of a function's blame: a kind of time that is less is not what it is about.
_GOOD_PART: Share = 0.2
# The same of what it holds while others wait: at the knee the wait is short beside the holding.
_GOOD_HOLD: Share = 0.10
# Of a function's blame: a charge of less is not worth a clause in its evidence.
_WORTH_SAYING: Share = 0.05
_CHARGED = {
    str(ThreadState.GIL): "others waiting for the GIL it held",
    str(ThreadState.RUN_QUEUE): "others waiting for the CPU it used",
    str(ThreadState.LOCK): "others waiting for the lock it held",
    str(ThreadState.LOOP): "others waiting for the event loop that it kept",
    str(Cause.POOL): "others waiting for what it had checked out",
    str(Cause.PACED): "waiting for the turn that time gives each",
    str(Cause.PEER): "others waiting for the CPU that its peer used",
    str(Cause.HANDOFF): "others waiting for the work it did for them",
    str(Cause.COLLECTOR): "the collection of its garbage",
    str(Cause.ACK): "answers held back until their first piece was acknowledged",
}
# What others wait for that a function has, and what it does itself, as classes.
_HELD: Mapping[str, BottleneckClass] = {
    ThreadState.LOCK: BottleneckClass.LOCK,
    Cause.POOL: BottleneckClass.POOL,
    Cause.PACED: BottleneckClass.LIMITER,
    Cause.HANDOFF: BottleneckClass.WORKERS,
    Cause.COLLECTOR: BottleneckClass.GC,
    Cause.ACK: BottleneckClass.DELAYED_ACK,
}
_DOING: Mapping[str, BottleneckClass] = {
    ThreadState.LOCK: BottleneckClass.LOCK,
    ThreadState.SOCKET: BottleneckClass.DOWNSTREAM,
    ThreadState.SLEEP: BottleneckClass.SLEEP,
    ThreadState.DISK: BottleneckClass.DISK,
}
_BESIDE = "Its thread does as much without requests, whose way it is not on."
_CHARGED_UNSEEN = "requests waiting for a free worker meanwhile"
_CHARGED_BEFORE_A_TASK = "requests waiting meanwhile before a task had them"
_SCRIPT = "<module>"  # whatever a program does, its script does
_ON_CPU = str(ThreadState.ON_CPU)


def rank(
    reading: EvidenceReading,
    suspects: Suspects,
    category: BottleneckClass = BottleneckClass.UNDETERMINED,
) -> tuple[Finding, ...]:
    """Suspects, the likeliest first; empty when nothing was captured or nothing was completed.
    `category` is what stops the service, where that is known.
    """
    cpu = cpu_part(reading, suspects)
    every = suspects.culprits().values()
    whole = sum(suspect.knee.blamed for suspect in every)

    def likely(suspect: Suspect) -> float:
        known = category is not BottleneckClass.UNDETERMINED
        aside = known and not fits(kinds_of(suspect.knee), category)
        return weight(suspect, reading, cpu) * (_ANOTHER_KIND if aside else 1.0)

    ordered = sorted(every, key=lambda s: (-likely(s), s.knee.key))
    kept = [s for s in ordered if whole and s.knee.blamed >= _LEAST_BLAME * whole][:MOST]
    return tuple(
        finding_of(position, s, reading, suspects.trails) for position, s in enumerate(kept, 1)
    )


def weight(suspect: Suspect, reading: EvidenceReading, cpu: Share) -> float:
    """What ranks a suspect: the latency load added through it, and a little of what it costs
    anyway.

    The cost that stays the same at any load (a constant call to a neighbour) is not what breaks the
    service under load; without a baseline, or without instants at the knee, growth is not known and
    the whole cost counts.
    """
    baseline = reading.baseline
    comparable = (
        baseline is not None
        and (baseline.has_instants or not suspect.knee.waits)
        and reading.knee.has_instants
    )
    if not comparable:
        return suspect.knee.blamed
    return max(suspect.added(cpu), 0.0) + _STANDING * suspect.knee.blamed


def cpu_part(reading: EvidenceReading, suspects: Suspects) -> Share:
    """How much of the queueing is for a CPU (or the GIL), 0 to 1; without queues, how near the CPU
    is to its limit.
    """
    costs = suspects.at_knee.values()
    queues = sum(sum(cost.queues.values()) for cost in costs)
    if queues <= _LITTLE_QUEUEING * sum(cost.blamed for cost in costs):
        return min(1.0, cpu_saturation(reading))
    for_cpu = (
        cost.queued(ThreadState.RUN_QUEUE, ThreadState.GIL, _ON_CPU) + cost.running - cost.cpu
        for cost in costs
    )
    return sum(for_cpu) / queues


def finding_of(
    position: int, suspect: Suspect, reading: EvidenceReading, trails: Sequence[Trail]
) -> Finding:
    """A suspect as a finding of that rank."""
    cost, account, use = suspect.knee, reading.knee.account, reading.knee.use
    key = cost.key
    samples = sum(_samples(reading, k) for k in (key, *(leaf.key for leaf in suspect.leaves)))
    self_share, total_share = _shares(reading, key)
    return Finding(
        rank=position,
        function=key[0],
        file=key[1],
        line=_line(reading, key) or _line_on(trails, key),
        category=_category(cost, reading),
        self_share=self_share,
        total_share=total_share,
        own=interval(cost.own, cost.own_error, samples),
        total=_total(reading, key, samples),
        blamed=interval(cost.blamed, cost.error, samples),
        grew=_grew(suspect, samples),
        via=_commonest(use.via.get(key), account.via.get(key)),
        evidence=" ".join(_evidence(suspect, reading, _caller(reading, key, trails))),
        runtime=reading.evidence.runtime,
        leaves=tuple(_leaf(leaf, reading) for leaf in suspect.leaves),
    )


def _leaf(cost: Cost, reading: EvidenceReading) -> Leaf:
    own = interval(cost.own, cost.own_error, _samples(reading, cost.key))
    return Leaf(function=cost.key[0], file=cost.key[1], own=own)


def _samples(reading: EvidenceReading, key: FunctionKey) -> int:
    """How many samples and instants stand behind what is said of a function."""
    instants = (
        round(float(counts.sum()))
        for (function, _), counts in reading.knee.account.own.items()
        if function == key
    )
    told = sum(n for (function, _), (_, n) in reading.knee.contended.items() if function == key)
    return round(reading.knee.use.own.get(key, 0.0)) + sum(instants) + told


def _shares(reading: EvidenceReading, key: FunctionKey) -> tuple[Share, Share]:
    """The share of busy threads with the function on top and with it anywhere; of the CPU, where
    there are no instants.
    """
    account, use = reading.knee.account, reading.knee.use
    busy = account.busy()
    if not busy:
        anywhere = use.total.get(key, 0.0) / use.samples if use.samples else 0.0
        return use.shares().get(key, 0.0), anywhere
    if key not in account.total:
        # Only the profile met it: its part of the threads on a CPU.
        running = (reading.knee.cpu_per_request or 0.0) * reading.knee.span.completed / busy
        anywhere = use.total.get(key, 0.0) / use.samples if use.samples else 0.0
        return min(1.0, running * use.shares().get(key, 0.0)), min(1.0, running * anywhere)
    on_top = sum(
        float(counts.mean()) for (function, _), counts in account.own.items() if function == key
    )
    return on_top / busy, float(account.total[key].mean()) / busy


def _line(reading: EvidenceReading, key: FunctionKey) -> int | None:
    lines, frame = reading.knee.account.lines.get(key), reading.knee.use.frames.get(key)
    if lines:
        return lines.most_common(1)[0][0]
    return frame.line if frame is not None else None


def _line_on(trails: Sequence[Trail], key: FunctionKey) -> int | None:
    """The line of a function that most of the cost beneath it came by."""
    weights: defaultdict[int, float] = defaultdict(float)
    for trail in trails:
        for call in trail.calls:
            if call.key == key and call.line is not None:
                weights[call.line] += trail.weight
    return max(weights, key=lambda line: (weights[line], -line), default=None)


def _caller(reading: EvidenceReading, key: FunctionKey, trails: Sequence[Trail]) -> str:
    """Who calls a function: as its own samples say, else those of its leaves."""
    seen = _commonest(reading.knee.use.callers.get(key), reading.knee.account.callers.get(key))
    if seen:
        return seen
    weights: Counter[str] = Counter()
    for caller, called in (pair for trail in trails for pair in pairwise(trail.calls)):
        if called.key == key != caller.key:
            weights[caller.key[0]] += 1
    return _commonest(weights)


def _total(reading: EvidenceReading, key: FunctionKey, samples: int) -> Interval:
    """Time with the function anywhere on the stack: CPU by the profile, everything else by the
    instants.
    """
    knee = reading.knee
    rate, use = knee.span.completed, knee.use
    share = use.total.get(key, 0.0) / use.samples if use.samples else 0.0
    cpu = share * (knee.cpu_per_request or 0.0)
    counts = knee.account.total.get(key)
    if counts is None:
        return interval(cpu, cpu * sqrt(2 / max(use.total.get(key, 1.0), 1.0)), samples)
    running = sum(
        s.state == _ON_CPU and key in s.on_stack for present in knee.snapshots for s in present
    ) / max(knee.account.instants, 1)
    waits = max(0.0, float(counts.mean()) - running) / rate
    value = cpu + waits if use.samples else float(counts.mean()) / rate
    return interval(value, mean_error(counts) / rate, samples)


def _grew(suspect: Suspect, samples: int) -> Interval | None:
    base, knee = suspect.base, suspect.knee
    if base is None:
        return None
    return growth_interval((base.own, base.own_error), (knee.own, knee.own_error), samples)


def kinds_of(cost: Cost) -> frozenset[BottleneckClass]:
    """Every kind of time that is a good part of a function's cost, by the classes' names."""
    parts: dict[BottleneckClass, Seconds] = {BottleneckClass.CPU: cost.cpu}
    for state, value in cost.waits.items():
        _add(parts, _DOING.get(state, BottleneckClass.OTHER), value)
    _add(parts, BottleneckClass.GIL, cost.queued(ThreadState.GIL))
    held = {category: cost.queued(cause) for cause, category in _HELD.items()}
    good = {kind for kind, value in parts.items() if value > _GOOD_PART * cost.blamed}
    good |= {kind for kind, value in held.items() if value > _GOOD_HOLD * cost.blamed}
    return frozenset({time_class(cost), *good})


def _add(parts: dict[BottleneckClass, Seconds], kind: BottleneckClass, value: Seconds) -> None:
    parts[kind] = parts.get(kind, 0.0) + value


def _category(cost: Cost, reading: EvidenceReading) -> BottleneckClass:
    """The kind of time, with waits for a database told from those for other services."""
    kind = time_class(cost)
    leads = destinations(reading.knee).get(cost.key, {})
    if leads and cost.waits.get(ThreadState.AWAIT, 0.0) > _QUEUE_NAMES_CLASS * cost.blamed:
        kind = BottleneckClass.DOWNSTREAM  # What it awaits comes from elsewhere.
    if kind is not BottleneckClass.DOWNSTREAM:
        return kind
    most = max(leads, key=lambda endpoint: leads[endpoint], default="")
    peer = peer_at(most, reading.knee) or Peer(most, (most,), 0.0)
    return BottleneckClass.DATABASE if peer.kind is PeerKind.DATABASE else kind


def time_class(cost: Cost) -> BottleneckClass:
    """What kind of time it is: the queue it causes where that is most of it, else what the function
    itself does.
    """
    kinds = {_ON_CPU: cost.cpu, **cost.waits}
    for (cause, doing), value in cost.queues.items():
        if cause == unseen(doing):
            kinds[doing] = kinds.get(doing, 0.0) + value
    doing, most = max(kinds.items(), key=lambda kind: kind[1])
    held = {cause: cost.queued(cause) for cause in _HELD}
    if sum(held.values()) > _QUEUE_NAMES_CLASS * most:
        return _HELD[max(held, key=lambda cause: held[cause])]
    if doing == _ON_CPU:
        gil = cost.queued(ThreadState.GIL)
        return BottleneckClass.GIL if gil > _QUEUE_NAMES_CLASS * cost.cpu else BottleneckClass.CPU
    return _DOING.get(doing, BottleneckClass.OTHER)


def _commonest(*counters: Counter[str] | None) -> str:
    merged: Counter[str] = Counter()
    for counter in counters:
        merged.update(counter or {})
    return merged.most_common(1)[0][0] if merged else ""


def _evidence(suspect: Suspect, reading: EvidenceReading, caller: str) -> list[str]:
    """Sentences with numbers: what it does itself, whom it keeps waiting, where it waits, who calls
    it.
    """
    cost, account = suspect.knee, reading.knee.account
    whose = "in its loop" if suspect.leaves else "of its own"
    sentences = [f"{cost.own * 1e3:.3g} ms per request {whose} ({_parts(cost)})."]
    charged = _charged(cost, reading)
    if charged:
        sentences.append("Charged with " + ", ".join(charged) + ".")
    targets = account.wait_on.get(cost.key, Counter()).most_common(2)
    remote = [name for name, _ in targets if not name.startswith(FUTEX)]
    if remote and cost.waits:
        sentences += _waits_on(remote, reading)
    if caller and caller != _SCRIPT:
        sentences.append(f"Called from {caller}.")
    if cost.key in functions_beside(reading):
        sentences.append(_BESIDE)
    if suspect.base is not None and cost.blamed > 0:
        sentences.append(f"At baseline load: {suspect.base.blamed * 1e3:.3g} ms.")
    return sentences


def _waits_on(endpoints: Sequence[str], reading: EvidenceReading) -> list[str]:
    """Where it waits, and what was done there meanwhile."""
    names, used = [], {}
    for endpoint in endpoints:
        peer = peer_at(endpoint, reading.knee)
        known = peer is not None and peer.name != endpoint
        names.append(f"{peer.name} ({endpoint})" if peer and known else endpoint)
        if peer is not None and (words := used_words(peer)):
            used[words] = f"{words} meanwhile."
    return ["Waits on " + " and ".join(names) + ".", *used.values()]


def _charged(cost: Cost, reading: EvidenceReading) -> list[str]:
    """What the function is charged with beside its own time, as clauses."""
    charges = [
        (sum(value for (c, _), value in cost.queues.items() if c == cause), words)
        for cause, words in _CHARGED.items()
    ]
    by_tasks = any(s.sample.task for present in reading.knee.snapshots for s in present)
    charges.append((cost.unseen, _CHARGED_BEFORE_A_TASK if by_tasks else _CHARGED_UNSEEN))
    return [
        f"{value * 1e3:.3g} ms of {words}"
        for value, words in charges
        if value > _WORTH_SAYING * cost.blamed
    ]


def _parts(cost: Cost) -> str:
    kinds: Mapping[str, float] = {"CPU": cost.cpu, **cost.waits}
    parts = sorted(kinds.items(), key=lambda kind: -kind[1])
    return (
        ", ".join(f"{name} {value * 1e3:.3g} ms" for name, value in parts if value > 0)
        or "nothing measurable"
    )
