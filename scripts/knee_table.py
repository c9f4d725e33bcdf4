"""The table of the knee benchmark: a heading per scenario, a row per method."""

from __future__ import annotations

import math
from typing import Any

from knee_methods import Found
from knee_scenarios import Scenario

COLUMNS = (
    "method",
    "mean error",
    "bias",
    "95 % interval covers",
    "half-width",
    "load s",
    "slow requests",
    "answers",
)


def print_heading(scenario: Scenario) -> None:
    """The scenario with its true knee, and the head of its table."""
    print(
        f"\n### {scenario.name}: {scenario.about} (true knee {scenario.knee:.4g}/s, p99 <="
        f" {scenario.limit * 1e3:g} ms)\n"
    )
    print(f"| {' | '.join(COLUMNS)} |")
    print("|---" * len(COLUMNS) + "|", flush=True)


def summary(scenario: Scenario, answers: list[Found]) -> dict[str, Any]:
    """What the answers of many seeds amount to. Errors are of ln(rate), shares; `coverage` is None
    without intervals.
    """
    rates = [answer.rate for answer in answers if answer.rate]
    errors = [math.log(rate / scenario.knee) for rate in rates]
    intervals = [
        (answer.low, answer.rate, answer.high)
        for answer in answers
        if answer.rate and answer.low is not None and answer.high is not None
    ]
    held = [low <= scenario.knee <= high for low, _, high in intervals]
    widths = sorted((high - low) / (2 * rate) for low, rate, high in intervals)
    labels = [answer.label for answer in answers if answer.label]
    return {
        "error": sum(map(abs, errors)) / len(errors) if errors else None,
        "bias": sum(errors) / len(errors) if errors else None,
        "coverage": sum(held) / len(held) if held else None,
        "half_width": widths[len(widths) // 2] if widths else None,
        "load_s": sum(answer.load for answer in answers) / len(answers),
        "slow_requests": sum(answer.slow for answer in answers) / len(answers),
        "aside": sum(answer.aside for answer in answers) / len(answers),
        "n": len(answers),
        "answered": len(rates),
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
