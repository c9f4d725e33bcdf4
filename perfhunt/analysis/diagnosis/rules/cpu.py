"""Whether the CPU stops the service: its quota, other work on its cores, its cores, or the one core
that a GIL leaves.
"""

from __future__ import annotations

from dataclasses import dataclass

from perfhunt.analysis.diagnosis.costs import unseen
from perfhunt.analysis.diagnosis.features import Features, LatencyKind
from perfhunt.analysis.diagnosis.limiting import LimitingResource
from perfhunt.analysis.diagnosis.rules.collector import left_by_collector
from perfhunt.analysis.diagnosis.rules.score import ClassScore, RampBounds, nothing, part, ramp
from perfhunt.model.finding import BottleneckClass
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Share, format_share


@dataclass(frozen=True, slots=True)
class QuotaThresholds:
    """When the cgroup's CPU quota is the reason."""

    throttled: RampBounds = (0.02, 0.2)  # share of quota periods in which the kernel stopped it
    of_cores: RampBounds = (0.5, 0.85)  # share of the cores it may use: bursts are throttled too


QUOTA = QuotaThresholds()


def quota(features: Features) -> ClassScore:
    """The cgroup's CPU quota, by the kernel's own count of throttled periods."""
    value = ramp(features.throttled, QUOTA.throttled) * ramp(features.of_cores, QUOTA.of_cores)
    cores = "" if features.cores is None else f", {features.cores:g} cores,"
    sentence = (
        f"The CPU quota of its cgroup{cores} stopped the target in"
        f" {format_share(features.throttled)} of the periods."
    )
    return ClassScore(BottleneckClass.CPU_QUOTA, value, (sentence,))


@dataclass(frozen=True, slots=True)
class HostThresholds:
    """When other work on the host is the reason."""

    # Share of the time that threads wanted to run, waited for others: what is lost of it is lost of
    # the capacity.
    lost: RampBounds = (0.1, 0.33)
    # Cores that it waited for: a service that hardly runs waits as little, and that stops nothing.
    waited: RampBounds = (0.03, 0.15)
    # Share of its cores that the target used all the same: then it is short of them by itself.
    of_cores: RampBounds = (0.6, 0.9)
    full_takes: float = 0.7  # of the score


HOST = HostThresholds()


def host(features: Features) -> ClassScore:
    """Other work had the cores that the target's threads waited for."""
    seen = features.interference
    if seen is None or not seen.target_waited:
        return nothing(BottleneckClass.HOST)
    value = crowded_out(features)
    value *= 1.0 - HOST.full_takes * ramp(features.of_cores, HOST.of_cores)
    # Whoever had the cores: no thread wants one while the acknowledgement is waited for.
    value *= 1.0 - features.acknowledging
    evidence = [
        f"The target ran {seen.target_ran or 0:.2f} cores' worth of time,"
        f" and waited {seen.target_waited:.2f} for cores that other work had."
    ]
    if seen.others is not None:
        names = ", ".join(f"{each.name} {each.cpu:.2f}" for each in seen.busiest)
        named = f" ({names})" if names else ""
        evidence.append(f"Other processes used {seen.others:.2f} cores{named}.")
    return ClassScore(BottleneckClass.HOST, value, tuple(evidence))


def crowded_out(features: Features) -> float:
    """How much of the wish to run was refused by others on the host, and not by the target's own
    threads: 0..1.
    """
    seen = features.interference
    if seen is None or not seen.target_waited:
        return 0.0
    ran, others = seen.target_ran or 0.0, seen.others or 0.0
    lost = seen.target_waited / (seen.target_waited + ran)
    return (
        ramp(lost, HOST.lost) * ramp(seen.target_waited, HOST.waited) * part(others, others + ran)
    )


@dataclass(frozen=True, slots=True)
class GilWeightThresholds:
    """When the wish to run is a wish for the GIL."""

    waiting: RampBounds = (0.1, 0.6)  # mean threads that wait for the GIL


GIL_WEIGHT = GilWeightThresholds()


def gil_weight(features: Features) -> float:
    """How much of the wish to run went to the GIL and not to the cores: 0..1."""
    waiting = features.threads.get(ThreadState.GIL, 0.0)
    queue = features.threads.get(ThreadState.RUN_QUEUE, 0.0)
    return ramp(waiting, GIL_WEIGHT.waiting) * waiting / (waiting + queue) if waiting else 0.0


@dataclass(frozen=True, slots=True)
class CpuThresholds:
    """When the target's cores are the reason."""

    of_cores: RampBounds = (0.6, 0.9)  # share of the cores it may use
    # Share of added latency that is waiting for a CPU: threads are starved by each other,
    # however little the target itself uses.
    starved: RampBounds = (0.3, 0.7)
    # Threads waiting for a CPU over threads on one: beyond it requests queue for the same reason.
    behind: float = 0.5
    # Cores of the busiest process: Python code of one process cannot use more than one.
    one_core: RampBounds = (0.6, 0.9)
    # What one core in full use is worth as evidence: with an event loop, its own class is likelier.
    one_core_value: float = 0.75
    one_core_value_beside_loop: float = 0.4
    gil_takes: float = 0.6  # of the score, where the wish to run is one for the GIL
    # Share of its time that an event loop's thread is blocked, and how much of the score that
    # takes: what holds the loop up is the reason then.
    loop_blocked: RampBounds = (0.1, 0.4)
    loop_takes: float = 0.8
    # Of the score, where the one loop of the one process uses what cores there are: another core
    # would not help it.
    one_loop_takes: float = 0.5
    quota_takes: float = 0.5  # of the score, where the quota explains a full CPU
    worth_saying: float = 0.05  # mean threads that wait for a CPU
    # Of the CPU that target and peers used together, the peers' part: beyond the half it is theirs.
    peers_part: RampBounds = (0.45, 0.65)
    even: float = 0.5  # score that parts full cores from one full core in what is said


