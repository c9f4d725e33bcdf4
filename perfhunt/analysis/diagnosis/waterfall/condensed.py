"""The parts of a waterfall as a reader wants them: the few that matter by name, the rest summed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import sqrt

from perfhunt.analysis.diagnosis.costs import growth_interval
from perfhunt.analysis.diagnosis.waterfall.parts import NOBODY, UNHELD, PartKey, Time
from perfhunt.model.finding import LatencyPart, Rise
from perfhunt.model.units import Seconds, Share

MOST = 8  # parts by name: more than that is no picture
# Of the growth, or of the latency at the knee where that is more: a part that is less is summed
# with its like.
SMALL: Share = 0.03
_SUMMED = {LatencyPart.CPU: "other code, on a CPU", LatencyPart.OTHER: "other waits"}
# These are not of the service, and stand by their own name however small they are.
_ALWAYS = frozenset(
    {LatencyPart.NEIGHBOURS, LatencyPart.ACK, LatencyPart.OUTSIDE, LatencyPart.GENERATOR}
)
_IN_STATE = {
    LatencyPart.CPU: "{f} on a CPU",
    LatencyPart.RUN_QUEUE: "waiting for a CPU that the service's own threads had",
    LatencyPart.NEIGHBOURS: "waiting for a CPU that other programs had",
    LatencyPart.GIL: "waiting for the GIL",
    LatencyPart.LOCK: "waiting for a lock that {f} holds",
    LatencyPart.POOL: "waiting for one of a pool that {f} keeps",
    LatencyPart.HANDOFF: "waiting for {f} to do the work, in another thread or task",
    LatencyPart.PACED: "waiting in {f} for one's turn, which time gives",
    LatencyPart.AWAIT: "awaiting {d} in {f}",
    LatencyPart.SOCKET: "waiting for {d} in {f}",
    LatencyPart.CLIENT: "waiting for the client",
    LatencyPart.POLL: "waiting in a poll of {f}",
    LatencyPart.DISK: "waiting for the disk in {f}",
    LatencyPart.SLEEP: "sleeping in {f}",
    LatencyPart.OTHER: "off the CPU in {f}",
    LatencyPart.LOOP: "waiting for the event loop",
    LatencyPart.QUEUED: "queued before it was taken up",
    LatencyPart.ACK: "answers held back until the client acknowledged their first piece",
    LatencyPart.OUTSIDE: "network and all that nothing in the service shows, as at the baseline",
    LatencyPart.GENERATOR: "sent late, or held back for a free connection",
    LatencyPart.UNEXPLAINED: "not accounted for",
}
_HELD = frozenset({LatencyPart.LOCK, LatencyPart.POOL, LatencyPart.HANDOFF})
_WHILE = {
    LatencyPart.LOOP: "waiting for the event loop, which {}",
    LatencyPart.QUEUED: "queued, while the service {}",
}
_DOING = {
    LatencyPart.CPU: "ran {f}",
    LatencyPart.RUN_QUEUE: "waited for a CPU",
    LatencyPart.GIL: "waited for the GIL",
    LatencyPart.LOCK: "waited for a lock that {f} holds",
    LatencyPart.POOL: "waited for one of a pool that {f} keeps",
    LatencyPart.HANDOFF: "waited for {f} in another thread or task",
    LatencyPart.PACED: "waited in {f} for its turn, which time gives",
    LatencyPart.SOCKET: "waited for a socket in {f}",
    LatencyPart.DISK: "waited for the disk in {f}",
    LatencyPart.SLEEP: "slept in {f}",
}


@dataclass(frozen=True, slots=True)
class PartGrowth:
    """One part at the baseline and at the knee; nothing shows `inferred` of the latter."""

    key: PartKey
    base: Time
    knee: Time
    inferred: Seconds = 0.0

    @property
    def added(self) -> Seconds:
        return self.knee.value - self.base.value

    def rise(self, looks: int) -> Rise:
        """The part with its name and interval, told from so many looks."""
        key = self.key
        return Rise(
            kind=key.kind,
            name=name_of(key),
            base=self.base.value,
            knee=self.knee.value,
            added=growth_interval(
                (self.base.value, self.base.error), (self.knee.value, self.knee.error), looks
            ),
            function=key.function[0],
            file=key.function[1],
            meanwhile=_meanwhile(key),
            inferred=self.inferred,
        )


def name_of(key: PartKey) -> str:
    """What a part is called, in words."""
    function, doing = key.function[0], _meanwhile(key)
    if key.kind in _SUMMED and key.function == NOBODY:
        return _SUMMED[key.kind]
    if doing is not None:
        return _WHILE[key.kind].format(_doing(doing, function))
    if key.kind is LatencyPart.LOCK and key.detail == UNHELD:
        return f"waiting for a lock in {function}, its holder not seen"
    if key.kind is LatencyPart.RUN_QUEUE and key.detail:
        return f"waiting for a CPU: the CPU quota of its cgroup stopped it {key.detail}"
    if key.kind is LatencyPart.NEIGHBOURS and key.detail:
        return f"{_IN_STATE[key.kind]} ({key.detail})"
    if key.kind in _HELD and key.detail:
        function = f"{function} or {key.detail}"
    unnamed = "something" if key.kind is LatencyPart.AWAIT else "a socket"
    return _IN_STATE[key.kind].format(f=function or "code", d=key.detail or unnamed)


def _doing(kind: LatencyPart, function: str) -> str:
    if not function and kind is LatencyPart.OTHER:
        return "did other things"
    return _DOING.get(kind, "stood in {f}").format(f=function or "code")


def _meanwhile(key: PartKey) -> LatencyPart | None:
    queue = key.kind in (LatencyPart.LOOP, LatencyPart.QUEUED)
    return LatencyPart(key.detail) if queue and key.detail else None


def condensed(changes: Mapping[PartKey, PartGrowth], whole: Seconds) -> list[PartGrowth]:
    """The parts that matter, what load added most to first; `whole` is what they are small or large
    against.
    """
    ordered = sorted(changes.values(), key=lambda c: (-_size(c), c.key))
    others = [c for c in ordered if c.key.kind not in _ALWAYS]
    large = [c for c in others if _size(c) >= SMALL * whole][:MOST]
    kept = [*large, *(c for c in ordered if c.key.kind in _ALWAYS)]
    sums: dict[PartKey, PartGrowth] = {c.key: c for c in kept}
    for change in (c for c in others if c not in large):
        key = _summed(change.key)
        sums[key] = together(sums[key], change) if key in sums else replace(change, key=key)
    shown = [c for c in sums.values() if c.base.value or c.knee.value]
    return sorted(shown, key=lambda c: (-c.added, c.key))


def _size(change: PartGrowth) -> Seconds:
    return max(abs(change.added), change.knee.value, change.base.value)


def _summed(key: PartKey) -> PartKey:
    """The line that a part is put under when it is too small for one of its own."""
    if key.kind in (LatencyPart.LOOP, LatencyPart.QUEUED):
        return PartKey(key.kind, NOBODY, LatencyPart.OTHER)
    cpu = key.kind is LatencyPart.CPU
    return PartKey(LatencyPart.CPU if cpu else LatencyPart.OTHER)


def together(one: PartGrowth, other: PartGrowth) -> PartGrowth:
    """Two parts as one, under the name of the first; their errors are independent."""
    return replace(
        one,
        base=_sum(one.base, other.base),
        knee=_sum(one.knee, other.knee),
        inferred=one.inferred + other.inferred,
    )


def _sum(one: Time, other: Time) -> Time:
    return Time(one.value + other.value, sqrt(one.error**2 + other.error**2))
