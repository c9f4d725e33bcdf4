"""What threads do beyond what requests last is time of theirs and of no request: once an answer is
sent they tidy up, wait for the GIL that they gave up to send it, and wake another; and who hands a
request on works while it still lies in a socket.

By Little's law requests there are threads that serve them, plus what lies unread: where threads are
more than that, it is the server's own code that runs or waits to run, as far as that goes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import sqrt

from perfhunt.analysis.diagnosis.waterfall.parts import RUNNING, PartKey, Seen, Time
from perfhunt.model.units import Seconds, Share

_ALL: Mapping[PartKey, Share] = defaultdict(lambda: 1.0)


@dataclass(frozen=True, slots=True)
class Busy:
    """What threads show of a span: `beyond` is by how much they were busy for longer than requests
    lasted, with its standard error, `server` which share of each part is of the server's own code.
    """

    seen: Seen
    server: Mapping[PartKey, Share]
    beyond: Seconds
    error: Seconds = 0.0


def without_work_beyond_requests(base: Busy, knee: Busy) -> tuple[Seen, Seen]:
    """Both spans less that work. What is not the server's is taken at the knee as the baseline
    tells, where nothing queues: the same part of the time on and before a CPU, and no more than it
    was there.
    """
    quiet = _less(base.seen, base.server, base.beyond, base.error)
    quiet = _less(quiet, _ALL, base.beyond - (base.seen.total - quiet.total))
    taken, before, after = (
        base.seen.total - quiet.total,
        _running(base.seen, _ALL),
        _running(knee.seen, _ALL),
    )
    alike = min(taken, taken / before * after) if before else 0.0
    loaded = _less(knee.seen, knee.server, knee.beyond, knee.error)
    loaded = _less(loaded, _ALL, alike - (knee.seen.total - loaded.total))
    return quiet, loaded


def _running(seen: Seen, weights: Mapping[PartKey, Share]) -> Seconds:
    """The time on and before a CPU, of each part the share that is asked for."""
    return sum(time.value * weights[key] for key, time in seen.parts.items() if key.kind in RUNNING)


def _less(
    seen: Seen, weights: Mapping[PartKey, Share], wanted: Seconds, error: Seconds = 0.0
) -> Seen:
    """Less so much of what runs, by weight, as far as there is any."""
    there = _running(seen, weights)
    taken = min(wanted, there)
    if taken <= 0:
        return seen
    parts = dict(seen.parts)
    for key, time in seen.parts.items():
        if key.kind in RUNNING and (weight := weights[key]):
            part = time.value * weight / there
            parts[key] = Time(time.value - taken * part, sqrt(time.error**2 + (error * part) ** 2))
    return replace(seen, parts=parts)
