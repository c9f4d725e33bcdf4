"""What others do with the same service and the same minutes: each way says how often it calls two
builds different.
"""

from __future__ import annotations

import numpy as np
from scipy import stats
from verdict_rounds import Cell, Shape, rounds_of
from verdict_simulation import Array, Traffic, length, run_slice

LEVEL = 0.05  # of a test, as people use it


def benchstat(cell: Cell, experiments: int, seed: int, runs: int = 10) -> float:
    """Share of experiments in which Mann-Whitney at 5 % on the medians of 10 + 10 restarts differs,
    one build after the other.
    """
    random = np.random.default_rng(seed)
    calls = 0
    for rounds in rounds_of(cell, Shape(), 2 * runs, experiments, random):
        before = [r.base.values["median"] for r in rounds[:runs]]
        after = [r.head.values["median"] for r in rounds[runs:]]
        calls += bool(stats.mannwhitneyu(before, after).pvalue < LEVEL)
    return calls / experiments


def welch_on_requests(cell: Cell, experiments: int, seed: int, seconds: float = 120.0) -> float:
    """Share of experiments in which Welch's t at 5 % on the latencies of single requests, one run
    each, differs.
    """
    random = np.random.default_rng(seed)
    service, rate = cell.service, cell.service.knee * 0.9
    sides = []
    for effect in (0.0, cell.effect):
        noise = _noise(cell, experiments, random)
        traffic = Traffic.drawn(random, length(rate, seconds), experiments)
        sides.append(
            run_slice(
                service, traffic, rate, seconds, 2.0, np.exp(noise) * (1 + effect), random
            ).responses
        )
    p = stats.ttest_ind(sides[0], sides[1], axis=0, equal_var=False, nan_policy="omit").pvalue
    return float(np.mean(np.asarray(p) < LEVEL))


def _noise(cell: Cell, experiments: int, random: np.random.Generator) -> Array:
    """How much faster (in the log) a single run of each experiment happens to be."""
    restart: Array = cell.host.restart * random.standard_normal(experiments)
    return restart + cell.host.drift * random.standard_normal(experiments)


def staircase(cell: Cell, experiments: int, seed: int, seconds: float = 30.0) -> float:
    """Share of experiments in which the first failing step (10/s apart, 30 s) of two single runs
    differs by more than 5 %.
    """
    random = np.random.default_rng(seed)
    knees = []
    for effect in (0.0, cell.effect):
        noise = _noise(cell, experiments, random)
        found = np.full(experiments, np.nan)
        for rate in np.arange(20.0, 200.0, 10.0):
            traffic = Traffic.drawn(random, length(rate, seconds), experiments)
            step = run_slice(
                cell.service, traffic, rate, seconds, 1.0, np.exp(noise) * (1 + effect), random
            )
            failed = step.exceed / np.maximum(step.n, 1) > 0.01
            found = np.where(np.isnan(found) & failed, rate, found)
        knees.append(np.where(np.isnan(found), 200.0, found))
    return float(np.mean(np.abs(np.log(knees[1] / knees[0])) > np.log(1.05)))
