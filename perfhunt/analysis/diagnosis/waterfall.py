"""Where the latency that load added went: an additive list by function and state, with the queue
outside the threads.

By Little's law the mean number of threads in a function and state, over the rate, is the time a
request spends there.
"""

from __future__ import annotations

from dataclasses import dataclass

from perfhunt.analysis.blame.frames import FunctionKey
from perfhunt.analysis.blame.reading import EvidenceReading, SpanReading
from perfhunt.analysis.diagnosis.costs import growth_interval, mean_error
from perfhunt.model.interval import Interval
from perfhunt.model.units import Seconds

OUTSIDE: FunctionKey = ("(before a thread had it)", "")
QUEUE = "queue"  # the state of a request that no thread has


@dataclass(frozen=True, slots=True)
class Rise:
    """Seconds per request that load added in one function and state, and what it was at the
    baseline and at the knee.
    """

    function: str
    file: str
    state: str
    base: Seconds
    knee: Seconds
    added: Interval


def waterfall(reading: EvidenceReading) -> tuple[Rise, ...]:
    """Every rise and fall, the largest first; they sum to the growth of the mean service time.
    Empty without instants or without answers in both spans.
    """
    knee, base = reading.knee, reading.baseline
    if base is None or not (reading.comparable and knee.span.completed and base.span.completed):
        return ()
    rises = [
        _rise(key, state, knee, base) for key, state in {**knee.account.own, **base.account.own}
    ]
    rises.append(_outside(knee, base))
    return tuple(sorted(rises, key=lambda r: (-r.added.value, r.function, r.state)))


def _rise(key: FunctionKey, state: str, knee: SpanReading, base: SpanReading) -> Rise:
    before, after = _per_request(base, key, state), _per_request(knee, key, state)
    return Rise(
        function=key[0],
        file=key[1],
        state=state,
        base=before[0],
        knee=after[0],
        added=growth_interval(before, after, _instants(knee, base)),
    )


def _per_request(reading: SpanReading, key: FunctionKey, state: str) -> tuple[Seconds, Seconds]:
    """The time a request spends there, and its standard error."""
    counts, rate = reading.account.own.get((key, state)), reading.span.completed
    if counts is None:
        return 0.0, 0.0
    return float(counts.mean()) / rate, mean_error(counts) / rate


def _outside(knee: SpanReading, base: SpanReading) -> Rise:
    before, after = _unaccounted(base), _unaccounted(knee)
    return Rise(
        function=OUTSIDE[0],
        file=OUTSIDE[1],
        state=QUEUE,
        base=before,
        knee=after,
        added=growth_interval((before, 0.0), (after, 0.0), _instants(knee, base)),
    )


def _unaccounted(reading: SpanReading) -> Seconds:
    """Mean service time that no thread accounts for. Negative when helper threads work on a request
    beside its own.
    """
    if reading.in_flight is None:
        return 0.0
    return (reading.in_flight - reading.account.busy()) / reading.span.completed


def _instants(knee: SpanReading, base: SpanReading) -> int:
    return knee.account.instants + base.account.instants
