"""A finished run is kept: where it was written, or else where there is room."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from perfhunt.errors import StoreError
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.run import Run
from perfhunt.store.rundir import RunDirectory


def keep_run(directory: RunDirectory, run: Run) -> tuple[Run, Path | None]:
    """The run, closed on disk, and where: in its directory; where that takes no more, in a new one
    below the system's temporary directory, which a caution of the run then tells. None: nowhere,
    which the caution says too. Never raises StoreError: a run is not lost for the want of a disk.
    """
    try:
        return run, directory.finish(run)
    except StoreError as error:
        lost = f"the run could not be kept in {directory.path.parent}: {error.message}"
    try:
        spare = RunDirectory.create(Path(tempfile.mkdtemp(prefix="perfhunt-store-")), run)
        place = spare.path.with_name(run.id)
        run = doubted(run, f"{lost}; it is in {place}", f"perfhunt report {place}")
        return run, spare.finish(run)
    except (OSError, StoreError):
        return doubted(run, f"{lost}; what is printed here is all there is of it"), None


def doubted(run: Run, sentence: str, next: str = "") -> Run:
    """The run with a caution that something of it was not kept."""
    caution = Caution(CautionCode.NOT_KEPT, f"{sentence[:1].upper()}{sentence[1:]}.", next)
    return replace(run, cautions=(*run.cautions, caution))
