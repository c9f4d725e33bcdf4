"""`perfhunt history --html`: the runs of one question over commits, on a page."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from perfhunt.analysis.verdict.change_points import FEWEST, change_points
from perfhunt.jobs.stored.history import KneePlot, asked_alike, revision_of
from perfhunt.model.run import RunKind
from perfhunt.model.units import format_duration, format_rate, format_share
from perfhunt.reports.html.history_page import (
    HistoryBook,
    HistoryPrediction,
    HistoryRun,
    HistorySeries,
    history_html,
)
from perfhunt.reports.pictures.history_svg import (
    KNEE_SCALE,
    HistoryPoint,
    HistoryScale,
    HistoryStep,
)
from perfhunt.store.files import write_atomic
from perfhunt.store.ledger import LedgerRow, PredictionRow

REPORT = "report.html"


@dataclass(frozen=True, slots=True)
class Charted:
    """A number of the ledger that is charted: how it is read off a row, its interval (None: it has
    none) and what is said of it.
    """

    scale: HistoryScale
    note: str
    value: Callable[[LedgerRow], float | None]
    low: Callable[[LedgerRow], float | None] = lambda row: None
    high: Callable[[LedgerRow], float | None] = lambda row: None


def _of_milliseconds(value: float) -> str:
    return format_duration(value / 1000)


KNEE_AND_CAPACITY = (
    Charted(
        KNEE_SCALE,
        "the load up to which the SLO holds",
        lambda row: row.knee,
        lambda row: row.knee_low,
        lambda row: row.knee_high,
    ),
    Charted(
        HistoryScale("capacity", "req/s", format_rate),
        "answers per second when saturated",
        lambda row: row.capacity,
        lambda row: row.capacity_low,
        lambda row: row.capacity_high,
    ),
)


def charted(newest: LedgerRow) -> tuple[Charted, ...]:
    """What is charted: p99 at the load that the newest run's SLO was judged at."""
    rate = newest.judged_at
    at = "" if rate is None else f" at {format_rate(rate)}"
    return (
        *KNEE_AND_CAPACITY,
        Charted(
            HistoryScale(f"p99{at}", "ms", _of_milliseconds),
            "the load that the SLO is judged at",
            lambda row: row.p99_at_ms if row.judged_at == rate else None,
        ),
        Charted(
            HistoryScale("CPU per request", "ms", _of_milliseconds),
            "at the baseline's load",
            lambda row: row.cpu_ms,
        ),
    )


def write_history_page(
    rows: Sequence[LedgerRow], predictions: Sequence[PredictionRow], store: Path, path: Path
) -> KneePlot:
    """Write the page of the runs that were asked what the newest one was asked, and of the
    predictions that they made. Raises UsageError when no run has looked for a knee.
    """
    alike, searched = asked_alike(rows)
    revisions = {row.id: revision_of(row) for row in alike}
    theirs = [
        each for each in reversed(predictions) if each.run in revisions and _told(each.predicted)
    ]
    book = HistoryBook(
        target=alike[-1].target,
        fingerprint=alike[-1].fingerprint,
        searched=searched,
        series=tuple(_series(each, alike) for each in charted(alike[-1])),
        outcomes=tuple(_outcome(each, revisions[each.run]) for each in theirs),
        runs=tuple(_run(row, store, path) for row in alike),
        predictions=tuple(_prediction(each) for each in theirs),
    )
    write_atomic(path, history_html(book))
    return KneePlot(len(alike), searched)


def _series(chart: Charted, rows: Sequence[LedgerRow]) -> HistorySeries:
    values = [(at, value) for at, row in enumerate(rows) if (value := _told(chart.value(row)))]
    steps = tuple(
        HistoryStep(values[step.at][0], f"{_signed(step.change)}, p = {step.p:.2g}")
        for step in change_points([value for _, value in values])
    )
    missing = f"cannot tell: {len(values)} runs have it, {FEWEST} are needed"
    return HistorySeries(
        scale=chart.scale,
        note=chart.note,
        points=tuple(_point(chart, row) for row in rows),
        steps=steps,
        unsaid=missing if len(values) < FEWEST else "",
    )


def _told(value: float | None) -> float | None:
    """A number that can be drawn: files of others may hold any."""
    return value if value is not None and 0 < value < math.inf else None


def _signed(share: float) -> str:
    return ("+" if share >= 0 else "−") + format_share(abs(share))


def _point(chart: Charted, row: LedgerRow) -> HistoryPoint:
    return HistoryPoint(
        revision=revision_of(row),
        started=row.started,
        value=_told(chart.value(row)),
        low=_told(chart.low(row)),
        high=_told(chart.high(row)),
        none=row.knee_none if chart.scale is KNEE_SCALE else "not measured",
        verify=row.kind == RunKind.VERIFY,
        run=row.id,
    )


def _run(row: LedgerRow, store: Path, page: Path) -> HistoryRun:
    report = store / row.path / REPORT
    return HistoryRun(
        id=row.id,
        revision=revision_of(row),
        started=f"{row.started[:16].replace('T', ' ')} UTC",
        kind=row.kind,
        verdict=row.verdict,
        stopped_by=" in ".join(filter(None, [row.bottleneck, row.top_function])),
        report=quote(os.path.relpath(report, page.parent)) if report.is_file() else "",
    )


def _outcome(row: PredictionRow, revision: str) -> HistoryPoint:
    """What was observed over what was predicted, at the revision that it was predicted of."""
    day, clock = row.verification[:8], row.verification[9:13]
    return HistoryPoint(
        revision=revision,
        started=f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock[:2]}:{clock[2:]}",
        value=_told(row.observed / row.predicted),
        low=_told(row.observed_low / row.predicted),
        high=_told(row.observed_high / row.predicted),
        none="nothing observed",
        verify=True,
        run=f"{row.verification}, {row.function}",
    )


def _prediction(row: PredictionRow) -> HistoryPrediction:
    return HistoryPrediction(
        verification=row.verification,
        function=row.function,
        of=row.of,
        predicted=row.predicted,
        observed=row.observed,
        error=row.error,
    )
