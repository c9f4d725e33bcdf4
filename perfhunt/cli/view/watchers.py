"""Who watches a run: a live view on a terminal, lines elsewhere, NDJSON for programs, or nobody."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from perfhunt.cli import console
from perfhunt.cli.view.lines import bracket_text, trial_line
from perfhunt.model.run import Began, Event, EventWatcher, Finished, Noted, Ticked, Tried, unwatched
from perfhunt.model.text.escaping import json_text
from perfhunt.model.trial import Step, Trial


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


def notes(event: Event) -> None:
    """Only what a person would want to know, on stderr as it stands: for jobs that send no load."""
    if isinstance(event, Noted):
        console.note(event.sentence)


def to_ndjson(event: Event) -> None:
    """One JSON object a line on stdout; `event` names its kind, `schema` its version."""
    plain = {"schema": 1, "event": type(event).__name__.lower(), **_plain(event)}
    console.rendered(json_text(plain, default=str))


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
        minutes, seconds = divmod(int(time.monotonic() - began), 60)
        line = _line(event)
        if line:
            console.note(f"{minutes:02d}:{seconds:02d} {line}")

    return watch


def _line(event: Event) -> str:
    match event:
        case Began():
            return f"{event.stage}: {event.sentence}"
        case Tried():
            return f"  {trial_line(event.trial)}{bracket_text(event.low, event.high)}"
        case Noted():
            return f"note: {event.sentence}"
        case Finished():
            return f"stored: {event.directory}"
        case Ticked():
            return ""
