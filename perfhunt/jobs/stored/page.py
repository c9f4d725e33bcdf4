"""The page of a stored run, with the verdict on the change that led to it where there is one."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from perfhunt.errors import StoreError, UsageError
from perfhunt.model.document.plain import PlainError, from_plain
from perfhunt.model.run import Run
from perfhunt.model.verdict.attribution import Attribution
from perfhunt.model.verdict.change import OneChange
from perfhunt.model.verdict.prediction import PredictionScore
from perfhunt.model.verdict.verdict import Verdict
from perfhunt.reports.format import FORMATS, page_of_change
from perfhunt.reports.html.compared import BeforeAfter
from perfhunt.store.files import read_json
from perfhunt.store.listing import find
from perfhunt.store.predictions import VERDICT_FILE
from perfhunt.store.rundir import doubted, read_directory

# What verdict.json has beside the fields of what it holds.
_DERIVED = {"verdict": ("attributable",), "prediction": ("error", "within")}


def stored_page(name: str, store: Path) -> str:
    """The page of the run of that id, beginning of an id, or directory. A verdict beside it that
    cannot be read is a caution. Raises UsageError, StoreError.
    """
    directory = find(store, name)
    run = read_directory(directory)
    if not (directory / VERDICT_FILE).exists():
        return FORMATS["html"].render(run)
    try:
        return page_of_change(run, _story(read_json(directory / VERDICT_FILE), directory, store))
    except (StoreError, PlainError, LookupError, TypeError, AttributeError) as error:
        lost = f"the verdict is not shown: {VERDICT_FILE} cannot be read ({error})"
        return FORMATS["html"].render(doubted(run, lost))


def _story(plain: Any, directory: Path, store: Path) -> BeforeAfter:
    return BeforeAfter(
        before=_run_before(str(plain.get("before", "")), directory, store),
        verdict=from_plain(Verdict, _part(plain, "verdict")),
        change=from_plain(OneChange, plain["change"]),
        attribution=from_plain(Attribution, kept) if (kept := plain["attribution"]) else None,
        prediction=(
            from_plain(PredictionScore, _part(plain, "prediction")) if plain["prediction"] else None
        ),
    )


def _part(plain: Any, name: str) -> dict[str, Any]:
    return {key: value for key, value in plain[name].items() if key not in _DERIVED[name]}


def _run_before(name: str, directory: Path, store: Path) -> Run | None:
    """The run that this one was held against: it lies beside it, or in the store."""
    for place in (directory.parent / name, None) if name else ():
        with suppress(StoreError, UsageError):
            return read_directory(place if place is not None else find(store, name))
    return None
