"""Who watches a run: a live view on a terminal, lines elsewhere, NDJSON for programs, or nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from queue import SimpleQueue

from perfhunt.cli import console
from perfhunt.cli.outlet import hurry
from perfhunt.cli.view.lines import bracket_text, trial_line
from perfhunt.model.run import Began, Event, EventWatcher, Finished, Noted, Ticked, Tried, unwatched
from perfhunt.model.text.escaping import json_text
from perfhunt.model.trial import Step, Trial

ROOM = (
    1000  # events that wait for a reader who does not keep up; seconds of load beyond are left out
)


@contextmanager
def watching(*, as_json: bool, quiet: bool) -> Iterator[EventWatcher]:
    """The watcher for this terminal and these options, for as long as the context lasts. It never
    holds up whoever tells it something; at its end a reader is waited for, unless the run was cut
    short.
    """
    whole = False
    with ExitStack() as held:
        watch = _watcher(held, as_json=as_json, quiet=quiet)
        try:
            yield watch
            whole = True
        finally:
            if not whole:
                hurry()


def _watcher(held: ExitStack, *, as_json: bool, quiet: bool) -> EventWatcher:
    if as_json:
        return held.enter_context(closing(Aside(to_ndjson))).watch
    if quiet:
        return unwatched
    if console.is_terminal():
        from perfhunt.cli.view.live import LiveView

        return held.enter_context(LiveView(colour=console.colour())).watch
    return held.enter_context(closing(Aside(to_lines(time.monotonic())))).watch


class Aside:
    """Tells a watcher what happens in a thread of its own, so that a reader who stalls (a pager, a
    stopped terminal) holds up no measurement and no stop.
    """

    def __init__(self, watch: EventWatcher) -> None:
        self._watch = watch
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._left_out = 0
        self._thread = threading.Thread(target=self._tell, name="watcher", daemon=True)
        self._thread.start()

    def watch(self, event: Event) -> None:
        """Returns at once. Of events beyond ROOM those of single seconds are left out, and counted:
        there are few others.
        """
        if isinstance(event, Ticked) and self._events.qsize() >= ROOM:
            self._left_out += 1
        else:
            self._events.put(event)

    def _tell(self) -> None:
        while (event := self._events.get()) is not None:
            self._watch(event)
            if self._left_out and self._events.qsize() < ROOM:
                count, self._left_out = self._left_out, 0
                self._watch(Noted(f"{count} seconds are not shown here: the reader fell behind"))

    def close(self) -> None:
        """All was told."""
        self._events.put(None)
        self._thread.join()


def notes(event: Event) -> None:
    """Only what a person would want to know, on stderr as it stands: for jobs that send no load."""
    if isinstance(event, Noted):
        console.note(event.sentence)


def to_ndjson(event: Event) -> None:
    """One JSON object a line on stdout; `event` names its kind, `schema` its version."""
    plain = {"schema": 1, "event": type(event).__name__.lower(), **_plain(event)}
    console.rendered_json(json_text(plain, default=str))


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