CPU = CpuThresholds()


def cpu(features: Features) -> ClassScore:
    """All the CPU the target may use, or all there is on the host."""
    waiting = features.threads.get(ThreadState.RUN_QUEUE, 0.0)
    full = max(
        ramp(features.of_cores, CPU.of_cores), ramp(_starved(features, waiting), CPU.starved)
    )
    # One process at one core with others waiting for its GIL is the GIL's doing, unless the cores
    # are gone as well.
    single = 0.0
    if features.limiting is LimitingResource.CPU:
        beside_loop = features.loop is not None
        worth = CPU.one_core_value_beside_loop if beside_loop else CPU.one_core_value
        single = ramp(features.process_cpu, CPU.one_core) * worth
    blocked = ramp(features.loop.blocked, CPU.loop_blocked) if features.loop else 0.0
    for_gil = gil_weight(features)
    value = max(full * (1.0 - CPU.gil_takes * for_gil), single * (1.0 - for_gil))
    value *= 1.0 - CPU.loop_takes * blocked
    value *= 1.0 - CPU.one_loop_takes * _of_one_loop(features)
    value *= 1.0 - CPU.quota_takes * quota(features).value
    value *= left_by_collector(features)
    only_one_core = full < CPU.even < single
    return ClassScore(BottleneckClass.CPU, value, _cpu_evidence(features, waiting, only_one_core))


def _of_one_loop(features: Features) -> Share:
    """The part of the target's CPU time that one event loop's thread used, where there is one."""
    if features.loop is None or features.processes > 1 or not features.cpu:
        return 0.0
    return min(1.0, features.loop.on_cpu / features.cpu)


def _starved(features: Features, waiting: float) -> float:
    """The share of added latency that is waiting for a CPU, within threads or behind such."""
    behind = 0.0
    running = features.threads.get(ThreadState.ON_CPU, 0.0)
    if waiting > CPU.behind * running and not features.pool_is_loop:
        behind = features.share(unseen(ThreadState.RUN_QUEUE), unseen(ThreadState.ON_CPU))
    # Waiting for cores that other work has is no shortage of the target's own making; for those
    # that its database has, the database is the reason.
    own = (1.0 - crowded_out(features)) * (1.0 - ramp(features.peers_part, CPU.peers_part))
    return (features.share(ThreadState.RUN_QUEUE) + behind) * own


def _cpu_evidence(features: Features, waiting: float, only_one_core: bool) -> tuple[str, ...]:
    used = format_share(features.of_cores)
    evidence = [
        f"The target used {features.cpu or 0:.2f} of {features.cores or 0:g} cores ({used})."
    ]
    if waiting > CPU.worth_saying:
        evidence.append(f"{waiting:.2f} of its threads waited for a CPU on average.")
    if only_one_core:
        evidence.append(
            f"A process used {features.process_cpu:.2f} cores, and {features.traits.one_core}."
        )
    if features.host is not None:
        evidence.append(f"The host was {format_share(features.host)} busy.")
    return tuple(evidence)


@dataclass(frozen=True, slots=True)
class GilThresholds:
    """When the GIL is the reason."""

    one_core: RampBounds = (0.55, 0.85)  # cores of the busiest process: one GIL allows about one
    waiting: RampBounds = (0.1, 0.5)  # mean threads per process that wait for the GIL
    # Of the threads that could run, the share that waits for the GIL: those that may run but find
    # no core want cores.
    not_for_cores: RampBounds = (0.2, 0.5)
    # Share of added latency: waiting for the GIL that load did not add to is not what breaks the
    # service.
    added: RampBounds = (0.15, 0.4)
    # Share of the cores, and how much of the score that takes: with several processes the cores run
    # out first.
    of_cores: RampBounds = (0.7, 0.9)
    cores_take: float = 0.5


GIL = GilThresholds()


def gil(features: Features) -> ClassScore:
    """Threads of a process that uses about one core wait for its GIL."""
    waiting = features.threads.get(ThreadState.GIL, 0.0)
    queue = features.threads.get(ThreadState.RUN_QUEUE, 0.0)
    value = ramp(features.process_cpu, GIL.one_core)
    value *= ramp(waiting / max(features.processes, 1), GIL.waiting)
    value *= ramp(part(waiting, waiting + queue), GIL.not_for_cores)
    if features.compared:
        running = (ThreadState.ON_CPU, ThreadState.GIL, ThreadState.RUN_QUEUE)
        within = (ThreadState.GIL, LatencyKind.CPU, ThreadState.RUN_QUEUE)
        value *= ramp(features.share(*within, *(unseen(state) for state in running)), GIL.added)
    if features.processes > 1:
        value *= 1.0 - GIL.cores_take * ramp(features.of_cores, GIL.of_cores)
    value *= left_by_collector(features)
    evidence = (
        f"The busiest process used {features.process_cpu:.2f} cores, and one GIL allows about one.",
        f"{waiting:.2f} of the target's threads waited for the GIL on average.",
    )
    return ClassScore(BottleneckClass.GIL, value, evidence)
