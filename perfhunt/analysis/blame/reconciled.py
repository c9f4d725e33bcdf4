"""Instants with the states of moving threads made consistent with their stacks.

A stack and a state are read some milliseconds apart. A thread that did not run in between is beyond
doubt; for the others the state may belong to what the thread did just before or after. Which waits
belong to a place in the code is learnt from the threads that stood still there; where none ever did
(its waits are shorter than the reading takes), a wait that is seen less often there than among the
service's threads at large is taken to have been read from what came before or after.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from perfhunt.analysis.blame.frames import CodeLocation, location_of
from perfhunt.model.profile import Instant, Instants, ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Cores, Share

# Where Python code runs a command and waits for it, and in which states it does.
_SUBPROCESS = re.compile(r"/subprocess\.py$")
_AWAITING = (ThreadState.POLL, ThreadState.SOCKET, ThreadState.OTHER, ThreadState.UNKNOWN)
# States that are possible anywhere in the code.
_RUNNABLE = (ThreadState.ON_CPU, ThreadState.RUN_QUEUE, ThreadState.GIL)


@dataclass(frozen=True, slots=True)
class ReconcileThresholds:
    """From when a wait belongs to a place. Chosen on real captures with a known truth; not
    calibrated.
    """

    still: Share = 0.1  # of the still threads at a place: a wait that so many were in belongs there
    chance: Share = 0.05  # of all threads at a place: a wait that fewer were in is chance
    # How often a wait must be seen at a place where nothing stood still, against elsewhere: a
    # little less than as often, for both are counts.
    against_elsewhere: float = 0.8


THRESHOLDS = ReconcileThresholds()


@dataclass(frozen=True, slots=True)
class _StatesThere:
    """The states seen at a place: of threads that stood still, and of all."""

    still: Counter[str] = field(default_factory=Counter)
    every: Counter[str] = field(default_factory=Counter)


def reconciled(instants: Instants, idle: Callable[[ThreadSample], bool]) -> Instants:
    """The instants, each doubtful wait replaced by the one that belongs to its place, or by running
    where none does; unchanged for a capture that cannot tell which threads stood still.
    """
    if not any(thread.still for thread in _threads(instants)):
        return instants
    places: dict[CodeLocation, _StatesThere] = {}
    for thread in (t for t in _threads(instants) if t.stack and not idle(t)):
        there = places.setdefault(location_of(thread.stack), _StatesThere())
        there.every[thread.state] += 1
        there.still[thread.state] += thread.still
    at_large = Counter(thread.state for thread in _threads(instants) if thread.stack)
    fitting = {place: _fitting(there, at_large) for place, there in places.items()}

    def consistent(thread: ThreadSample) -> ThreadSample:
        if thread.still or not thread.stack or thread.state in _RUNNABLE or idle(thread):
            return thread
        place = location_of(thread.stack)
        return _consistent(thread, fitting[place], places[place])

    return replace(
        instants,
        instants=tuple(Instant(i.at, tuple(map(consistent, i.threads))) for i in instants),
    )


def with_commands(instants: Instants, used: Cores, full: bool) -> Instants:
    """The instants in which a thread that waits for a command it runs is at work, as many of them
    as such commands `used` cores; where the cores are `full`, the others wait for one.

    The kernel says that they sleep. It is the command that computes, or has no core, and it is
    gone before anybody looks at it.
    """
    owed, looks = 0.0, []
    for instant in instants:
        owed, threads = owed + used, []
        for thread in instant.threads:
            if thread.state in _AWAITING and _runs_command(thread):
                if owed >= 1.0:
                    owed, thread = owed - 1.0, replace(thread, state=ThreadState.ON_CPU, wait_on="")
                elif full:
                    thread = replace(thread, state=ThreadState.RUN_QUEUE, wait_on="")
            threads.append(thread)
        looks.append(Instant(instant.at, tuple(threads)))
    return replace(instants, instants=tuple(looks))


def _runs_command(thread: ThreadSample) -> bool:
    return not thread.task and any(_SUBPROCESS.search(frame.file) for frame in thread.stack)


def _threads(instants: Instants) -> Iterator[ThreadSample]:
    return (thread for instant in instants for thread in instant.threads)


def _fitting(there: _StatesThere, at_large: Mapping[str, int]) -> tuple[str, ...]:
    """The waits that belong to a place, the commonest first."""
    stood = there.still.total()
    if stood:
        least = THRESHOLDS.still * stood
        return tuple(state for state, n in there.still.most_common() if n >= least)
    whole = there.every.total()
    others = max(sum(at_large.values()) - whole, 1)
    elsewhere = {state: (at_large[state] - n) / others for state, n in there.every.items()}
    waits = {
        state: n / whole
        for state, n in there.every.items()
        if state not in _RUNNABLE and n >= THRESHOLDS.chance * whole
    }
    fitting = [
        state
        for state, share in waits.items()
        if share >= THRESHOLDS.against_elsewhere * elsewhere[state]
    ]
    return tuple(sorted(fitting, key=lambda state: -waits[state]))


def _consistent(
    thread: ThreadSample, fitting: tuple[str, ...], there: _StatesThere
) -> ThreadSample:
    """The thread in the state that belongs to where it is, if its own does not."""
    if thread.state in fitting:
        return thread
    if fitting:
        return replace(thread, state=fitting[0], wait_on="")
    running = max(_RUNNABLE, key=lambda state: there.every[state])
    state = running if there.every[running] else ThreadState.ON_CPU
    return replace(thread, state=str(state), wait_on="")
