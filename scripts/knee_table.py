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
    "contradict a trial",
    "wrong NoKnee",
    "missed NoKnee",
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

    `contradictions` is the share of knees that lie outside what the search's own trials clearly
    show. `wrong_no_knee` is the share of runs without a number, where there is a steady knee;
    `missed_no_knee`, where there is none, that of numbers whose interval holds the knee at no age.
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
    judged = [answer.contradicts for answer in answers if answer.contradicts is not None]
    return {
        "error": sum(map(abs, errors)) / len(errors) if errors else None,
        "bias": sum(errors) / len(errors) if errors else None,
        "coverage": sum(held) / len(held) if held else None,
        "half_width": widths[len(widths) // 2] if widths else None,
        "load_s": sum(answer.load for answer in answers) / len(answers),
        "slow_requests": sum(answer.slow for answer in answers) / len(answers),
        "contradictions": sum(judged) / len(judged) if judged else None,
        **_no_knees(scenario, len(rates), intervals, len(answers)),
        "aside": sum(answer.aside for answer in answers) / len(answers),
        "n": len(answers),
        "answered": len(rates),
        "labels": {label: labels.count(label) for label in sorted(set(labels))},
    }


def _no_knees(
    scenario: Scenario, numbers: int, intervals: list[tuple[float, float, float]], runs: int
) -> dict[str, float | None]:
    if scenario.ages is None:
        return {"wrong_no_knee": (runs - numbers) / runs, "missed_no_knee": None}
    oldest, fresh = scenario.ages
    missed = numbers - sum(low <= fresh and oldest <= high for low, _, high in intervals)
    return {"wrong_no_knee": None, "missed_no_knee": missed / runs}


def line(name: str, row: dict[str, Any]) -> str:
    """One row of the table."""

    def share(value: float | None, sign: str = "") -> str:
        return "—" if value is None else f"{value * 100:{sign}.1f} %"

    labels = ", ".join(f"{label} {count}" for label, count in row["labels"].items())
    return (
        f"| {name} | {share(row['error'])} | {share(row['bias'], '+')} | {share(row['coverage'])} |"
        f" {share(row['half_width'])} | {row['load_s']:.0f} | {row['slow_requests']:,.0f} |"
        f" {share(row['contradictions'])} | {share(row['wrong_no_knee'])} |"
        f" {share(row['missed_no_knee'])} |"
        f" {row['answered']}/{row['n']} {labels} |"
    )
