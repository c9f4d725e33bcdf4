"""Instants made to agree with the exact thread states of the same span.

The instants, which see stacks, are few, and each takes milliseconds, in which states change; the
state sampler knows how long threads spent in each state, but not where. Iterative proportional
fitting, or raking (Deming & Stephan 1940), finds the table of places and states that keeps what
each knows: how often a place was seen, and how much time went to a state. Where on-CPU time belongs
is known from the profile, whose samples are many; it is the fit's first guess for that state, and
half of the guess for the wait for a CPU, which is where running threads are taken off it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from perfhunt.analysis.blame.frames import CodeLocation, location_of
from perfhunt.model.profile import (
    FrameKind,
    Instant,
    Instants,
    Profile,
    ProfileMode,
    ThreadSample,
)
from perfhunt.model.states import States, ThreadState

# Samples of a profile at places that the instants saw as well, from which it may say where threads
# run: a share of 20 % is then known to four points (one standard error).
_ENOUGH_SAMPLES = 100.0
# Rounds of the fit: on captures of nineteen services no count is then further than 0.3 of a sample
# from where 100 rounds end, and counts are rounded to whole samples.
_ROUNDS = 30
_TINY = 1e-12  # keeps a division by an empty row or column from failing
_CONDITIONS = (ThreadState.SLEEP, ThreadState.AWAIT)
_STATES = tuple(str(state) for state in ThreadState)
_ON_CPU, _QUEUED = _STATES.index(ThreadState.ON_CPU), _STATES.index(ThreadState.RUN_QUEUE)
_LOCK = _STATES.index(ThreadState.LOCK)
_COLLECTOR = "gc"  # a LockWait's kind

_Counts: TypeAlias = NDArray[np.float64]  # by state, in the order of `_STATES`
_Table: TypeAlias = dict[CodeLocation, _Counts]


def raked(instants: Instants, states: States | None, profile: Profile | None = None) -> Instants:
    """The instants with as many states changed as it takes; unchanged when the exact states are not
    all known.
    """
    if states is None or states.source != "syscall" or not len(instants):
        return instants
    samples = [t for instant in instants for t in instant.threads if _is_placed(t)]
    exact = _without_pauses(_exact_times(samples, states), profile)
    if not samples or exact.sum() <= 0:
        return instants
    seen = [_as_the_kernel_has_it(sample) for sample in samples]
    counts = _counts(seen)
    fitted = _fitted(counts, _first_guess(counts, profile), exact * len(samples) / exact.sum())
    after = zip(samples, seen, _with_states(seen, fitted), strict=True)
    changed = iter([sample if now is was else now for sample, was, now in after])
    return replace(
        instants,
        instants=tuple(
            Instant(i.at, tuple(next(changed) if _is_placed(t) else t for t in i.threads))
            for i in instants
        ),
    )


def _is_placed(sample: ThreadSample) -> bool:
    """Whether it is a thread with a place in the code: of tasks the kernel knows no times."""
    return bool(sample.stack) and not sample.task


def _as_the_kernel_has_it(sample: ThreadSample) -> ThreadSample:
    """The thread in the state that the kernel would give it: a JVM's thread that sleeps, or waits
    for a result, waits for a condition of its own.
    """
    if sample.state in _CONDITIONS and sample.stack[-1].kind == FrameKind.JVM:
        return replace(sample, state=str(ThreadState.LOCK))
    return sample


def _exact_times(samples: Sequence[ThreadSample], states: States) -> _Counts:
    """Mean threads per state. Threads that never ran Python have no place in the table, so their
    time has none in its sums.
    """
    python = {(t.pid, t.tid) for t in samples}
    known = [t for t in states.threads if (t.pid, t.tid) in python or not t.tid]
    threads = known or states.threads
    return np.array([sum(t.states.get(state, 0.0) for t in threads) for state in _STATES])


def _without_pauses(exact: _Counts, profile: Profile | None) -> _Counts:
    """The same without the time in which threads that would have run stood still for a collector:
    for the kernel they waited on a lock, where no look finds them.
    """
    waits = profile.lock_waits if profile is not None else ()
    paused = sum(wait.threads for wait in waits if wait.of == _COLLECTOR)
    running = exact[_ON_CPU] + exact[_QUEUED]
    stopped = running * paused / max(1.0 - paused, _TINY)
    exact[_LOCK] = max(0.0, exact[_LOCK] - stopped)
    return exact


def _counts(samples: Sequence[ThreadSample]) -> _Table:
    """How often each place was seen in each state."""
    table: _Table = {}
    for sample in samples:
        row = table.setdefault(location_of(sample.stack), np.zeros(len(_STATES)))
        row[_STATES.index(sample.state)] += 1
    return table


def _first_guess(counts: _Table, profile: Profile | None) -> _Counts:
    """The table to start from: what the instants saw, with the profile's word for where threads
    run.
    """
    table = np.array(list(counts.values()))
    # Holding the GIL is not running: C code runs without it, and a holder may queue for a CPU.
    if profile is None or profile.mode != ProfileMode.CPU or profile.mostly_lost:
        return table
    weights: dict[CodeLocation, float] = {}
    for stack, weight in profile.stacks.items():
        if stack:
            place = location_of(stack)
            weights[place] = weights.get(place, 0.0) + weight
    ran = np.array([weights.get(place, 0.0) for place in counts])
    if ran.sum() < _ENOUGH_SAMPLES:
        return table
    ran /= ran.sum()
    table[:, _ON_CPU] = ran * max(table[:, _ON_CPU].sum(), 1.0)
    table[:, _QUEUED] = (table[:, _QUEUED] + ran * table[:, _QUEUED].sum()) / 2
    return table


def _fitted(counts: _Table, guess: _Counts, exact: _Counts) -> _Table:
    """The table nearest to the guess with the row sums of the counts and, as far as its zeros
    allow, the exact column sums.
    """
    counted = np.array(list(counts.values()))
    row_sums, table = counted.sum(axis=1, keepdims=True), guess
    for _ in range(_ROUNDS):
        columns = table.sum(axis=0)
        table = table * np.where(columns > 0, exact / np.maximum(columns, _TINY), 0.0)
        rows = table.sum(axis=1, keepdims=True)
        table = np.where(rows > 0, table * row_sums / np.maximum(rows, _TINY), counted)
    return dict(zip(counts, table, strict=True))


def _with_states(samples: Sequence[ThreadSample], fitted: _Table) -> list[ThreadSample]:
    """The samples with states changed until every place has the counts that were fitted; threads
    that stood still change last.
    """
    places: dict[CodeLocation, list[int]] = {}
    for index, sample in enumerate(samples):
        places.setdefault(location_of(sample.stack), []).append(index)
    changed = list(samples)
    for place, indices in places.items():
        _change(changed, indices, _rounded(fitted[place], len(indices)))
    return changed


def _change(samples: list[ThreadSample], indices: Sequence[int], margin: Mapping[str, int]) -> None:
    """Change, in place, states of the samples at `indices` until they count up to `margin`."""
    counted = Counter(samples[i].state for i in indices)
    short = [state for state, n in margin.items() for _ in range(n - counted[state])]
    spare = counted - Counter(margin)
    targets: dict[str, Counter[str]] = {}
    for i in indices:
        targets.setdefault(samples[i].state, Counter())[samples[i].wait_on] += 1
    for i in sorted(indices, key=lambda i: (samples[i].still, _scattered(i))):
        if short and spare[samples[i].state] > 0:
            spare[samples[i].state] -= 1
            state = short.pop()
            wait_on = targets[state].most_common(1)[0][0] if state in targets else ""
            samples[i] = replace(samples[i], state=state, wait_on=wait_on, still=False)


def _scattered(index: int) -> int:
    """An order in which neighbours lie far apart, so that no stretch of time is singled out
    (multiplicative hashing: both numbers are primes, the second the 10,000th).
    """
    return index * 7919 % 104729


def _rounded(row: _Counts, total: int) -> dict[str, int]:
    """Whole numbers that sum to `total`, by largest remainder."""
    whole = np.floor(row).astype(int)
    order = np.argsort(-(row - whole), kind="stable")
    for k in order[: total - int(whole.sum())]:
        whole[k] += 1
    return {state: int(n) for state, n in zip(_STATES, whole, strict=True) if n}
