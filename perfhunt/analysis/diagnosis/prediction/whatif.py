"""What removing a suspect would bring: its part taken out of every station, and the smallest bound
that is left.

The knee moves with the capacity. In a queue the time that is waited depends on the requests per
second that are left to the capacity, so the same limit leaves the same room below it: exactly so in
M/M/1, where the response time is exponential with a rate of capacity less arrivals (Kleinrock
1975). It moves as well where an answer is rid of a wait that holds no resource: the SLO leaves more
to the queue then, and the same capacity needs less room.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from math import hypot

from perfhunt.analysis.blame.frames import FunctionKey
from perfhunt.analysis.blame.reading import EvidenceReading
from perfhunt.analysis.diagnosis.peers import peer_loads
from perfhunt.analysis.diagnosis.prediction.binding import (
    TOLERANCE,
    Model,
    model_of,
    observed_capacity,
)
from perfhunt.analysis.diagnosis.prediction.cpu_stations import (
    cpu_stations,
    peer_stations,
    request_cost,
)
from perfhunt.analysis.diagnosis.prediction.curve import QueueCurve, held_back, queue_curve
from perfhunt.analysis.diagnosis.prediction.held import not_known
from perfhunt.analysis.diagnosis.prediction.relief import NO_RELIEF, Relief, relief_of
from perfhunt.analysis.diagnosis.prediction.station import Estimated, Station, StationKind
from perfhunt.analysis.diagnosis.prediction.thread_stations import thread_stations
from perfhunt.analysis.diagnosis.suspects import Suspects
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.model.finding import Finding, WhatIf
from perfhunt.model.interval import Interval
from perfhunt.model.knee import Knee
from perfhunt.model.trial import Trial
from perfhunt.model.units import Cores, PerSecond, Seconds, Share, format_rate, format_share

REMOVED: Share = 1.0  # how much of a suspect is supposed gone
_CONFIDENT = 3  # findings worth a prediction: nobody starts further down the list
# Times the capacity: beyond it nothing that was measured says anything.
_FURTHEST = 10.0
# Of its capacity: no service keeps its SLO nearer to it.
_NEAREST: Share = 0.95
# A knee at less of the capacity than this is not only that of a queue.
_EARLY: Share = 0.5
# Of what a station is taken: below it, a CPU cost is that of a cold core. How far it falls is not
# told by how it fell until then: of the mended services of the benchmark, most gave more.
_COLD: Share = 0.5
# Of what a station is taken for: computing, or waiting for a CPU or the GIL, from which it matters
# that these become less.
_HELD_UP: Share = 0.2
# Of the cores that the target may use: other work that has less explains no missing capacity.
_MUCH: Share = 0.25
# Of the capacity: a change of less is none.
_LEAST_GAIN: Share = 0.03
_DOUBT = 1.96  # standard errors either side, for 95 %


def with_what_if(
    findings: Sequence[Finding],
    reading: EvidenceReading,
    suspects: Suspects,
    climb: SearchResult,
    trials: Sequence[Trial],
) -> tuple[Finding, ...]:
    """The findings, the first few with a prediction, or with why there is none; unchanged where
    there is no knee to explain.
    """
    knee = climb.knee
    if not isinstance(knee, Knee):
        return tuple(findings)
    basis = basis_of(reading, suspects, climb, trials)
    if isinstance(basis, str):
        return tuple(replace(f, withheld=basis) if f.rank <= _CONFIDENT else f for f in findings)
    return tuple(
        _told(f, basis, relief_of(f.members, suspects, basis.model.binding, reading.knee))
        if f.rank <= _CONFIDENT
        else f
        for f in findings
    )


@dataclass(frozen=True, slots=True)
class Basis:
    """What a prediction is made from: the stations, the knee with the curve through it (None: no
    percentile's), and the `rate` at which demands were read.
    """

    model: Model
    knee: Knee
    rate: PerSecond
    curve: QueueCurve | None


def basis_of(
    reading: EvidenceReading, suspects: Suspects, climb: SearchResult, trials: Sequence[Trial]
) -> Basis | str:
    """What predictions of this run are made from; why none can be, as the rest of a sentence.
    Raises TypeError where there is no knee.
    """
    knee, span = climb.knee, reading.knee.span
    if not isinstance(knee, Knee):
        raise TypeError("without a knee there is nothing to predict")
    seen = observed_capacity(knee, climb.capacity)
    known = stations(reading, suspects, trials)
    model = seen if isinstance(seen, str) else model_of(known, seen)
    if isinstance(model, str):
        return f"{model}{not_known(reading.knee)}{_beside(reading)}"
    curve = queue_curve(knee, model.capacity, trials, held_back(span.trial))
    return Basis(model, knee, span.completed, curve)


def stations(
    reading: EvidenceReading, suspects: Suspects, trials: Sequence[Trial]
) -> tuple[Station, ...]:
    """The resources whose demand is known: cores, one GIL per process, event loops, the threads of
    each pool, each held lock or pool.
    """
    if not reading.knee.span.completed:
        return ()
    costs, cost = suspects.at_knee, request_cost(reading, trials)
    loads = peer_loads(reading, suspects)
    return (
        *cpu_stations(reading, cost, costs, trials, loads),
        *peer_stations(reading, loads),
        *thread_stations(reading, cost, costs),
    )


def _told(finding: Finding, basis: Basis, relief: Relief) -> Finding:
    if _is_unbounded(finding.members, basis.model):
        return replace(
            finding,
            withheld=(
                "without it no known resource would be full at"
                f" {format_rate(_FURTHEST * basis.model.capacity)}, {_FURTHEST:g} times the"
                " capacity: what would limit it first, nothing that was measured says"
            ),
        )
    known = predict(finding.members, basis, relief)
    if isinstance(known, str):
        return replace(finding, withheld=known)
    return replace(finding, what_if=known)


def _beside(reading: EvidenceReading) -> str:
    """What other work had of the host, as the end of a sentence, where that was much of it."""
    trial, cores = reading.knee.span.trial, reading.evidence.cores
    other = trial.interference.others if trial is not None and trial.interference else None
    if not other or not cores or other < _MUCH * cores:
        return ""
    return f"; other work had {other:.2g} of this host's cores"


def predict(
    gone: Collection[FunctionKey], basis: Basis, relief: Relief = NO_RELIEF
) -> WhatIf | str:
    """The knee and the capacity without some functions; where neither they nor a bound of them is
    known, what limits them then and between what they are, as the rest of a sentence.
    """
    left, now = capacity_without(gone, basis.model), basis.model.capacity
    if left.value < now * (1 + _LEAST_GAIN):
        return _by_latency(basis, relief)
    model, knee = basis.model, basis.knee
    next_cap = _next_cap(gone, model)
    rate = _knee(basis, left.value, relief)
    predicted = WhatIf(
        rate=rate,
        low=min(knee.low * left.low / now, rate),
        high=max(rate, _knee(basis, left.high, relief, knee.high)),
        removed=REMOVED,
        cap=f"then {next_cap.name} would be the limit",
        caveat=_caveat(knee, now),
        saturated=left.value,
        saturated_low=left.low,
        saturated_high=left.high,
        binding=model.binding.name,
    )
    bounded = _bounded_below(gone, model, next_cap, basis.rate)
    return _least(predicted, bounded, basis, left, next_cap) if bounded else predicted


def _least(
    predicted: WhatIf, bounded: str, basis: Basis, left: Interval, next_cap: Station
) -> WhatIf | str:
    """The same as a lower bound: the lower ends of all that is known. What was never full gives up
    to so much less than its bound when it is; the knee is at the part of the capacity where it is
    now, if it is a queue that sets it.
    """
    knee, now = basis.knee, basis.model.capacity
    if knee.rate < _EARLY * now and not (basis.curve is not None and basis.curve.measured):
        return (
            f"the SLO breaks at {format_share(knee.rate / now)} of what {basis.model.binding.name}"
            f" allows, so more than its queue is slow there; without it {next_cap.name} would allow"
            f" {format_rate(left.low)} to {format_rate(left.high)}"
        )
    full = 1.0 if next_cap is basis.model.binding else 1.0 - TOLERANCE
    saturated = full * left.low
    rate = min(predicted.low, knee.low * saturated / now)
    if rate < knee.rate * (1 + _LEAST_GAIN):
        return (
            f"{next_cap.name} would be the limit without it, which allows {format_rate(saturated)}"
            f" to {format_rate(left.high)}: that is known too little for a number"
        )
    return replace(
        predicted,
        rate=rate,
        low=rate,
        saturated=saturated,
        saturated_low=saturated,
        caveat=bounded,
        at_least=True,
    )


def with_units(
    basis: Basis, name: str, units: float, beside: Seconds, others: Cores
) -> tuple[Interval, str]:
    """The knee with so many units of what binds now, of which a request takes `beside` seconds for
    something else and other work had `others`; and what would be the limit then, as the rest of a
    sentence.
    """
    model, knee = basis.model, basis.knee
    now = model.binding
    waits = Estimated(now.waits.value + beside)
    more = replace(now, name=name, units=units, waits=waits, others=others)
    as_seen = model.capacity / now.bound.value
    beyond = [s for s in model.stations if s is not now]
    bounds = [more.bound.scaled(as_seen), *(s.without(()) for s in beyond)]
    first = min(range(len(bounds)), key=lambda n: bounds[n].value)
    after, least, most = (
        min(ends) for ends in zip(*((b.value, b.low, b.high) for b in bounds), strict=True)
    )
    rate, high = _knee(basis, after, NO_RELIEF), _knee(basis, most, NO_RELIEF, knee.high)
    low = min(rate, knee.low * least / model.capacity)
    cap = f"then {(more, *beyond)[first].name} would be the limit"
    return Interval(rate, low, max(high, rate), len(bounds)), cap


def _by_latency(basis: Basis, relief: Relief) -> WhatIf | str:
    """What is left where the capacity stays: the room that the SLO leaves to the queue."""
    knee, model = basis.knee, basis.model
    now, seen, binding = model.capacity, model.observed.rate, model.binding.name
    rate = _knee(basis, now, relief)
    bounded = _is_loose(basis, relief)
    moves = bounded or rate >= knee.rate * (1 + _LEAST_GAIN)
    gain = (rate - knee.rate) if moves else 0.0
    least, most = (
        (_knee(basis, now, relief, errors=errors) - knee.rate if moves else 0.0)
        for errors in (_DOUBT, -_DOUBT)
    )
    low = knee.rate + gain - hypot(knee.rate - knee.low, gain - least)
    high = knee.rate + gain + hypot(knee.high - knee.rate, most - gain)
    if bounded and low < knee.rate * (1 + _LEAST_GAIN):
        return (
            f"it takes {relief.words} off an answer, and how much that leaves to the queue for"
            f" {binding} is known too little for a number: the knee would be"
            f" {format_rate(knee.rate)} to {format_rate(max(high, knee.rate))}"
        )
    return WhatIf(
        rate=low if bounded else knee.rate + gain,
        low=max(min(knee.low, knee.rate), low),
        high=max(knee.rate + gain, min(high, _nearest(knee.high, now) * now)),
        removed=REMOVED,
        cap=_staying(binding, now) if moves else f"{binding} would still be the limit",
        caveat=_shorter(binding, relief, bounded) if moves else _stays(knee, binding, now, relief),
        saturated=now,
        saturated_low=seen.low,
        saturated_high=seen.high,
        at_least=bounded,
        binding=binding,
    )


def _is_loose(basis: Basis, relief: Relief) -> bool:
    """Whether all that is known of the gain is its least, though the relief is worth having."""
    knee, curve = basis.knee, basis.curve
    worth = relief.mean >= _LEAST_GAIN * knee.limit
    has_room = knee.rate * (1 + _LEAST_GAIN) < _NEAREST * basis.model.capacity
    return worth and has_room and (relief.partly or curve is None or not curve.measured)


def _staying(binding: str, capacity: PerSecond) -> str:
    return f"the capacity would stay at {format_rate(capacity)}, which {binding} sets"


def _shorter(binding: str, relief: Relief, bounded: bool) -> str:
    """Why the knee moves where the capacity does not."""
    words = f"It takes {relief.words} off an answer, which the SLO then leaves to the queue for"
    words = f"{words} {binding}"
    return f"{words}: it may be more." if bounded else f"{words}."


def _stays(knee: Knee, binding: str, capacity: PerSecond, relief: Relief) -> str:
    """Why the knee does not move."""
    if relief.mean >= _LEAST_GAIN * knee.limit:
        return (
            f"It takes {relief.words} off an answer, but the knee is at"
            f" {format_share(knee.rate / capacity)} of what {binding} allows: removing it alone is"
            " not expected to move the knee."
        )
    return (
        f"It uses little of what limits the service now ({binding}): removing it alone is not"
        " expected to move the knee."
    )


def capacity_without(gone: Collection[FunctionKey], model: Model) -> Interval:
    """The smallest bound that is left without some functions. A station that binds before and after
    gives then as much of its bound as it gives now.
    """
    furthest = _FURTHEST * model.capacity
    bounds = [_as_now(s, s.without(gone), model) for s in model.stations]
    value, low, high = (
        min(furthest, min(ends))
        for ends in zip(*((b.value, b.low, b.high) for b in bounds), strict=True)
    )
    return Interval(value, low, high, len(bounds))


def _as_now(station: Station, bound: Interval, model: Model) -> Interval:
    if station is not model.binding:
        return bound
    return bound.scaled(model.capacity / station.bound.value)


def _next_cap(gone: Collection[FunctionKey], model: Model) -> Station:
    return min(model.stations, key=lambda s: _as_now(s, s.without(gone), model).value)


def _knee(
    basis: Basis,
    after: PerSecond,
    relief: Relief,
    rate: PerSecond | None = None,
    errors: float = 0.0,
) -> PerSecond:
    """Where the SLO leaves the same room below another capacity, or less where answers are rid of
    something; but never nearer to it than a service comes. `errors`: as `QueueCurve` has it.
    """
    rate, before = basis.knee.rate if rate is None else rate, basis.model.capacity
    room, curve = max(0.0, before - rate), basis.curve
    if curve is not None and relief.mean:
        off = max(0.0, relief.off.value - errors * relief.off.error)
        room *= curve.room_without(off, relief.held, errors) / curve.room
    return max(
        rate * after / before if after < before else rate,
        min(after - room, _nearest(rate, before) * after),
    )


def _nearest(rate: PerSecond, capacity: PerSecond) -> Share:
    """Of the capacity, how near a knee comes to it."""
    return max(_NEAREST, min(1.0, rate / capacity))


def _bounded_below(
    gone: Collection[FunctionKey], model: Model, cap: Station, rate: PerSecond
) -> str:
    """Why the prediction is only a lower bound, as a sentence; "" when it is not."""
    if model.observed.cut_off:
        return "The capacity was not reached, so it may be more."
    used = rate * (cap.cpu.value if cap.cpu is not None else 0.0) / cap.units
    left, waiting = (s.left(gone).value for s in (cap, replace(cap, cpu_saturated=None)))
    if cap.cpu is not None and used < _COLD and left - waiting > _HELD_UP * left:
        busy = format_share(used)
        return (
            f"CPU per request was measured with that {busy} in use, and falls as a core gets"
            " busier: it may be more."
        )
    if cap.kind is StationKind.LOCK and cap.held_up > _HELD_UP * cap.demand.value:
        return "Its holder waits for a CPU or the GIL as well, which goes with it: it may be more."
    return ""


def _is_unbounded(gone: Collection[FunctionKey], model: Model) -> bool:
    """Whether no known resource would be full without some functions, as far as anything that was
    measured reaches.
    """
    bound = _next_cap(gone, model).without(gone).value
    return not model.observed.cut_off and bound > _FURTHEST * model.capacity


def _caveat(knee: Knee, capacity: PerSecond) -> str:
    if knee.rate < _EARLY * capacity:
        return (
            f"The SLO breaks at {format_share(knee.rate / capacity)} of the capacity"
            f" ({format_rate(capacity)}), so more than a queue is slow there: the knee is less sure"
            " than the capacity."
        )
    return (
        "Holds if the cost per request stays as it is under more load, and the change leaves calls"
        " and payload alone."
    )
