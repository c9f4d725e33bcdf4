"""What a program says of its arrivals, as samples: which of the schedule each was, how late it
began, how it ended.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perfhunt.load.child.recorder import Recorder
from perfhunt.model.latency import RequestOutcome
from perfhunt.model.units import Bytes, PerSecond, Seconds


@dataclass(frozen=True, slots=True)
class ProgramPlan:
    """What a program is to send in a step: arrival n is due at `due[n]` seconds, for `endpoint[n]`
    with feed row `row[n]`; all of shape (n,), evenly spaced at `rate`. A request may take `timeout`
    and may be awaited for `grace` after the load; no more than `in_flight` are unanswered at once.
    An arrival may do something else than wait for `pause` (a script that sleeps).
    """

    rate: PerSecond
    duration: Seconds
    due: NDArray[np.float64]
    endpoint: NDArray[np.uint16]
    row: NDArray[np.uint32]
    timeout: Seconds
    grace: Seconds
    in_flight: int
    pause: Seconds = 0.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How an arrival ended, as its program says: begun at `began` of the system's clock, and after
    `service` seconds of waiting for answers. `endpoint` None: the scheduled one.
    """

    began: Seconds
    service: Seconds
    outcome: RequestOutcome
    status: int = 0
    size: Bytes = 0
    endpoint: int | None = None


class ArrivalLog:
    """The arrivals of one step. Times that come in are of the system's clock.

    The step's epoch is the earliest that fits what began: no arrival begins before it is due.
    """

    def __init__(self, plan: ProgramPlan, recorder: Recorder, guess: Seconds) -> None:
        """`guess` is when the first arrival begins, until it is known; infinite for no guess."""
        self._pause = plan.pause
        self._due, self._endpoint, self._recorder = plan.due, plan.endpoint, recorder
        self._guess, self._known = guess, math.inf
        self._open: dict[int, Seconds] = {}
        self._ended = np.zeros(len(plan.due), dtype=np.bool_)
        self.begun = 0

    @property
    def epoch(self) -> Seconds:
        return self._known if self.known else self._guess

    @property
    def known(self) -> bool:
        """Whether the program has said anything of an arrival yet."""
        return self._known < math.inf

    def begins(self, n: int, at: Seconds) -> None:
        """Arrival n was begun."""
        if self._takes(n):
            self._know(n, at)
            self._open[n] = at
            self.begun += 1

    def ends(self, n: int, ending: Ending) -> None:
        """Arrival n has ended. What is beyond the schedule, or ended before, is left out."""
        if not self._takes(n):
            return
        self._know(n, ending.began)
        if self._open.pop(n, None) is None:
            self.begun += 1
        self._ended[n] = True
        due = float(self._due[n])
        endpoint = self._endpoint[n] if ending.endpoint is None else ending.endpoint
        self._recorder.add(
            due=due,
            lag=max(0.0, ending.began - self.epoch - due),
            service=max(0.0, ending.service),
            size=ending.size,
            status=ending.status,
            endpoint=int(endpoint),
            outcome=ending.outcome,
            wait=0.0,
        )

    def sheds(self, n: int, after: Seconds = 0.0) -> None:
        """Arrival n was not sent, `after` seconds past its time: too many were unanswered."""
        if self._takes(n):
            self._ended[n] = True
            self._lost(n, after, 0.0, RequestOutcome.SHED)

    def cut(self, at: Seconds, until: Seconds) -> None:
        """The step is over at `at`: what was due by `until` seconds and has not ended is unanswered
        at the age it has, less what it may have paused.
        """
        for n in np.flatnonzero(~self._ended[: int(np.searchsorted(self._due, until))]):
            age = max(0.0, at - self.epoch - float(self._due[n]))
            begun = self._open.pop(int(n), None)
            lag = 0.0 if begun is None else max(0.0, begun - self.epoch - float(self._due[n]))
            self._ended[n] = True
            paused = 0.0 if begun is None else self._pause
            waited = max(0.0, age - lag - paused)
            self._lost(int(n), min(lag, age), waited, RequestOutcome.CUT)

    def _lost(self, n: int, lag: Seconds, service: Seconds, outcome: RequestOutcome) -> None:
        self._recorder.add(
            due=float(self._due[n]),
            lag=lag,
            service=service,
            size=0,
            status=0,
            endpoint=int(self._endpoint[n]),
            outcome=outcome,
            wait=lag,
        )

    def _takes(self, n: int) -> bool:
        return 0 <= n < len(self._ended) and not self._ended[n]

    def _know(self, n: int, began: Seconds) -> None:
        self._known = min(self._known, began - float(self._due[n]))
