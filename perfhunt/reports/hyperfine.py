"""hyperfine's JSON export, read strictly and written so that its own scripts accept it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from perfhunt.analysis.verdict.bench import CommandRun, Timed
from perfhunt.errors import StoreError


def write(timed: Sequence[Timed]) -> str:
    """The JSON text of `hyperfine --export-json` (1.18) for these commands; times in seconds,
    memory in bytes.
    """
    return json.dumps({"results": [_result(each) for each in timed]}, indent=2) + "\n"


def _result(timed: Timed) -> dict[str, object]:
    walls = [r.wall for r in timed.runs]
    ordered, n = sorted(walls), len(walls)
    mean = math.fsum(walls) / n
    stddev = math.sqrt(math.fsum((w - mean) ** 2 for w in walls) / (n - 1)) if n > 1 else None
    return {
        "command": timed.name,
        "mean": mean,
        "stddev": stddev,
        "median": (ordered[(n - 1) // 2] + ordered[n // 2]) / 2,
        "user": _mean([r.user for r in timed.runs]),
        "system": _mean([r.system for r in timed.runs]),
        "min": ordered[0],
        "max": ordered[-1],
        "times": walls,
        "memory_usage_byte": [r.peak_rss or 0 for r in timed.runs],
        "exit_codes": [r.exit_code for r in timed.runs],
        # Not hyperfine's: it keeps CPU time as a mean only, and a verdict needs every run.
        "user_times": [r.user for r in timed.runs],
        "system_times": [r.system for r in timed.runs],
    }


def _mean(values: Sequence[float | None]) -> float:
    known = [v for v in values if v is not None]
    return math.fsum(known) / len(known) if known else 0.0


def read(text: str, source: str = "the file") -> tuple[Timed, ...]:
    """Every command of an export. CPU times are None per run unless perfhunt wrote it. Raises
    StoreError, saying where.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise StoreError(f"{source} is not JSON (line {error.lineno}: {error.msg})") from error
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(results, list) or not results:
        hint = "hyperfine --export-json writes it"
        raise StoreError(f'{source} is not a hyperfine export: it has no list of "results"', hint)
    return tuple(_timed(entry, f"{source}, results[{i}]") for i, entry in enumerate(results))


def _timed(entry: object, where: str) -> Timed:
    if not isinstance(entry, dict) or not isinstance(entry.get("command"), str):
        raise StoreError(f'{where} has no "command"')
    walls = [wall for wall in _numbers(entry, "times", where) if wall is not None]
    if not walls:
        raise StoreError(
            f'{where} has no "times"',
            "exports made with --export-json keep every time; summaries do not",
        )
    n = len(walls)
    users, systems = (_column(entry, key, n, where) for key in ("user_times", "system_times"))
    memory, codes = (_column(entry, key, n, where) for key in ("memory_usage_byte", "exit_codes"))
    runs = tuple(
        CommandRun(
            wall, user, system, int(rss) if rss else None, int(code) if code is not None else 0
        )
        for wall, user, system, rss, code in zip(walls, users, systems, memory, codes, strict=True)
    )
    return Timed(entry["command"], runs)


def _numbers(entry: dict[str, object], key: str, where: str) -> list[float | None]:
    values = entry.get(key)
    if values is None:
        return []
    if not isinstance(values, list) or not all(
        v is None or (isinstance(v, int | float) and v >= 0) for v in values
    ):
        raise StoreError(f'{where}: "{key}" is not a list of numbers of at least 0')
    return values


def _column(entry: dict[str, object], key: str, n: int, where: str) -> list[float | None]:
    values = _numbers(entry, key, where)
    if values and len(values) != n:
        raise StoreError(f'{where}: "{key}" has {len(values)} values for {n} times')
    return values or [None] * n
