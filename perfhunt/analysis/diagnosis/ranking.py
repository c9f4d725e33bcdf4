"""Suspects, ranked by how much of the latency that load adds is theirs: what they do, and whom they
keep waiting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt

from perfhunt.analysis.blame.charge import HANDOFF, POOL, BlameAccount
from perfhunt.analysis.blame.evidence import Evidence
from perfhunt.analysis.blame.frames import Key
from perfhunt.analysis.blame.reading import EvidenceReading, read_evidence
from perfhunt.analysis.diagnosis.ranking_costs import (
    AWAIT,
    UNSEEN,
    Cost,
    charge_unseen,
    costs,
    cpu_saturation,
    interval,
    mean_error,
)
from perfhunt.model.finding import Finding, TimeClass
from perfhunt.model.interval import Interval
from perfhunt.model.profile import Frame
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Seconds, Share

MOST = 20  # findings kept
_LEAST_SHARE = 0.001  # of all blame; less is noise
# weight of a cost that load does not add to: it settles ties, and ranks when there is no baseline
_STANDING = 0.1
_CHARGED = {
    "gil": "others waiting for the GIL it held",
    "run_queue": "others waiting for the CPU it used",
    "lock": "others waiting for the lock it held",
    POOL: "others waiting for what it had checked out",
    HANDOFF: "others waiting for the work it did for them",
    "unseen": "requests waiting for a free worker meanwhile",
}
_LITTLE = 0.10  # of all blame: queues of less say nothing about what they are for
_ON_CPU = str(ThreadState.ON_CPU)


@dataclass(frozen=True, slots=True)
class Suspect:
    """A function's cost at the knee and at the baseline (None: not seen there, or no baseline)."""

    knee: Cost
    base: Cost | None

    def added(self, cpu: Share) -> Seconds:
        """Seconds per request that load added and that are charged to this function.

        Queues are load's doing altogether; of what the function does itself, only what it did not
        do at baseline. The few requests of a baseline leave that uncertain, so one standard error
        is given to the suspect. CPU time is another matter the more the queue is one for the CPU
        (`cpu`, 0 to 1): there the demand itself makes it, however constant it is (utilisation law,
        Denning and Buzen 1978), and counts whole.
        """
        if self.base is None:
            return self.knee.blamed
        waits = max(0.0, self.base.own - self.base.cpu - self.base.own_error)
        demand = max(0.0, self.base.cpu - self.base.own_error)
        standing = min(self.knee.own - self.knee.cpu, waits) + (1.0 - cpu) * min(
            self.knee.cpu, demand
        )
        return self.knee.blamed - standing


def rank(evidence: Evidence) -> tuple[Finding, ...]:
    """Suspects, the likeliest first; empty when nothing was captured or nothing was completed."""
    return rank_picture(read_evidence(evidence))


def rank_picture(seen: EvidenceReading) -> tuple[Finding, ...]:
    """Suspects of evidence that was read already."""
    suspects = suspects_of(seen)
    whole = sum(s.knee.blamed for s in suspects.values())
    cpu = cpu_part((s.knee for s in suspects.values()), seen)
    ordered = sorted(suspects.values(), key=lambda s: (-weight(s, seen, cpu), s.knee.key))
    kept = [s for s in ordered if whole and s.knee.blamed >= _LEAST_SHARE * whole][:MOST]
    return tuple(_finding(position, s, seen) for position, s in enumerate(kept, 1))


def suspects_of(seen: EvidenceReading) -> dict[Key, Suspect]:
    """Every function with a cost at the knee."""
    at_knee = costs(seen.knee)
    charge_unseen(at_knee, seen)
    at_base = costs(seen.baseline) if seen.baseline is not None else {}
    return {key: Suspect(cost, at_base.get(key)) for key, cost in at_knee.items()}


def weight(suspect: Suspect, seen: EvidenceReading, cpu: Share) -> float:
    """What ranks a suspect: the latency load added through it, and a little of what it costs
    anyway.

    The cost that stays the same at any load (a constant call to a neighbour) is not what breaks the
    service under load; without a baseline, or without instants at the knee, growth is not known and
    the whole cost counts.
    """
    comparable = (
        seen.baseline is not None
        and (seen.baseline.has_instants or not suspect.knee.waits)
        and seen.knee.has_instants
    )
    if not comparable:
        return suspect.knee.blamed
    return max(suspect.added(cpu), 0.0) + _STANDING * suspect.knee.blamed


def cpu_part(found: Iterable[Cost], seen: EvidenceReading) -> Share:
    """How much of the queueing is for a CPU (or the GIL), 0 to 1; without queues, how near the CPU
    is to its limit.
    """
    costs = list(found)
    queues = sum(sum(cost.queues.values()) for cost in costs)
    if queues <= _LITTLE * sum(cost.blamed for cost in costs):
        return min(1.0, cpu_saturation(seen))
    return (
        sum(cost.queued(ThreadState.RUN_QUEUE, ThreadState.GIL, _ON_CPU) for cost in costs) / queues
    )


