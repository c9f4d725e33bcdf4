"""Whether a service did nothing while it was looked at: then none of its functions leads."""

from __future__ import annotations

from collections import Counter

from perfhunt.analysis.blame.evidence import Span
from perfhunt.analysis.blame.frames import CodeLocation, location_of
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Cores, Share

# Of a core: timers and health checks use less, a handful of requests a second more.
IDLE_CPU: Cores = 0.01
# Of the looks at its threads, those that found one where it mostly is: a thread that serves
# requests is elsewhere more often.
UNMOVED: Share = 0.98


def is_idle(span: Span) -> bool:
    """Whether the service hardly ran, and its threads waited where they were; False where neither
    the kernel nor anybody else says what it used.
    """
    used = span.resources.cpu if span.resources is not None else None
    if used is None and span.states is not None:
        used = span.states.in_state(ThreadState.ON_CPU)
    return used is not None and used < IDLE_CPU and _unmoved(span) >= UNMOVED


def _unmoved(span: Span) -> Share:
    """The share of looks that found a thread at its commonest place; 1 without looks."""
    places: dict[tuple[int, int], Counter[CodeLocation]] = {}
    for instant in span.instants or ():
        for thread in (t for t in instant.threads if t.stack):
            seen = places.setdefault((thread.pid, thread.tid), Counter())
            seen[location_of(thread.stack)] += 1
    looks = sum(seen.total() for seen in places.values())
    return sum(max(seen.values()) for seen in places.values()) / looks if looks else 1.0
