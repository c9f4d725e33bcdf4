"""The ledger: an index of runs for `history`. Directories are the truth; a lost or damaged ledger
is made again from them.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from perfhunt.errors import StoreError
from perfhunt.model.document.redaction import redacted
from perfhunt.model.knee import Knee
from perfhunt.model.run import Run
from perfhunt.model.text.escaping import visible
from perfhunt.model.units import Seconds
from perfhunt.model.verdict.prediction import PredictionScore
from perfhunt.store.listing import list_runs
from perfhunt.store.predictions import stored_predictions
from perfhunt.store.rundir import read_directory

LEDGER_FILE = "ledger.sqlite"
VERSION = 2
_PATIENCE: Seconds = 10.0  # for another perfhunt to finish its one short transaction


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One run in the ledger. Rates are per second; `p99_ms` is the baseline's; None where a run has
    no such number.
    """

    id: str
    path: str  # relative to the .perfhunt directory
    kind: str
    started: str
    ended: str
    verdict: str
    exit_code: int
    target: str
    fingerprint: str
    git_revision: str
    git_dirty: int
    knee: float | None
    knee_low: float | None
    knee_high: float | None
    knee_none: str
    capacity: float | None
    p99_ms: float | None
    bottleneck: str
    top_function: str
    seconds: float


@dataclass(frozen=True, slots=True)
class PredictionRow:
    """A prediction that was held against what came of the change. `verification` is the directory
    of that, `run` the one it was made in; rates are per second, `error` is predicted over observed
    less 1 (None: not known).
    """

    verification: str
    run: str
    function: str
    file: str
    of: str
    predicted: float
    low: float
    high: float
    observed: float
    observed_low: float
    observed_high: float
    at_least: int
    observed_at_least: int
    removed: float | None
    error: float | None


_COLUMNS = tuple(column.name for column in fields(LedgerRow))
_PREDICTED = tuple(column.name for column in fields(PredictionRow))
_TYPES = {"str": "TEXT", "int": "INTEGER", "float": "REAL"}  # of a field, of a column


def row_of(run: Run, path: str) -> LedgerRow:
    """What the ledger keeps of a run, which is redacted already."""
    knee = run.knee if isinstance(run.knee, Knee) else None
    p99 = run.baseline.response.p99 if run.baseline else None
    return LedgerRow(
        id=run.id,
        path=path,
        kind=run.kind,
        started=run.started,
        ended=visible(run.ended),
        verdict=run.verdict,
        exit_code=run.exit_code,
        target=visible(run.question.target.url),
        fingerprint=run.question.fingerprint(),
        git_revision=run.environment.git_revision,
        git_dirty=int(run.environment.git_dirty),
        knee=knee.rate if knee else None,
        knee_low=knee.low if knee else None,
        knee_high=knee.high if knee else None,
        knee_none="" if isinstance(run.knee, Knee) else run.knee.code,
        capacity=run.capacity.rate if run.capacity else None,
        p99_ms=None if p99 is None else p99 * 1000,
        bottleneck=run.bottleneck.category if run.bottleneck else "",
        top_function=visible(run.findings[0].function) if run.findings else "",
        seconds=run.seconds,
    )


def record(root: Path, run: Run, path: Path) -> None:
    """Add or replace a run, after its directory was closed. A ledger that cannot be used is
    rebuilt. Raises StoreError.
    """
    row = row_of(redacted(run), _relative(root, path))
    try:
        with _open(root) as ledger:
            _insert(ledger, row)
    except sqlite3.DatabaseError as error:
        _rebuild_unless_busy(root, error)


def rebuild(root: Path) -> tuple[str, ...]:
    """Make the ledger again from the directories; a sentence for each that could not be read."""
    for suffix in ("", "-wal", "-shm"):
        (root / (LEDGER_FILE + suffix)).unlink(missing_ok=True)
    problems = []
    try:
        with _open(root, new=True) as ledger:
            for directory, score in stored_predictions(root):
                _insert_prediction(ledger, prediction_row(directory, score))
            for entry in list_runs(root):
                try:
                    _insert(ledger, row_of(read_directory(entry.path), _relative(root, entry.path)))
                except StoreError as error:
                    problems.append(f"{entry.id} is not in the ledger: {error.message}")
    except sqlite3.Error as error:
        raise StoreError(f"{root / LEDGER_FILE} cannot be made: {error}") from error
    return tuple(problems)


def history(root: Path, *, kind: str = "", limit: int = 50) -> tuple[LedgerRow, ...]:
    """The newest runs first, of one kind or of all. A damaged ledger is rebuilt, then asked."""
    try:
        return _query(root, kind, limit)
    except sqlite3.DatabaseError as error:
        _rebuild_unless_busy(root, error)
        return _query(root, kind, limit)


