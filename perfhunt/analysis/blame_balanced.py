"""Instants made to agree with the exact thread states of the same span.

The looks that see stacks are few and take milliseconds, in which states change; the state sampler knows how long threads spent
in each state, but not where. Iterative proportional fitting (Deming & Stephan 1940) finds the table of places and states that
keeps what each knows: how often a place was seen, and how much time went to a state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from perfhunt.analysis.blame_mended import Spot, spot_of
from perfhunt.model.profile import Instant, Instants, ThreadSample
from perfhunt.model.states import States, ThreadState

_ROUNDS = 30
_STATES = tuple(str(s) for s in ThreadState)


def balanced(instants: Instants, states: States | None) -> Instants:
    """The instants with as many states changed as it takes; unchanged when the exact states are not all known."""
    if states is None or states.source != "syscall" or not len(instants):
        return instants
    samples = [t for i in instants for t in i.threads if t.stack]
    exact = np.array([states.totals().get(s, 0.0) for s in _STATES])
    if not samples or exact.sum() <= 0:
        return instants
    wanted = _fitted(_table(samples), exact * len(samples) / exact.sum())
    moved = _moves(samples, wanted)
    fresh = iter(moved)
    return replace(
        instants,
        instants=tuple(Instant(i.at, tuple(next(fresh) if t.stack else t for t in i.threads)) for i in instants),
    )


def _table(samples: Iterable[ThreadSample]) -> dict[Spot, NDArray[np.float64]]:
    rows: dict[Spot, NDArray[np.float64]] = {}
    for t in samples:
        rows.setdefault(spot_of(t), np.zeros(len(_STATES)))[_STATES.index(t.state)] += 1
    return rows


def _fitted(rows: Mapping[Spot, NDArray[np.float64]], exact: NDArray[np.float64]) -> dict[Spot, NDArray[np.float64]]:
    """The table with the same row sums and, as nearly as its zeros allow, the exact column sums."""
    table = np.array(list(rows.values()))
    sums = table.sum(axis=1, keepdims=True)
    for _ in range(_ROUNDS):
        seen = table.sum(axis=0)
        table = table * np.where(seen > 0, exact / np.maximum(seen, 1e-12), 0.0)
        left = table.sum(axis=1, keepdims=True)
        table = np.where(left > 0, table * sums / np.maximum(left, 1e-12), np.array(list(rows.values())))
    return dict(zip(rows, table, strict=True))


def _moves(samples: list[ThreadSample], wanted: Mapping[Spot, NDArray[np.float64]]) -> list[ThreadSample]:
    """The samples with states changed until every place has the counts that were fitted; still threads change last."""
    by_spot: dict[Spot, list[int]] = {}
    for index, t in enumerate(samples):
        by_spot.setdefault(spot_of(t), []).append(index)
    found = list(samples)
    for spot, indices in by_spot.items():
        target = _rounded(wanted[spot], len(indices))
        have = Counter(samples[i].state for i in indices)
        short = [state for state, n in target.items() for _ in range(max(0, n - have[state]))]
        spare = Counter({state: n - target.get(state, 0) for state, n in have.items() if n > target.get(state, 0)})
        names: dict[str, Counter[str]] = {}
        for i in indices:
            names.setdefault(samples[i].state, Counter())[samples[i].wait_on] += 1
        # Every so many of those in excess, so that no stretch of time is singled out.
        for i in sorted(indices, key=lambda i: (samples[i].still, (i * 7919) % 104729)):
            if short and spare[samples[i].state] > 0:
                spare[samples[i].state] -= 1
                state = short.pop()
                on = names[state].most_common(1)[0][0] if state in names else ""
                found[i] = replace(samples[i], state=state, wait_on=on, still=False)
    return found


def _rounded(row: NDArray[np.float64], total: int) -> dict[str, int]:
    """Whole numbers that sum to `total`, by largest remainder."""
    floor = np.floor(row).astype(int)
    order = np.argsort(-(row - floor), kind="stable")
    for k in order[: total - int(floor.sum())]:
        floor[k] += 1
    return {state: int(n) for state, n in zip(_STATES, floor, strict=True) if n}
