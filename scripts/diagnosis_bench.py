"""The benchmark of the diagnosis: which of its answers are right, on services whose culprit is
known.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from diagnosis_live import check, look
from diagnosis_record import keep, kept
from diagnosis_score import Row, heading, parts, peer_summary, score, summary, table_row
from diagnosis_sensitivity import report

from tests.live.zoo.animals import Animal, Half
from tests.live.zoo.catalogue import ZOO

# Kinds that a look at one load tells apart, in seven servers.
QUICK = (
    "lock",
    "loop-cpu",
    "await-pool",
    "gil",
    "tornado-blocking",
    "forked-cpu",
    "postgres",
)
# Times what mending the decoy brings: the interval of a capture this short is as wide.
CLEAR = 1.5


def main(argv: Sequence[str]) -> int:
    """Runs the benchmark; the last line printed is one JSON object."""
    asked = _arguments(argv)
    animals = _chosen(asked)
    if asked.check:
        return _check(animals)
    if asked.sensitivity:
        captures = {animal.name: seen for animal, seen in kept(asked.sensitivity, animals)}
        print(json.dumps({"bench": "diagnosis", "thresholds": report(captures)}))
        return 0
    print(heading(), flush=True)
    rows: dict[str, Row] = {}
    skipped: dict[str, str] = {}
    for animal, row in _replayed(asked, animals) if asked.replay else _live(asked, animals):
        if isinstance(row, str):
            print(f"{animal.name}: {row}", flush=True)
            skipped[animal.name] = row
        else:
            rows[animal.name] = row
            print(table_row(animal.name, row), flush=True)
    whole = summary(rows)
    print(
        json.dumps(
            {
                "bench": "diagnosis",
                **whole,
                "parts": parts(rows),
                "peers": peer_summary(rows),
                "services": rows,
                "skipped": skipped,
            }
        )
    )
    return 0


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-diagnosis", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="seven services, short, without the other profilers")
    add("--short", action="store_true", help="no search: a part of the capacity is the knee")
    add("--only", action="append", default=[], metavar="NAME", help="a service; repeatable")
    add("--half", choices=[str(half) for half in Half])
    add("--no-peers", action="store_true", help="leave the other profilers out")
    add("--diary", type=Path, metavar="FILE", help="keep finished rows here, and go on from it")
    add("--minutes", type=float, metavar="M", help="begin no service after so long")
    add("--captures", type=Path, metavar="DIR", help="keep what was seen of each service")
    add("--replay", type=Path, metavar="DIR", help="diagnose kept captures again; no load")
    add("--sensitivity", type=Path, metavar="DIR", help="how far thresholds may move; no load")
    add("--check", action="store_true", help="the capacity without culprit and without decoy")
    return parser.parse_args(argv)


def _chosen(asked: argparse.Namespace) -> tuple[Animal, ...]:
    """The services asked for. Raises SystemExit for a name that is none's."""
    names = {animal.name for animal in ZOO}
    if unknown := set(asked.only) - names:
        raise SystemExit(f"no such service: {', '.join(sorted(unknown))}; {', '.join(names)}")
    wanted = set(asked.only) or (set(QUICK) if asked.quick else names)
    return tuple(a for a in ZOO if a.name in wanted and asked.half in (None, a.half))


def _live(
    asked: argparse.Namespace, animals: Sequence[Animal]
) -> Iterator[tuple[Animal, Row | str]]:
    """Each service with its row, from the diary or looked at now, or why it has none."""
    diary: dict[str, Row] = {}
    if asked.diary and asked.diary.exists():
        diary = dict(json.loads(line) for line in asked.diary.read_text().splitlines())
    end = time.monotonic() + 60 * (asked.minutes or 1e6)
    for animal in animals:
        if animal.name in diary:
            yield animal, diary[animal.name]
        elif missing := animal.missing():
            yield animal, f"left out, not installed: {missing}"
        elif time.monotonic() > end:
            yield animal, "not begun: the time is over; --diary goes on from here"
        else:
            yield animal, _looked_at(asked, animal)


def _looked_at(asked: argparse.Namespace, animal: Animal) -> Row | str:
    short = asked.short or asked.quick
    try:
        seen = look(animal, short=short, with_peers=not (asked.no_peers or asked.quick))
    except Exception as error:  # of a run of hours, one service is lost and not the rest
        return f"failed: {type(error).__name__}: {error}"
    if asked.captures:
        keep(seen, asked.captures)
    row = score(animal, seen)
    if asked.diary:
        with asked.diary.open("a") as file:
            file.write(json.dumps([animal.name, row]) + "\n")
    return row


def _replayed(
    asked: argparse.Namespace, animals: Sequence[Animal]
) -> Iterator[tuple[Animal, Row | str]]:
    """Each kept service with its row, diagnosed by today's code."""
    for animal, seen in kept(asked.replay, tuple(animals)):
        yield animal, score(animal, seen)


def _check(animals: Sequence[Animal]) -> int:
    """Whether mending the culprit is what helps, on this host at this hour."""
    print("| service | answers/s now | without the culprit | without the decoy | clear |")
    print("|---|---|---|---|---|", flush=True)
    found = {}
    for animal in animals:
        if missing := animal.missing():
            print(f"{animal.name}: left out, not installed: {missing}", flush=True)
            continue
        rates = check(animal)
        clear = rates["culprit"] >= CLEAR * rates["decoy"]
        found[animal.name] = {**rates, "clear": clear}
        cells = " | ".join(f"{rate:.0f}" for rate in rates.values())
        print(f"| {animal.name} | {cells} | {'yes' if clear else '**no**'} |", flush=True)
    print(json.dumps({"bench": "diagnosis", "check": found}))
    return 0
