"""Which kinds of thread work for no request: those that do as much at any load, or without any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TypeAlias

from perfhunt.analysis.blame.frames import FunctionKey
from perfhunt.analysis.blame.idle import THRESHOLDS as UNMOVED
from perfhunt.analysis.blame.reading import EvidenceReading
from perfhunt.analysis.blame.reconciled import reconciled
from perfhunt.analysis.blame.snapshots import Snapshots, ThreadGroup, snapshots_of, thread_group
from perfhunt.model.profile import Instants
from perfhunt.model.states import States, ThreadState

_QUEUES = frozenset({ThreadState.RUN_QUEUE, ThreadState.GIL})
# By kind of thread: how many were on a CPU, and how many were busy of their own accord.
_Doings: TypeAlias = Mapping[ThreadGroup, tuple[float, float]]


def beside_requests(reading: EvidenceReading) -> frozenset[ThreadGroup]:
    """Kinds of thread that did no more at the knee than at the baseline, or than without load: what
    they do, they do for no request.
    """
    base, knee = reading.baseline, reading.knee
    after = _doings(knee.snapshots, knee.span.instants, knee.span.states)
    unmoved = _no_more(_without_load(reading), after)
    if base is None or knee.span.completed < UNMOVED.faster * base.span.completed:
        return unmoved
    before = _doings(base.snapshots, base.span.instants, base.span.states)
    return unmoved | _no_more(before, after)


def functions_beside(reading: EvidenceReading) -> frozenset[FunctionKey]:
    """The functions that the knee's looks met on such threads only."""
    unmoved = beside_requests(reading)
    beside: set[FunctionKey] = set()
    serving: set[FunctionKey] = set()
    for snapshot in (s for present in reading.knee.snapshots for s in present):
        of = beside if thread_group(snapshot.sample) in unmoved else serving
        of.add(snapshot.owner.key)
    return frozenset(beside - serving)


def kinds_of_threads(instants: Instants | None) -> dict[tuple[int, int], ThreadGroup]:
    """(pid, tid) -> what kind of thread it mostly was, for those that were seen with a stack."""
    seen: dict[tuple[int, int], Counter[ThreadGroup]] = {}
    for instant in instants or ():
        for thread in (t for t in instant.threads if t.stack and not t.task):
            seen.setdefault((thread.pid, thread.tid), Counter())[thread_group(thread)] += 1
    return {thread: kinds.most_common(1)[0][0] for thread, kinds in seen.items()}


def _no_more(before: _Doings, after: _Doings) -> frozenset[ThreadGroup]:
    return frozenset(
        group
        for group, doing in before.items()
        if group in after
        and any(doing)
        and all(b <= UNMOVED.growth * a for a, b in zip(doing, after[group], strict=True))
    )


def _without_load(reading: EvidenceReading) -> _Doings:
    idle = reading.evidence.idle
    if idle is None:
        return {}
    looks = reconciled(idle, reading.idle.covers)
    return _doings(snapshots_of(looks, reading.code, reading.idle), looks, None)


def _doings(snapshots: Snapshots, instants: Instants | None, states: States | None) -> _Doings:
    """Exactly on a CPU where that is known. Who queues for a CPU or the GIL is kept by others."""
    busy: Counter[ThreadGroup] = Counter()
    running: Counter[ThreadGroup] = Counter()
    for snapshot in (s for present in snapshots for s in present):
        group = thread_group(snapshot.sample)
        busy[group] += snapshot.state not in _QUEUES
        running[group] += snapshot.state == ThreadState.ON_CPU
    looks = max(len(snapshots), 1)
    on_cpu = {group: n / looks for group, n in running.items()}
    if states is not None:
        kinds = kinds_of_threads(instants)
        on_cpu = dict.fromkeys(busy, 0.0)
        for thread in states.threads:
            kind = kinds.get((thread.pid, thread.tid))
            if kind in on_cpu:
                on_cpu[kind] += thread.states.get(ThreadState.ON_CPU, 0.0)
    return {group: (on_cpu.get(group, 0.0), n / looks) for group, n in busy.items()}
