"""The bridge from the mean latency at the baseline to that at the knee."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, sqrt

from perfhunt.analysis.blame.evidence import Span
from perfhunt.analysis.blame.reading import EvidenceReading
from perfhunt.analysis.diagnosis.features import Features, features_of
from perfhunt.analysis.diagnosis.suspects import Suspects
from perfhunt.analysis.diagnosis.waterfall.after_answer import (
    Busy,
    without_work_beyond_requests,
)
from perfhunt.analysis.diagnosis.waterfall.agreement import disagreement
from perfhunt.analysis.diagnosis.waterfall.condensed import PartGrowth, condensed, together
from perfhunt.analysis.diagnosis.waterfall.parts import (
    TIMER,
    PartKey,
    Seen,
    Time,
    parts_in,
    seen_parts,
    server_shares,
)
from perfhunt.analysis.diagnosis.waterfall.queue import QueueFor, queue_for
from perfhunt.analysis.diagnosis.waterfall.serving import Serving, serving_threads
from perfhunt.model.finding import Bottleneck, LatencyPart, Waterfall
from perfhunt.model.units import Seconds, Share, format_duration

# Of the time that no thread shows, the part in unread sockets, below which the server is one that
# reads requests first and has them wait inside.
READ_AHEAD: Share = 0.1


def waterfall(
    reading: EvidenceReading, suspects: Suspects, bottleneck: Bottleneck | None
) -> Waterfall:
    """The waterfall of one investigation, or why there is none."""
    if why := _missing(reading):
        return Waterfall(missing=why)
    base, knee = serving_threads(reading)
    features = features_of(reading, suspects)
    spans = _Spans.of(base, knee)
    changes = spans.changes(queue_for(reading, features, suspects.limiting), features)
    return _told(spans, changes, bottleneck)


def _missing(reading: EvidenceReading) -> str:
    base, knee = reading.baseline, reading.knee
    if base is None:
        return "The service was seen at one load only."
    for name, span in (("baseline", base), ("knee", knee)):
        if not span.has_instants:
            return f"What the service waited for was not seen at the {name}."
        if not span.span.completed or span.span.service is None:
            return f"No request was answered at the {name} while its stacks were looked at."
    return ""


@dataclass(frozen=True, slots=True)
class _Latency:
    """The mean latency of a span's own trial, from when requests were due and from when they were
    sent; the first is the second where nobody timed it. `unread` is what of it a request lay in a
    socket that no thread had read; None where nobody looked. `held`: its answer was held back by a
    delayed acknowledgement.
    """

    response: Seconds
    service: Seconds
    p99: Seconds | None
    unread: Time | None
    held: Seconds = 0.0

    @staticmethod
    def of(span: Span, rate: float) -> _Latency:
        trial, used = span.trial, span.resources
        wire = trial.wire if trial is not None else None
        service = span.service or 0.0
        response = trial.response.mean if trial is not None else None
        unread = None
        if used is not None and used.unread is not None:
            unread = Time(used.unread / rate, used.unread_error / rate)
        return _Latency(
            response=service if response is None else response,
            service=service,
            p99=trial.response.p99 if trial is not None else None,
            unread=unread,
            held=wire.held_total / wire.answers if wire is not None and wire.answers else 0.0,
        )


def _busy(serving: Serving, seen: Seen, latency: _Latency) -> Busy:
    """What threads show, with by how much that is longer than its requests lasted."""
    unread = latency.unread or Time()
    return Busy(
        seen,
        server_shares(serving, seen),
        beyond=seen.total + unread.value + latency.held - latency.service,
        error=sqrt(seen.error**2 + unread.error**2),
    )


@dataclass(slots=True)
class _Spans:
    """Both spans: their latencies, and what threads show of them."""

    base: _Latency
    knee: _Latency
    seen_base: Seen
    seen_knee: Seen
    looks: int
    tasks: bool  # whether tasks of an event loop were read

    @staticmethod
    def of(base: Serving, knee: Serving) -> _Spans:
        latency = _Latency.of(base.reading.span, base.rate)
        loaded = _Latency.of(knee.reading.span, knee.rate)
        before, after = without_work_beyond_requests(
            _busy(base, seen_parts(base, knee.reading), latency),
            _busy(knee, seen_parts(knee, knee.reading), loaded),
        )
        return _Spans(
            base=latency,
            knee=loaded,
            seen_base=before,
            seen_knee=after,
            looks=base.reading.account.instants + knee.reading.account.instants,
            tasks=any(s.sample.task for present in knee.reading.snapshots for s in present),
        )

    def changes(self, queue: QueueFor, features: Features) -> dict[PartKey, PartGrowth]:
        """Every part, those that threads show first."""
        changes = {
            key: PartGrowth(
                key, self.seen_base.parts.get(key, Time()), self.seen_knee.parts.get(key, Time())
            )
            for key in parts_in(self.seen_base, self.seen_knee)
        }
        moved = self._late_timers(queue, changes)
        for change in (*moved, *self._outside_threads(queue, features)):
            key = change.key
            changes[key] = together(changes[key], change) if key in changes else change
        return changes

    def _late_timers(
        self, queue: QueueFor, changes: dict[PartKey, PartGrowth]
    ) -> Iterator[PartGrowth]:
        """What tasks slept for longer under load: a timer is late only when its event loop is. It
        is taken from `changes` and told as waiting for the loop.
        """
        if queue.kind is not LatencyPart.LOOP:
            return
        for key, change in list(changes.items()):
            if key.detail != TIMER or change.added <= 0:
                continue
            changes[key] = PartGrowth(key, change.base, Time(change.base.value, change.base.error))
            for user, share in queue.users.items():
                late = change.added * share
                yield PartGrowth(user, Time(), Time(late, change.knee.error * share), inferred=late)

    def _outside_threads(self, queue: QueueFor, features: Features) -> Iterator[PartGrowth]:
        """What a request waits for before a thread has it, and where no thread ever is."""
        before, after = self.base.unread, self.knee.unread
        looked = before is not None and after is not None
        unread = (before, after) if before and after else (Time(), Time())
        beside_base = self.base.service - self.seen_base.total - self.base.held
        outside = max(0.0, beside_base - unread[0].value)
        beside = self.knee.service - self.seen_knee.total - self.knee.held
        left = beside - unread[1].value - outside
        # A loop reads what comes at once and lets it wait inside, where its tasks show it. Where
        # they cannot be read, nobody looked into the sockets, or these are empty although there is
        # a queue, there is more of it than is seen.
        unread_loop = features.loop is not None and not self.tasks
        inside = (
            unread_loop or not looked or unread[1].value < READ_AHEAD * (left + unread[1].value)
        )
        waited = max(0.0, left) if queue.certain and inside else 0.0
        for key, share in queue.users.items():
            knee = Time(
                (unread[1].value + waited) * share,
                (self._doubt() if waited else unread[1].error) * share,
            )
            base = Time(unread[0].value * share, unread[0].error * share)
            yield PartGrowth(key, base, knee, inferred=waited * share)
        known = Time(outside, 0.0)
        yield PartGrowth(PartKey(LatencyPart.OUTSIDE), known, known)
        held = Time(self.base.held), Time(self.knee.held)
        yield PartGrowth(PartKey(LatencyPart.ACK), *held)
        yield PartGrowth(
            PartKey(LatencyPart.GENERATOR),
            Time(self.base.response - self.base.service),
            Time(self.knee.response - self.knee.service),
        )

    def _doubt(self) -> Seconds:
        """Standard error of what threads and sockets show in both spans together."""
        return sqrt(
            self._error(self.base, self.seen_base) ** 2
            + self._error(self.knee, self.seen_knee) ** 2
        )

    def _error(self, latency: _Latency, seen: Seen) -> Seconds:
        """The same of one span."""
        unread = latency.unread.error if latency.unread is not None else 0.0
        return sqrt(seen.error**2 + unread**2)

    def unexplained(self, changes: dict[PartKey, PartGrowth]) -> PartGrowth:
        """What the parts leave of both latencies."""
        values = changes.values()
        return PartGrowth(
            PartKey(LatencyPart.UNEXPLAINED),
            Time(
                self.base.response - sum(c.base.value for c in values),
                self._error(self.base, self.seen_base),
            ),
            Time(
                self.knee.response - sum(c.knee.value for c in values),
                self._error(self.knee, self.seen_knee),
            ),
        )


def _told(
    spans: _Spans, changes: dict[PartKey, PartGrowth], bottleneck: Bottleneck | None
) -> Waterfall:
    """The waterfall, its small parts summed."""
    base, knee = spans.base.response, spans.knee.response
    growth, left = knee - base, spans.unexplained(changes).rise(spans.looks)
    parts = tuple(c.rise(spans.looks) for c in condensed(changes, max(abs(growth), knee)))
    if not all(isfinite(v) for p in (*parts, left) for v in (p.base, p.knee, p.added.value)):
        return Waterfall(missing="A reading that the parts are worked out from is no number.")
    for span, latency, beside in (("baseline", base, left.base), ("knee", knee, left.knee)):
        if -beside > latency:
            return Waterfall(
                missing=f"What the stacks show at the {span} is"
                f" {format_duration(latency - beside)} for a request of"
                f" {format_duration(latency)}: some of them wait for no request."
            )
    return Waterfall(
        parts=parts,
        base=base,
        knee=knee,
        unexplained=left,
        closure=abs(left.added.value) / growth if growth > 0 else None,
        base_p99=spans.base.p99,
        knee_p99=spans.knee.p99,
        differs=disagreement(bottleneck, parts, left) if bottleneck else "",
    )
