"""Stations where requests only compute: the cores, all that shares this host's, and the one core
that some runtimes leave each process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import hypot, isfinite, sqrt
from statistics import fmean

from perfhunt.analysis.blame.cpu_use import CpuUse, use_in_profile
from perfhunt.analysis.blame.frames import FunctionKey
from perfhunt.analysis.blame.reading import EvidenceReading, on_cpu
from perfhunt.analysis.diagnosis.costs import STUDENT_T, Cost
from perfhunt.analysis.diagnosis.features import loop_loads
from perfhunt.analysis.diagnosis.known.runtimes import RuntimeTraits, traits_of
from perfhunt.analysis.diagnosis.limiting import per_process
from perfhunt.analysis.diagnosis.peers import PeerLoad
from perfhunt.analysis.diagnosis.prediction.cpu_cost import CpuCost, cpu_cost
from perfhunt.analysis.diagnosis.prediction.station import (
    NOTHING,
    Estimated,
    Station,
    StationKind,
    cpu_parts,
    total,
)
from perfhunt.model.profile import ProfileMode
from perfhunt.model.states import ThreadState
from perfhunt.model.trial import Trial
from perfhunt.model.units import Cores, Seconds, Share

# Of what the busiest process uses: one that uses more serves requests too.
_BUSY_PROCESS: Share = 0.25
ONLY = "its only busy process"
# What one thread can use, with a margin for the error of the measurement. A process may use more
# where C code lets the GIL go, or runs in threads of its own; then that is not what bounds it.
_ONE_CORE: Cores = 1.05


def request_cost(reading: EvidenceReading, trials: Sequence[Trial]) -> CpuCost | None:
    """What a request costs in CPU; None when that is not known."""
    cores = reading.evidence.cores or 1.0
    serial = processes_on_one_core(reading) or cores
    return cpu_cost(reading, trials, min(float(serial), cores))


def cpu_stations(
    reading: EvidenceReading,
    cost: CpuCost | None,
    costs: Mapping[FunctionKey, Cost],
    trials: Sequence[Trial],
    loads: Sequence[PeerLoad] = (),
) -> list[Station]:
    """The cores, with the load generator and the peers where they run on the same ones, and one
    core for each process with a GIL; none when the cost of a request is not known. What a peer
    computes is the use of the functions that wait for it.
    """
    cores = reading.evidence.cores
    if cost is None:
        return []
    shares = cpu_shares_of(reading, costs)
    stations = []
    if cores:
        generator = generator_cost(trials, cores)
        sharing = [load for load in loads if load.cpu and load.peer.allowed == cores]
        names = [load.peer.name for load in sharing] + ["the load generator"] * (generator > 0)
        beside = f", shared with {' and '.join(names)}" if names else ""
        name = f"the CPU ({_usable(cores, reading)}{beside})"
        uses = _uses_of(sharing, reading)
        theirs = sum(load.cpu for load in sharing) / reading.knee.span.completed
        whole = _computing(name, cores, cost, shares, generator + theirs)
        stations.append(replace(whole, wait_uses=uses, others=cores_of_others(trials, cores)))
    processes = processes_on_one_core(reading)
    if _traits(reading).gil and processes and processes < (cores or float("inf")):
        name = (
            f"one core for each of {processes} processes (the GIL)"
            if processes > 1
            else f"one core (the GIL of {ONLY})"
        )
        stations.append(_computing(name, float(processes), cost, shares))
    elif (held := _held_gil(reading)) is not None:
        stations.append(held)
    return stations


def _usable(cores: Cores, reading: EvidenceReading) -> str:
    """`2 cores`; with who can use how many of them, where its runtime leaves the service less."""
    count = f"{cores:g} core{'' if cores == 1 else 's'}"
    processes = processes_on_one_core(reading)
    if not 0 < processes < cores:
        return count
    if processes > 1:
        return f"{count}, of which its {processes} processes can use one each"
    loop = _traits(reading).main_loop or loop_loads(reading)
    whom = "the one thread of its event loop" if loop else ONLY
    return f"{count}, of which {whom} can use one"


def _traits(reading: EvidenceReading) -> RuntimeTraits:
    return traits_of(reading.evidence.runtime, reading.evidence.version)


def _held_gil(reading: EvidenceReading) -> Station | None:
    """The GIL of each busy process, where C code that lets it go computes beside it: held for as
    long as the profile of its holders says; None without such a profile.
    """
    span = reading.knee.span
    profile = span.profile
    if profile is None or profile.mode is not ProfileMode.GIL or not profile.ticks:
        return None
    use = use_in_profile(profile, reading.code, reading.idle)
    processes = len(_busy_processes(reading))
    if not use.samples:
        return None
    each = 1.0 / (profile.ticks * span.completed)
    holds = use.samples * each
    # Whoever holds it waits for a core as often as any of its threads that could run.
    waiting = reading.knee.account.states()
    running = waiting.get(ThreadState.ON_CPU, 0.0)
    queued = waiting.get(ThreadState.RUN_QUEUE, 0.0)
    return Station(
        name=f"the GIL of {f'each of {processes} processes' if processes > 1 else ONLY}",
        kind=StationKind.LOCK,
        units=float(processes),
        waits=Estimated(holds, holds * (2.0 / use.samples) ** 0.5),
        wait_uses={key: Estimated(own * each) for key, own in use.own.items()},
        held_up=holds * queued / (queued + running) if queued else 0.0,
    )


def peer_stations(reading: EvidenceReading, loads: Sequence[PeerLoad]) -> list[Station]:
    """The cores of each peer that has others than the target, or one where one thread of it does
    nearly all.
    """
    cores, rate = reading.evidence.cores, reading.knee.span.completed
    stations = []
    for load in loads:
        units = 1.0 if load.is_serial else load.peer.allowed or 0.0
        if not load.cpu or not units or units == cores:
            continue
        what = "the only busy thread" if load.is_serial else f"the {units:g} cores"
        stations.append(
            Station(
                name=f"{what} of {load.peer.name}",
                kind=StationKind.CPU,
                units=units,
                waits=Estimated(load.cpu / rate),
                wait_uses=_uses_of([load], reading),
            )
        )
    return stations


def _uses_of(loads: Sequence[PeerLoad], reading: EvidenceReading) -> dict[FunctionKey, Estimated]:
    """What each function has peers compute for a request."""
    uses: dict[FunctionKey, Estimated] = {}
    for load in loads:
        each = load.cpu / reading.knee.span.completed
        for key, part in load.waiters.items():
            uses[key] = total((uses.get(key, NOTHING), Estimated(each * part)))
    return uses


def _computing(
    name: str,
    units: Cores,
    cost: CpuCost,
    shares: Mapping[FunctionKey, Estimated],
    beside: Seconds = 0.0,
) -> Station:
    now, saturated = cpu_parts(cost)
    return Station(
        name=name,
        kind=StationKind.CPU,
        units=units,
        cpu=now,
        cpu_saturated=saturated,
        cpu_shares=shares,
        waits=Estimated(beside),
        fixed=min(cost.fixed, units),
    )


def cpu_shares_of(
    reading: EvidenceReading, costs: Mapping[FunctionKey, Cost]
) -> dict[FunctionKey, Estimated]:
    """Each function's part of the CPU, with the error of its samples."""
    whole = reading.knee.cpu_per_request
    if not whole:
        return {}
    shares = {
        key: min(1.0, cost.running / whole) for key, cost in costs.items() if cost.running > 0
    }
    return {
        key: Estimated(share, _share_error(key, share, reading)) for key, share in shares.items()
    }


