"""Whether something around the code stops the service: the generator, a limiter, storage, memory,
the network to the clients.
"""

from __future__ import annotations

from dataclasses import dataclass

from perfhunt.analysis.blame.charge import Cause
from perfhunt.analysis.diagnosis.features import Features, LatencyKind
from perfhunt.analysis.diagnosis.rules.score import (
    ClassScore,
    RampBounds,
    as_sentence,
    nothing,
    of_added,
    outside_cpu,
    ramp,
)
from perfhunt.analysis.diagnosis.rules.wire import sizes
from perfhunt.model.finding import BottleneckClass
from perfhunt.model.states import ThreadState
from perfhunt.model.units import format_share


@dataclass(frozen=True, slots=True)
class GeneratorThresholds:
    """When the generator ran out before the target did."""

    used: RampBounds = (0.85, 0.97)  # share of a core of the busiest load process
    # Cores of the target's busiest process, and share of its cores: where it has no room left, it
    # ran out as well.
    target_process: RampBounds = (0.5, 0.85)
    target_of_cores: RampBounds = (0.5, 0.85)


GENERATOR = GeneratorThresholds()


def generator(features: Features) -> ClassScore:
    """The generator ran out before the target did."""
    if features.trial is None or features.trial.generator.cpu is None:
        return nothing(BottleneckClass.GENERATOR)
    used = features.trial.generator.cpu
    room = 1.0 - max(
        ramp(features.process_cpu, GENERATOR.target_process),
        ramp(features.of_cores, GENERATOR.target_of_cores),
    )
    sentence = f"The generator used {format_share(used)} of its core while the target had room."
    return ClassScore(BottleneckClass.GENERATOR, ramp(used, GENERATOR.used) * room, (sentence,))


@dataclass(frozen=True, slots=True)
class LimiterThresholds:
    """When requests are turned away, or let wait, on purpose."""

    # Of requests, how many are turned away: less is no policy that a service breaks by.
    shed: RampBounds = (0.0, 0.03)
    added: RampBounds = (0.15, 0.5)  # share of added latency that is a wait for one's turn


LIMITER = LimiterThresholds()


def limiter(features: Features) -> ClassScore:
    """The target, or something before it, turns requests away on purpose: refusals, with latency as
    at baseline. Or it lets them wait until it is their turn.
    """
    share = features.share_anywhere(Cause.PACED)
    paced = outside_cpu(features, ramp(share, LIMITER.added))
    failures = features.failures
    value = failures.policy * ramp(failures.share, LIMITER.shed) if failures is not None else 0.0
    if failures is not None and value >= paced:
        return ClassScore(BottleneckClass.LIMITER, value, (f"{as_sentence(failures)}.",))
    evidence = [
        f"{c.waiting:.2f} {c.kind} waited in {c.waiter[0]} on average for their turn, which time"
        " gives: nobody was at work who had what they wait for."
        for c in features.contentions
        if c.paced
    ]
    evidence.append(f"Waiting for it is {of_added(features, share)}.")
    return ClassScore(BottleneckClass.LIMITER, paced, tuple(evidence))


@dataclass(frozen=True, slots=True)
class DiskThresholds:
    """When storage is the reason."""

    added: RampBounds = (0.2, 0.6)  # share of added latency


DISK = DiskThresholds()


def disk(features: Features) -> ClassScore:
    """Threads wait for storage."""
    share = features.share_anywhere(ThreadState.DISK)
    evidence = [f"Waiting for storage is {of_added(features, share)}."]
    if features.psi_io is not None:
        stalled = format_share(features.psi_io)
        evidence.append(f"Some task waited for storage {stalled} of the time.")
    value = outside_cpu(features, ramp(share, DISK.added))
    return ClassScore(BottleneckClass.DISK, value, tuple(evidence))


@dataclass(frozen=True, slots=True)
class MemoryThresholds:
    """When memory is the reason."""

    stalled: RampBounds = (0.05, 0.3)  # share of time that some task waited for it (PSI)


MEMORY = MemoryThresholds()


def memory(features: Features) -> ClassScore:
    """The kernel had to find memory, or killed for it."""
    stalled, kills = features.psi_memory, features.oom_kills
    sentence = (
        f"Some task waited for memory {format_share(stalled)} of the time; {kills} processes were"
        " killed for it."
    )
    value = 1.0 if kills else ramp(stalled, MEMORY.stalled)
    return ClassScore(BottleneckClass.MEMORY, value, (sentence,))


@dataclass(frozen=True, slots=True)
class NetworkThresholds:
    """When the way to the clients is the reason."""

    added: RampBounds = (0.3, 0.7)  # share of added latency


NETWORK = NetworkThresholds()


def network(features: Features) -> ClassScore:
    """Threads wait for clients to take their answers."""
    share = features.share_anywhere(LatencyKind.CLIENT)
    sentence = f"Sending is {format_share(share)} of what load added."
    value = outside_cpu(features, ramp(share, NETWORK.added))
    return ClassScore(BottleneckClass.NETWORK, value, (sentence, *sizes(features)))
