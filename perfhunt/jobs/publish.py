"""Reports and pictures of a run: into its own directory, and copied to where CI looks for them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from perfhunt.errors import StoreError
from perfhunt.model.run import Run
from perfhunt.reports.format import FORMATS
from perfhunt.store.rundir import RunDirectory

STORED = ("html", "markdown", "flamegraph", "speedscope", "junit")


def publish(run: Run, directory: RunDirectory, artifacts: Path | None) -> Run:
    """The run with its reports written and named in `artifacts`; copies go to the directory
    `artifacts`, if one is given.
    """
    formats = [FORMATS[name] for name in STORED]
    names = {form.name: form.file_name for form in formats if form.has_something(run)}
    run = replace(run, artifacts={**run.artifacts, **names})
    for form in formats:
        if form.name in names:
            directory.write_artifact(form.file_name, form.render(run))
    if artifacts is not None:
        _copy([directory.path / name for name in names.values()], artifacts)
    return run


def _copy(files: list[Path], artifacts: Path) -> None:
    try:
        artifacts.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copyfile(file, artifacts / file.name)
    except OSError as error:
        raise StoreError(
            f"{artifacts} cannot be written: {error.strerror}",
            "Name another directory: --artifacts DIR",
        ) from error
