"""The run directory: the truth about one investigation, readable at every moment of its life.

While a run is going its directory ends in `.partial` and holds a marker with the owner. Closing it
is one rename. A crash, even kill -9, leaves a `.partial` with every trial that ended; `repair`
closes those whose owner is gone.

    .perfhunt/                  with a .gitignore of its own
      runs/<id>/
        run.json                profiles and artifacts are named in it
        trials.jsonl            one line a trial or drain, as they ended, with second rows
        events.jsonl            what happened when
        trials/                 raw samples
        profile-knee.folded     stacks, one line each
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from perfhunt.errors import StoreError
from perfhunt.model.document.plain import from_plain, to_plain
from perfhunt.model.document.writing import trial_document
from perfhunt.model.run import Run, RunEnd
from perfhunt.model.trial import Drained, Phase, Trial
from perfhunt.store.files import append_line, cannot_write, read_lines, sync_directory, write_atomic
from perfhunt.store.owner import MARKER, NOBODY, RunWriter, current_process, owner_of, write_owner
from perfhunt.store.run_json import TRIALS_FILE, read_run, stored_trials, write_run

PARTIAL = ".partial"
EVENTS_FILE = "events.jsonl"
_ARTIFACT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def new_id(now: datetime, token: str) -> str:
    """A run's name: `20261123T043000Z-1f3a9c`; sorts by time."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{token}"


def fresh_id() -> str:
    """A new run's name, from the clock and the system's randomness."""
    return new_id(datetime.now(UTC), secrets.token_hex(3))


class RunDirectory:
    """A run being written. It is a class because it has a life: open, appended to, then closed
    once.

    Every method raises StoreError when the disk will not have it.
    """

    def __init__(self, path: Path, owner: RunWriter) -> None:
        self.path = path
        self._owner = owner
        self._stored: set[tuple[Any, float]] = set()

    @classmethod
    def create(cls, root: Path, run: Run) -> RunDirectory:
        """Open `<root>/runs/<run.id>.partial`, with what is known of the run so far in its
        run.json. `root` is `.perfhunt`.
        """
        path = root / "runs" / (run.id + PARTIAL)
        try:
            (path / "trials").mkdir(parents=True)
        except OSError as error:
            raise cannot_write(path, error) from error
        if not (root / ".gitignore").exists():
            write_atomic(root / ".gitignore", "*\n")
        directory = cls(path, RunWriter(current_process(), run.started))
        write_owner(path, directory._owner)
        directory.begin(run)
        return directory

    @property
    def id(self) -> str:
        return self.path.name.removesuffix(PARTIAL)

    @property
    def trials(self) -> Path:
        """Where the load engine writes raw samples."""
        return self.path / "trials"

    def begin(self, run: Run) -> None:
        """Store what is known so far (question, environment, target), so that a crash loses none of
        it.
        """
        write_run(self.path, replace(run, ended=RunEnd.RUNNING, trials=(), drains=(), profiles={}))

    def save(self, run: Run) -> None:
        """Store the whole run in its still open directory."""
        write_run(self.path, run)

    def phase(self, name: str) -> None:
        """Note which phase begins: a crash is reported with it."""
        self._owner = replace(self._owner, phase=name)
        write_owner(self.path, self._owner)

    def append_trial(self, trial: Trial) -> None:
        """Keep a trial that ended, with its second rows; on the disk when this returns."""
        append_line(self.path / TRIALS_FILE, {"trial": trial_document(trial)})
        self._stored.add((trial.step, trial.started))

    def append_drain(self, drained: Drained) -> None:
        """Keep a drain that ended."""
        append_line(self.path / TRIALS_FILE, {"drain": to_plain(drained)})

    def event(self, name: str, /, **values: Any) -> None:
        """Note something that happened; `values` are plain JSON values."""
        append_line(self.path / EVENTS_FILE, {"event": name, **values})

    def write_artifact(self, name: str, content: str | bytes) -> Path:
        """Write a report or picture next to run.json; its path. `name` is a plain file name."""
        if not _ARTIFACT.fullmatch(name):
            raise StoreError(f"{name!r} is not a plain file name")
        write_atomic(self.path / name, content)
        return self.path / name

    def finish(self, run: Run) -> Path:
        """Write the run and close the directory by one rename; the path it then has. Artifacts
        should be written before.
        """
        for trial in (*((run.baseline,) if run.baseline else ()), *run.trials):
            if (trial.step, trial.started) not in self._stored:
                self.append_trial(trial)
        write_run(self.path, run)
        return self._close()

    def _close(self) -> Path:
        final = self.path.with_name(self.id)
        try:
            os.rename(self.path, final)
            sync_directory(final.parent)
            (final / MARKER).unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(final, error) from error
        self.path = final
        return final


def read_directory(path: Path) -> Run:
    """The Run in a directory, closed or not. A `.partial` comes back with its trials and `ended`
    saying why it is short.
    """
    run = read_run(path)
    if not path.name.endswith(PARTIAL):
        return run
    drains = tuple(
        from_plain(Drained, line["drain"])
        for line in read_lines(path / TRIALS_FILE)
        if "drain" in line
    )
    trials = stored_trials(path)
    lowest = (t for t in reversed(trials) if t.step.phase is Phase.BASELINE)
    baseline = run.baseline or next(lowest, None)
    owner = owner_of(path)
    alive = owner is not None and owner.alive()
    phase = owner.phase if owner else NOBODY.phase
    ended = (
        RunEnd.RUNNING
        if alive
        else f"{RunEnd.ABORTED}: perfhunt was ended from outside during {phase}"
    )
    return replace(
        run,
        trials=trials,
        drains=drains,
        baseline=baseline,
        ended=ended,
        exit_code=0 if alive else 105,
    )


def repair(root: Path, watch: Callable[[str], None] | None = None) -> tuple[Path, ...]:
    """Close every `.partial` whose owner is gone, as aborted; their new paths. One that cannot be
    read is left and reported.
    """
    closed = []
    for path in sorted((root / "runs").glob(f"*{PARTIAL}")):
        owner = owner_of(path)
        if owner is not None and owner.alive():
            continue
        try:
            run = read_directory(path)
            write_run(path, run)
            closed.append(RunDirectory(path, owner or NOBODY)._close())
        except StoreError as error:
            if watch:
                watch(f"{path.name} could not be closed: {error.message}")
    return tuple(closed)
