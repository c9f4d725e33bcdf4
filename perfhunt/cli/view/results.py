"""How a verb ended: one JSON line for programs, a sentence with --quiet, else a screen of text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from perfhunt.cli import console
from perfhunt.model.text.escaping import json_text

if TYPE_CHECKING:
    from perfhunt.model.run import Run
    from perfhunt.model.verdict.verdict import Verdict


def show_run(run: Run, store: Path, *, as_json: bool, quiet: bool) -> None:
    """Print how an investigation ended, and tell CI; its NDJSON has said so already."""
    from perfhunt.cli.view.ci import tell_run
    from perfhunt.reports.format import FORMATS
    from perfhunt.reports.verdict_sentence import verdict_sentence

    if quiet:
        console.out(verdict_sentence(run))
    elif not as_json:
        console.rendered(FORMATS["terminal"].render(run))
        report = store / "runs" / run.id / "report.html"
        if report.exists():
            show_lines(["", f"report: {report}"])
    tell_run(run)


def show_json(event: str, fields: dict[str, object]) -> None:
    """Print the last line of a verb's NDJSON."""
    console.rendered(json_text({"schema": 1, "event": event, **fields}))


def show_plain(plain: object) -> None:
    """Print plain values as JSON that a person can read, and a program."""
    console.rendered(json_text(plain, indent=2, default=str))


def show_lines(lines: Iterable[str]) -> None:
    """Print lines that may hold names from outside."""
    for line in lines:
        console.out(line)


def verdict_line(verdict: Verdict, label: str = "") -> str:
    """A verdict in one line."""
    return f"{verdict.word}{f' ({label})' if label else ''}: {verdict.reason}"