def prediction_row(directory: Path, score: PredictionScore) -> PredictionRow:
    """What the ledger keeps of a scored prediction; `directory` is where its verification is."""
    return PredictionRow(
        verification=directory.name,
        run=score.run,
        function=visible(score.function),
        file=visible(score.file),
        of=score.of,
        predicted=score.predicted,
        low=score.low,
        high=score.high,
        observed=score.observed,
        observed_low=score.observed_low,
        observed_high=score.observed_high,
        at_least=int(score.at_least),
        observed_at_least=int(score.observed_at_least),
        removed=score.removed,
        error=score.error,
    )


def record_prediction(directory: Path, score: PredictionScore) -> None:
    """Add or replace a scored prediction, after its verdict was written below `directory`, which
    stands two levels below the root. A ledger that cannot be used is rebuilt. Raises StoreError.
    """
    root = directory.parent.parent
    try:
        with _open(root) as ledger:
            _insert_prediction(ledger, prediction_row(directory, score))
    except sqlite3.DatabaseError as error:
        _rebuild_unless_busy(root, error)


def predictions(root: Path) -> tuple[PredictionRow, ...]:
    """Every scored prediction, the newest first. A damaged ledger is rebuilt, then asked."""
    try:
        return _query_predictions(root)
    except sqlite3.DatabaseError as error:
        _rebuild_unless_busy(root, error)
        return _query_predictions(root)


def _query_predictions(root: Path) -> tuple[PredictionRow, ...]:
    sql = f"SELECT {', '.join(_PREDICTED)} FROM predictions ORDER BY verification DESC"
    with _open(root) as ledger:
        return tuple(PredictionRow(*row) for row in ledger.execute(sql))


def _rebuild_unless_busy(root: Path, error: sqlite3.DatabaseError) -> None:
    if "locked" in str(error):  # another perfhunt is writing: its ledger is not damaged
        raise StoreError(
            f"{root / LEDGER_FILE} stayed locked for {_PATIENCE:.0f} s",
            "Try again when the other perfhunt has ended.",
        ) from error
    rebuild(root)


def _query(root: Path, kind: str, limit: int) -> tuple[LedgerRow, ...]:
    sql = (
        f"SELECT {', '.join(_COLUMNS)} FROM runs WHERE (:kind = '' OR kind = :kind)"
        " ORDER BY started DESC, id DESC LIMIT :limit"
    )
    values = {"kind": kind, "limit": limit}
    with _open(root) as ledger:
        return tuple(LedgerRow(*row) for row in ledger.execute(sql, values))


@contextlib.contextmanager
def _open(root: Path, new: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection in a transaction. Raises DatabaseError for a ledger that is missing, damaged or
    of another version.
    """
    root.mkdir(parents=True, exist_ok=True)
    ledger = sqlite3.connect(root / LEDGER_FILE, timeout=_PATIENCE)
    try:
        ledger.execute("PRAGMA journal_mode=WAL")
        if new:
            for table, row, key in (
                ("runs", LedgerRow, "id"),
                ("predictions", PredictionRow, "verification"),
            ):
                ledger.executescript(
                    f"CREATE TABLE {table} ({_typed(row)}, PRIMARY KEY ({key}))"
                    " STRICT, WITHOUT ROWID"
                )
            ledger.execute(f"PRAGMA user_version = {VERSION}")
        version = ledger.execute("PRAGMA user_version").fetchone()[0]
        if version != VERSION:
            raise sqlite3.DatabaseError(f"ledger version {version}, not {VERSION}")
        with ledger:
            yield ledger
    finally:
        ledger.close()


def _typed(row: type[LedgerRow | PredictionRow]) -> str:
    return ", ".join(f"{c.name} {_TYPES[str(c.type).split(' ')[0]]}" for c in fields(row))


def _insert_prediction(ledger: sqlite3.Connection, row: PredictionRow) -> None:
    marks = ", ".join("?" for _ in _PREDICTED)
    ledger.execute(f"INSERT OR REPLACE INTO predictions VALUES ({marks})", astuple(row))


def _insert(ledger: sqlite3.Connection, row: LedgerRow) -> None:
    marks = ", ".join("?" for _ in _COLUMNS)
    ledger.execute(f"INSERT OR REPLACE INTO runs VALUES ({marks})", astuple(row))


def _relative(root: Path, path: Path) -> str:
    path, root = path.resolve(), root.resolve()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
