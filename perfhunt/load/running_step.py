"""One step as it happens, seen from the controller: second-rows in, orders to stop out, a trial at
the end.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from perfhunt.analysis.trial.overload import overload
from perfhunt.load.pipe import ChildDied, ChildPipe
from perfhunt.load.tally import GeneratorSecond, StepTally
from perfhunt.load.trials import Ending, build_trial
from perfhunt.model.document.plain import to_plain
from perfhunt.model.latency import SAMPLE
from perfhunt.model.trial import SecondRow, Step, Trial
from perfhunt.model.units import Seconds

POLL: Seconds = 0.05
STOPPED_WITHIN: Seconds = (
    0.6  # after an order to stop; then the child is ended, so that load is off within a second
)
OVERDUE: Seconds = 10.0  # past the time a step must be over, the child is given up

SecondWatcher = Callable[[SecondRow], None]
Stop = Callable[[], str]


class RunningStep:
    """Follows one step. `died` says afterwards whether the child was lost with it."""

    def __init__(
        self,
        pipe: ChildPipe,
        step: Step,
        tally: StepTally,
        path: Path,
        grace: Seconds,
        watch: SecondWatcher | None,
        stop: Stop | None,
    ) -> None:
        """`path` is where the child appends raw samples; `grace` how long what is in flight at the
        end may still take.
        """
        self._pipe, self._step, self._tally, self._grace = pipe, step, tally, grace
        self._limit = max(
            (c.limit for c in tally.criteria if math.isfinite(c.limit)), default=math.inf
        )
        self._path, self._watch, self._stop = path, watch, stop
        self._rows: list[SecondRow] = []
        self._health: dict[int, GeneratorSecond] = {}
        self._read = 0
        self._sent = 0
        self._overload = self._stopped = ""
        self._at: Seconds = 0.0
        self.died = False

    def follow(self) -> Trial:
        """Gives the order and sees it through to a trial."""
        try:
            self._pipe.send(
                {
                    "do": "run",
                    "step": to_plain(self._step),
                    "samples": str(self._path),
                    "grace": self._grace,
                }
            )
            ending = self._until_done()
        except ChildDied as death:
            self.died = True
            ending = Ending(self._at, self._overload, self._stopped or str(death))
        self._take_samples()
        rows = tuple(self._final_row(second) for second in range(math.ceil(ending.seconds)))
        return build_trial(self._step, self._tally, rows, ending, self._path.name, self._health)

    def _until_done(self) -> Ending:
        overdue = time.monotonic() + self._step.duration + self._grace + OVERDUE
        while True:
            message = self._pipe.receive(POLL)
            if message is not None and "row" in message:
                self._on_row(message["row"])
            elif message is not None and "done" in message:
                done = message["done"]
                self._tally.routes = tuple(done.get("routes", self._tally.routes))
                return Ending(
                    done["seconds"], self._overload, self._stopped or done.get("invalid", ""), done
                )
            elif message is not None and "failed" in message:
                raise ChildDied(f"the load child failed: {message['failed']}")
            if not self._stopped and self._stop is not None and (reason := self._stop()):
                self._stopped = f"stopped: {reason}"
                self._pipe.send({"do": "stop", "hard": True})
                overdue = time.monotonic() + STOPPED_WITHIN
            if time.monotonic() > overdue:
                self._pipe.process.kill()
                raise ChildDied("the load child did not answer in time and was ended")

    def _on_row(self, said: dict[str, Any]) -> None:
        self._take_samples()
        first, self._at = len(self._rows), said["at"]
        seconds = max(1, said["second"] + 1 - first)
        for second in range(first, said["second"] + 1):
            self._health[second] = GeneratorSecond(
                said["cpu"] / seconds,
                (said["sent"] - self._sent) // seconds,
                said["seen"],
                said["ticks"],
            )
            row = self._tally.row(second, self._at, self._health[second])
            self._rows.append(row)
            if self._watch is not None:
                self._watch(row)
        self._sent = said["sent"]
        if self._step.stop_on_overload and not self._overload and not self._stopped:
            self._overload = overload(self._rows, self._step.rate, self._limit)
            if self._overload:
                self._pipe.send({"do": "stop", "hard": False})

    def _take_samples(self) -> None:
        """What the child has appended since the last look; it writes whole samples, but a killed
        one may not have.
        """
        with self._path.open("rb") as file:
            file.seek(self._read)
            content = file.read()
        whole = len(content) - len(content) % SAMPLE.itemsize
        self._read += whole
        self._tally.add(np.frombuffer(content[:whole], dtype=SAMPLE))

    def _final_row(self, second: int) -> SecondRow:
        """The row again, now that every arrival's end is known."""
        row = self._tally.row(second, math.inf, self._health.get(second, GeneratorSecond()))
        if second < len(self._rows):
            # What was seen of one second's answers stays; what was not known then is filled in.
            seen = self._rows[second]
            return replace(row, p50=seen.p50, p99=seen.p99, lag_p99=seen.lag_p99)
        return row
