"""The live view: where the run is, what the service does this second, and the curve as it forms.
Rich, at most 4 Hz.
"""

from __future__ import annotations

import math
import time
from collections import deque
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from perfhunt.cli.console import clean
from perfhunt.cli.view.curve import CurvePoint, curve_lines, with_trial
from perfhunt.cli.view.lines import between, duration_text, trial_line
from perfhunt.model.run import Began, Event, Finished, Noted, Ticked, Tried
from perfhunt.model.trial import SecondRow, Step
from perfhunt.model.units import format_rate

BARS = "▁▂▃▄▅▆▇█"
# Seconds of load kept to be drawn as bars, and characters of the figures beside them.
HISTORY, FIGURES = 120, 58
# Lines of the past kept below the curve, and of what is always there.
PAST, FIXED = 24, 9
FEWEST_RATES = 3  # of the curve, on a terminal that has hardly any lines
# Redraws per second: more is not read, and costs CPU beside the load.
REFRESH = 4
_SEARCH = "what the search looks at; the knee is fitted to all trials at the end"


class LiveView:
    """A view that redraws itself from events, and is gone when it closes: the result follows."""

    def __init__(self, colour: bool) -> None:
        self._began = time.monotonic()
        self._stage = Began("start", "getting ready")
        self._stage_began = self._began
        self._step: Step | None = None
        self._row: SecondRow | None = None
        self._rows: deque[SecondRow] = deque(maxlen=HISTORY)
        self._bracket: tuple[float | None, float | None] = (None, None)
        self._points: tuple[CurvePoint, ...] = ()
        self._past: deque[str] = deque(maxlen=PAST)
        self._load = 0.0
        self._console = Console(no_color=not colour, highlight=False)
        self._live = Live(
            console=self._console,
            refresh_per_second=REFRESH,
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
            self._rows.append(event.row)
        elif isinstance(event, Tried):
            self._bracket = (event.low, event.high)
            self._points = with_trial(self._points, event.trial)
            self._load += event.trial.seconds
            self._past.append(trial_line(event.trial))
        elif isinstance(event, Noted):
            self._past.append(f"note: {event.sentence}")
        elif isinstance(event, Finished):
            self._past.append(f"stored: {event.directory}")

    def _draw(self) -> Group:
        elapsed, stage = time.monotonic() - self._began, time.monotonic() - self._stage_began
        columns, lines = self._console.size
        head = Text.assemble(
            ("perfhunt ", "bold"),
            (f"{self._stage.stage}: ", "bold cyan"),
            clean(self._stage.sentence),
            "  ",
            (self._left(stage), "dim"),
            no_wrap=True,
            overflow="ellipsis",
        )
        room = max(FEWEST_RATES + 1, lines - FIXED)
        known = [rate for rate in self._bracket if rate is not None]
        near = math.prod(known) ** (1 / len(known)) if known else None
        curve = curve_lines(self._points, max(FEWEST_RATES, room * 2 // 3), columns - 1, near)
        past = list(self._past)[max(0, len(self._past) - room + len(curve)) :]
        foot = (
            f"{elapsed:.0f} s in, {self._load:.0f} s of load"
            "   Ctrl-C stops the load and keeps what was measured"
        )
        return Group(
            head,
            self._now(columns),
            *(_line(line) for line in curve),
            *(_line(f"search {between(*self._bracket)}: {_SEARCH}") for _ in known[:1]),
            *(_line(clean(line), "dim") for line in past),
            _line(foot, "dim"),
        )

    def _left(self, stage: float) -> str:
        if self._stage.expected is None:
            return f"{stage:.0f} s"
        return f"{stage:.0f} s, about {max(0.0, self._stage.expected - stage):.0f} s left"

    def _now(self, columns: int) -> Table:
        table = Table.grid(padding=(0, 2))
        for _ in range(4):
            table.add_column(no_wrap=True, overflow="ellipsis")
        if self._row is not None and self._step is not None:
            for cells in self._figures(self._step, self._row, max(0, columns - FIGURES)):
                table.add_row(*cells)
        return table

    def _figures(
        self, step: Step, row: SecondRow, room: int
    ) -> tuple[tuple[str, str, str, str], ...]:
        """What this second was like, with `room` characters for bars."""
        p50, p99, lag = (duration_text(v) for v in (row.p50, row.p99, row.lag_p99))
        over = f"{max(row.exceed, default=0)} over the limit, {row.failed} failed"
        answered = f"{row.sent} sent, {row.done} answered"
        return (
            ("load", f"{format_rate(step.rate)} offered", answered, self._bars("done", room)),
            ("latency", f"p50 {p50}", f"p99 {p99}", self._bars("p99", room)),
            ("in flight", f"{row.in_flight:.1f}", over, self._bars("in_flight", room)),
            ("generator", f"{row.generator_cpu:.0%} of a core", f"lag p99 {lag}", ""),
        )

    def _bars(self, name: str, room: int) -> str:
        rows = list(self._rows)[-room:] if room else []  # others may be added meanwhile
        values = [float(getattr(row, name) or 0.0) for row in rows]
        top = max(values, default=0.0)
        if not top:
            return ""
        return "".join(BARS[min(len(BARS) - 1, int(v / top * (len(BARS) - 1)))] for v in values)


def _line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")
