"""Errors, coverage, load and harm of each way to find a knee, over many seeds of services whose
knee is known.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from multiprocessing import Pool
from typing import Any

from knee_methods import METHODS, Bench, Found
from knee_scenarios import SCENARIOS, Scenario, truth


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench-knee", description=__doc__)
    depth = parser.add_mutually_exclusive_group(required=True)
    depth.add_argument("--simulated", action="store_true", help="queues in virtual time")
    depth.add_argument("--live", action="store_true", help="three real services, five runs each")
    depth.add_argument(
        "--truth", action="store_true", help="find the true knees again, by long runs"
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
    asked = parser.parse_args(words)
    if asked.live:
        import knee_live

        found = knee_live.run(asked.runs, asked.budget, asked.only)
    else:
        chosen = [s for s in SCENARIOS if not asked.only or s.name in asked.only]
        found = truths(chosen) if asked.truth else simulated(chosen, asked.seeds, asked.method)
    print(json.dumps({"scenarios": found}))
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
            print(
                f"\n### {scenario.name}: {scenario.about} (true knee {scenario.knee:g}/s, p99 <="
                f" {scenario.limit * 1e3:g} ms)\n"
            )
            print(
                "| method | mean error | bias | 95 % interval covers | half-width | load s | slow"
                " requests | answers |"
            )
            print("|---|---|---|---|---|---|---|---|", flush=True)
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


def summary(scenario: Scenario, answers: list[Found]) -> dict[str, Any]:
    """What the answers of many seeds amount to. Errors are of ln(rate), shares; `coverage` is None
    without intervals.
    """
    given = [a for a in answers if a.rate]
    errors = [math.log((a.rate or 1.0) / scenario.knee) for a in given]
    held = [
        a.low <= scenario.knee <= a.high for a in given if a.low is not None and a.high is not None
    ]
    widths = sorted(
        (a.high - a.low) / (2 * (a.rate or 1.0))
        for a in given
        if a.low is not None and a.high is not None
    )
    labels = [a.label for a in answers if a.label]
    return {
        "error": sum(map(abs, errors)) / len(errors) if errors else None,
        "bias": sum(errors) / len(errors) if errors else None,
        "coverage": sum(held) / len(held) if held else None,
        "half_width": widths[len(widths) // 2] if widths else None,
        "load_s": sum(a.load for a in answers) / len(answers),
        "slow_requests": sum(a.slow for a in answers) / len(answers),
        "n": len(answers),
        "answered": len(given),
        "labels": {label: labels.count(label) for label in sorted(set(labels))},
    }


def line(name: str, row: dict[str, Any]) -> str:
    """One row of the table."""

    def share(value: float | None, sign: str = "") -> str:
        return "—" if value is None else f"{value * 100:{sign}.1f} %"

    labels = ", ".join(f"{label} {count}" for label, count in row["labels"].items())
    return (
        f"| {name} | {share(row['error'])} | {share(row['bias'], '+')} | {share(row['coverage'])} |"
        f" {share(row['half_width'])} | {row['load_s']:.0f} | {row['slow_requests']:,.0f} |"
        f" {row['answered']}/{row['n']} {labels} |"
    )
