"""What a request does by the exact states of threads alone, for runtimes whose waiting threads have
no stacks to be read.
"""

from __future__ import annotations

from collections.abc import Mapping

from perfhunt.analysis.blame.reading import PoolUse, SpanReading
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


def helpers_at_work(reading: SpanReading) -> PoolUse | None:
    """The threads beside the main ones that are mostly at work; an idle one waits for work in a
    lock. None without exact states.
    """
    states = exact_states(reading)
    if states is None:
        return None
    others = (t.states for t in states.threads if t.tid not in (t.pid, 0))
    work = (sum(each.get(state, 0.0) for state in _AT_WORK) for each in others)
    taken = [share for share in work if share > _MOSTLY]
    return PoolUse(float(len(taken)), sum(taken))
