"""The pool of threads to which an event loop of compiled code hands what would block it."""

from __future__ import annotations

import re
from collections import Counter

from perfhunt.analysis.blame.frames import in_event_loop
from perfhunt.analysis.blame.reading import PoolUse, SpanReading
from perfhunt.model.profile import Stack
from perfhunt.model.units import Share

# tokio's: a thread that has work polls a task there. Its workers are threads of that pool too.
_OF_POOL = re.compile(r"^tokio::runtime::blocking::pool::Inner::run$")
_HAS_WORK = re.compile(r"^tokio::runtime::task::")
_MOSTLY: Share = 0.5  # of the looks at a thread, in which it is one of the pool's


def blocking_pool_at_work(reading: SpanReading) -> PoolUse | None:
    """How many threads the pool had at a look, and how many of them had work; None for none."""
    instants = reading.span.instants
    if not instants:
        return None
    threads = [t for instant in instants for t in instant.threads if t.stack]
    there = Counter((t.pid, t.tid) for t in threads)
    pooled = [t for t in threads if _is_of_pool(t.stack)]
    seen = Counter((t.pid, t.tid) for t in pooled)
    ours = {thread for thread, n in seen.items() if n > _MOSTLY * there[thread]}
    mine = [t for t in pooled if (t.pid, t.tid) in ours]
    busy = sum(any(_HAS_WORK.search(frame.function) for frame in t.stack) for t in mine)
    looks = len(instants)
    return PoolUse(len(mine) / looks, busy / looks) if mine else None


def _is_of_pool(stack: Stack) -> bool:
    return not in_event_loop(stack) and any(_OF_POOL.search(f.function) for f in stack)
