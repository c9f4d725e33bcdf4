"""What profiling did to the service: the profiled spans of a hold against the quiet ones around
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import exp, log, sqrt
from statistics import mean, variance

from scipy import stats

from perfhunt.model.finding import ProbeEffect
from perfhunt.model.interval import Interval
from perfhunt.model.trial import SecondRow, Trial
from perfhunt.model.units import Share, format_duration

TOLERATED: Share = 0.05  # of throughput, p99 or CPU: less is not worth a caution
# What a span of seconds leaves uncertain of CPU per request (one standard error): two quiet spans
# at one rate differ by about so much on a virtual machine.
CPU_UNCERTAIN: Share = 0.05
# For how many spans that counts beside those of the run (degrees of freedom).
CPU_KNOWN = 4
_LEAST = 4  # seconds on a side, below which their variance says nothing
_CORRELATED = 1.5  # times the standard error: neighbouring seconds share their queue
_Z = 2.576  # of the normal distribution, at level 0.005, one-sided
_WITHIN: Share = 0.975  # of the distributions from which an interval of 95 % is told
_WITHIN_CHANCE = (
    "p99 was higher while profiled, but seconds of one span differ among themselves as much"
)


def probe_effect(
    quiet: Sequence[Trial], profiled: Sequence[Trial], looked_at: Sequence[Trial] = ()
) -> ProbeEffect:
    """Ratios of profiled to quiet spans at the same rate, flagged when one moved by more than 5 %
    and more than chance. In those that were `looked_at`, waits were, and no profile was taken.

    Chance is judged from the quiet spans themselves: what they differ by among each other is not
    the profiler's doing. Spans whose load was cut off or spoiled are left out; with none left on a
    side the ratios are None and the note says so.
    """
    calm = [t for t in quiet if usable(t)]
    profiled = [t for t in profiled if usable(t)]
    looked_at = [t for t in looked_at if usable(t)]
    watched = [*profiled, *looked_at]
    if not calm or not watched:
        side = "quiet" if not calm else "profiled"
        return ProbeEffect(None, None, None, note=f"no {side} span was whole")
    answered = _ratio(_answered(watched), _answered(calm))
    p99 = _ratio(_latencies(watched, 0.99), _latencies(calm, 0.99))
    p50 = _ratio(_latencies(watched, 0.5), _latencies(calm, 0.5))
    cpu, cpu_waits = (_ratio(_cpu(those), _cpu(calm)) for those in (profiled, looked_at))
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
        between={
            name: interval
            for name, interval in (
                ("throughput", _by_second(answered, watched, calm, _answered_in)),
                ("p99", _by_second(p99, watched, calm, lambda row: row.p99)),
                ("cpu", _by_span(cpu, _cpu(profiled), _cpu(calm))),
                ("cpu_waits", _by_span(cpu_waits, _cpu(looked_at), _cpu(calm))),
                ("p50", _by_second(p50, watched, calm, lambda row: row.p50)),
            )
            if interval is not None
        },
        cpu_waits=cpu_waits,
    )


def cpu_taken(effect: ProbeEffect) -> Interval | None:
    """What CPU per request became while it was profiled, as a ratio, where it rose by more than is
    tolerated and more than chance; None where it did not, or nobody knows.
    """
    cpu = effect.between.get("cpu")
    return cpu if cpu is not None and cpu.value > 1 + TOLERATED and cpu.low > 1 else None


def beyond_chance(watched: Sequence[Trial], calm: Sequence[Trial]) -> bool:
    """Whether the p99 of single seconds was higher in the profiled spans at level 0.005, one-sided
    (Welch 1947, on logs).

    Neighbouring seconds share their queue, so the standard error is taken half as large again. True
    without second rows: then nothing speaks for chance.
    """
    high, low = _logs(watched, lambda row: row.p99), _logs(calm, lambda row: row.p99)
    error = _error_by_second(high, low)
    return error is None or mean(high) - mean(low) > _Z * error


def _logs(trials: Sequence[Trial], of: Callable[[SecondRow], float | None]) -> list[float]:
    return [log(value) for row in _seconds(trials) if (value := of(row))]


def _seconds(trials: Sequence[Trial]) -> Iterator[SecondRow]:
    for t in trials:
        yield from (r for r in t.rows if t.step.settle <= r.second < t.seconds - 1)


def _answered_in(row: SecondRow) -> float | None:
    return row.done / row.sent if row.sent else None


def _error_by_second(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Standard error of the difference of two means; None where there are too few seconds."""
    if min(len(one), len(other)) < _LEAST:
        return None
    return _CORRELATED * sqrt(variance(one) / len(one) + variance(other) / len(other))


def _by_second(
    ratio: float | None,
    watched: Sequence[Trial],
    calm: Sequence[Trial],
    of: Callable[[SecondRow], float | None],
) -> Interval | None:
    """A ratio with its interval, by how much single seconds differ; None where they do not tell."""
    seconds = _logs(watched, of), _logs(calm, of)
    error = _error_by_second(*seconds)
    if ratio is None or error is None:
        return None
    return _around(ratio, float(stats.norm.ppf(_WITHIN)) * error, sum(map(len, seconds)))


def _by_span(
    ratio: float | None, watched: Sequence[float], calm: Sequence[float]
) -> Interval | None:
    """A ratio of means over spans with its interval: by how much the quiet ones differ, and what
    is known of such spans. Those with profilers differ in what was attached.
    """
    if ratio is None:
        return None
    spare = len(calm) - 1
    squares = sum((log(value) - mean(map(log, calm))) ** 2 for value in calm)
    spread = sqrt((squares + CPU_KNOWN * CPU_UNCERTAIN**2) / (CPU_KNOWN + spare))
    reach = float(stats.t.ppf(_WITHIN, CPU_KNOWN + spare)) * spread
    return _around(ratio, reach * sqrt(1 / len(watched) + 1 / len(calm)), len(watched) + len(calm))


def _around(ratio: float, reach: float, n: int) -> Interval:
    return Interval(ratio, ratio * exp(-reach), ratio * exp(reach), n)


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
        low, high = format_duration(min(quiet_p99)), format_duration(max(quiet_p99))
        notes.append(f"the quiet spans' own p99 go from {low} to {high}")
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
