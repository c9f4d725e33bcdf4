"""What a request does by the exact states of threads alone, for runtimes whose waiting threads have
no stacks to be read.
"""

from __future__ import annotations

from collections.abc import Mapping

from perfhunt.analysis.blame.reading import PoolUse, SpanReading
from perfhunt.analysis.diagnosis.known.blocking_pool import blocking_pool_at_work
from perfhunt.analysis.diagnosis.known.runtimes import RuntimeTraits
from perfhunt.model.states import States, ThreadState
from perfhunt.model.units import Seconds, Share

# A request waits in this while no thread does anything for it: for another one inside the process.
HIDDEN = "hidden"
# States in which a thread works on something, or waits for what is outside of the process.
_AT_WORK = (ThreadState.ON_CPU, ThreadState.RUN_QUEUE, ThreadState.DISK, ThreadState.SOCKET)
# States that a thread with nothing to do is not in, and how each is called as a kind of time.
_KINDS: Mapping[ThreadState, str] = {
    ThreadState.ON_CPU: "cpu",
    ThreadState.RUN_QUEUE: ThreadState.RUN_QUEUE,
    ThreadState.GIL: ThreadState.GIL,
    ThreadState.SOCKET: ThreadState.SOCKET,
    ThreadState.DISK: ThreadState.DISK,
    ThreadState.SLEEP: ThreadState.SLEEP,
}
_MOSTLY: Share = 0.5  # of its time, from which a thread is taken
# Of its time, from which how a thread rests is known: less is a look or two of a hold's hundreds.
_RESTED: Share = 0.01


def exact_states(reading: SpanReading) -> States | None:
    """The states of a span, where the kernel told all of them."""
    states = reading.span.states
    return states if states is not None and states.source == "syscall" else None


def told_by_states(reading: SpanReading) -> dict[str, Seconds]:
    """Seconds of a request by kind: what threads do and wait for, locks that a profiler saw them
    wait for, and the rest of its time, which is `HIDDEN`. Empty where that is not known.
    """
    span, states = reading.span, exact_states(reading)
    if states is None or not span.service or not span.completed:
        return {}
    kinds = {kind: states.in_state(state) / span.completed for state, kind in _KINDS.items()}
    for (_, cause), (threads, _) in reading.contended.items():
        kinds[cause] = kinds.get(cause, 0.0) + threads / span.completed
    return {**kinds, HIDDEN: max(0.0, span.service - sum(kinds.values()))}


def helpers_of(knee: SpanReading, traits: RuntimeTraits) -> PoolUse | None:
    """The threads that an event loop hands work to: by stacks, where those are read of all threads;
    else by their states.
    """
    if traits.parks:
        return blocking_pool_at_work(knee)
    return helpers_at_work(knee) if traits.helpers else None


def helpers_at_work(reading: SpanReading) -> PoolUse | None:
    """The threads beside the main ones that are mostly at work; an idle one waits for work in a
    lock. None without exact states.
    """
    states = exact_states(reading)
    if states is None:
        return None
    taken = [_work(each) for each in _taken(states)]
    return PoolUse(float(len(taken)), sum(taken))


def name_of_helpers(states: States | None, traits: RuntimeTraits) -> str:
    """What the threads are that `helpers_at_work` counts: those of the runtime's pool rest in a
    lock, those with a loop of their own in its poll. Where they hardly rested, it may be either.
    """
    if not traits.workers:
        return traits.helpers
    taken = _taken(states) if states is not None else []
    polled = sum(each.get(ThreadState.POLL, 0.0) for each in taken)
    locked = sum(each.get(ThreadState.LOCK, 0.0) for each in taken)
    if max(polled, locked) <= _RESTED * len(taken):
        return f"{traits.helpers} or {traits.workers}"
    return traits.workers if polled > locked else traits.helpers


def _taken(states: States) -> list[Mapping[str, Share]]:
    others = (t.states for t in states.threads if t.tid not in (t.pid, 0))
    return [each for each in others if _work(each) > _MOSTLY]


def _work(thread: Mapping[str, Share]) -> Share:
    return sum(thread.get(state, 0.0) for state in _AT_WORK)
