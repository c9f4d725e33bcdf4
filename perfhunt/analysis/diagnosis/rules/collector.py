"""Whether the service stands still, or its cores are busy, for the collector of its garbage."""

from __future__ import annotations

from dataclasses import dataclass

from perfhunt.analysis.blame.charge import Cause
from perfhunt.analysis.diagnosis.features import Features
from perfhunt.analysis.diagnosis.rules.score import ClassScore, RampBounds, of_added, part, ramp
from perfhunt.model.finding import BottleneckClass
from perfhunt.model.units import Share, format_share


@dataclass(frozen=True, slots=True)
class CollectorThresholds:
    """When collecting garbage is the reason. Chosen on services with a known culprit."""

    paused: RampBounds = (0.1, 0.3)  # share of the time in which every thread stood still
    # The collector's part of the CPU that the service used, and how full its cores then are, or the
    # one that its runtime leaves to a process.
    of_cpu: RampBounds = (0.2, 0.45)
    of_cores: RampBounds = (0.6, 0.9)
    takes: float = 0.6  # of the score of a full core, where the collector has it


COLLECTOR = CollectorThresholds()


def collector(features: Features) -> ClassScore:
    """All threads stop for the collector, or what it uses of the cores is what they lack."""
    taken = part(features.collecting, features.cpu or 0.0)
    full = ramp(max(features.of_cores, features.process_cpu), COLLECTOR.of_cores)
    value = max(ramp(features.paused, COLLECTOR.paused), full * ramp(taken, COLLECTOR.of_cpu))
    share = of_added(features, features.share(Cause.COLLECTOR))
    still = (
        f"Every thread stood still for the collector in {format_share(features.paused)} of the"
        f" time, which is {share}."
    )
    used = (
        f"Collecting used {features.collecting:.2f} of the {features.cpu or 0:.2f} cores that the"
        " service used."
    )
    evidence = (still, used) if features.paused else (used,)
    return ClassScore(BottleneckClass.GC, value, evidence)


def left_by_collector(features: Features) -> Share:
    """What is left of the score of a class that a full core speaks for, where it is the collector
    that has it.
    """
    return 1.0 - COLLECTOR.takes * collector(features).value
