"""hyperfine's JSON export, read strictly and written so that its own scripts accept it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median, stdev

from perfhunt.errors import StoreError, Unreadable
from perfhunt.model.document.bounded import json_value
from perfhunt.model.text.escaping import json_text
from perfhunt.model.verdict.command_run import CommandRun, CommandRuns

_MOST = 2.0**63  # of seconds, bytes or an exit code
_SIGNALLED = 128  # how a shell tells of a signal; hyperfine tells no number (`null`)


def write(commands: Sequence[CommandRuns]) -> str:
    """The JSON text of `hyperfine --export-json` (1.18) for these commands; times in seconds,
    memory in bytes.
    """
    return json_text({"results": [_result(command) for command in commands]}, indent=2) + "\n"


def _result(command: CommandRuns) -> dict[str, object]:
    walls = [run.wall for run in command.runs]
    return {
        "command": command.name,
        "mean": fmean(walls),
        "stddev": stdev(walls) if len(walls) > 1 else None,
        "median": median(walls),
        "user": _mean([run.user for run in command.runs]),
        "system": _mean([run.system for run in command.runs]),
        "min": min(walls),
        "max": max(walls),
        "times": walls,
        "memory_usage_byte": [run.peak_rss or 0 for run in command.runs],
        "exit_codes": [run.exit_code for run in command.runs],
        **({"parameters": dict(command.parameters)} if command.parameters else {}),
        # Not hyperfine's: it keeps CPU time as a mean only, and a verdict needs every run.
        "user_times": [run.user for run in command.runs],
        "system_times": [run.system for run in command.runs],
    }


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return fmean(known) if known else 0.0


def read(text: str, source: str = "the file") -> tuple[CommandRuns, ...]:
    """Every command of an export. CPU times are None per run unless perfhunt wrote it. Raises
    StoreError, saying where.
    """
    try:
        document = json_value(text, source)
    except Unreadable as error:
        raise StoreError(error.message, error.hint) from error
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(results, list) or not results:
        hint = "hyperfine --export-json writes it"
        raise StoreError(f'{source} is not a hyperfine export: it has no list of "results"', hint)
    return tuple(_command(entry, f"{source}, results[{i}]") for i, entry in enumerate(results))


def _command(entry: object, where: str) -> CommandRuns:
    if not isinstance(entry, dict) or not isinstance(entry.get("command"), str):
        raise StoreError(f'{where} has no "command"')
    walls = [wall for wall in _numbers(entry, "times", where) if wall is not None]
    if not walls:
        raise StoreError(
            f'{where} has no "times"',
            "exports made with --export-json keep every time; summaries do not",
        )
    n = len(walls)
    users, systems, memory = (
        _column(entry, key, n, where) for key in ("user_times", "system_times", "memory_usage_byte")
    )
    codes = _column(entry, "exit_codes", n, where, least=-_MOST)
    ended = _SIGNALLED if entry.get("exit_codes") else 0  # early versions told none
    runs = tuple(
        CommandRun(
            wall=wall,
            user=user,
            system=system,
            peak_rss=int(rss) if rss else None,
            exit_code=int(code) if code is not None else ended,
        )
        for wall, user, system, rss, code in zip(walls, users, systems, memory, codes, strict=True)
    )
    return CommandRuns(entry["command"], runs, _parameters(entry, where))


def _parameters(entry: dict[str, object], where: str) -> tuple[tuple[str, str], ...]:
    found = entry.get("parameters") or {}
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise StoreError(f'{where}: "parameters" is not an object of texts')
    return tuple(found.items())


def _numbers(
    entry: dict[str, object], key: str, where: str, least: float = 0.0
) -> list[float | None]:
    values = entry.get(key)
    if values is None:
        return []
    if not isinstance(values, list) or not all(
        v is None or (isinstance(v, int | float) and least <= v < _MOST) for v in values
    ):
        bound = "" if least else " of at least 0"
        raise StoreError(f'{where}: "{key}" is not a list of numbers{bound}')
    return values


def _column(
    entry: dict[str, object], key: str, n: int, where: str, least: float = 0.0
) -> list[float | None]:
    values = _numbers(entry, key, where, least)
    if values and len(values) != n:
        raise StoreError(f'{where}: "{key}" has {len(values)} values for {n} times')
    return values or [None] * n
