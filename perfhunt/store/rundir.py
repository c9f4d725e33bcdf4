"""The run directory: the truth about one investigation, readable at every moment of its life.

While a run is going its directory ends in `.partial` and holds a lock of its writer. Closing it is
one rename. A crash, even kill -9, leaves a `.partial` with every trial that ended; `repair` closes
those whose lock nobody holds. Some space is kept for the end from the beginning, for a disk may
fill up meanwhile.

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
import tempfile
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from perfhunt.errors import StoreError
from perfhunt.model.document.plain import PlainError, from_plain, to_plain
from perfhunt.model.document.writing import trial_document
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.run import Run, RunEnd
from perfhunt.model.trial import Drained, Phase, Trial
from perfhunt.model.units import Bytes
from perfhunt.store.files import (
    PARTIAL,
    append_line,
    cannot_write,
    make_directory,
    open_store,
    read_lines,
    sync_directory,
    write_atomic,
)
from perfhunt.store.owner import (
    LOCK,
    MARKER,
    RunWriter,
    hold,
    is_held,
    making,
    owner_of,
    write_owner,
)
from perfhunt.store.run_json import TRIALS_FILE, read_run, stored_trials, write_run

EVENTS_FILE = "events.jsonl"
RESERVE = "reserve"
# A large run.json with its profiles, twice: the old one goes when the new one is there.
RESERVED: Bytes = 4 * 2**20
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

    def __init__(self, path: Path, owner: RunWriter, lock: IO[bytes]) -> None:
        """`lock` is ours from now on."""
        self.path = path
        self._owner, self._lock = owner, lock
        self._stored: set[tuple[Any, float]] = set()

    @classmethod
    def create(cls, root: Path, run: Run) -> RunDirectory:
        """Open `<root>/runs/<run.id>.partial`, with what is known of the run so far in its
        run.json. `root` is `.perfhunt`.
        """
        final = root / "runs" / (run.id + PARTIAL)
        # Out of sight until it is locked and readable: nobody else finds half a directory.
        path = final.with_name(f".{final.name}")
        open_store(root)
        with making(final.parent):
            make_directory(path / "trials")
            directory = cls(path, RunWriter(run.started), hold(path))
            write_owner(path, directory._owner)
            directory.begin(run)
            _reserve(path / RESERVE)
            try:
                os.rename(path, final)
            except OSError as error:
                raise cannot_write(final, error) from error
        directory.path = final
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

    def finish(self, run: Run) -> Path:
        """Write the run and close the directory by one rename; the path it then has."""
        with suppress(OSError):
            (self.path / RESERVE).unlink()
        for trial in (*((run.baseline,) if run.baseline else ()), *run.trials):
            if (trial.step, trial.started) not in self._stored:
                self.append_trial(trial)
        write_run(self.path, run)
        self.path = _closed(self.path)
        self._lock.close()
        return self.path


def write_artifact(directory: Path, name: str, content: str | bytes) -> None:
    """Write a report or picture beside run.json; `name` is a plain file name. Raises StoreError."""
    if not _ARTIFACT.fullmatch(name):
        raise StoreError(f"{name!r} is not a plain file name")
    write_atomic(directory / name, content)


def _reserve(path: Path) -> None:
    """Space that is there at the end, if there is so much now; a run does without it."""
    try:
        with open(path, "xb") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVED)
    except OSError:
        with suppress(OSError):
            path.unlink()


def _closed(path: Path) -> Path:
    """A directory under the name it has when it is closed."""
    final = path.with_name(path.name.removesuffix(PARTIAL))
    try:
        os.rename(path, final)
        sync_directory(final.parent)
    except OSError as error:
        raise cannot_write(final, error) from error
    for name in (RESERVE, MARKER, LOCK):
        with suppress(OSError):
            (final / name).unlink()
    return final


def read_directory(path: Path) -> Run:
    """The Run in a directory, closed or not. A `.partial` comes back with its trials and `ended`
    saying why it is short. Raises StoreError.
    """
    run = read_run(path)
    if not path.name.endswith(PARTIAL):
        return run
    trials, drains = stored_trials(path), _drains(path)
    lowest = (t for t in reversed(trials) if t.step.phase is Phase.BASELINE)
    alive = is_held(path)
    phase = owner_of(path).phase
    ended = (
        RunEnd.RUNNING
        if alive
        else f"{RunEnd.ABORTED}: perfhunt was ended from outside during {phase}"
    )
    return replace(
        run,
        trials=trials,
        drains=drains,
        baseline=run.baseline or next(lowest, None),
        ended=ended,
        exit_code=0 if alive else 105,
    )


def _drains(path: Path) -> tuple[Drained, ...]:
    lines = [line for line in read_lines(path / TRIALS_FILE) if isinstance(line, dict)]
    try:
        return tuple(from_plain(Drained, line["drain"]) for line in lines if "drain" in line)
    except PlainError as error:
        raise StoreError(f"{path / TRIALS_FILE}: {error}") from error


def repair(root: Path) -> tuple[Path, ...]:
    """Close every `.partial` whose writer is gone, as aborted; their new paths. One that cannot be
    read or written is left as it is: the list of runs tells of it.
    """
    closed = []
    for path in sorted((root / "runs").glob(f"*{PARTIAL}")):
        if path.name.startswith(".") or path.is_symlink() or is_held(path):
            continue
        with suppress(StoreError):
            write_run(path, read_directory(path))
            closed.append(_closed(path))
    return tuple(closed)


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
    """The run with a caution, before all others, that something of it was not kept."""
    caution = Caution(CautionCode.NOT_KEPT, f"{sentence[:1].upper()}{sentence[1:]}.", next)
    return replace(run, cautions=(caution, *run.cautions))
