"""What the pacer drives: whatever can send arrivals, its limits, and what it counts."""

from __future__ import annotations

from collections.abc import Callable, Sized
from dataclasses import dataclass, field
from typing import Protocol

from perfhunt.load.child.http.wire import WireCounts
from perfhunt.load.child.recorder import Recorder
from perfhunt.load.messages import SecondReport
from perfhunt.model import redact
from perfhunt.model.latency import TaskTime
from perfhunt.model.units import Seconds

# How often what is unanswered is counted and what is too old is ended: twenty looks a second cost
# nothing, and no timeout is wanted more exactly.
TICK: Seconds = 0.05
LEAD: Seconds = 0.05  # between the order to start and the first possible arrival
# Of errors: a text with an id in it, or with a whole answer, would fill the memory.
ERROR_TEXTS = 20  # different ones that are counted
ERROR_LENGTH = 200  # characters of each

ReportSecond = Callable[[SecondReport], None]


@dataclass(frozen=True, slots=True)
class SendLimits:
    """How long to wait, and how much to have in flight at once."""

    timeout: Seconds = 10.0
    deadline: Seconds = 2.0
    in_flight: int = 10_000


@dataclass(slots=True)
class SendCounts:
    """What a sender counted since the trial began."""

    sent: int = 0
    opened: int = 0  # connections, or users
    resent: int = 0  # met a keep-alive connection that the server was just closing
    stray: int = 0  # connections that sent bytes nobody had asked for
    queued: int = 0  # waited for a connection because the bound on requests in flight was reached
    most_open: int = 0  # connections at once
    errors: dict[str, int] = field(default_factory=dict)
    wire: WireCounts | None = None  # of a client that looks at it
    tasks: dict[str, TaskTime] = field(default_factory=dict)  # of a locustfile, by name

    def count_task(self, task: TaskTime) -> None:
        """Counts a task that is over."""
        known = self.tasks.get(task.name)
        self.tasks[task.name] = task if known is None else known.plus(task)

    def note(self, error: str) -> None:
        """Counts an error by its text."""
        error = redact.sentence(error[:ERROR_LENGTH]) if "/" in error else error[:ERROR_LENGTH]
        if error in self.errors or len(self.errors) < ERROR_TEXTS:
            self.errors[error] = self.errors.get(error, 0) + 1


class ArrivalSender(Protocol):
    """What can send arrivals: the fast client, or a locustfile's users."""

    limits: SendLimits
    recorder: Recorder
    counts: SendCounts
    next_due: Seconds  # set by the pacer: when it wants `pace` called, on time.monotonic's clock
    pace: Callable[[], None]
    refill: Callable[[], None] | None  # set by a closed loop: called when an answer has come

    @property
    def open(self) -> int:
        """Connections, or users, that exist now."""

    @property
    def spare(self) -> bool:
        """Whether an arrival can be sent without a connection being opened for it."""

    @property
    def in_flight(self) -> Sized:
        """What was sent and is unanswered."""

    @property
    def waiting(self) -> Sized:
        """What is due but cannot be sent, because too much is in flight."""

    @property
    def orphans(self) -> Sized:
        """What is unanswered of trials that are over."""

    def begin_trial(self, recorder: Recorder, epoch: Seconds, settle: Seconds) -> None:
        """Counts from zero into `recorder`; due times count from `epoch`, and what is due before
        `settle` does not count.
        """

    def offer(self, due: Seconds, endpoint: int, row: int) -> None:
        """An arrival is due: send it now, or let it wait."""

    def sweep(self, now: Seconds) -> None:
        """Ends what is beyond the timeout, and sheds what is beyond the deadline."""

    def cut(self, now: Seconds, hard: bool) -> None:
        """The trial is over: records what is unanswered at the age it has."""


def no_pace() -> None:
    """The pacer of a sender that has none."""
