"""What several workers report, as if one generator had: what one process would have said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from perfhunt.load.messages import (
    MalformedMessage,
    SecondReport,
    StepDone,
    WorkerDone,
    one_line,
)
from perfhunt.load.wire import merged_accounts
from perfhunt.model.latency import SAMPLE, merged_tasks
from perfhunt.model.units import Seconds, Share

# Of all workers of a closed loop together: a sample has two bytes for the number of its route.
MOST_ROUTES = 1 << 16


class MergedRoutes:
    """The routes of a closed loop, which every worker numbers as it meets them, under one
    numbering.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """As samples of all workers number them."""
        return tuple(self._numbers)

    def add(self, met: Sequence[str]) -> list[int]:
        """The numbers of names that a worker has met. Raises MalformedMessage for too many."""
        numbers = [self._numbers.setdefault(one_line(n), len(self._numbers)) for n in met]
        if len(self._numbers) > MOST_ROUTES:
            raise MalformedMessage(f"more than {MOST_ROUTES} names of requests came")
        return numbers


def renumbered(samples: bytes, numbers: Sequence[int]) -> bytes:
    """Packed samples of one worker, its own number of a route replaced by the one in `numbers`.
    Raises MalformedMessage for a number that it has told no name of.
    """
    renamed = np.frombuffer(samples, SAMPLE).copy()
    routes = renamed["endpoint"]
    if len(routes) and int(routes.max()) >= len(numbers):
        raise MalformedMessage(f"a sample is of route {int(routes.max())}, which has no name")
    renamed["endpoint"] = np.asarray(numbers, dtype=routes.dtype)[routes] if len(routes) else routes
    return renamed.tobytes()


def merged_report(reports: Sequence[SecondReport | None], second: int) -> SecondReport:
    """One report from several: counts add, the busiest worker stands for the CPU."""
    there = [report for report in reports if report is not None]
    return SecondReport(
        second=second,
        at=min(report.at for report in there),
        cpu=max(report.cpu for report in there),
        sent=sum(report.sent for report in there),
        unanswered=sum(report.unanswered for report in there),
        # Each worker looks at its own share at its own ticks; the mean is over the ticks of one.
        ticks=max(report.ticks for report in there),
    )


def merged_done(
    ended: Sequence[WorkerDone],
    workers: int,
    lost: str,
    epoch: Seconds = 0.0,
    routes: tuple[str, ...] | None = None,
) -> StepDone:
    """How the step that began at `epoch` of the master's clock went, from how each worker's share
    of it went. `lost` says which worker is gone, `routes` what a closed loop's samples number.
    """
    shares = [worker.done for worker in ended]
    errors, refused = (
        sum((Counter(each) for each in counts), Counter())
        for counts in ([s.errors for s in shares], [s.refused for s in shares])
    )
    return StepDone(
        seconds=min((share.seconds for share in shares), default=0.0),
        epoch=epoch,
        opened=sum(share.opened for share in shares),
        resent=sum(share.resent for share in shares),
        stray=sum(share.stray for share in shares),
        queued=sum(share.queued for share in shares),
        errors=dict(errors),
        gc_pause=max((share.gc_pause for share in shares), default=0.0),
        fds_share=_largest([share.fds_share for share in shares]),
        ports_share=_largest([share.ports_share for share in shares]),
        workers=workers,
        invalid=lost or next((worker.invalid for worker in ended if worker.invalid), ""),
        refused=dict(refused),
        routes=routes,
        users=sum(share.users for share in shares),
        lost=bool(lost),
        wire=merged_accounts([share.wire for share in shares]),
        tasks=merged_tasks([share.tasks for share in shares]),
    )


def _largest(shares: Sequence[Share | None]) -> Share | None:
    return max((share for share in shares if share is not None), default=None)
