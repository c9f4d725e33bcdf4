"""Errors, coverage, load and harm of each way to find a knee, over many seeds of services whose
knee is known.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from multiprocessing import Pool
from pathlib import Path
from typing import Any

from knee_methods import METHODS, Bench, Found
from knee_scenarios import SCENARIOS, Scenario, truth
from knee_table import line, print_heading, summary


def main(words: list[str]) -> int:
    """Run the benchmark; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(prog="bench-knee", description=__doc__)
    depth = parser.add_mutually_exclusive_group(required=True)
    depth.add_argument("--simulated", action="store_true", help="queues in virtual time")
    depth.add_argument("--live", action="store_true", help="six real services, five runs each")
    depth.add_argument(
        "--truth", action="store_true", help="find the true knees again, by long runs"
    )
    depth.add_argument(
        "--pictures", type=Path, metavar="DIR", help="draw those of docs/field.md there"
    )
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="a scenario (may be repeated)"
    )
    parser.add_argument(
        "--method",
        action="append",
        default=[],
        metavar="TEXT",
        help="methods whose name contains this",
    )
    parser.add_argument("--runs", type=int, default=5, help="of each live service")
    parser.add_argument("--budget", type=float, default=150.0, help="seconds of each live search")
    parser.add_argument(
        "--neighbour",
        action="store_true",
        help="live: beside a process that burns one core half of the time",
    )
    options = parser.parse_args(words)
    if options.pictures:
        import knee_pictures

        print(json.dumps({"answers": knee_pictures.draw(options.pictures)}))
        return 0
    if options.live:
        import knee_live

        rows = knee_live.run(options.runs, options.budget, options.only, options.neighbour)
    else:
        chosen = [s for s in SCENARIOS if not options.only or s.name in options.only]
        rows = truths(chosen) if options.truth else simulated(chosen, options.seeds, options.method)
    print(json.dumps({"scenarios": rows}))
    return 0


def truths(chosen: list[Scenario]) -> dict[str, Any]:
    """Each scenario's knee and sharpness, found again."""
    found = {}
    for scenario in chosen:
        knee, sharpness = truth(scenario)
        print(
            f"{scenario.name}: {knee:.4g}/s (written down: {scenario.knee:g}), sharpness"
            f" {sharpness:.1f}",
            flush=True,
        )
        found[scenario.name] = {"knee": knee, "sharpness": sharpness}
    return found


def simulated(chosen: list[Scenario], seeds: int, wanted: list[str]) -> dict[str, Any]:
    """A table row per scenario and method, and the same as plain numbers; seeds are shared out over
    the cores.
    """
    found: dict[str, Any] = {}
    methods = [name for name in METHODS if not wanted or any(w in name for w in wanted)]
    with Pool(os.cpu_count()) as pool:
        for scenario in chosen:
            print_heading(scenario)
            found[scenario.name] = {}
            for name in methods:
                began = time.perf_counter()
                answers = pool.starmap(
                    _answer, [(name, scenario.name, seed) for seed in range(seeds)], chunksize=4
                )
                row = summary(scenario, answers)
                found[scenario.name][name] = row | {"wall_s": round(time.perf_counter() - began, 2)}
                print(line(name, row), flush=True)
    return found


def _answer(method: str, scenario: str, seed: int) -> Found:
    """One seed, in a process of the pool: laws of service times do not travel between processes,
    names do.
    """
    return METHODS[method](Bench(next(s for s in SCENARIOS if s.name == scenario), seed))
