"""What threads do once an answer is sent (they tidy up, wake another, go back to wait) is time of
theirs and of no request: the baseline, where nothing queues, tells how much.
"""

from __future__ import annotations

from perfhunt.analysis.diagnosis.waterfall.parts import Seen, Time
from perfhunt.model.finding import LatencyPart
from perfhunt.model.units import Seconds

# Such work is short and waits for nothing but a CPU and the GIL.
_RUNNING = frozenset(
    {LatencyPart.CPU, LatencyPart.RUN_QUEUE, LatencyPart.NEIGHBOURS, LatencyPart.GIL}
)


def without_work_after_answers(base: Seen, knee: Seen, beyond: Seconds) -> tuple[Seen, Seen]:
    """Both spans less that work. `beyond` is by how much threads were busy for longer at the
    baseline than its requests lasted; at the knee it is the same part of the time on and before a
    CPU, but no more than it was.
    """
    before, after = _running(base), _running(knee)
    if beyond <= 0 or not before or not after:
        return base, knee
    taken = min(beyond, before)
    return _less(base, taken / before), _less(knee, min(taken, taken / before * after) / after)


def _running(seen: Seen) -> Seconds:
    return sum(time.value for key, time in seen.parts.items() if key.kind in _RUNNING)


def _less(seen: Seen, share: float) -> Seen:
    return Seen(
        parts={
            key: Time(time.value * (1 - share), time.error) if key.kind in _RUNNING else time
            for key, time in seen.parts.items()
        },
        error=seen.error,
    )
