"""Whether mending what happens between client and service would move the knee: where it would not,
that is not what stops the service.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import floor

from perfhunt.analysis.blame.reading import EvidenceReading
from perfhunt.analysis.diagnosis.prediction.cpu_stations import (
    ONLY,
    cores_of_others,
    generator_cost,
    processes_on_one_core,
)
from perfhunt.analysis.diagnosis.prediction.curve import NOT_HELD, HeldBack, held_back
from perfhunt.analysis.diagnosis.prediction.relief import Relief
from perfhunt.analysis.diagnosis.prediction.station import StationKind
from perfhunt.analysis.diagnosis.prediction.whatif import basis_of, predict, with_units
from perfhunt.analysis.diagnosis.suspects import Suspects
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.model.finding import Bottleneck, BottleneckClass, Finding, WhatIf
from perfhunt.model.knee import Knee
from perfhunt.model.trial import Trial
from perfhunt.model.units import format_rate


def without_the_wait(
    bottleneck: Bottleneck,
    reading: EvidenceReading,
    suspects: Suspects,
    climb: SearchResult,
    trials: Sequence[Trial],
) -> WhatIf | None:
    """What mending a wait on the wire would bring; None where the class is of no such wait, or
    nothing is known of what would limit the service then.
    """
    held = _held(bottleneck.category, reading.knee.span.trial)
    if held == NOT_HELD or not isinstance(climb.knee, Knee):
        return None
    basis = basis_of(reading, suspects, climb, trials)
    if isinstance(basis, str) or basis.curve is None:
        return None
    known = predict((), basis, Relief(held=held))
    return None if isinstance(known, str) else known


def with_more_cores(
    bottleneck: Bottleneck,
    reading: EvidenceReading,
    suspects: Suspects,
    climb: SearchResult,
    trials: Sequence[Trial],
) -> Bottleneck:
    """A CPU quota with what the next whole number of cores would bring, or why that is not told;
    any other class, and a quota that leaves the host no core to give, as it is.
    """
    quota = reading.evidence.cores
    if bottleneck.category is not BottleneckClass.CPU_QUOTA or not quota:
        return bottleneck
    host = max((t.interference.cores or 0.0 for t in trials if t.interference), default=0.0)
    cores = float(floor(quota) + 1)
    if cores > host:
        return bottleneck
    basis = basis_of(reading, suspects, climb, trials)
    more = f"With {cores:g} core{'' if cores == 1 else 's'} instead of {quota:g}"
    if isinstance(basis, str):
        sentence = f"{more} it would hold more; how much is not told: {basis}."
    elif basis.model.binding.kind is not StationKind.CPU or basis.model.binding.units != quota:
        sentence = f"{more} it may hold no more: {basis.model.binding.name} is what fills first."
    else:
        beside = generator_cost(trials, cores) if cores == host else 0.0
        serial = processes_on_one_core(reading)
        name, units = f"the CPU ({cores:g} core{'' if cores == 1 else 's'})", cores
        if serial and serial <= cores:
            each = f"each of {serial} processes" if serial > 1 else ONLY
            name, units = f"one core for {each}", float(serial)
        left, cap = with_units(basis, name, units, beside, cores_of_others(trials, cores))
        low, high = (format_rate(rate) for rate in (left.low, left.high))
        sentence = f"{more} it would hold about {format_rate(left.value)} ({low} to {high}); {cap}."
    return replace(bottleneck, evidence=(*bottleneck.evidence, sentence))


def _held(category: BottleneckClass, trial: Trial | None) -> HeldBack:
    wire = trial.wire if trial is not None else None
    if category is BottleneckClass.DELAYED_ACK:
        return held_back(trial)
    if category is BottleneckClass.CONNECTIONS and wire is not None and wire.answers:
        return HeldBack(min(1.0, wire.new_connections / wire.answers), wire.connect_p50 or 0.0)
    return NOT_HELD


def not_the_wait(bottleneck: Bottleneck, known: WhatIf) -> Bottleneck:
    """The class withdrawn: mending it would leave the knee where it is."""
    why = f"Without that wait the knee would not move: {known.cap}."
    return Bottleneck(
        category=BottleneckClass.UNDETERMINED,
        score=bottleneck.score,
        evidence=(*bottleneck.evidence, why),
        runner_up=bottleneck.category,
        runner_up_score=bottleneck.score,
    )


def told(bottleneck: Bottleneck, known: WhatIf, findings: Sequence[Finding]) -> Bottleneck:
    """The class with what mending it would bring, where its first finding does not say that."""
    if findings and findings[0].category is bottleneck.category:
        return bottleneck
    between = f" ({format_rate(known.low)} to {format_rate(known.high)})"
    knee = f"{'at least' if known.at_least else 'near'} {format_rate(known.rate)}"
    sentence = f"Without that wait the knee would be {knee}{'' if known.at_least else between};"
    return replace(bottleneck, evidence=(*bottleneck.evidence, f"{sentence} {known.cap}."))
