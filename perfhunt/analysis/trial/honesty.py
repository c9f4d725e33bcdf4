"""Whether the numbers of a trial may be believed: the generator's own health, judged before the
service's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Generator
from perfhunt.model.units import (
    PerSecond,
    Seconds,
    Share,
    format_duration,
    format_rate,
    format_share,
)

# Lag at the median beyond which arrivals come in bunches of our making, and load is not what was
# planned: a share of the strictest limit, but never less than the floor, which a timer that is well
# keeps to on any host (a timerfd is 0.04 ms late at the median, 0.12 ms at p99).
LAG_FLOOR: Seconds = 2e-3
LAG_SHARE: Share = 0.1
# Exceedances that are the generator's doing, as a share of what a criterion allows or of the
# service's own: more of them could turn the verdict on the trial. One or two may be chance.
OURS: Share = 0.25
OURS_LEAST = 2.0  # requests
ACHIEVED: Share = 0.95  # of the arrivals due: fewer sent is another rate than the one asked for
CPU: Share = 0.90  # of a core at its busiest second; above it lag is about to follow
BUSY: Share = 0.5  # of a core at its busiest second, up to which CPU is not what it lacked
NEARLY_ALL: Share = 0.8  # of descriptors or ports: about to run out
# What the two sides of Little's law may differ by, sampled as they are 20 times a second.
LITTLE: Share = 0.10


@dataclass(frozen=True, slots=True)
class LagImpact:
    """Of `n` arrivals, how many exceeded a criterion, and how many would have if each had been sent
    on time.
    """

    criterion: Criterion
    n: int
    exceed: int
    on_time: int


@dataclass(frozen=True, slots=True)
class GeneratorHealth:
    """What is known of the generator over the counted span of a trial.

    `offered` and `sent` are arrivals due and arrivals sent; `exhausted` those that found no
    descriptor or port left.
    """

    offered: int
    sent: int
    exhausted: int
    seconds: Seconds
    generator: Generator
    impacts: tuple[LagImpact, ...] = ()
    missing: int = 0
    shed: int = 0
    workers: int = 1


def honesty(health: GeneratorHealth) -> tuple[str, tuple[str, ...]]:
    """Why the trial is invalid ("" when it is not), and what else should be said about the
    generator, as sentences.

    A slow service is never a reason: waiting for it is not lag, and what was shed for its sake is
    not a shortfall.
    """
    for check in (_lost, _exhausted, _late, _short):
        if reason := check(health):
            return reason, _notes(health)
    return "", _notes(health)


def _advice(health: GeneratorHealth) -> str:
    cpu, add = health.generator.cpu, f"add --workers {health.workers + 1}"
    if cpu is None or cpu > BUSY:
        return f"the generator, not your service, ran out: {add}"
    return (
        f"the generator, not your service, was held up, though it used no more than"
        f" {format_share(cpu)} of a core: by other work on this host, or a task that blocks its"
        f" process (a subprocess, a client in C); {add}"
    )


def _lost(health: GeneratorHealth) -> str:
    return (
        f"the generator lost {health.missing} of {health.offered} requests"
        if health.missing
        else ""
    )


def _exhausted(health: GeneratorHealth) -> str:
    if not health.exhausted:
        return ""
    return (
        f"{health.exhausted} of {health.offered} requests found no descriptor or port left on this"
        " host: raise `ulimit -n`, or widen net.ipv4.ip_local_port_range,"
        " or turn keep-alive on in the service"
    )


def _late(health: GeneratorHealth) -> str:
    """Lateness that decided something: exceedances that are ours, or arrivals so late that the
    pattern is.

    Being a little late never flatters the service, since it counts in every response; it spoils a
    trial when the trial would have come out otherwise without it.
    """
    for impact in health.impacts:
        ours = impact.exceed - impact.on_time
        if ours > max(OURS_LEAST, OURS * max(impact.criterion.share * impact.n, impact.on_time)):
            late = (
                f"{ours} of {impact.exceed} requests beyond {impact.criterion.name} were so only"
                " because they were sent late"
            )
            return f"{late}; {_advice(health)}"
    limits = [i.criterion.limit for i in health.impacts if math.isfinite(i.criterion.limit)]
    allowed = max(LAG_FLOOR, LAG_SHARE * min(limits, default=0.0))
    lag = health.generator.lag_p50
    if lag is None or lag <= allowed:
        return ""
    late = (
        f"half of the requests were sent more than {format_duration(lag)} late (allowed:"
        f" {format_duration(allowed)})"
    )
    return f"{late}; {_advice(health)}"


def _short(health: GeneratorHealth) -> str:
    """Fewer sent than were due, for no reason of the service's."""
    owed = health.offered - health.shed
    if owed <= 0 or health.sent >= ACHIEVED * owed:
        return ""
    offered: PerSecond = owed / health.seconds
    return (
        f"only {format_rate(health.sent / health.seconds)} of {format_rate(offered)} were sent;"
        f" {_advice(health)}"
    )


def _notes(health: GeneratorHealth) -> tuple[str, ...]:
    generator, notes = health.generator, []
    if generator.lag_p99 is not None and generator.lag_p99 > LAG_FLOOR:
        notes.append(
            f"1 % of requests were sent more than {format_duration(generator.lag_p99)} late; it"
            " counts in their response"
        )
    if generator.cpu is not None and generator.cpu > CPU:
        notes.append(
            f"the generator used {format_share(generator.cpu)} of a core at its busiest:"
            " close to its own limit"
        )
    if generator.gc_pause_max > LAG_FLOOR:
        notes.append(
            "the generator's garbage collector paused it"
            f" for {format_duration(generator.gc_pause_max)}"
        )
    if generator.fds_share is not None and generator.fds_share > NEARLY_ALL:
        notes.append(
            f"{format_share(generator.fds_share)} of the generator's file descriptors were in use"
        )
    if generator.ports_share is not None and generator.ports_share > NEARLY_ALL:
        notes.append(
            f"{format_share(generator.ports_share)} of the host's ephemeral ports were in use"
        )
    if generator.little_ratio is not None and abs(generator.little_ratio - 1) > LITTLE:
        notes.append(
            f"in flight is {generator.little_ratio:.2f} of rate x response (Little's law says 1)"
        )
    return tuple(notes)
