"""Which calls a request makes again and again: what the source says, and where it cannot be read,
what the samples say.

A caller is worth naming only for what it calls many times. One that calls big things once each (a
route's handler, a dispatcher, a decorator) is on the way to them, however much is spent beneath it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from perfhunt.analysis.blame.culprits.source_lines import LineNames, SourceLines
from perfhunt.analysis.blame.culprits.trails import Call, Trail
from perfhunt.analysis.blame.frames import FunctionKey
from perfhunt.model.units import Share

Sources: TypeAlias = Mapping[str, SourceLines]  # by file
_Place: TypeAlias = tuple[FunctionKey, int | None]  # a line of a function
_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RepeatThresholds:
    """From when calls are taken to be many without the source saying so."""

    # Of the time of a line that calls, the part on the line itself: what a call costs (some 0.1
    # microseconds in CPython) is so much only of one that is over in microseconds, and so one of
    # many.
    overhead: Share = 0.02
    # Samples of that, below which it may be a stack that was read while it changed.
    overhead_samples: float = 5.0
    # Of the samples of a call by one name, the part of the second function that is called by it,
    # from which it is called by it indeed: less are stacks that were read while they changed.
    dispatched: Share = 0.1
    # Of a function's samples, the part with it beneath itself, from which it recurs.
    recurring: Share = 0.1


THRESHOLDS = RepeatThresholds()


@dataclass(frozen=True, slots=True)
class Repeats:
    """What is known of the calls on these trails."""

    sources: Sources
    dispatching: frozenset[tuple[FunctionKey, str]]
    recurring: frozenset[FunctionKey]
    busy_lines: frozenset[_Place]

    def at(self, calls: Sequence[Call], index: int) -> bool:
        """Whether what the function at `index` does there (its next call, or its own work, where it
        is the last) is done many times.
        """
        call = calls[index]
        if call.key in self.recurring:
            return True
        source = self.sources.get(call.key[1])
        if source is None or call.line is None:
            return index > 0 and (call.key, call.line) in self.busy_lines
        # The outermost function's `while` is a server's loop over its requests.
        whiles: tuple[LineNames, ...] = (source.whiles,) if index else ()
        looped = any(call.line in lines for lines in (source.each, *whiles))
        if index + 1 == len(calls):  # on its own: in a loop, or at its head, for the next thing
            return looped or call.line in source.sources
        callee = calls[index + 1].key
        if (call.key, _called_as(call, callee, self.sources)) in self.dispatching:
            return False
        if is_named(callee, source.names.get(call.line, _NONE)):
            named = (lines.get(call.line, _NONE) for lines in (source.each, *whiles))
            return any(is_named(callee, names) for names in named) or (
                self._is_next_of_generator(calls, index, source)
            )
        if is_named(callee, source.around.get(call.line, _NONE)):
            around = (source.around_each, *((source.around_whiles,) if index else ()))
            return any(is_named(callee, names.get(call.line, _NONE)) for names in around)
        return looped

    def _is_next_of_generator(self, calls: Sequence[Call], index: int, source: SourceLines) -> bool:
        """Whether the call is a loop's, for the next thing of a generator."""
        if index + 1 == len(calls):
            return False
        callee, line = calls[index + 1].key, calls[index].line
        theirs = self.sources.get(callee[1])
        return (
            line is not None
            and theirs is not None
            and last_name(callee) in theirs.generators
            and is_named(callee, source.sources.get(line, _NONE))
        )


def repeats_of(trails: Sequence[Trail], sources: Sources) -> Repeats:
    """What trails (without their wrappers) and sources say of the calls on them."""
    return Repeats(
        sources=sources,
        dispatching=_dispatching(trails, sources),
        recurring=_recurring(trails),
        busy_lines=_busy_lines(trails),
    )


def last_name(key: FunctionKey) -> str:
    """A function's name without what it is defined in."""
    return key[0].rpartition(".")[2]


