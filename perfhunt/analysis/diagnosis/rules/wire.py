"""Whether what happens between client and service stops it: acknowledgements that are waited for,
a connection per request, an accept queue that is full, no more descriptors for connections.

The evidence is the load client's own and the kernel's; no profile shows any of it, since no thread
of the service waits meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from perfhunt.analysis.diagnosis.features import Features
from perfhunt.analysis.diagnosis.rules.score import (
    WAITS,
    ClassScore,
    RampBounds,
    nothing,
    outside_cpu,
    part,
    ramp,
)
from perfhunt.analysis.trial.wire import WireReading, ack_wait, is_certain
from perfhunt.model.finding import BottleneckClass
from perfhunt.model.units import Share, format_bytes, format_duration, format_share

# What to do, for classes that no function of the service is to blame for.
FIXES: Mapping[BottleneckClass, str] = {
    BottleneckClass.DELAYED_ACK: (
        "Write headers and body in one send, or set TCP_NODELAY on the connections that are"
        " accepted"
    ),
    BottleneckClass.CONNECTIONS: (
        "Let connections live on for further requests (HTTP/1.1 keep-alive), in the service and in"
        " whatever stands before it"
    ),
    BottleneckClass.BACKLOG: (
        "Raise the backlog of the listening socket (and net.core.somaxconn, where that is less), or"
        " accept connections in a thread or process that does nothing else"
    ),
    BottleneckClass.DESCRIPTORS: (
        "Let it open more files (ulimit -n; systemd: LimitNOFILE; docker: --ulimit nofile=65536),"
        " or hold fewer connections at once"
    ),
}


@dataclass(frozen=True, slots=True)
class DelayedAckThresholds:
    """When the wait for acknowledgements is the reason."""

    # Of the mean latency: a fifth of it is not what breaks an SLO, half of it is.
    share: RampBounds = (0.2, 0.5)
    # Where no answer was acknowledged at once, what says it is that all gaps are alike and as long
    # as Linux's delay.
    unproven: float = 0.8


DELAYED_ACK = DelayedAckThresholds()


def delayed_ack(features: Features) -> ClassScore:
    """Answers are sent by several writes, and the last one waits for the client to acknowledge the
    first.
    """
    reading = features.wire
    if reading is None or not reading.wire.held:
        return nothing(BottleneckClass.DELAYED_ACK)
    share = ack_wait(reading.wire) / reading.service
    value = ramp(share, DELAYED_ACK.share)
    value *= 1.0 if is_certain(reading.wire) else DELAYED_ACK.unproven
    return ClassScore(
        BottleneckClass.DELAYED_ACK, _with_room(features, value), _held_evidence(reading, share)
    )


def _held_evidence(reading: WireReading, share: Share) -> tuple[str, ...]:
    wire = reading.wire
    delay = format_duration(wire.held_total / wire.held)
    head = ", with the headers alone in the first" if 2 * wire.head_first > wire.in_pieces else ""
    evidence = [
        f"{format_share(part(wire.in_pieces, wire.answers))} of answers came in pieces{head}, and"
        f" {format_share(part(wire.held, wire.answers))} of all waited {delay} for the last one:"
        " the server holds it back (Nagle's algorithm) until the client's delayed acknowledgement.",
        f"That is {format_share(share)} of the mean latency ({format_duration(reading.service)}),"
        " and no thread is busy meanwhile.",
    ]
    if is_certain(wire) and wire.hurried_gap is not None:
        evidence.append(
            f"Acknowledged at once, the rest came {format_duration(wire.hurried_gap)} after the"
            f" first piece (median, n={wire.hurried})."
        )
    return tuple(evidence)


@dataclass(frozen=True, slots=True)
class ConnectionsThresholds:
    """When making connections is the reason. Their mere number is none: a service that closes each
    one, and makes them quickly, is slow for another.
    """

    churn: RampBounds = (0.3, 0.8)  # connections per request
    share: RampBounds = (0.3, 0.6)  # of the median latency, that is connecting
    ports: RampBounds = (0.7, 0.95)  # of the local ports, those in use


CONNECTIONS = ConnectionsThresholds()


def connections(features: Features) -> ClassScore:
    """Every request makes a connection, and that is most of what it takes, or uses up the ports."""
    reading = features.wire
    if reading is None or not reading.wire.new_connections:
        return nothing(BottleneckClass.CONNECTIONS)
    wire, ports = reading.wire, reading.ports_share
    churn, took = wire.new_connections / wire.answers, wire.connect_p50 or 0.0
    share = took * min(1.0, churn) / reading.service_p50
    value = max(ramp(share, CONNECTIONS.share), ramp(ports, CONNECTIONS.ports))
    value *= ramp(churn, CONNECTIONS.churn)
    evidence = [
        f"{wire.new_connections:,} connections were made for {wire.answers:,} answers: connecting"
        f" took {format_duration(took)} (median; p99 {format_duration(wire.connect_p99 or 0.0)}),"
        f" {format_share(share)} of the median latency."
    ]
    if ports > CONNECTIONS.ports[0]:
        evidence.append(f"{format_share(ports)} of this host's local ports were in use.")
    return ClassScore(BottleneckClass.CONNECTIONS, outside_cpu(features, value), tuple(evidence))


@dataclass(frozen=True, slots=True)
class BacklogThresholds:
    """When the accept queue is the reason."""

    # Of the requests over the limit, those whose connection was refused at first.
    explained: RampBounds = (0.3, 0.7)
    # What is left where nothing says that the queue was full: a SYN may be lost on its way too.
    not_seen: float = 0.5


BACKLOG = BacklogThresholds()


def backlog(features: Features) -> ClassScore:
    """The accept queue is full: SYNs are dropped, and sent again after 1, 3 and 7 seconds, while
    the service has room.
    """
    reading = features.wire
    if reading is None:
        return nothing(BottleneckClass.BACKLOG)
    # A client may take itself for connected whose last ACK was dropped: the queue says so then.
    late = max(reading.wire.slow_connects, reading.overflows if _was_full(reading) else 0)
    if not late:
        return nothing(BottleneckClass.BACKLOG)
    value = ramp(min(1.0, part(late, reading.over)), BACKLOG.explained)
    value *= 1.0 if reading.overflows or reading.drops else BACKLOG.not_seen
    return ClassScore(
        BottleneckClass.BACKLOG, _with_room(features, value), _queue_evidence(reading)
    )


def _was_full(reading: WireReading) -> bool:
    return (
        reading.accept_queue is not None
        and reading.accept_backlog is not None
        and reading.accept_queue >= reading.accept_backlog
    )


def _queue_evidence(reading: WireReading) -> tuple[str, ...]:
    evidence = []
    if reading.accept_backlog is not None:
        evidence.append(
            f"The accept queue takes {reading.accept_backlog:,} connections; the longest seen was"
            f" {reading.accept_queue or 0:,}, and {reading.overflows:,} found it full."
        )
    evidence.append(
        f"{reading.wire.slow_connects:,} of {reading.wire.connects:,} connections took a second or"
        " more, as one does whose SYN is dropped and sent again;"
        f" {reading.over:,} requests were over the limit."
    )
    return tuple(evidence)


@dataclass(frozen=True, slots=True)
class DescriptorsThresholds:
    """When the limit of open files is the reason."""

    # Of what the fullest process may have open: it is looked at twice a second, and who may open no
    # more stays full.
    used: RampBounds = (0.95, 1.0)


DESCRIPTORS = DescriptorsThresholds()


def descriptors(features: Features) -> ClassScore:
    """A process has all the files open that it may: the connections after that wait, or fail, while
    the service has room.
    """
    reading = features.wire
    if reading is None or not reading.fds_limit:
        return nothing(BottleneckClass.DESCRIPTORS)
    value = ramp(reading.fds_most / reading.fds_limit, DESCRIPTORS.used)
    evidence = (
        f"A process of the service had {reading.fds_most:,} of the {reading.fds_limit:,} files open"
        " that it may have at once (RLIMIT_NOFILE): connections beyond them are not accepted.",
    )
    return ClassScore(BottleneckClass.DESCRIPTORS, _with_room(features, value), evidence)


def sizes(features: Features) -> tuple[str, ...]:
    """What answers weigh, as sentences; none where it is not known."""
    reading = features.wire
    if reading is None or not reading.wire.size_mean or reading.wire.size_p99 is None:
        return ()
    mean, p99 = format_bytes(reading.wire.size_mean), format_bytes(reading.wire.size_p99)
    rate = format_bytes(reading.bytes_per_second)
    sentence = f"Answers are {mean} on average (p99 {p99}), together {rate} a second"
    if reading.wire.encodings == ("identity",):
        return (f"{sentence}, and none is compressed.",)
    packed = ", ".join(name for name in reading.wire.encodings if name != "identity")
    return (f"{sentence}, encoded with {packed}." if packed else f"{sentence}.",)


def _with_room(features: Features, value: float) -> float:
    """The same, less so where the service has no CPU left: of its cores, or of the one that the
    busiest process may use.
    """
    full = ramp(features.process_cpu, WAITS.of_cores)
    return outside_cpu(features, value) * (1.0 - WAITS.taken * full)
