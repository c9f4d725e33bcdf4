"""How a verb ended: one JSON line for programs, a sentence with --quiet, else a screen of text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from perfhunt.cli import console

if TYPE_CHECKING:
    from perfhunt.model.run import Run
    from perfhunt.model.verdict.verdict import Verdict


def show_run(run: Run, store: Path, *, as_json: bool, quiet: bool) -> None:
    """Print how an investigation ended; its NDJSON has said so already."""
    from perfhunt.reports.format import FORMATS
    from perfhunt.reports.verdict_sentence import verdict_sentence

    if quiet:
        console.out(console.clean(verdict_sentence(run)))
    elif not as_json:
        console.out(FORMATS["terminal"].render(run).rstrip("\n"))
        report = store / "runs" / run.id / "report.html"
        if report.exists():
            console.out(f"\nreport: {report}")


def show_json(event: str, fields: dict[str, object]) -> None:
    """Print the last line of a verb's NDJSON."""
    console.out(json.dumps({"schema": 1, "event": event, **fields}))


def show_lines(lines: Iterable[str]) -> None:
    """Print lines that may hold names from outside."""
    for line in lines:
        console.out(console.clean(line))


def verdict_line(verdict: Verdict, label: str = "") -> str:
    """A verdict in one line."""
    return f"{verdict.word}{f' ({label})' if label else ''}: {verdict.reason}"
