"""The doubts about the limits that a service lives under, where one of them was met and something
else is what stops it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perfhunt.analysis.diagnosis.limiting import STOPPED
from perfhunt.analysis.diagnosis.rules.wire import FIXES
from perfhunt.analysis.trial.wire import fds_share
from perfhunt.model.finding import Bottleneck, BottleneckClass, Caution, CautionCode
from perfhunt.model.trial import Resources, Trial
from perfhunt.model.units import Share, format_bytes, format_share

# Of what it may use: the kernel takes pages back before the rest is gone, and kills after it.
MEMORY_NEAR: Share = 0.9
# Of the files that a process may have open: what is opened for a moment fills the rest.
FILES_NEAR: Share = 0.95


def about_limits(trials: Sequence[Trial], bottleneck: Bottleneck | None) -> Iterator[Caution]:
    """The limits of CPU, memory and tasks that were met, but for the one that stops the service."""
    category = bottleneck.category if bottleneck is not None else None
    used = [t.resources for t in trials if t.resources is not None]
    if category is not BottleneckClass.CPU_QUOTA:
        yield from _about_quota(used)
    if category is not BottleneckClass.MEMORY:
        yield from _about_memory(used)
    if category is not BottleneckClass.DESCRIPTORS:
        yield from _about_files(used)
    refused = sum(each.tasks_refused or 0 for each in used)
    if refused:
        yield Caution(
            CautionCode.TASKS_REFUSED,
            f"The service was refused a thread or a process {refused:,} times: its cgroup allows no"
            " more.",
            "Raise pids.max of its cgroup (docker: --pids-limit; systemd: TasksMax).",
        )


def _about_quota(used: Sequence[Resources]) -> Iterator[Caution]:
    worst = max(used, key=lambda each: each.throttled or 0.0, default=None)
    if worst is None or (worst.throttled or 0.0) < STOPPED or worst.cpu_limit is None:
        return
    yield Caution(
        CautionCode.THROTTLED,
        f"The CPU quota of {worst.cpu_limit:g} cores stopped the service in up to"
        f" {format_share(worst.throttled or 0.0)} of its periods.",
        "Raise the quota, or start fewer threads than it has cores: bursts of many use it up.",
    )


def _about_files(used: Sequence[Resources]) -> Iterator[Caution]:
    worst = max(used, key=fds_share, default=None)
    if worst is None or fds_share(worst) < FILES_NEAR:
        return
    yield Caution(
        CautionCode.FILES_LIMIT,
        f"A process of the service had up to {worst.fds_most:,} of the {worst.fds_limit:,} files"
        " open that it may have at once (RLIMIT_NOFILE): connections beyond them are not accepted.",
        f"{FIXES[BottleneckClass.DESCRIPTORS]}.",
    )


def _about_memory(used: Sequence[Resources]) -> Iterator[Caution]:
    killed = sum(each.oom_kills or 0 for each in used)
    hits = sum(each.memory_hits or 0 for each in used)
    worst = max(used, key=_of_memory, default=None)
    if worst is None or not (killed or _of_memory(worst) >= MEMORY_NEAR):
        return
    told = []
    if worst.memory_limit and _of_memory(worst) >= MEMORY_NEAR:
        limit = f"{format_bytes(worst.memory_limit)} ({worst.memory_limit_source})"
        told.append(f"The service used up to {format_share(_of_memory(worst))} of its {limit}")
    if hits and told:
        told.append(f"was at that limit {hits:,} times")
    if killed:
        told.append(f"{killed:,} processes were killed for lack of memory")
    yield Caution(
        CautionCode.MEMORY_LIMIT,
        f"{', and '.join(told)}.",
        "Give it more memory, or have it keep less; then investigate again.",
    )


def _of_memory(used: Resources) -> Share:
    """The most of its memory that was in use."""
    peak, limit = used.rss_peak or 0, used.memory_limit
    of_peak = peak / limit if limit else 0.0
    return min(1.0, max(used.memory_share or 0.0, of_peak))
