"""The benchmark of the verdict: how often it is wrong, how small a change it sees, how many minutes
it takes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from verdict_peers import benchstat, staircase, welch_on_requests
from verdict_rounds import NOISY, QUIET, Cell, Host, Shape, run_cell
from verdict_simulation import SERVICES, Service

EFFECTS = (0.02, 0.05, 0.10, 0.30)
RIGHT_FOR_NOTHING = ("NO CHANGE", "NOT WORTH IT")


def main(argv: Sequence[str]) -> int:
    """Runs the benchmark; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(prog="bench-verdict", description=__doc__)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument(
        "--simulated",
        action="store_true",
        help="four simulated services; minutes of CPU, none of load",
    )
    how.add_argument(
        "--live", action="store_true", help="real services under real load on this machine"
    )
    parser.add_argument(
        "--experiments", type=int, default=0, metavar="N", help="per cell (simulated 400, live 10)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="SERVICE",
        help="live: demo, render or pool; repeatable",
    )
    parser.add_argument(
        "--diary",
        type=Path,
        metavar="FILE",
        help="live: keep every finished experiment here, and go on from it",
    )
    asked = parser.parse_args(argv)
    if asked.live:
        import verdict_live

        scenarios = verdict_live.run(asked.experiments or 10, asked.seed, asked.only, asked.diary)
    else:
        scenarios = simulated(asked.experiments or 400, asked.seed)
    print(
        json.dumps(
            {
                "bench": "verdict",
                "mode": "live" if asked.live else "simulated",
                "scenarios": scenarios,
            }
        )
    )
    return 0


def simulated(n: int, seed: int) -> dict[str, Any]:
    """Every cell of the simulated benchmark, printed as markdown rows while it runs."""
    print(
        f"A round is {Shape().seconds:.1f} s; {n} experiments a cell, {4 * n} with identical"
        " builds.\n"
    )
    print(
        "| service, host | identical called different | shown to be nothing (min) | ±2 % | ±5 % |"
        " ±10 % | ±30 % | wrong sign |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)
    scenarios: dict[str, Any] = {}
    for host in (QUIET, NOISY):
        for service in SERVICES:
            name = f"{service.name} {host.name.split()[0]}"
            scenarios[name] = _row(name, service, host, n, seed)
    print(
        "\nQuiet host; the change moves waiting, not CPU time (CPU per request left out of the"
        " test):\n"
    )
    for service in SERVICES:
        name = f"{service.name} quiet, no CPU"
        scenarios[name] = _row(name, service, QUIET, n, seed, effects=(0.05, 0.10), blind=True)
    print("\nQuiet host, after `perfhunt calibrate` (8 pairs of identical builds):\n")
    for service in SERVICES:
        name = f"{service.name} quiet, calibrated"
        scenarios[name] = _row(name, service, QUIET, n, seed, effects=(0.05, 0.10), calibrated=8)
    _others(scenarios, n, seed)
    return scenarios


def _row(
    name: str,
    service: Service,
    host: Host,
    n: int,
    seed: int,
    effects: Sequence[float] = EFFECTS,
    blind: bool = False,
    calibrated: int = 0,
) -> dict[str, Any]:
    same = run_cell(Cell(service, host, 0.0, blind, calibrated), 4 * n, seed)
    power, minutes, within, wrong, total = {}, {}, {}, 0, 0
    shown = []
    for i, effect in enumerate(effects, start=1):
        up = run_cell(Cell(service, host, effect, blind, calibrated), n // 2, seed + i)
        down = run_cell(
            Cell(service, host, 1 / (1 + effect) - 1, blind, calibrated), n - n // 2, seed + 100 + i
        )
        key = f"{effect * 100:g}"
        hits = up.words["KEEP"] + down.words["REVERT"]
        power[key] = round(hits / n, 3)
        minutes[key] = round(median([*up.minutes, *down.minutes]), 1)
        within[key] = {
            str(int(cap)): round((up.within[cap] + down.within[cap]) / n, 3) for cap in up.within
        }
        wrong += up.words["REVERT"] + down.words["KEEP"]
        total += n
        shown.append(f"{power[key]:.2f} in {minutes[key]:.1f}")
    false = same.share("KEEP", "REVERT", "MIXED")
    nothing = same.share(*RIGHT_FOR_NOTHING)
    cells = shown if len(shown) == len(EFFECTS) else ["", *shown, ""]
    print(
        f"| {name} | {false:.2%} | {nothing:.2f} in {median(same.minutes):.1f} | "
        + " | ".join(cells),
        f"| {wrong / total:.4f} |",
        flush=True,
    )
    return {
        "aa_false": round(false, 4),
        "aa_nothing": round(nothing, 3),
        "power": power,
        "wrong_sign": round(wrong / total, 5),
        "minutes": {"0": round(median(same.minutes), 1), **minutes},
        "power_within_minutes": within,
        "n": n,
        "aa_n": 4 * n,
    }


def _others(scenarios: dict[str, Any], n: int, seed: int) -> None:
    """What the usual ways make of the same services on the quiet host."""
    print(
        "\nThe usual ways, quiet host: identical builds called different / a 10 % faster build"
        " called different:\n"
    )
    print(
        "| service | this verdict | Mann-Whitney, 10 + 10 restarts | Welch on requests, 120 s each"
        " | staircase, 30 s steps |"
    )
    print("|---|---|---|---|---|")
    for service in SERVICES:
        cells = Cell(service, QUIET, 0.0), Cell(service, QUIET, 0.10)
        found = {
            "benchstat": [benchstat(cell, n, seed) for cell in cells],
            "welch": [welch_on_requests(cell, min(n, 200), seed) for cell in cells],
            "staircase": [staircase(cell, min(n, 200), seed) for cell in cells],
        }
        mine = scenarios[f"{service.name} quiet"]
        texts = [
            f"{mine['aa_false']:.1%} / {mine['power']['10']:.0%}",
            *(f"{a:.1%} / {b:.0%}" for a, b in found.values()),
        ]
        print(f"| {service.name} | " + " | ".join(texts) + " |", flush=True)
        scenarios[f"{service.name} quiet"]["others"] = {
            name: {"aa_false": round(a, 3), "power": {"10": round(b, 3)}}
            for name, (a, b) in found.items()
        }