def _finding(position: int, suspect: Suspect, seen: EvidenceReading) -> Finding:
    cost, ledger, use = suspect.knee, seen.knee.ledger, seen.knee.use
    key = cost.key
    samples = round(use.own.get(key, 0.0)) + sum(
        round(float(s.sum())) for (k, _), s in ledger.own.items() if k == key
    )
    frame = use.frames.get(key) or Frame(key[0], key[1])
    busy = ledger.busy()
    here = sum(float(s.mean()) for (k, _), s in ledger.own.items() if k == key)
    anywhere = float(ledger.total[key].mean()) if key in ledger.total else 0.0
    return Finding(
        rank=position,
        function=key[0],
        file=key[1],
        line=_line(ledger, key, frame),
        category=TimeClass(_class(cost)),
        self_share=here / busy if busy else use.shares().get(key, 0.0),
        total_share=anywhere / busy
        if busy
        else use.total.get(key, 0.0) / use.samples
        if use.samples
        else 0.0,
        own=interval(cost.own, cost.own_error, samples),
        total=_total(seen, key, samples),
        blamed=interval(cost.blamed, cost.error, samples),
        grew=_grew(suspect, samples),
        via=_top(use.via.get(key), ledger.via.get(key)),
        evidence=" ".join(_evidence(suspect, seen)),
        runtime=seen.evidence.runtime,
    )


def _line(ledger: BlameAccount, key: Key, frame: Frame) -> int | None:
    lines = ledger.lines.get(key)
    return lines.most_common(1)[0][0] if lines else frame.line


def _total(seen: EvidenceReading, key: Key, samples: int) -> Interval:
    """Time with the function anywhere on the stack: CPU by the profile, everything else by the
    instants.
    """
    reading = seen.knee
    rate = reading.span.completed
    share = reading.use.total.get(key, 0.0) / reading.use.samples if reading.use.samples else 0.0
    cpu = share * (reading.cpu or 0.0)
    counts = reading.ledger.total.get(key)
    if counts is None:
        return interval(cpu, cpu * sqrt(2 / max(reading.use.total.get(key, 1.0), 1.0)), samples)
    running = sum(
        1
        for now in reading.views
        for v in now
        if v.state == _ON_CPU and key in (*v.app, v.owner.key)
    ) / max(reading.ledger.instants, 1)
    waits = max(0.0, float(counts.mean()) - running) / rate
    return interval(
        cpu + waits if reading.use.samples else float(counts.mean()) / rate,
        mean_error(counts) / rate,
        samples,
    )


def _grew(suspect: Suspect, samples: int) -> Interval | None:
    base = suspect.base
    if base is None:
        return None
    value = suspect.knee.own - base.own
    reach = 2.13 * sqrt(suspect.knee.own_error**2 + base.own_error**2)
    return Interval(value, value - reach, value + reach, samples)


def _class(cost: Cost) -> str:
    """What kind of time it is: the queue it causes where that is most of it, else what the function
    itself does.
    """
    lock, gil = cost.queued(ThreadState.LOCK, POOL, HANDOFF), cost.queued(ThreadState.GIL)
    kinds = {_ON_CPU: cost.cpu, **cost.waits}
    for (cause, doing), value in cost.queues.items():
        if cause == UNSEEN + doing:
            kinds[doing] = kinds.get(doing, 0.0) + value
    doing, most = max(kinds.items(), key=lambda kind: kind[1])
    if lock > 0.5 * most or doing == ThreadState.LOCK:
        return "lock"
    if doing == AWAIT:
        return "poll"
    if doing == _ON_CPU:
        return "gil" if gil > 0.5 * cost.cpu else "cpu"
    return doing if doing in ("socket", "sleep", "disk", "poll") else "other"


def _top(*counters: Counter[str] | None) -> str:
    merged: Counter[str] = Counter()
    for counter in counters:
        merged.update(counter or {})
    return merged.most_common(1)[0][0] if merged else ""


def _evidence(suspect: Suspect, seen: EvidenceReading) -> list[str]:
    """Sentences with numbers: what it does itself, whom it keeps waiting, where it waits, who calls
    it.
    """
    cost, ledger = suspect.knee, seen.knee.ledger
    found = [f"{cost.own * 1e3:.3g} ms per request of its own ({_parts(cost)})."]
    charged = {
        cause: sum(v for (c, _), v in cost.queues.items() if c == cause) for cause in _CHARGED
    }
    charged["unseen"] = cost.unseen
    waits = [
        f"{value * 1e3:.3g} ms of {_CHARGED[cause]}"
        for cause, value in charged.items()
        if value > 0.05 * cost.blamed
    ]
    if waits:
        found.append("Charged with " + ", ".join(waits) + ".")
    on = ledger.wait_on.get(cost.key)
    remote = [name for name, _ in on.most_common(2) if not name.startswith("futex:")] if on else []
    if remote and cost.waits:
        found.append("Waits on " + " and ".join(remote) + ".")
    caller = _top(seen.knee.use.callers.get(cost.key), ledger.callers.get(cost.key))
    if caller:
        found.append(f"Called from {caller}.")
    if suspect.base is not None and suspect.knee.blamed > 0:
        found.append(f"At baseline load: {suspect.base.blamed * 1e3:.3g} ms.")
    return found


def _parts(cost: Cost) -> str:
    kinds: Mapping[str, float] = {"CPU": cost.cpu, **cost.waits}
    parts = sorted(kinds.items(), key=lambda kind: -kind[1])
    return (
        ", ".join(f"{name} {value * 1e3:.3g} ms" for name, value in parts if value > 0)
        or "nothing measurable"
    )
