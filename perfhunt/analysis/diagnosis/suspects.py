"""Suspects: every function with a cost at the knee, next to what it cost at the baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from perfhunt.analysis.blame.charge import Cause
from perfhunt.analysis.blame.frames import FunctionKey
from perfhunt.analysis.blame.reading import EvidenceReading
from perfhunt.analysis.diagnosis.costs import Cost, costs_of, unseen
from perfhunt.analysis.diagnosis.limiting import Limiting, limiting_of
from perfhunt.model.units import Seconds, Share


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


@dataclass(frozen=True, slots=True)
class Suspects:
    """Every function with a cost at the knee, and the resource that requests queue for before a
    thread has them.
    """

    by_function: Mapping[FunctionKey, Suspect]
    limiting: Limiting

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


def suspects_of(reading: EvidenceReading) -> Suspects:
    """Every function with a cost at the knee; none when nothing was captured or completed."""
    limiting = limiting_of(reading)
    at_knee = costs_of(reading.knee)
    at_base = costs_of(reading.baseline) if reading.baseline is not None else {}
    _charge_unseen(at_knee, reading, limiting)
    by_function = {key: Suspect(cost, at_base.get(key)) for key, cost in at_knee.items()}
    return Suspects(by_function, limiting)


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
