"""Whether the numbers of a trial may be believed: the generator's own health, judged before the service's."""

from __future__ import annotations

import math
from dataclasses import dataclass

from perfhunt.model.trial import Generator
from perfhunt.model.units import PerSecond, Seconds, Share, format_duration, format_rate, format_share

LAG_FLOOR: Seconds = 2e-3
LAG_SHARE: Share = 0.1  # of the limit: more than that of a verdict would be ours
ACHIEVED: Share = 0.95
CPU: Share = 0.90  # of a core, over the whole trial; above it lag is about to follow
LITTLE: Share = 0.10


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of the generator over the counted span of a trial.

    `offered` and `sent` are arrivals due and arrivals sent; `exhausted` those that found no descriptor or port left.
    """

    offered: int
    sent: int
    exhausted: int
    seconds: Seconds
    limit: Seconds  # the smallest finite latency limit, infinite when there is none
    generator: Generator
    missing: int = 0
    shed: int = 0
    workers: int = 1


def honesty(health: Health) -> tuple[str, tuple[str, ...]]:
    """Why the trial is invalid ("" when it is not), and what else should be said about the generator, as sentences.

    A slow service is never a reason: waiting for it is not lag, and what was shed for its sake is not a shortfall.
    """
    for check in (_lost, _exhausted, _late, _short):
        if reason := check(health):
            return reason, _notes(health)
    return "", _notes(health)


def _advice(health: Health) -> str:
    return f"the generator, not your service, ran out: add --workers {health.workers + 1}"


def _lost(health: Health) -> str:
    return f"the generator lost {health.missing} of {health.offered} requests" if health.missing else ""


def _exhausted(health: Health) -> str:
    if not health.exhausted:
        return ""
    return (
        f"{health.exhausted} of {health.offered} requests found no descriptor or port left on this host: "
        "raise `ulimit -n`, or widen net.ipv4.ip_local_port_range, or turn keep-alive on in the service"
    )


def _late(health: Health) -> str:
    lag = health.generator.lag_p99
    allowed = LAG_FLOOR if math.isinf(health.limit) else max(LAG_FLOOR, LAG_SHARE * health.limit)
    if lag is None or lag <= allowed:
        return ""
    late = f"1 % of requests were sent more than {format_duration(lag)} late (allowed: {format_duration(allowed)})"
    return f"{late}; {_advice(health)}"


def _short(health: Health) -> str:
    """Fewer sent than were due, for no reason of the service's."""
    wanted = health.offered - health.shed
    if wanted <= 0 or health.sent >= ACHIEVED * wanted:
        return ""
    offered: PerSecond = wanted / health.seconds
    return f"only {format_rate(health.sent / health.seconds)} of {format_rate(offered)} were sent; {_advice(health)}"


def _notes(health: Health) -> tuple[str, ...]:
    generator, notes = health.generator, []
    if generator.cpu is not None and generator.cpu > CPU:
        notes.append(f"the generator used {format_share(generator.cpu)} of a core at its busiest: close to its own limit")
    if generator.gc_pause_max > LAG_FLOOR:
        notes.append(f"the generator's garbage collector paused it for {format_duration(generator.gc_pause_max)}")
    if generator.fds_share is not None and generator.fds_share > 0.8:
        notes.append(f"{format_share(generator.fds_share)} of the generator's file descriptors were in use")
    if generator.ports_share is not None and generator.ports_share > 0.8:
        notes.append(f"{format_share(generator.ports_share)} of the host's ephemeral ports were in use")
    if generator.little_ratio is not None and abs(generator.little_ratio - 1) > LITTLE:
        notes.append(f"in flight is {generator.little_ratio:.2f} of rate x response (Little's law says 1)")
    return tuple(notes)
