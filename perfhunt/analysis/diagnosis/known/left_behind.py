"""Tasks that requests leave behind: more of them with every request, and none of them ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from math import sqrt

from perfhunt.analysis.blame.evidence import Span
from perfhunt.analysis.blame.frames import CallPath, Code, call_path
from perfhunt.analysis.blame.reading import EvidenceReading
from perfhunt.analysis.blame.snapshots import called
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.profile import Instants, ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Share

_LEAST = 8  # tasks that came and did not end, in a span: fewer may be chance
_COUNTED: Share = 0.75  # of a span: who is there by then and never missing after it did not end
_SURE = 1.96  # standard errors, 95 %
_WAITS = {
    ThreadState.LOCK: " for what nobody gives them",
    ThreadState.SOCKET: " for the other end of a connection",
    ThreadState.SLEEP: " for a time that is not over",
}


@dataclass(frozen=True, slots=True)
class _Growth:
    """Tasks that came over so many requests and did not end; how many there were before and at
    last.
    """

    came: int
    requests: float
    first: int
    last: int

    @property
    def per_request(self) -> float:
        return self.came / self.requests

    @property
    def error(self) -> float:
        """Of that, 95 %: they are counted, each by itself (Poisson)."""
        return _SURE * sqrt(self.came) / self.requests

    def agrees(self, other: _Growth) -> bool:
        """Whether both may be as many for each request."""
        return abs(self.per_request - other.per_request) <= self.error + other.error


def left_behind(reading: EvidenceReading) -> Iterator[Caution]:
    """A caution for each place where tasks were left behind at the baseline and at the knee alike:
    a queue grows at the latter alone.
    """
    base, knee = reading.evidence.baseline, reading.evidence.of_waits.knee
    if base is None:
        return
    early, late = _growths(base), _growths(knee)
    for path, growth in late.items():
        before = early.get(path)
        if before is not None and before.agrees(growth) and before.last <= growth.first:
            yield _caution(growth, before, _one_at(path, knee), reading.code)


def _growths(span: Span) -> dict[CallPath, _Growth]:
    if span.instants is None or not span.completed or len(span.instants) < 2:
        return {}
    counts, looks = _counts(span.instants), span.instants.instants
    at = int(_COUNTED * (len(looks) - 1))
    requests = span.completed * (looks[at].at - looks[0].at)
    found = {}
    for path, series in counts.items():
        # At each look, how many there were at least from then on.
        least = [*accumulate(reversed(series), min)][::-1]
        if (came := least[at] - least[0]) >= _LEAST and requests:
            found[path] = _Growth(came, requests, first=series[0], last=series[-1])
    return found


def _counts(instants: Instants) -> dict[CallPath, list[int]]:
    """How many tasks waited on each way through the code, look by look."""
    paths: dict[int, CallPath] = {}  # by stack: many tasks have the same
    counts: dict[CallPath, list[int]] = {}
    for n, instant in enumerate(instants):
        waiting = (t for t in instant.threads if t.task and t.stack)
        for key, times in Counter(_known(t, paths) for t in waiting).items():
            counts.setdefault(key, [0] * len(instants))[n] = times
    return counts


def _known(sample: ThreadSample, paths: dict[int, CallPath]) -> CallPath:
    if id(sample.stack) not in paths:
        paths[id(sample.stack)] = call_path(sample.stack)
    return paths[id(sample.stack)]


def _one_at(path: CallPath, span: Span) -> ThreadSample:
    """One of those that waited there."""
    return next(
        sample
        for instant in span.instants or ()
        for sample in instant.threads
        if sample.task and call_path(sample.stack) == path
    )


def _caution(growth: _Growth, before: _Growth, one: ThreadSample, code: Code) -> Caution:
    kind, own = called(one), code.app_frames(one.stack)
    frame = own[-1] if own else one.stack[-1]
    where = f"{frame.file}:{frame.line}" if frame.line else frame.file
    value, error = 1000 * growth.per_request, 1000 * growth.error
    what = _WAITS.get(ThreadState(one.state), "")
    return Caution(
        CautionCode.GROWTH,
        f"The number of {kind} grows by {_shown(value)} with every 1,000 requests"
        f" ({_shown(value - error)} to {_shown(value + error)}, n={growth.came}), from"
        f" {before.first} at the baseline to {growth.last} at the knee, and none of them ended:"
        f" they wait in {frame.function} ({where}){what}.",
        "See to it that each ends with its request, whoever stops waiting for what it has to give.",
    )


def _shown(count: float) -> str:
    """With three digits that matter, and no power of ten."""
    return f"{count:,.0f}" if count >= 100 else f"{count:.3g}"
