"""What `perfhunt` says when it is given nothing to do: the three commands that come next here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from perfhunt.cli import console
from perfhunt.cli.options import STORE

if TYPE_CHECKING:
    from perfhunt.jobs.stored.standing import DirectoryState

_MORE = "perfhunt --help lists all commands. PID is your running service's process."


def next_lines(stands: DirectoryState, store: Path) -> list[str]:
    """Where the directory stands in a line, then three commands, each with what it does."""
    of = "" if store == STORE else f" --store {console.shown_path(store)}"
    where, commands = _next(stands, of)
    room = max(len(command) for command, _ in commands)
    return [where, *(f"  {command.ljust(room)}  {what}" for command, what in commands), "", _MORE]


def _next(stands: DirectoryState, of: str) -> tuple[str, list[tuple[str, str]]]:
    investigate = ("perfhunt investigate --pid PID" + of, "find the knee, and what stops it there")
    if stands.run is not None:
        look = [
            (f"perfhunt report{of}", "what it found"),
            (f"perfhunt open{of}", "its report in the browser"),
        ]
        if stands.edited is None:
            return f"The last run here is {stands.run.id}.", [*look, investigate]
        return (
            f"{console.shown_path(stands.edited)} was edited since the last run, {stands.run.id}.",
            [
                ("perfhunt change", "is the edit one change?"),
                (f"perfhunt verify --pid PID{of}", "did it move the knee? (restart it first)"),
                look[0],
            ],
        )
    if stands.test_file is not None:
        return (
            f"{console.shown_path(stands.test_file)} is the test file; no run is kept here yet.",
            [
                ("perfhunt doctor --pid PID", "can the service be profiled?"),
                investigate,
                (f"perfhunt investigate --pid PID --quick{of}", "the same, roughly, in minutes"),
            ],
        )
    return (
        "There is no test file here yet.",
        [
            ("perfhunt demo", "the whole job on a bundled shop, in minutes"),
            ("perfhunt doctor --pid PID", "can the service be profiled?"),
            ("perfhunt init --pid PID", "write a perfhunt.toml for it"),
        ],
    )
