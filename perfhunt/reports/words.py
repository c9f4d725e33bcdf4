"""What numbers and codes are called in reports, once for all formats."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from perfhunt.analysis.blame.frames import path_in_packages
from perfhunt.model.finding import ON_THE_WIRE, BottleneckClass, Finding, ProbeEffect, WhatIf
from perfhunt.model.interval import Interval
from perfhunt.model.knee import AT_LEAST, Capacity, Knee, KneeLabel, NoKnee, RouteKnee
from perfhunt.model.run import Run, RunKind
from perfhunt.model.slo import Judged, Measure
from perfhunt.model.trial import Disturbance
from perfhunt.model.units import Seconds, format_duration, format_rate, format_share

CLASSES: Mapping[str, str] = {
    BottleneckClass.CPU: "the CPU",
    BottleneckClass.CPU_QUOTA: "the CPU quota",
    BottleneckClass.GIL: "the GIL",
    BottleneckClass.EVENT_LOOP: "a saturated event loop",
    BottleneckClass.EVENT_LOOP_BLOCKED: "a blocked event loop",
    BottleneckClass.LOCK: "a lock",
    BottleneckClass.DATABASE: "the database",
    BottleneckClass.DOWNSTREAM: "a downstream service",
    BottleneckClass.POOL: "an exhausted connection pool",
    BottleneckClass.WORKERS: "the number of workers",
    BottleneckClass.DISK: "the disk",
    BottleneckClass.MEMORY: "memory",
    BottleneckClass.LEAK: "a leak",
    BottleneckClass.GC: "garbage collection",
    BottleneckClass.SLEEP: "sleeping",
    BottleneckClass.NETWORK: "the network",
    BottleneckClass.DELAYED_ACK: "waiting for delayed acknowledgements",
    BottleneckClass.CONNECTIONS: "a connection per request",
    BottleneckClass.BACKLOG: "a full accept queue",
    BottleneckClass.DESCRIPTORS: "the number of files that it may open",
    BottleneckClass.LIMITER: "a rate limiter",
    BottleneckClass.GENERATOR: "the load generator itself",
    BottleneckClass.HOST: "other work on the host",
    BottleneckClass.OTHER: "a wait that nothing names",
    BottleneckClass.UNDETERMINED: "something undetermined",
}
_CRITERION = re.compile(r"latency\.(p[0-9.]+)(?:\[(.*)\])?")


_MORE_DIGITS = range(4, 7)  # of a value that reads like its limit with three
LEAST: Seconds = 5e-10  # that is more than the rounding of sums of latencies
RANKED_BY = "by what load adds"  # and not by what they cost, where the orders differ
LEAVES = 4  # of a suspect: more than that are in run.json
# What stops the service is none of its functions.
_OUTSIDE = frozenset(
    {
        BottleneckClass.LIMITER,
        BottleneckClass.GENERATOR,
        BottleneckClass.HOST,
        BottleneckClass.MEMORY,
        BottleneckClass.NETWORK,
        BottleneckClass.UNDETERMINED,
        *ON_THE_WIRE,
    }
)


def accused(run: Run) -> bool:
    """Whether the findings are suspects: what stops the service is known, and may be one of its
    functions. Else they say what it spends its time on.
    """
    if run.bottleneck is None or run.kind == RunKind.PROFILE:
        return False
    category = run.bottleneck.category
    return category not in _OUTSIDE or (
        category == BottleneckClass.LIMITER
        and bool(run.findings)
        and run.findings[0].category == category
    )


def prediction(run: Run) -> WhatIf | None:
    """What the first finding's removal would bring; None where there is no knee that it would
    move.
    """
    if not run.findings or not isinstance(run.knee, Knee):
        return None
    return run.findings[0].what_if


def sample_words(run: Run) -> tuple[str, ...]:
    """What the few requests of a smoke show of each objective, as sentences; none for other runs,
    which judge by many.
    """
    if run.kind != RunKind.SMOKE:
        return ()
    return tuple(f"{j.objective.name}: {j.note}" for j in run.judged if j.note)


def made_by(run: Run) -> str:
    """What made the load, with its version where it is a program of its own."""
    engine = run.question.engine
    return f"{engine} {run.environment.tools.get(engine, '')}".rstrip()


def bottleneck_words(cls: str) -> str:
    """A class of bottleneck as the subject of a sentence."""
    return CLASSES.get(cls, cls)


def knee_words(knee: Knee | NoKnee) -> str:
    """`141/s (134/s to 148/s at 95 %)`, or the reason there is none."""
    if isinstance(knee, NoKnee):
        return knee.reason
    return f"{format_rate(knee.rate)} ({rate_range(knee.low, knee.high)} at {knee.confidence:.0%})"


def busy_words(disturbance: Disturbance) -> str:
    """`60 % busy with other work (postgres, node)`: the host, over the trials that were used."""
    names = f" ({', '.join(disturbance.names)})" if disturbance.names else ""
    share = "" if disturbance.busy is None else f"{format_share(disturbance.busy)} "
    return f"{share}busy with other work{names}"


def set_aside_words(disturbance: Disturbance) -> str:
    """`3 of 24 trials were set aside: other work on this host (postgres) decided them`."""
    names = f" ({', '.join(disturbance.names)})" if disturbance.names else ""
    count = plural(disturbance.set_aside, "trial")
    were = "was" if disturbance.set_aside == 1 else "were"
    return (
        f"{count} of {disturbance.trials} {were} set aside: other"
        f" work on this host{names} disturbed {'it' if were == 'was' else 'them'}"
    )


def route_words(route: RouteKnee) -> str:
    """`89/s (58 to 127/s at 95 %)` of the whole traffic, or why there is none."""
    if route.rate is None or route.low is None or route.high is None:
        return route.note
    return f"{format_rate(route.rate)} ({rate_range(route.low, route.high)} at 95%)"


def rate_range(low: float, high: float) -> str:
    """`134 to 148/s`; both ends with the digits that `format_rate` gives, once where they read the
    same.
    """
    first, last = format_rate(low), format_rate(high)
    return last if first == last else f"{first.removesuffix('/s')} to {last}"


def predicted_words(prediction: WhatIf) -> str:
    """`590/s (520 to 640/s)`, or `at least 590/s`."""
    if prediction.at_least:
        return f"at least {format_rate(prediction.rate)}"
    return f"{format_rate(prediction.rate)} ({rate_range(prediction.low, prediction.high)})"


def held_at(run: Run) -> str:
    """Where the profiled load was held: `at the knee`, where there is one."""
    return "at the knee" if isinstance(run.knee, Knee) else "at the rate held"


def knee_kind(knee: Knee) -> str:
    """What kind of knee it is: `sharp knee`, `soft knee`, `bracket, not a knee`, `error knee`,
    `resource knee`.
    """
    return {"bracket": "bracket, not yet a knee", "errors": "error knee"}.get(
        knee.label, f"{knee.label} knee"
    )


def criterion_words(knee: Knee) -> str:
    """What breaks at the knee: `p99 <= 250 ms`, `p99 <= 400 ms on checkout`, `errors no more
    than may be`.
    """
    # Whichever failures the objective names, the search counts those of every kind.
    if knee.label == KneeLabel.ERRORS or knee.criterion.startswith(f"{Measure.ERRORS}."):
        on = knee.criterion.partition("[")[2].removesuffix("]")
        return f"errors no more than may be{on and f' on {on}'}"
    if knee.label == KneeLabel.RESOURCE:
        return f"{knee.criterion.rpartition('.')[2]} within its limit"
    match = _CRITERION.fullmatch(knee.criterion)
    if match is None:
        return knee.criterion
    on = f" on {match[2]}" if match[2] else ""
    return f"{match[1]} <= {format_duration(knee.limit)}{on}"


def capacity_words(capacity: Capacity | None) -> str:
    """`162/s (159 to 166/s)`, `at least 400/s`, or that it was not measured."""
    if capacity is None:
        return "not measured"
    if capacity.at_least:
        return f"{AT_LEAST} {format_rate(capacity.rate)} (all that was offered was answered)"
    return f"{format_rate(capacity.rate)} ({rate_range(capacity.low, capacity.high)})"


def ms(seconds: Seconds | None) -> str:
    """Milliseconds with three digits, without the unit; an em dash for none."""
    if seconds is None:
        return "—"
    if abs(seconds) < LEAST:
        return "0"
    # From 1000 on three digits would be written as a power of ten.
    return f"{seconds * 1000:,.3g}" if seconds < 0.9995 else f"{seconds * 1000:,.0f}"


def ms_interval(interval: Interval) -> str:
    """`14.2 (12.5 to 15.9)`: milliseconds; one number where the interval has no width."""
    value, low, high = ms(interval.value), ms(interval.low), ms(interval.high)
    return value if low == high else f"{value} ({low} to {high})"


def ms_column(intervals: Sequence[Interval], *, signed: bool = False) -> list[str]:
    """Milliseconds that stand under one another: each `14.2 (12.5 to 15.9)`, one number where the
    interval has no width; whole ones from 100 on, tenths from 1 on, else two digits of the largest.
    `signed`: as changes.
    """
    largest = max((abs(i.value) for i in intervals), default=0.0) * 1000
    digits = 0 if largest >= 100 else 1
    if LEAST * 1000 < largest < 1:
        digits -= math.floor(math.log10(largest))

    def number(seconds: Seconds, plus: str = "") -> str:
        shown = round(seconds * 1000, digits)
        return f"{'−' if shown < 0 else plus}{abs(shown):,.{digits}f}"

    column = []
    for interval in intervals:
        value = number(interval.value, "+" if signed else "")
        low, high = number(interval.low), number(interval.high)
        column.append(value if low == high else f"{value} ({low} to {high})")
    return column


def place(finding: Finding, short: bool = False) -> str:
    """`shop/pricing.py:71`; `short`: without the directories. Empty when the file is unknown."""
    file = PurePosixPath(finding.file).name if short else file_words(finding.file)
    return f"{file}:{finding.line}" if finding.file and finding.line else file


def leaves_words(finding: Finding) -> str:
    """`price calls again and again: base 0.30 (0.27 to 0.33) ms, tax 0.25 (0.22 to 0.28) ms`; empty
    where it stands for itself alone.
    """
    if not finding.leaves:
        return ""
    leaves = finding.leaves[:LEAVES]
    costs = ms_column([leaf.own for leaf in leaves])
    shown = [f"{leaf.function} {cost} ms" for leaf, cost in zip(leaves, costs, strict=True)]
    more = len(finding.leaves) - LEAVES
    others = f", and {more} more" if more > 0 else ""
    return f"{finding.function} calls again and again: {', '.join(shown)}{others}"


def file_words(file: str) -> str:
    """The path below the last directory that holds code of others, else its last three parts."""
    packaged = path_in_packages(file)
    if packaged:
        return packaged
    parts = PurePosixPath(file).parts
    return file if len(parts) <= 3 else "…/" + "/".join(parts[-3:])


def measured(judged: Judged) -> str:
    """The measured value as a person reads it, `no data` for none; with more digits where it would
    look like the limit.
    """
    objective, value = judged.objective, judged.value
    if value is None:
        return "no data"
    shown = objective.format(value)
    if shown != objective.format(objective.limit) or value == objective.limit:
        return shown
    unit = re.sub(r"^[0-9.,]+", "", shown)
    number = float(re.sub(r"[^0-9.]", "", shown) or 0) or 1.0
    scale = (objective.limit / number if number else 1.0) or 1.0
    limit, exact = objective.limit / scale, value / scale
    digits = next((n for n in _MORE_DIGITS if f"{exact:.{n}g}" != f"{limit:.{n}g}"), 6)
    return f"{exact:.{digits}g}{unit}"


def allowed(judged: Judged) -> str:
    """`<= 250 ms`, `>= 120/s for 60 s`."""
    objective = judged.objective
    window = f" for {format_duration(objective.window)}" if objective.window else ""
    return f"{objective.op} {objective.format(objective.limit)}{window}"


def ratio_words(ratio: float | None) -> str:
    """A ratio of profiled to quiet as a change: `+2.1 %`; an em dash for none."""
    if ratio is None:
        return "—"
    return f"{'+' if ratio >= 1 else '−'}{abs(ratio - 1) * 100:.1f} %"


def change_words(effect: ProbeEffect, name: str) -> str:
    """One of its ratios as a change with its doubt: `+2.1 % (−1.4 to +5.7 %, n=38)`."""
    known, ratio = effect.between.get(name), getattr(effect, name)
    if known is None:
        return ratio_words(ratio)
    low, high = ratio_words(known.low).removesuffix(" %"), ratio_words(known.high)
    return f"{ratio_words(ratio)} ({low} to {high}, n={known.n})"


def cpu_words(effect: ProbeEffect) -> str:
    """What it did to CPU per request: `+2.1 % (...), while waits were looked at by +30 % (...)`."""
    profiled = change_words(effect, "cpu")
    if effect.cpu_waits is None:
        return profiled
    return f"{profiled}, while waits were looked at by {change_words(effect, 'cpu_waits')}"


def plural(count: int, noun: str, nouns: str = "") -> str:
    """`1 objective`, `3 objectives`; `nouns` where an s is not enough."""
    return f"{count:,} {noun if count == 1 else nouns or f'{noun}s'}"
