"""Which profilers to attach to a target, how, and why, in sentences."""

from __future__ import annotations

from dataclasses import dataclass, replace

from perfhunt.model.profile import ProfileMode
from perfhunt.model.run import TargetProcess
from perfhunt.profilers.perf.advice import other_profiler
from perfhunt.profilers.profiler import LookerMaker, Profiler
from perfhunt.profilers.table import PROFILERS, looker_maker

RATE_HZ = 99  # off the beat of whatever in the target runs at 100 Hz
_ANY_PROCESS = "native"  # the runtime of a profiler that can sample whatever runs


@dataclass(frozen=True, slots=True)
class AttachPlan:
    """What to attach: a profiler of its workers and its `mode`; `looks`: what makes lookers
    at all its threads, where there are any. `because` is why it is that profiler and mode,
    `reasons` are why it is no other, and who else could tell more.
    """

    profiler: Profiler | None = None
    mode: ProfileMode = ProfileMode.CPU
    looks: LookerMaker | None = None
    because: str = ""
    reasons: tuple[str, ...] = ()


def choose(target: TargetProcess, opened: bool = False) -> AttachPlan:
    """The plan for a target: the best profiler of its runtime that can be used here, and looks at
    every thread where its runtime has a looker.

    `opened`: the user allows profilers that open a door into the target (Node's inspector). A plan
    may be empty: thread states from /proc are taken in any case.
    """
    reasons: list[str] = []
    chosen, mode, because = None, ProfileMode.CPU, ""
    for profiler in _candidates(target):
        if profiler.opens and not opened:
            reasons.append(f"{profiler.name} is not used unless allowed, since it {profiler.opens}")
            continue
        if why := profiler.available(target.workers):
            reasons.append(why)
            continue
        mode, because = profiler.mode_for(target)
        chosen = profiler
        break
    if advice := other_profiler(target.runtime, target.workers[0]):
        reasons.append(advice)
    looks = looker_maker(target.runtime, opened)
    return AttachPlan(
        profiler=chosen, mode=mode, looks=looks, because=because, reasons=tuple(reasons)
    )


def _candidates(target: TargetProcess) -> list[Profiler]:
    """Those that can sample a target, best first: one that knows it alone before one for all."""
    as_any = replace(target, runtime=_ANY_PROCESS)
    knowing = [profiler for profiler in PROFILERS.values() if profiler.is_for(target)]
    seeing = [profiler for profiler in PROFILERS.values() if profiler.is_for(as_any)]
    return sorted(knowing or seeing, key=lambda profiler: len(profiler.runtimes))
