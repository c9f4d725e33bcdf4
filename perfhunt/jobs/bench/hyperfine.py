"""hyperfine as the timer of a bench: of single runs, so that two versions can be interleaved."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from pathlib import Path

from perfhunt.errors import CommandOverran, UsageError
from perfhunt.model.units import Seconds
from perfhunt.model.verdict.command_run import CommandRun
from perfhunt.reports import hyperfine
from perfhunt.store.files import read_json, read_text
from perfhunt.target.command_timer import Command
from perfhunt.target.leash import run, scratch

# One run, without a shell, whatever its exit code, and nothing printed about it.
_ONCE = ("hyperfine", "-N", "--runs", "1", "--ignore-failure", "--style", "none")
# Characters of its complaint that are shown.
TAIL = 400


def hyperfine_once(command: Command, timeout: Seconds | None = None) -> CommandRun:
    """One run, timed by hyperfine without a shell. Raises UsageError when it is absent or says no,
    CommandOverran on a timeout.
    """
    if shutil.which("hyperfine") is None:
        raise UsageError(
            "hyperfine is not installed",
            "Install it (apt-get install hyperfine), or leave --engine out.",
        )
    with scratch("perfhunt-bench-") as place:
        export = place / "times.json"
        _run(command, export, timeout)
        (timed,) = hyperfine.read(read_text(export), "hyperfine's export")
        (run,) = timed.runs
        user, system = _cpu(export)
        return replace(run, user=user, system=system)


def _run(command: Command, export: Path, timeout: Seconds | None) -> None:
    prepare = ("--prepare", shlex.join(command.prepare)) if command.prepare else ()
    output = "pipe" if command.output is None else str(command.output.absolute())
    told = ("--export-json", str(export), "--output", output, *prepare)
    words = (*_ONCE, *told, "--", shlex.join(command.words))
    try:
        _, printed = run(words, directory=command.directory, within=timeout)
    except TimeoutError as error:
        raise CommandOverran(
            f"`{command.name}` ran longer than {timeout:g} s", "Raise --timeout."
        ) from error
    if not export.exists():
        raise UsageError(
            f"hyperfine did not time `{command.name}`",
            printed.decode(errors="replace").strip()[-TAIL:],
        )


def _cpu(export: Path) -> tuple[Seconds, Seconds]:
    """User and system seconds; of one run, the mean that hyperfine keeps is the run's own."""
    (entry,) = read_json(export)["results"]
    return float(entry["user"]), float(entry["system"])
