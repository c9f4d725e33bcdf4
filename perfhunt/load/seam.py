"""The seam to whatever makes load: what an engine must do, and the words it is told in.

No engine is imported here; those there are stand in `engines`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from perfhunt.model.question import Question
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Drain, Drained, SecondRow, Step, Trial
from perfhunt.model.units import Seconds, format_duration

SecondWatcher = Callable[[SecondRow], None]
StopSignal = Callable[[], str]  # a non-empty sentence ends the load


@dataclass(frozen=True, slots=True)
class WorkerClock:
    """A load worker, its clock against the master's: ahead by `offset`, known within `doubt`."""

    host: str
    pid: int
    offset: Seconds
    doubt: Seconds

    def __str__(self) -> str:
        ahead = "ahead" if self.offset >= 0 else "behind"
        offset, doubt = format_duration(abs(self.offset)), format_duration(self.doubt)
        return (
            f"load worker {self.pid} on {self.host}: its clock is {offset} {ahead} (within {doubt})"
            " and was corrected for"
        )


class LoadEngine(Protocol):
    """Sends the traffic of a question at a given rate and says what came of it, and whether to
    believe it. One instance serves one question.
    """

    name: str
    needs: tuple[str, ...]  # programs that must be installed
    help: str
    pinning: str  # how generator and target were kept apart, as a sentence; "" when they were not

    def __init__(
        self,
        run: str = "",
        workers: int = 1,
        bind: str = "",
        addresses: Sequence[str] = (),
        secret: str = "",
        connects: Sequence[str] = (),
    ) -> None:
        """`run` marks every request sent, in User-Agent and X-Perfhunt-Run; made up when empty.

        `workers` processes share the load. They are started here, unless `bind` says at which
        HOST:PORT to wait for that many `perfhunt worker --master HOST:PORT` from other hosts, which
        must know the `secret`. Load goes to `addresses` only, whatever the url's host resolves to
        by then; empty: to any of its addresses. What the traffic connects to besides, and is no
        load, is in `connects` (`model.traffic.connects`). Raises UsageError when `bind` is no
        HOST:PORT.
        """

    @property
    def clocks(self) -> Sequence[WorkerClock]:
        """The clocks of the workers that share the load; empty when one process sends it all."""

    @property
    def remarks(self) -> Sequence[str]:
        """What of the traffic is not done as its author may expect, as sentences without a stop."""

    def open(
        self,
        question: Question,
        criteria: tuple[Criterion, ...],
        directory: Path,
        stop: StopSignal | None = None,
    ) -> None:
        """Makes the engine ready; raw samples will be written to `directory`. Raises LoadFailed, or
        Stopped when `stop` says so meanwhile. Sends no request.
        """

    def run(
        self, step: Step, watch: SecondWatcher | None = None, stop: StopSignal | None = None
    ) -> Trial:
        """Holds the step's rate for its duration, or until overload or `stop`. Raises LoadFailed
        when it cannot start.
        """

    def requests_at(self, moments: Sequence[Seconds]) -> tuple[int | None, ...]:
        """Requests of the last trial that were sent and unanswered at `moments` of time.monotonic;
        None before its requests counted and once its load was off; empty when it cannot tell.
        """

    def drain(self, drain: Drain, stop: StopSignal | None = None) -> Drained:
        """Waits, without load, until the target answers a single request as quickly as it did
        before.
        """

    def close(self) -> None:
        """Ends every process of the engine. May be called at any time, and twice."""
