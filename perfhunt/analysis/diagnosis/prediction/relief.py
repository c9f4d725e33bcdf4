"""What an answer is rid of without a function beside what the binding resource is: computing and
waiting elsewhere, and what happens between client and service because of it. It moves a knee that
latency sets, and no capacity.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import hypot

from perfhunt.analysis.blame.charge import Cause
from perfhunt.analysis.blame.frames import FunctionKey
from perfhunt.analysis.blame.reading import SpanReading
from perfhunt.analysis.diagnosis.costs import Cost, unseen
from perfhunt.analysis.diagnosis.prediction.curve import NOT_HELD, HeldBack, held_back
from perfhunt.analysis.diagnosis.prediction.station import NOTHING, Estimated, Station
from perfhunt.analysis.diagnosis.suspects import Suspects
from perfhunt.model.states import ThreadState
from perfhunt.model.trial import Trial
from perfhunt.model.units import Seconds, format_duration

# Waits for others of the service: they go with what those do, not with who waits.
_FOR_OTHERS = frozenset(
    {ThreadState.LOCK, ThreadState.GIL, ThreadState.RUN_QUEUE, ThreadState.LOOP}
)


@dataclass(frozen=True, slots=True)
class Relief:
    """`off` is what each answer takes less, `held` the wait that a share of them is rid of.
    `partly`: more than half of the answers take altogether, so it is of some of them, and what it
    is for those is not known.
    """

    off: Estimated = NOTHING
    held: HeldBack = NOT_HELD
    partly: bool = False

    @property
    def mean(self) -> Seconds:
        """What an answer takes less on average."""
        return self.off.value + self.held.share * self.held.each

    @property
    def words(self) -> str:
        """`40.2 ms`"""
        return format_duration(self.mean)


NO_RELIEF = Relief()


def relief_of(
    gone: Collection[FunctionKey], suspects: Suspects, binding: Station, knee: SpanReading
) -> Relief:
    """The relief that taking some functions away is, as the hold at the knee showed it."""
    costs = [suspects.by_function[key].knee for key in gone if key in suspects.by_function]
    trial = knee.span.trial
    value = sum(max(0.0, _beside(cost, binding)) for cost in costs)
    error = hypot(*(cost.own_error for cost in costs)) if value else 0.0
    most = _typical(trial)
    partly = most is not None and value > most
    off = Estimated(most, 0.0) if most is not None and partly else Estimated(value, error)
    return Relief(off, _of_acks(costs, trial), partly)


def _beside(cost: Cost, binding: Station) -> Seconds:
    """What a function does itself that is no part of what the binding resource is taken for."""
    waits = sum(value for state, value in cost.waits.items() if state not in _FOR_OTHERS)
    there = binding.wait_uses.get(cost.key, NOTHING).value
    share = binding.cpu_shares.get(cost.key, NOTHING).value
    there += share * binding.cpu.value if binding.cpu is not None else 0.0
    awaited = cost.queues.get((unseen(Cause.AWAIT), str(Cause.AWAIT)), 0.0)
    return waits + cost.cpu + awaited - there


def _of_acks(costs: Collection[Cost], trial: Trial | None) -> HeldBack:
    """The acknowledgements that answers wait for because these functions send them, as a part of
    all that are waited for.
    """
    share, each = held_back(trial)
    if not share or not each:
        return NOT_HELD
    charged = sum(cost.queued(Cause.ACK) for cost in costs)
    return HeldBack(min(share, charged / each), each)


def _typical(trial: Trial | None) -> Seconds | None:
    """What half of the answers take at most."""
    return trial.service.p50 if trial is not None else None
