"""The runs kept here; those that a crash left open are closed first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from perfhunt.analysis.verdict.prediction import PredictionRecord, record_of
from perfhunt.errors import UsageError
from perfhunt.model.run import SEARCHED, EventWatcher, Noted, RunEnd, RunKind, unwatched
from perfhunt.model.verdict.prediction import Predicted, PredictionScore
from perfhunt.reports.pictures.history_svg import HistoryPoint, knee_history
from perfhunt.store import ledger
from perfhunt.store.files import write_atomic
from perfhunt.store.ledger import LedgerRow, PredictionRow
from perfhunt.store.rundir import repair


@dataclass(frozen=True, slots=True)
class KneePlot:
    """A drawn history: of `searched` runs that looked for a knee, `drawn` were asked what the
    newest one was asked.
    """

    drawn: int
    searched: int


def read_history(
    store: Path, *, limit: int, watch: EventWatcher = unwatched
) -> tuple[LedgerRow, ...]:
    """The newest runs first, at most `limit`; one that cannot be read is a row that says why."""
    for closed in repair(store):
        watch(Noted(f"closed {closed.name}: perfhunt was ended from outside while it ran"))
    return ledger.history(store, limit=limit)


@dataclass(frozen=True, slots=True)
class PredictionHistory:
    """How good predictions have been here: all of them, newest first, and in sum."""

    rows: tuple[PredictionRow, ...]
    record: PredictionRecord


def read_predictions(store: Path) -> PredictionHistory:
    """Every prediction that a verification has held against what came of the change."""
    rows = ledger.predictions(store)
    return PredictionHistory(rows, record_of(score_of(row) for row in rows))


def score_of(row: PredictionRow) -> PredictionScore:
    """The score that a row of the ledger keeps."""
    return PredictionScore(
        run=row.run,
        function=row.function,
        file=row.file,
        of=Predicted(row.of),
        predicted=row.predicted,
        low=row.low,
        high=row.high,
        observed=row.observed,
        observed_low=row.observed_low,
        observed_high=row.observed_high,
        at_least=bool(row.at_least),
        observed_at_least=bool(row.observed_at_least),
        removed=row.removed,
    )


def draw_knees(rows: Sequence[LedgerRow], path: Path) -> KneePlot:
    """Draw the knees of the runs that were asked what the newest one was asked: only those compare.

    Raises UsageError when no run has looked for a knee.
    """
    alike, searched = asked_alike(rows)
    title = f"Knee of {alike[-1].target} over {len(alike)} runs"
    write_atomic(path, knee_history([_point(row) for row in alike], title))
    return KneePlot(len(alike), searched)


def asked_alike(rows: Sequence[LedgerRow]) -> tuple[list[LedgerRow], int]:
    """The runs that were asked what the newest one was asked, oldest first, and how many looked for
    a knee at all. Raises UsageError when none did.
    """
    searched = [row for row in rows if row.kind in SEARCHED and row.ended == RunEnd.COMPLETE]
    if not searched:
        raise UsageError(
            "no run here has looked for a knee", "Make one: perfhunt investigate --pid PID"
        )
    newest = searched[0].fingerprint
    return [row for row in reversed(searched) if row.fingerprint == newest], len(searched)


def revision_of(row: LedgerRow) -> str:
    """The revision that a run measured, short; `+` for uncommitted work."""
    return row.git_revision[:7] + ("+" if row.git_dirty else "")


def _point(row: LedgerRow) -> HistoryPoint:
    return HistoryPoint(
        revision=revision_of(row),
        started=row.started,
        value=row.knee,
        low=row.knee_low,
        high=row.knee_high,
        none=row.knee_none,
        verify=row.kind == RunKind.VERIFY,
    )