def _share_error(key: FunctionKey, share: Share, reading: EvidenceReading) -> Share:
    """The standard error of a function's part: of the samples, and of how much computed where no
    profile sees it; with what samples missed, for all of that may have been other functions.
    """
    use, profile = reading.knee.use, reading.knee.span.profile
    if not use.samples:
        return share
    missed = 0.0
    if profile is not None and not profile.mostly_lost:
        lost = profile.errors + profile.dropped
        missed = share * lost / (lost + profile.total) / STUDENT_T if lost else 0.0
    return missed + hypot(_sampled(share, use.samples), _unseen(key, use))


def _unseen(key: FunctionKey, use: CpuUse) -> Share:
    """What the error of the native part is worth for a function: it has another part of that code
    than of the rest.
    """
    native = sum(use.native.values())
    if not native or not use.looks:
        return 0.0
    whole, seen = native / use.samples, use.samples - native
    there = use.native.get(key, 0.0) / native
    here = (use.own.get(key, 0.0) - use.native.get(key, 0.0)) / seen if seen > 0 else 0.0
    split = whole * _sampled(there, use.looks * whole)
    return hypot(abs(there - here) * _sampled(whole, use.looks), split)


def _sampled(share: Share, samples: float) -> Share:
    """The standard error of a share that so many samples tell: twice the variance of independent
    ones, as costs are told with.
    """
    return sqrt(2 * share * max(1 - share, 0.0) / samples)


def generator_cost(trials: Sequence[Trial], cores: Cores) -> Seconds:
    """CPU seconds of the load generator for each request, where it runs on the very cores that the
    target may use: those of the whole host. 0 where it does not, or nobody looked.
    """
    ran = [
        (t.interference.generator_ran, t.completed)
        for t in trials
        if t.interference is not None
        and t.interference.generator_ran is not None
        and t.interference.cores == cores
        and t.completed > 0
        and not t.invalid
    ]
    whole = sum(rate for _, rate in ran)
    each = sum(cpu for cpu, _ in ran) / whole if whole else 0.0
    return each if isfinite(each) else 0.0


def cores_of_others(trials: Sequence[Trial], cores: Cores) -> Cores:
    """What other work took of these very cores in the trials that it did not spoil; 0 where they
    are not all of the host's, or nobody looked.
    """
    took = [
        t.interference.others
        for t in trials
        if t.interference is not None
        and t.interference.others is not None
        and t.interference.cores == cores
        and not t.invalid
    ]
    return fmean(took) if took else 0.0


def processes_on_one_core(reading: EvidenceReading) -> int:
    """How many busy processes there are, each with the one core that its runtime leaves it; 0 when
    one uses more, or the runtime leaves it several.
    """
    if not _traits(reading).one_core:
        return 0
    used = _busy_processes(reading)
    processes = max(1, len(used))
    total = on_cpu(reading.knee.span) or 0.0
    bound = max(used, default=0.0) <= _ONE_CORE and total <= _ONE_CORE * processes
    return processes if bound else 0


def _busy_processes(reading: EvidenceReading) -> list[Cores]:
    """What each process uses that serves requests too."""
    used = per_process(reading, ThreadState.ON_CPU).values()
    busiest = max(used)
    return [share for share in used if share > _BUSY_PROCESS * busiest]
