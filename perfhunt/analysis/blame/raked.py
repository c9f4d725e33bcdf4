"""Instants made to agree with the exact thread states of the same span.

The looks that see stacks are few and take milliseconds, in which states change; the state sampler
knows how long threads spent in each state, but not where. Iterative proportional fitting (Deming &
Stephan 1940) finds the table of places and states that keeps what each knows: how often a place was
seen, and how much time went to a state. Where on-CPU time belongs is known from the profile, whose
samples are many; it is the fit's first guess for that state, and half of the guess for the wait for
a CPU, which is where running threads are taken off it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from perfhunt.analysis.blame.frames import path_of
from perfhunt.analysis.blame.reconciled import Spot, spot_of
from perfhunt.model.profile import Instant, Instants, Profile, ProfileMode, ThreadSample
from perfhunt.model.states import States, ThreadState

_KNOWN = 100.0  # samples of a profile at places that the looks saw as well
_ROUNDS = 30
_STATES = tuple(str(s) for s in ThreadState)


def raked(instants: Instants, states: States | None, profile: Profile | None = None) -> Instants:
    """The instants with as many states changed as it takes; unchanged when the exact states are not
    all known.
    """
    if states is None or states.source != "syscall" or not len(instants):
        return instants
    samples = [t for i in instants for t in i.threads if t.stack]
    # Threads that never ran Python have no place in the table, so their time has none in its sums.
    python = {(t.pid, t.tid) for t in samples}
    known = [t for t in states.threads if (t.pid, t.tid) in python or not t.tid] or list(
        states.threads
    )
    exact = np.array([sum(t.states.get(s, 0.0) for t in known) for s in _STATES])
    if not samples or exact.sum() <= 0:
        return instants
    rows = _table(samples)
    wanted = _fitted(rows, _guess(rows, profile), exact * len(samples) / exact.sum())
    moved = _moves(samples, wanted)
    fresh = iter(moved)
    return replace(
        instants,
        instants=tuple(
            Instant(i.at, tuple(next(fresh) if t.stack else t for t in i.threads)) for i in instants
        ),
    )


def _table(samples: Iterable[ThreadSample]) -> dict[Spot, NDArray[np.float64]]:
    rows: dict[Spot, NDArray[np.float64]] = {}
    for t in samples:
        rows.setdefault(spot_of(t), np.zeros(len(_STATES)))[_STATES.index(t.state)] += 1
    return rows


def _guess(
    rows: Mapping[Spot, NDArray[np.float64]], profile: Profile | None
) -> NDArray[np.float64]:
    """The table to start from: what the looks saw, with the profile's word for where threads
    run.
    """
    table = np.array(list(rows.values()))
    if (
        profile is None or profile.mode != ProfileMode.CPU
    ):  # holding the GIL is not running: C code runs without, and a holder may queue
        return table
    weights: dict[Spot, float] = {}
    for stack, weight in profile.stacks.items():
        if stack:
            spot = (path_of(stack), stack[-1].line)
            weights[spot] = weights.get(spot, 0.0) + weight
    ran = np.array([weights.get(spot, 0.0) for spot in rows])
    if ran.sum() < _KNOWN:
        return table
    ran /= ran.sum()
    on_cpu, queued = _STATES.index(ThreadState.ON_CPU), _STATES.index(ThreadState.RUN_QUEUE)
    table[:, on_cpu] = ran * max(table[:, on_cpu].sum(), 1.0)
    table[:, queued] = (table[:, queued] + ran * table[:, queued].sum()) / 2
    return table


def _fitted(
    rows: Mapping[Spot, NDArray[np.float64]], guess: NDArray[np.float64], exact: NDArray[np.float64]
) -> dict[Spot, NDArray[np.float64]]:
    """The table nearest to the guess with the row sums of the looks and, as far as its zeros allow,
    the exact column sums.
    """
    seen = np.array(list(rows.values()))
    sums, table = seen.sum(axis=1, keepdims=True), guess
    for _ in range(_ROUNDS):
        columns = table.sum(axis=0)
        table = table * np.where(columns > 0, exact / np.maximum(columns, 1e-12), 0.0)
        left = table.sum(axis=1, keepdims=True)
        table = np.where(left > 0, table * sums / np.maximum(left, 1e-12), seen)
    return dict(zip(rows, table, strict=True))


def _moves(
    samples: list[ThreadSample], wanted: Mapping[Spot, NDArray[np.float64]]
) -> list[ThreadSample]:
    """The samples with states changed until every place has the counts that were fitted; still
    threads change last.
    """
    by_spot: dict[Spot, list[int]] = {}
    for index, t in enumerate(samples):
        by_spot.setdefault(spot_of(t), []).append(index)
    found = list(samples)
    for spot, indices in by_spot.items():
        target = _rounded(wanted[spot], len(indices))
        have = Counter(samples[i].state for i in indices)
        short = [state for state, n in target.items() for _ in range(max(0, n - have[state]))]
        spare = Counter(
            {
                state: n - target.get(state, 0)
                for state, n in have.items()
                if n > target.get(state, 0)
            }
        )
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
