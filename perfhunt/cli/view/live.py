"""The live view: where the run is, what the service does this second, and what is known of the
knee. Rich, at most 4 Hz.
"""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.table import Table
from rich.text import Text

from perfhunt.cli.console import clean
from perfhunt.cli.view.watchers import trial_line
from perfhunt.model.run import Began, Event, Finished, Noted, Ticked, Tried
from perfhunt.model.trial import SecondRow, Step
from perfhunt.model.units import format_duration, format_rate

BARS = "▁▂▃▄▅▆▇█"
HISTORY = 48


class LiveView:
    """A view that redraws itself from events; leaves its last lines on the screen when it
    closes.
    """

    def __init__(self, colour: bool) -> None:
        self._began = time.monotonic()
        self._stage = Began("start", "getting ready")
        self._stage_began = self._began
        self._step: Step | None = None
        self._row: SecondRow | None = None
        self._seen: deque[SecondRow] = deque(maxlen=HISTORY)
        self._bracket: tuple[float | None, float | None] = (None, None)
        self._done: deque[str] = deque(maxlen=6)
        self._load = 0.0
        self._live = RichLive(
            console=Console(no_color=not colour, highlight=False),
            refresh_per_second=4,
            transient=True,
            get_renderable=self._draw,
        )

    def __enter__(self) -> LiveView:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def watch(self, event: Event) -> None:
        """Take an event in; drawing happens on its own clock."""
        if isinstance(event, Began):
            self._stage, self._stage_began, self._row = event, time.monotonic(), None
        elif isinstance(event, Ticked):
            self._step, self._row = event.step, event.row
            self._seen.append(event.row)
        elif isinstance(event, Tried):
            self._bracket = (event.low, event.high)
            self._load += event.trial.seconds
            self._done.append(trial_line(event.trial))
        elif isinstance(event, Noted):
            self._done.append(f"note: {event.sentence}")
        elif isinstance(event, Finished):
            self._done.append(f"stored: {event.directory}")

    def _draw(self) -> Group:
        elapsed, stage = time.monotonic() - self._began, time.monotonic() - self._stage_began
        head = Text.assemble(
            ("perfhunt ", "bold"),
            (f"{self._stage.stage}: ", "bold cyan"),
            clean(self._stage.sentence),
            "  ",
            (self._time(stage), "dim"),
        )
        foot = Text(
            f"{elapsed:.0f} s in, {self._load:.0f} s of load   Ctrl-C stops the load and keeps what"
            " was measured",
            "dim",
        )
        return Group(
            head,
            self._now(),
            *(Text(clean(line), "dim", no_wrap=True, overflow="ellipsis") for line in self._done),
            foot,
        )

    def _time(self, stage: float) -> str:
        if self._stage.expected is None:
            return f"{stage:.0f} s"
        return f"{stage:.0f} s, about {max(0.0, self._stage.expected - stage):.0f} s left"

    def _now(self) -> Table:
        table = Table.grid(padding=(0, 2))
        if self._row is not None and self._step is not None:
            row = self._row
            over = sum(row.exceed)
            table.add_row(
                "load",
                f"{format_rate(self._step.rate)} offered",
                f"{row.sent} sent, {row.done} answered",
                self._bars("done"),
            )
            table.add_row(
                "latency", f"p50 {_time(row.p50)}", f"p99 {_time(row.p99)}", self._bars("p99")
            )
            table.add_row(
                "in flight",
                f"{row.in_flight:.1f}",
                f"{over} over the limit, {row.failed} failed",
                self._bars("in_flight"),
            )
            table.add_row(
                "generator",
                f"{row.generator_cpu:.0%} of a core",
                f"lag p99 {_time(row.lag_p99)}",
                "",
            )
        low, high = self._bracket
        table.add_row(
            "knee",
            f"{format_rate(low) if low else '?'} to {format_rate(high) if high else '?'}",
            "bracket by trials so far",
            "",
        )
        return table

    def _bars(self, name: str) -> str:
        values = [float(getattr(row, name) or 0.0) for row in self._seen]
        top = max(values, default=0.0)
        return (
            "".join(BARS[min(len(BARS) - 1, int(v / top * (len(BARS) - 1)))] for v in values)
            if top
            else ""
        )


def _time(seconds: float | None) -> str:
    return "—" if seconds is None else format_duration(seconds)
