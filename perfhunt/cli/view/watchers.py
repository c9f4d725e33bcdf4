"""Who watches a run: a live view on a terminal, plain lines elsewhere, NDJSON for programs, nobody
with --quiet.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from perfhunt.cli import console
from perfhunt.model.run import Began, Event, EventWatcher, Finished, Noted, Ticked, Tried, unwatched
from perfhunt.model.trial import SecondRow, Step, Trial
from perfhunt.model.units import format_duration, format_rate


@contextmanager
def watching(*, as_json: bool, quiet: bool) -> Iterator[EventWatcher]:
    """The watcher for this terminal and these options, for as long as the context lasts."""
    if as_json:
        yield to_ndjson
    elif quiet:
        yield unwatched
    elif console.is_terminal():
        from perfhunt.cli.view.live import LiveView

        with LiveView(colour=console.colour()) as live:
            yield live.watch
    else:
        yield to_lines(time.monotonic())


def to_ndjson(event: Event) -> None:
    """One JSON object a line on stdout; `event` names its kind, `schema` its version."""
    console.out(
        json.dumps(
            {"schema": 1, "event": type(event).__name__.lower(), **_plain(event)}, default=str
        )
    )


def _plain(event: Event) -> dict[str, object]:
    if isinstance(event, Ticked):
        return {**step_fields(event.step), **asdict(event.row)}
    if isinstance(event, Tried):
        return {**trial_fields(event.trial), "low": event.low, "high": event.high}
    return asdict(event)


def step_fields(step: Step) -> dict[str, object]:
    """What a step asks for, as JSON values."""
    return {"phase": str(step.phase), "rate": step.rate, "duration": step.duration}


def trial_fields(trial: Trial) -> dict[str, object]:
    """What came of a trial, as JSON values: rates per second, times in ms."""
    counts = {name: {"n": c.n, "exceed": c.exceed} for name, c in trial.counts.items()}
    p = trial.response
    return {
        **step_fields(trial.step),
        "achieved": trial.achieved,
        "completed": trial.completed,
        "counts": counts,
        "p50_ms": None if p.p50 is None else p.p50 * 1e3,
        "p99_ms": None if p.p99 is None else p.p99 * 1e3,
        "overload": trial.overload,
        "invalid": trial.invalid,
    }


def to_lines(began: float) -> EventWatcher:
    """Plain lines on stderr: one for a stage, one for a trial, none for a second."""

    def watch(event: Event) -> None:
        clock = (
            f"{int(time.monotonic() - began) // 60:02d}:{int(time.monotonic() - began) % 60:02d}"
        )
        if isinstance(event, Began):
            console.note(f"{clock} {event.stage}: {event.sentence}")
        elif isinstance(event, Tried):
            console.note(
                f"{clock}   {trial_line(event.trial)}{bracket_text(event.low, event.high)}"
            )
        elif isinstance(event, Noted):
            console.note(f"{clock} note: {event.sentence}")
        elif isinstance(event, Finished):
            console.note(f"{clock} stored: {event.directory}")

    return watch


def trial_line(trial: Trial) -> str:
    """One trial in a line: rate, answers, percentiles, and what was wrong with it."""
    p50, p99 = (
        format_duration(v) if v is not None else "—"
        for v in (trial.response.p50, trial.response.p99)
    )
    over = sum(c.exceed for c in trial.counts.values())
    trouble = trial.invalid or trial.overload
    return (
        f"{trial.step.phase:<9} {format_rate(trial.step.rate):>8}  n={trial.n:<6} p50 {p50:>8}  p99"
        f" {p99:>8}  over {over}" + (f"  ({trouble})" if trouble else "")
    )


def row_line(row: SecondRow, rate: float) -> str:
    """One second in a line."""
    p99 = format_duration(row.p99) if row.p99 is not None else "—"
    return (
        f"{format_rate(rate)} offered, {row.done} answered, {row.in_flight:.1f} in flight, p99"
        f" {p99}"
    )


def bracket_text(low: float | None, high: float | None) -> str:
    """The bracket of the knee, once there is one."""
    if low is None and high is None:
        return ""
    return f"  knee in [{format_rate(low) if low else '?'}, {format_rate(high) if high else '?'}]"
