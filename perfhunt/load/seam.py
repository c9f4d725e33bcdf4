"""The seam to whatever makes load: what an engine must do, and the table of those there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from perfhunt.load.locust_engine import LocustEngine
from perfhunt.model.question import Question
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Drain, Drained, SecondRow, Step, Trial

SecondWatcher = Callable[[SecondRow], None]
Stop = Callable[[], str]  # a non-empty sentence ends the load


class LoadEngine(Protocol):
    """Sends the traffic of a question at a given rate and says what came of it, and whether to
    believe it.
    """

    name: str
    needs: tuple[str, ...]
    help: str
    pinning: (
        str  # how generator and target were kept apart, as a sentence; "" when nothing was done
    )

    @property
    def clocks(self) -> Sequence[object]:
        """The clocks of workers on other hosts; `str` of one says how far off it is."""

    def open(self, question: Question, criteria: tuple[Criterion, ...], directory: Path) -> None:
        """Makes the engine ready; raw samples will be written to `directory`. Raises LoadFailed.
        Sends no request.
        """

    def run(
        self, step: Step, watch: SecondWatcher | None = None, stop: Stop | None = None
    ) -> Trial:
        """Holds the step's rate for its duration, or until overload or `stop`. Raises LoadFailed
        when it cannot start.
        """

    def drain(self, drain: Drain, stop: Stop | None = None) -> Drained:
        """Waits, without load, until the target answers a single request as quickly as it did
        before.
        """

    def close(self) -> None:
        """Ends every process of the engine. May be called at any time, and twice."""


ENGINES: dict[str, type[LoadEngine]] = {LocustEngine.name: LocustEngine}
