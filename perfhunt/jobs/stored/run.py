"""A stored run, and what an edit is held against when one is there."""

from __future__ import annotations

from pathlib import Path

from perfhunt.analysis.verdict.calibration import Calibration
from perfhunt.errors import StoreError
from perfhunt.model.profile import Profile, SpanName
from perfhunt.model.run import EventWatcher, Noted, Run, RunKind
from perfhunt.store import ledger
from perfhunt.store.calibration import load_calibration
from perfhunt.store.listing import find
from perfhunt.store.rundir import read_directory


def load_run(run: str, store: Path) -> Run:
    """The run of that id, beginning of an id, or directory; `last` is the newest. Raises
    UsageError, StoreError.
    """
    return read_directory(find(store, run))


def newest_investigation(store: Path) -> Path | None:
    """The directory of the newest investigation kept here; None when there is none."""
    rows = ledger.history(store, kind=RunKind.INVESTIGATE, limit=1)
    return store / rows[0].path if rows else None


def last_investigation(store: Path) -> Run | None:
    """The newest investigation kept here; None when there is none that can be read."""
    path = newest_investigation(store)
    try:
        return read_directory(path) if path is not None else None
    except StoreError:
        return None


def host_noise(store: Path, watch: EventWatcher) -> Calibration | None:
    """The calibration that holds on this host; a doubt about one that is there is noted."""
    calibration, doubt = load_calibration(store)
    if doubt:
        watch(Noted(doubt))
    return calibration


def base_of(run: Run | None) -> str:
    """What an edit is compared with: the tree that a run measured, else HEAD."""
    if run is None:
        return "HEAD"
    return run.environment.git_snapshot or run.environment.git_revision or "HEAD"


def hot_stacks(run: Run | None) -> Profile | None:
    """The profile at a run's knee, with its waits if it has them: it may join edits on one path."""
    if run is None:
        return None
    return run.profiles.get(SpanName.KNEE_WAITS) or run.profiles.get(SpanName.KNEE)
