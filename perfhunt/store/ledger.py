"""The ledger: what `history` lists of every run, read from the run directories whenever it is asked
for. There is no index beside them that could be lost, locked, stale or damaged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from perfhunt.analysis.verdict.endpoints import cpu_per_request
from perfhunt.errors import ExitCode, StoreError
from perfhunt.model.document.redaction import redacted
from perfhunt.model.knee import Knee
from perfhunt.model.run import Run
from perfhunt.model.slo import Judgement
from perfhunt.model.text.escaping import visible
from perfhunt.model.units import Seconds
from perfhunt.model.verdict.prediction import PredictionScore
from perfhunt.store.files import RUN_FILE
from perfhunt.store.listing import Entry, EntryStatus, list_runs
from perfhunt.store.predictions import stored_predictions
from perfhunt.store.run_json import UNLIKE, read_outline
from perfhunt.store.rundir import read_directory

# The kind of a run that is there and cannot be read: `ended` says why.
UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One run in the ledger. Rates are per second; `p99_ms` is the baseline's, `p99_at_ms` that of
    the load that the SLO was judged at (`judged_at`), `cpu_ms` CPU per request at the baseline;
    None where a run has no such number.
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
    capacity_low: float | None = None
    capacity_high: float | None = None
    judged_at: float | None = None
    p99_at_ms: float | None = None
    cpu_ms: float | None = None


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


def row_of(run: Run, path: str) -> LedgerRow:
    """What the ledger keeps of a run, which is redacted already."""
    knee = run.knee if isinstance(run.knee, Knee) else None
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
        p99_ms=_milliseconds(run.baseline.response.p99 if run.baseline else None),
        bottleneck=run.bottleneck.category if run.bottleneck else "",
        top_function=visible(run.findings[0].function) if run.findings else "",
        seconds=run.seconds,
        capacity_low=run.capacity.low if run.capacity else None,
        capacity_high=run.capacity.high if run.capacity else None,
        judged_at=run.judged_at,
        p99_at_ms=_milliseconds(_p99_at(run)),
        cpu_ms=_milliseconds(cpu_per_request([run.baseline]) if run.baseline else None),
    )


def _milliseconds(seconds: Seconds | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _p99_at(run: Run) -> Seconds | None:
    """The p99 at the load that the SLO was judged at, of the largest trial there that counts."""
    there = [t for t in run.trials if t.step.rate == run.judged_at and not t.invalid]
    return max(there, key=lambda t: t.n).response.p99 if there else None


def history(root: Path, *, kind: str = "", limit: int = 50) -> tuple[LedgerRow, ...]:
    """The newest runs first, of one kind or of all; one that cannot be read is a row of the kind
    UNREADABLE. Raises StoreError when `root` itself cannot be read.
    """
    rows = (_row(root, entry) for entry in reversed(list_runs(root)))
    return tuple(islice((row for row in rows if kind in ("", row.kind)), limit))


def snapshots(root: Path) -> frozenset[str]:
    """The snapshots of uncommitted work that runs name. Raises StoreError when a run cannot be
    read: it may name one.
    """
    return frozenset(
        read_outline(entry.path).environment.git_snapshot for entry in list_runs(root)
    ) - {""}


def _row(root: Path, entry: Entry) -> LedgerRow:
    path = str(entry.path.relative_to(root))
    try:
        closed = entry.status is EntryStatus.CLOSED
        run = read_outline(entry.path) if closed else read_directory(entry.path)
        return replace(row_of(redacted(run), path), id=entry.id)
    except StoreError as error:
        return _unreadable(entry.id, path, error.message)
    except UNLIKE as error:
        return _unreadable(entry.id, path, f"{RUN_FILE} is not a run's: {error}")


def _unreadable(id: str, path: str, why: str) -> LedgerRow:
    return LedgerRow(
        id=id,
        path=path,
        kind=UNREADABLE,
        started="",
        ended=visible(f"{UNREADABLE}: {' '.join(why.split())}"),
        verdict=Judgement.UNKNOWN,
        exit_code=int(ExitCode.INTERNAL),
        target="",
        fingerprint="",
        git_revision="",
        git_dirty=0,
        knee=None,
        knee_low=None,
        knee_high=None,
        knee_none="",
        capacity=None,
        p99_ms=None,
        bottleneck="",
        top_function="",
        seconds=0.0,
    )


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


def predictions(root: Path) -> tuple[PredictionRow, ...]:
    """Every scored prediction, the newest first."""
    rows = [prediction_row(directory, score) for directory, score in stored_predictions(root)]
    return tuple(sorted(rows, key=lambda row: row.verification, reverse=True))
