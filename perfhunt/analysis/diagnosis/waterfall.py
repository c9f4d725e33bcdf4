"""Where the latency that load added went: an additive list by function and state, with the queue
outside the threads.

By Little's law the mean number of threads in a function and state, over the rate, is the time a
request spends there.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from perfhunt.analysis.blame.charge import Series
from perfhunt.analysis.blame.evidence import Evidence
from perfhunt.analysis.blame.frames import Key
from perfhunt.analysis.blame.reading import EvidenceReading, SpanReading, read_evidence
from perfhunt.analysis.diagnosis.ranking_costs import mean_error
from perfhunt.model.interval import Interval
from perfhunt.model.units import Seconds

OUTSIDE: Key = ("(before a thread had it)", "")


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


def waterfall(evidence: Evidence) -> tuple[Rise, ...]:
    """Every rise and fall, the largest first; they sum to the growth of the mean service time.
    Empty without instants.
    """
    return waterfall_of(read_evidence(evidence))


def waterfall_of(seen: EvidenceReading) -> tuple[Rise, ...]:
    """The same of evidence that was read already."""
    knee, base = seen.knee, seen.baseline
    if base is None or not (
        knee.has_instants and base.has_instants and knee.span.completed and base.span.completed
    ):
        return ()
    keys = {*knee.ledger.own, *base.ledger.own}
    rises = [_rise(key, state, knee, base) for key, state in keys]
    rises.append(_outside(knee, base))
    return tuple(sorted(rises, key=lambda r: (-r.added.value, r.function, r.state)))


def _rise(key: Key, state: str, knee: SpanReading, base: SpanReading) -> Rise:
    after, after_error = _per_request(knee.ledger.own.get((key, state)), knee)
    before, before_error = _per_request(base.ledger.own.get((key, state)), base)
    reach = 2.13 * sqrt(after_error**2 + before_error**2)
    added = after - before
    n = knee.ledger.instants + base.ledger.instants
    return Rise(
        key[0], key[1], state, before, after, Interval(added, added - reach, added + reach, n)
    )


def _per_request(counts: Series | None, reading: SpanReading) -> tuple[Seconds, Seconds]:
    if counts is None:
        return 0.0, 0.0
    return float(counts.mean()) / reading.span.completed, mean_error(
        counts
    ) / reading.span.completed


def _outside(knee: SpanReading, base: SpanReading) -> Rise:
    after, before = _unaccounted(knee), _unaccounted(base)
    n = knee.ledger.instants + base.ledger.instants
    return Rise(
        OUTSIDE[0],
        OUTSIDE[1],
        "queue",
        before,
        after,
        Interval(after - before, after - before, after - before, n),
    )


def _unaccounted(reading: SpanReading) -> Seconds:
    """Mean service time that no thread accounts for. Negative when helper threads work on a request
    beside its own.
    """
    if reading.in_flight is None:
        return 0.0
    return (reading.in_flight - reading.ledger.busy()) / reading.span.completed
