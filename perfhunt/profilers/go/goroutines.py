"""Goroutines that wait for a lock, from looks at all of them: Go's goroutine profile, which is
served beside the one of the CPU.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from perfhunt.model.profile import LockWait, Stack
from perfhunt.model.profiles.readers.pprof import parse_pprof

# Functions in which a goroutine waits to have what others have, and the kind of it.
_WAITS_IN: Mapping[str, str] = {
    "sync.(*Mutex).Lock": "lock",
    "sync.(*Mutex).lockSlow": "lock",
    "sync.(*RWMutex).Lock": "lock",
    "sync.(*RWMutex).RLock": "lock",
    "sync.runtime_SemacquireMutex": "lock",
    "internal/sync.(*Mutex).lockSlow": "lock",
    "golang.org/x/sync/semaphore.(*Weighted).Acquire": "pool",
    "database/sql.(*DB).conn": "pool",
}
# A goroutine with one of these on top of its stack does not run.
_PARKED = "runtime.gopark"


class LockLooks:
    """What several looks at the goroutines of a process saw of its locks."""

    def __init__(self) -> None:
        self._looks = 0
        self._seen: Counter[tuple[Stack, str]] = Counter()

    def add(self, profile: bytes) -> None:
        """One look more: a goroutine profile. Raises PprofError."""
        self._looks += 1
        for stack, goroutines in parse_pprof(profile, counted="goroutine").stacks.items():
            if kind := _kind(stack):
                self._seen[stack, kind] += round(goroutines)

    def waits(self) -> tuple[LockWait, ...]:
        """Who waited for locks, on average over the looks."""
        return tuple(
            LockWait(stack, kind, threads=n / self._looks, n=n)
            for (stack, kind), n in self._seen.items()
        )


def _kind(stack: Stack) -> str:
    """`lock`, `pool`, or "" for a goroutine that waits for neither, or runs."""
    if not any(frame.function == _PARKED for frame in stack):
        return ""
    kinds = (_WAITS_IN.get(frame.function) for frame in reversed(stack))
    return next((kind for kind in kinds if kind), "")
