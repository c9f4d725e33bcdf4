"""Scored predictions as verdict.json keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from perfhunt.errors import StoreError
from perfhunt.model.document.plain import to_plain
from perfhunt.model.verdict.prediction import PredictionScore
from perfhunt.store.files import read_json

VERDICT_FILE = "verdict.json"
# Where verifications are kept below the root: of one process as runs, of pairs on their own.
_PLACES = ("runs", "verify")


def prediction_document(score: PredictionScore) -> dict[str, object]:
    """A scored prediction as JSON values, its error with it."""
    plain: dict[str, object] = dict(to_plain(score))
    return {**plain, "error": score.error, "within": score.within}


def stored_predictions(root: Path) -> Iterator[tuple[Path, PredictionScore]]:
    """Every scored prediction with the directory of its verification, oldest first. One that cannot
    be read is left out: its verdict.json stands for itself.
    """
    for place in _PLACES:
        for path in sorted((root / place).glob(f"*/{VERDICT_FILE}")):
            try:
                kept = read_json(path).get("prediction")
                if kept:
                    yield path.parent, msgspec.convert(kept, PredictionScore)
            except (StoreError, ValueError, AttributeError, msgspec.MsgspecError):
                continue
