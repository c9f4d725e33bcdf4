"""What profiling did to the service: the profiled spans of a hold against the quiet ones around
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log, sqrt
from statistics import mean, variance

from perfhunt.model.finding import ProbeEffect
from perfhunt.model.trial import Trial
from perfhunt.model.units import Share

TOLERATED: Share = 0.05  # of throughput or p99: less is not worth a caution
_LEAST = 4  # seconds on a side, below which their variance says nothing
_CORRELATED = 1.5  # times the standard error: neighbouring seconds share their queue
_Z = 2.576  # of the normal distribution, at level 0.005, one-sided
_WITHIN_CHANCE = (
    "p99 was higher while profiled, but seconds of one span differ among themselves as much"
)


def probe_effect(quiet: Sequence[Trial], profiled: Sequence[Trial]) -> ProbeEffect:
    """Ratios of profiled to quiet spans at the same rate, flagged when one moved by more than 5 %
    and more than chance.

    Chance is judged from the quiet spans themselves: what they differ by among each other is not
    the profiler's doing. Spans whose load was cut off or spoiled are left out; with none left on a
    side the ratios are None and the note says so.
    """
    calm = [t for t in quiet if usable(t)]
    watched = [t for t in profiled if usable(t)]
    if not calm or not watched:
        side = "quiet" if not calm else "profiled"
        return ProbeEffect(None, None, None, note=f"no {side} span was whole")
    answered = _ratio(_answered(watched), _answered(calm))
    p99 = _ratio(_latencies(watched, 0.99), _latencies(calm, 0.99))
    p50 = _ratio(_latencies(watched, 0.5), _latencies(calm, 0.5))
    cpu = _ratio(_cpu(watched), _cpu(calm))
    quiet_p99 = tuple(_latencies(calm, 0.99))
    raised = p99 is not None and p99 - 1 > max(TOLERATED, _spread(quiet_p99))
    slower = raised and beyond_chance(watched, calm)
    fewer = answered is not None and 1 - answered > max(TOLERATED, _spread(_answered(calm)))
    note = _note(slower, fewer, quiet_p99)
    if raised and not slower:
        note = "; ".join(filter(None, [note, _WITHIN_CHANCE]))
    return ProbeEffect(
        throughput=answered,
        p99=p99,
        cpu=cpu,
        p50=p50,
        quiet_p99=quiet_p99,
        flagged=slower or fewer,
        note=note,
    )


def beyond_chance(watched: Sequence[Trial], calm: Sequence[Trial]) -> bool:
    """Whether the p99 of single seconds was higher in the profiled spans at level 0.005, one-sided
    (Welch 1947, on logs).

    Neighbouring seconds share their queue, so the standard error is taken half as large again. True
    without second rows: then nothing speaks for chance.
    """
    high, low = _second_p99s(watched), _second_p99s(calm)
    if len(high) < _LEAST or len(low) < _LEAST:
        return True
    error = _CORRELATED * sqrt(variance(high) / len(high) + variance(low) / len(low))
    return mean(high) - mean(low) > _Z * error


def _second_p99s(trials: Sequence[Trial]) -> list[float]:
    return [
        log(r.p99)
        for t in trials
        for r in t.rows
        if r.p99 and t.step.settle <= r.second < t.seconds - 1
    ]


def _answered(trials: Sequence[Trial]) -> list[float]:
    """Answers per request sent: what was offered differs a little from span to span by chance, this
    does not.
    """
    return [t.completed / t.achieved for t in trials if t.achieved > 0]


def usable(trial: Trial) -> bool:
    """Whether a span ran to its end with numbers that may be believed."""
    return not trial.overload and not trial.invalid and trial.completed > 0


def _note(slower: bool, fewer: bool, quiet_p99: Sequence[float]) -> str:
    notes = []
    if slower:
        notes.append("p99 was higher while profiled")
    if fewer:
        notes.append("fewer requests were answered while profiled")
    if _spread(quiet_p99) > TOLERATED:
        notes.append(f"the quiet spans' own p99 differ by {_spread(quiet_p99):.0%}")
    return "; ".join(notes)


def _latencies(trials: Sequence[Trial], share: Share) -> list[float]:
    values = (t.response.at(share) for t in trials)
    return [value for value in values if value is not None]


def _cpu(trials: Sequence[Trial]) -> list[float]:
    """CPU seconds per request: the load differs a little between spans, this does not."""
    return [
        t.resources.cpu / t.completed
        for t in trials
        if t.resources is not None and t.resources.cpu is not None
    ]


def _ratio(watched: Sequence[float], calm: Sequence[float]) -> float | None:
    return mean(watched) / mean(calm) if watched and calm and mean(calm) > 0 else None


def _spread(values: Sequence[float]) -> Share:
    """How far apart repeated readings of the same thing are, as a share of the smallest."""
    return max(values) / min(values) - 1 if len(values) > 1 and min(values) > 0 else 0.0
