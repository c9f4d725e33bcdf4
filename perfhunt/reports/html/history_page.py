"""The runs of one question over commits, as one offline page: charts, where a level changed, the
run behind each point, and what became of predictions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from jinja2 import Template
from markupsafe import Markup

from perfhunt.model.units import format_rate, format_share
from perfhunt.reports.html.page import HERE, filled, policy
from perfhunt.reports.pictures.history_svg import (
    HistoryPoint,
    HistoryScale,
    HistoryStep,
    history_chart,
    style,
)
from perfhunt.reports.pictures.svg import template

OUTCOME_SCALE = HistoryScale("outcome", "times", "{:.2g}".format)


@dataclass(frozen=True, slots=True)
class HistorySeries:
    """A number of every run, oldest first, with the steps found in it; `unsaid` is why none was
    looked for ("": one was).
    """

    scale: HistoryScale
    note: str
    points: tuple[HistoryPoint, ...]
    steps: tuple[HistoryStep, ...] = ()
    unsaid: str = ""


@dataclass(frozen=True, slots=True)
class HistoryRun:
    """A run as the table has it; `report` is where its page is, from this one ("": none)."""

    id: str
    revision: str
    started: str
    kind: str
    verdict: str
    stopped_by: str
    report: str = ""


@dataclass(frozen=True, slots=True)
class HistoryPrediction:
    """A prediction and what came of it; rates per second."""

    verification: str
    function: str
    of: str
    predicted: float
    observed: float
    error: float | None


@dataclass(frozen=True, slots=True)
class HistoryBook:
    """All that the page shows; of `searched` runs that looked for a knee, `runs` were asked what
    the newest one was asked. `outcomes` are observed over predicted rates.
    """

    target: str
    fingerprint: str
    searched: int
    series: tuple[HistorySeries, ...]
    runs: tuple[HistoryRun, ...]
    outcomes: tuple[HistoryPoint, ...] = ()
    predictions: tuple[HistoryPrediction, ...] = ()


def history_html(book: HistoryBook) -> str:
    """The page. Everything that came from the target or its repository is escaped."""
    sheet = template(HERE, "report.css") + template(HERE, "history.css") + style()
    return _template().render(
        csp=policy("", sheet),
        style=Markup(sheet),
        target=book.target,
        fingerprint=book.fingerprint,
        searched=book.searched,
        runs=book.runs,
        sentence=_sentence(book),
        series=[_section(each) for each in book.series],
        outcomes=history_chart(book.outcomes, OUTCOME_SCALE),
        predictions=[_prediction(each) for each in book.predictions],
    )


@cache
def _template() -> Template:
    return filled("history.html.j2")


def _sentence(book: HistoryBook) -> str:
    moved = [each.scale.name for each in book.series if each.steps]
    if moved:
        return f"A level changed: {', '.join(moved)}."
    if all(each.unsaid for each in book.series):
        return "Whether anything changed cannot be told yet."
    return "No change of a level was found."


def _section(series: HistorySeries) -> dict[str, object]:
    return {
        "title": series.scale.name,
        "note": series.note,
        "chart": history_chart(series.points, series.scale, series.steps),
        "unsaid": series.unsaid,
        "steps": [
            {
                "run": series.points[step.at].run,
                "revision": series.points[step.at].revision,
                "words": step.words,
            }
            for step in series.steps
        ],
    }


def _prediction(row: HistoryPrediction) -> dict[str, str]:
    return {
        "verification": row.verification,
        "function": row.function,
        "of": row.of,
        "predicted": format_rate(row.predicted),
        "observed": format_rate(row.observed),
        "error": "" if row.error is None else format_share(row.error),
    }
