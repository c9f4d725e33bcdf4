"""The sample run on a faster or slower service, and runs kept as perfhunt keeps them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from perfhunt.model.knee import Knee
from perfhunt.model.run import Run
from perfhunt.model.trial import Trial
from perfhunt.store.rundir import RunDirectory


def moved(run: Run, factor: float, id: str = "after") -> Run:
    """The run on a service `factor` times as fast: knee and capacity further right, medians and CPU
    per request smaller.
    """
    knee, capacity = run.knee, run.capacity
    assert isinstance(knee, Knee)
    assert capacity is not None
    return replace(
        run,
        id=id,
        knee=replace(knee, rate=knee.rate * factor, low=knee.low * factor, high=knee.high * factor),
        capacity=replace(
            capacity,
            rate=capacity.rate * factor,
            low=capacity.low * factor,
            high=capacity.high * factor,
        ),
        baseline=run.baseline and _faster(run.baseline, factor),
        trials=tuple(_faster(trial, factor) for trial in run.trials),
    )


def _faster(trial: Trial, factor: float) -> Trial:
    used, median = trial.resources, trial.response.p50
    assert used is not None and used.cpu_seconds is not None and median is not None
    return replace(
        trial,
        resources=replace(used, cpu_seconds=used.cpu_seconds / factor),
        response=replace(trial.response, p50=median / factor),
    )


def keep(store: Path, run: Run) -> Path:
    """The directory of a finished run."""
    return RunDirectory.create(store, run).finish(run)
