"""How a verb ended: one JSON line for programs, a sentence with --quiet, else a screen of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from perfhunt.cli import console
from perfhunt.cli.options import STORE
from perfhunt.model.text.escaping import json_text

if TYPE_CHECKING:
    from perfhunt.model.run import Run
    from perfhunt.model.verdict.verdict import Verdict


_PROMPT = 2  # lines of the shell's, at most, as usual


def show_run(
    run: Run,
    store: Path,
    *,
    as_json: bool,
    quiet: bool,
    wide: bool = False,
    page: str = "report.html",
    after: Sequence[str] = (),
) -> None:
    """Print how an investigation ended, where its `page` is, and the lines that come after that;
    tell CI. Its NDJSON has said so already.
    """
    from perfhunt.cli.view.ci import tell_run
    from perfhunt.reports.verdict_sentence import verdict_sentence

    if quiet:
        console.out(verdict_sentence(run))
    elif not as_json:
        report = store / "runs" / run.id / page
        where = ["", f"{report.stem}: {console.shown_path(report)}"] if report.exists() else []
        below = [*where, *after]
        console.rendered(screen_of(run, store, wide=wide, below=len(below)))
        show_lines(below)
    tell_run(run)


def screen_of(run: Run, store: Path, *, wide: bool, below: int = 0) -> str:
    """The run on a screen of this terminal's size with so many lines below it; `wide`: all of it.
    Raises Unreadable.
    """
    from perfhunt.reports.format import FORMATS
    from perfhunt.reports.terminal import LINES, WIDTH, Screen, terminal

    columns, lines = console.size((WIDTH, LINES + below + _PROMPT))
    of = "" if store == STORE else f" --store {console.shown_path(store)}"
    screen = Screen(
        width=columns,
        lines=None if wide else lines - below - _PROMPT,
        whole=f"perfhunt report {run.id} --wide{of}",
    )
    form = FORMATS["terminal"]
    return replace(form, text=lambda shown: terminal(shown, screen)).render(run)


def show_json(event: str, fields: dict[str, object]) -> None:
    """Print the last line of a verb's NDJSON."""
    console.rendered_json(json_text({"schema": 1, "event": event, **fields}))


def show_plain(plain: object) -> None:
    """Print plain values as JSON that a person can read, and a program."""
    console.rendered_json(json_text(plain, indent=2, default=str))


def show_lines(lines: Iterable[str]) -> None:
    """Print lines that may hold names from outside."""
    for line in lines:
        console.out(line)


def verdict_line(verdict: Verdict, label: str = "") -> str:
    """A verdict in one line."""
    return f"{verdict.word}{f' ({label})' if label else ''}: {verdict.reason}"
