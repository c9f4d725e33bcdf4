"""The pacer when it is late: what answers set free is used before more connections are opened."""

import time
from collections.abc import Callable

import numpy as np

from perfhunt.load.child.pacer import OPENED_AT_ONCE, Pacer, Schedule
from perfhunt.load.child.recorder import Recorder
from perfhunt.load.child.sender import SendCounts, SendLimits, no_pace
from perfhunt.model.units import Seconds

ALL_DUE = 100


class Opening:
    """A sender that opens a connection for each arrival, but for those that it has to spare."""

    def __init__(self) -> None:
        self.limits, self.recorder, self.counts = SendLimits(), Recorder(""), SendCounts()
        self.next_due: Seconds = 0.0
        self.pace: Callable[[], None] = no_pace
        self.refill: Callable[[], None] | None = None
        self.free = self.sent = self.open = 0
        self.in_flight: list[int] = []
        self.waiting: list[int] = []
        self.orphans: list[int] = []

    @property
    def spare(self) -> bool:
        return self.free > 0

    def offer(self, due: Seconds, endpoint: int, row: int) -> None:
        self.sent += 1
        if self.free:
            self.free -= 1
        else:
            self.counts.opened += 1

    def begin_trial(self, recorder: Recorder, epoch: Seconds, settle: Seconds) -> None:
        self.counts = SendCounts()

    def sweep(self, now: Seconds) -> None:
        """Nothing is ever too old."""

    def cut(self, now: Seconds, hard: bool) -> None:
        """Nothing is in flight."""


def test_a_late_sender_opens_few_connections_at_a_time_and_none_for_an_answer() -> None:
    sender = Opening()
    pacer = Pacer(sender)
    nothing = np.zeros(ALL_DUE, dtype=np.uint32)
    pacer._schedule = Schedule(np.zeros(ALL_DUE), nothing.astype(np.uint16), nothing)
    pacer._next, pacer._chunk_at, pacer._dues = 0, 0, []
    pacer._epoch = time.monotonic() - 1.0
    pacer._load_chunk()
    pacer._fire()
    assert sender.sent == sender.counts.opened == OPENED_AT_ONCE
    pacer._resume()  # an answer, whose connection went to something else
    assert sender.sent == OPENED_AT_ONCE
    sender.free = 10
    pacer._resume()
    assert sender.sent == OPENED_AT_ONCE + 10
    assert sender.counts.opened == OPENED_AT_ONCE
    sender.free = ALL_DUE
    pacer._resume()
    assert sender.sent == ALL_DUE
