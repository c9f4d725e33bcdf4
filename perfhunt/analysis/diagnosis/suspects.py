"""Suspects: every function with a cost at the knee, next to what it cost at the baseline, and which
of them stand for others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from math import hypot

from perfhunt.analysis.blame.charge import Cause
from perfhunt.analysis.blame.culprits.culprits import culprits, standing_functions
from perfhunt.analysis.blame.culprits.senders import senders_in
from perfhunt.analysis.blame.culprits.source_lines import SourceLines, source_lines
from perfhunt.analysis.blame.culprits.trails import Charge, Trail, trails_of
from perfhunt.analysis.blame.frames import FunctionKey
from perfhunt.analysis.blame.reading import EvidenceReading, SpanReading
from perfhunt.analysis.diagnosis.costs import Cost, costs_of, share_error, unseen
from perfhunt.analysis.diagnosis.limiting import Limiting, limiting_of
from perfhunt.analysis.trial.wire import ack_wait
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Seconds, Share


@dataclass(frozen=True, slots=True)
class Suspect:
    """A function's cost at the knee and at the baseline (None: not seen there, or no baseline).

    One that stands for others has their costs too; `leaves` are those others, the costliest first.
    """

    knee: Cost
    base: Cost | None
    leaves: tuple[Cost, ...] = ()

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


@dataclass(frozen=True, slots=True)
class Suspects:
    """Every function with a cost at the knee, and the resource that requests queue for before a
    thread has them.

    `trails` are where those costs were seen; `culprit_of` says of a function which other one stands
    for it.
    """

    by_function: Mapping[FunctionKey, Suspect]
    limiting: Limiting
    trails: tuple[Trail, ...] = ()
    culprit_of: Mapping[FunctionKey, FunctionKey] = field(default_factory=dict)

    @property
    def at_knee(self) -> dict[FunctionKey, Cost]:
        """What each function costs at the knee."""
        return {key: suspect.knee for key, suspect in self.by_function.items()}

    @property
    def at_baseline(self) -> dict[FunctionKey, Cost]:
        """What each cost at the baseline; those without a cost there are left out."""
        return {
            key: suspect.base
            for key, suspect in self.by_function.items()
            if suspect.base is not None
        }

    def culprits(self) -> dict[FunctionKey, Suspect]:
        """The suspects with every cost in one place: a function that stands for others has theirs,
        and they have none of their own. The sum is that of `by_function`.
        """
        members: dict[FunctionKey, list[Suspect]] = {}
        for key, suspect in self.by_function.items():
            members.setdefault(self.culprit_of.get(key, key), []).append(suspect)
        return {key: _joined(key, each) for key, each in members.items()}


def _joined(key: FunctionKey, members: list[Suspect]) -> Suspect:
    if len(members) == 1 and members[0].knee.key == key:
        return members[0]
    bases = [m.base for m in members if m.base is not None]
    knee = reduce(Cost.joined, (m.knee for m in members), Cost(key))
    base = reduce(Cost.joined, bases, Cost(key)) if bases else None
    leaves = sorted((m.knee for m in members if m.knee.key != key), key=lambda c: (-c.own, c.key))
    return Suspect(knee, base, tuple(leaves))


def suspects_of(reading: EvidenceReading) -> Suspects:
    """Every function with a cost at the knee; none when nothing was captured or completed."""
    limiting = limiting_of(reading)
    at_knee = costs_of(reading.knee)
    at_base = costs_of(reading.baseline) if reading.baseline is not None else {}
    _charge_unseen(at_knee, reading, limiting)
    for costs, span in ((at_knee, reading.knee), (at_base, reading.baseline)):
        if span is not None:
            _charge_held_back(costs, span, reading)
    by_function = {key: Suspect(cost, at_base.get(key)) for key, cost in at_knee.items()}
    trails = _trails(reading, at_knee)
    culprit_of = culprits(trails, _sources(reading), _standing(reading))
    return Suspects(by_function, limiting, trails, culprit_of)


def _trails(reading: EvidenceReading, costs: Mapping[FunctionKey, Cost]) -> tuple[Trail, ...]:
    knee = reading.knee
    charges = {
        key: Charge(cost.own, waits=cost.own - cost.cpu > cost.cpu) for key, cost in costs.items()
    }
    return trails_of(knee.span.profile, knee.snapshots, reading.code, reading.idle, charges)


def _sources(reading: EvidenceReading) -> dict[str, SourceLines]:
    parsed = {file: source_lines(text) for file, text in reading.evidence.sources.items()}
    return {file: lines for file, lines in parsed.items() if lines is not None}


def _standing(reading: EvidenceReading) -> frozenset[FunctionKey]:
    idle = reading.idle
    return standing_functions([*idle.paths, *(path for path, _ in idle.exact)])


def _charge_held_back(
    costs: dict[FunctionKey, Cost], span: SpanReading, reading: EvidenceReading
) -> None:
    """Charge the wait of answers for an acknowledgement to the functions that send them."""
    trial, sources = span.span.trial, reading.evidence.sources
    held = ack_wait(trial.wire) if trial is not None else 0.0
    senders = senders_in(span.span, reading.code, sources) if held else {}
    whole = sum(senders.values())
    for key, weight in senders.items():
        cost, value = costs.setdefault(key, Cost(key)), held * weight / whole
        cost.charge(Cause.ACK, ThreadState.ON_CPU, value)
        cost.error = hypot(cost.error, share_error(value, weight / whole, weight))


def _charge_unseen(
    costs: dict[FunctionKey, Cost], reading: EvidenceReading, limiting: Limiting
) -> None:
    """Charge the requests that no thread had to whatever keeps the resource they queue for."""
    rate, whole = reading.knee.span.completed, sum(limiting.users.values())
    if not rate or not whole:
        return
    within_threads = {key: cost.blamed for key, cost in costs.items()}
    for (key, cause, doing), weight in limiting.users.items():
        cost = costs.setdefault(key, Cost(key))
        kind = unseen(doing if cause == Cause.OWN else cause)
        cost.charge(kind, doing, reading.knee.unseen / rate * weight / whole)
    # What is charged by a share is as doubtful as the share.
    for key, cost in costs.items():
        if cost.unseen > 0:
            doubt = cost.error / within_threads[key] if within_threads.get(key) else 1.0
            cost.error += min(doubt, 1.0) * cost.unseen