def is_named(callee: FunctionKey, names: Iterable[str]) -> bool:
    """Whether a statement that holds these names may call that function by its own name; methods
    that an operator or a class calls have none there.
    """
    name = last_name(callee)
    return name in names or (name.startswith("__") and name.endswith("__"))


def without_wrappers(calls: tuple[Call, ...], sources: Sources) -> tuple[Call, ...]:
    """The way without functions that stand between a call and what it calls by name, calling on
    what they were given: decorators.
    """
    kept: list[Call] = []
    index = 0
    while index < len(calls):
        kept.append(calls[index])
        index = _called_by_name(calls, index, sources)
    return tuple(kept)


def _called_by_name(calls: Sequence[Call], index: int, sources: Sources) -> int:
    """Where on the way the function stands that the one at `index` calls by its name; the next one
    where nothing says otherwise.
    """
    for further in range(index + 1, len(calls)):
        if _names(calls[index], calls[further].key, sources) is not False:
            return further
        passed_on = further + 1 < len(calls) and (
            _names(calls[further], calls[further + 1].key, sources) is False
        )
        if not passed_on:
            break
    return index + 1


def _names(call: Call, callee: FunctionKey, sources: Sources) -> bool | None:
    """Whether the function names the callee anywhere; None where its source is not known."""
    source = sources.get(call.key[1])
    if source is None or call.line is None or call.line not in source.around:
        return None
    return is_named(callee, source.around[call.line])


def _called_as(call: Call, callee: FunctionKey, sources: Sources) -> str:
    """The name by which a function calls another; "" for one of which it holds no name."""
    return "" if _names(call, callee, sources) is False else last_name(callee)


def _dispatching(trails: Iterable[Trail], sources: Sources) -> frozenset[tuple[FunctionKey, str]]:
    """Functions, with a name, by which they call several functions that the source does not tell
    apart there.
    """
    called: dict[tuple[FunctionKey, str], defaultdict[FunctionKey, float]] = {}
    for trail in trails:
        for caller, callee in pairwise(trail.calls):
            if caller.key != callee.key:
                by = (caller.key, _called_as(caller, callee.key, sources))
                called.setdefault(by, defaultdict(float))[callee.key] += trail.samples
    return frozenset(
        by
        for by, callees in called.items()
        if len(callees) > 1
        and sorted(callees.values())[-2] >= THRESHOLDS.dispatched * sum(callees.values())
    )


def _recurring(trails: Iterable[Trail]) -> frozenset[FunctionKey]:
    """Functions that call themselves, or each other in a circle: seen beneath themselves by the
    same call. (A decorator's function is beneath itself as well, and calls another each time.)
    """
    every: defaultdict[FunctionKey, float] = defaultdict(float)
    again: defaultdict[FunctionKey, float] = defaultdict(float)
    for trail in trails:
        pairs = Counter((a.key, b.key) for a, b in pairwise(trail.calls))
        circle = {a for (a, b), n in pairs.items() if n > 1 or a == b}
        for key in {call.key for call in trail.calls}:
            every[key] += trail.samples
            again[key] += trail.samples if key in circle else 0.0
    return frozenset(k for k, n in again.items() if n and n >= THRESHOLDS.recurring * every[k])


def _busy_lines(trails: Iterable[Trail]) -> frozenset[_Place]:
    """Lines that call one function so quickly that the call itself shows in the samples."""
    whole: defaultdict[_Place, float] = defaultdict(float)
    itself: defaultdict[_Place, float] = defaultdict(float)
    callees: dict[_Place, set[FunctionKey]] = {}
    for trail in (t for t in trails if not t.waits):
        for caller, callee in pairwise(trail.calls):
            place = (caller.key, caller.line)
            whole[place] += trail.samples
            callees.setdefault(place, set()).add(callee.key)
        if not trail.inner:
            place = (trail.leaf, trail.calls[-1].line)
            whole[place] += trail.samples
            itself[place] += trail.samples
    return frozenset(
        place
        for place, n in itself.items()
        if n >= THRESHOLDS.overhead_samples
        and n >= THRESHOLDS.overhead * whole[place]
        and len(callees.get(place, ())) == 1
    )
