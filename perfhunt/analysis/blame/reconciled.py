"""Instants with the states of moving threads made consistent with their stacks.

A stack and a state are read some milliseconds apart. A thread that did not run in between is beyond
doubt; for the others the state may belong to what the thread did just before or after. Which waits
belong to a place in the code is learnt from the threads that stood still there; where none ever did
(its waits are shorter than the look), a wait that is seen less often there than among the service's
threads at large is taken to have been read from what came before or after.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from perfhunt.analysis.blame.frames import Key, path_of
from perfhunt.model.profile import Instant, Instants, ThreadSample
from perfhunt.model.states import ThreadState

Spot: TypeAlias = tuple[
    tuple[Key, ...], int | None
]  # a way through the code and the line at its end

_RUNS = (ThreadState.ON_CPU, ThreadState.RUN_QUEUE, ThreadState.GIL)  # possible anywhere
_ENOUGH_STILL = 0.1  # share of the still threads at a place, from which a wait belongs there
_LEAST = 0.05  # share of all threads at a place, below which a wait is chance
_LIFT = 0.8  # how often a wait must be seen to belong, against elsewhere, where nothing stood still


@dataclass(frozen=True, slots=True)
class _Place:
    """The states seen at a spot: of threads that stood still, and of all."""

    still: Counter[str]
    seen: Counter[str]


def reconciled(instants: Instants, idle: Callable[[ThreadSample], bool]) -> Instants:
    """The instants, each doubtful wait replaced by the one that belongs to its place, or by running
    where none does.
    """
    spots: dict[Spot, _Place] = {}
    for t in (t for instant in instants for t in instant.threads if t.stack and not idle(t)):
        spot = spots.setdefault(spot_of(t), _Place(Counter(), Counter()))
        spot.seen[t.state] += 1
        spot.still[t.state] += t.still
    at_large = Counter(t.state for instant in instants for t in instant.threads if t.stack)
    if not any(t.still for instant in instants for t in instant.threads):
        return instants  # a capture that cannot tell
    fitting = {spot: _fitting(place, at_large) for spot, place in spots.items()}
    return replace(
        instants,
        instants=tuple(
            Instant(i.at, tuple(t if idle(t) else _mend(t, fitting, spots) for t in i.threads))
            for i in instants
        ),
    )


def spot_of(t: ThreadSample) -> Spot:
    """Where in the code a thread is, to the line."""
    return path_of(t.stack), t.stack[-1].line


def _fitting(place: _Place, at_large: Mapping[str, int]) -> tuple[str, ...]:
    """The waits that belong to a place, the commonest first."""
    stood = place.still.total()
    if stood:
        return tuple(state for state, n in place.still.most_common() if n >= _ENOUGH_STILL * stood)
    whole = place.seen.total()
    others = max(sum(at_large.values()) - whole, 1)
    elsewhere = {s: (at_large[s] - n) / others for s, n in place.seen.items()}
    waits = {s: n / whole for s, n in place.seen.items() if s not in _RUNS and n >= _LEAST * whole}
    fitting = [s for s, share in waits.items() if share >= _LIFT * elsewhere[s]]
    return tuple(sorted(fitting, key=lambda s: -waits[s]))


def _mend(
    t: ThreadSample, fitting: Mapping[Spot, tuple[str, ...]], spots: Mapping[Spot, _Place]
) -> ThreadSample:
    if t.still or not t.stack or t.state in _RUNS:
        return t
    spot = spot_of(t)
    fits = fitting.get(spot, ())
    if t.state in fits or spot not in spots:
        return t
    if fits:
        return replace(t, state=fits[0], wait_on="")
    runs = {state: spots[spot].seen[state] for state in _RUNS}
    state = max(runs, key=lambda s: runs[s])
    return replace(t, state=str(state if runs[state] else ThreadState.ON_CPU), wait_on="")
