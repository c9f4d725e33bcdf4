"""run.json: its text, its schema, and the Run in a directory. The shape itself is
`perfhunt.model.document`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from perfhunt.errors import StoreError, Unreadable
from perfhunt.model.document.bounded import json_value
from perfhunt.model.document.folded import fold, unfold
from perfhunt.model.document.plain import PlainError
from perfhunt.model.document.reading import read_document, read_trial, with_rows
from perfhunt.model.document.redaction import redacted
from perfhunt.model.document.writing import document, profile_file
from perfhunt.model.profile import Stack
from perfhunt.model.run import Run
from perfhunt.model.text.escaping import json_text
from perfhunt.model.trial import Trial
from perfhunt.store.files import RUN_FILE, read_json, read_lines, read_text, write_atomic

TRIALS_FILE = "trials.jsonl"
# What reading a document may raise that somebody else made, or damaged. PlainError is a ValueError.
UNLIKE = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RecursionError)


def dumps(run: Run) -> str:
    """The text of run.json, redacted."""
    return _text(redacted(run))


def loads(text: str, stacks: dict[str, dict[Stack, float]] | None = None) -> Run:
    """The Run in the text of a run.json. Raises StoreError when it is of another schema, or
    damaged.
    """
    try:
        return _read(json_value(text, "run.json"), stacks)
    except Unreadable as error:
        raise StoreError(error.message, error.hint) from error


def _read(plain: Any, stacks: dict[str, dict[Stack, float]] | None) -> Run:
    try:
        return read_document(plain, stacks)
    except PlainError as error:
        hint = (
            "Read it with the perfhunt that wrote it, or upgrade this one."
            if "schema" in str(error) or "unknown field" in str(error)
            else ""
        )
        raise StoreError(str(error), hint) from error
    except (ValueError, ArithmeticError) as error:
        raise StoreError(f"run.json is damaged: {error}") from error


def schema_text() -> str:
    """The JSON Schema (draft 2020-12) of run.json, every key with its meaning and unit."""
    from perfhunt.model.document.schema.schema import schema

    return json_text(schema(), indent=1) + "\n"


def write_run(directory: Path, run: Run) -> None:
    """Write the run, redacted. Profiles first, run.json last: when run.json is there, all it names
    is there.
    """
    run = redacted(run)
    for span, profile in run.profiles.items():
        write_atomic(directory / profile_file(span), fold(profile.stacks))
    write_atomic(directory / RUN_FILE, _text(run))


def write_document(directory: Path, run: Run) -> None:
    """Write the run's document anew, redacted, without its profiles. Raises StoreError."""
    write_atomic(directory / RUN_FILE, _text(redacted(run)))


def read_run(directory: Path) -> Run:
    """The whole Run in a directory: profiles and second rows included. Raises StoreError."""
    run = _read_document(directory, whole=True)
    return with_rows(run, stored_trials(directory))


def read_outline(directory: Path) -> Run:
    """The Run in a directory without stacks and second rows: for lists. Raises StoreError."""
    return _read_document(directory, whole=False)


def _read_document(directory: Path, whole: bool) -> Run:
    path = directory / RUN_FILE
    plain = read_json(path)
    try:
        return _read(plain, _stacks(directory, plain) if whole else None)
    except StoreError as error:
        raise StoreError(f"{path}: {error.message}", error.hint) from error
    except UNLIKE as error:
        raise StoreError(f"{path} is not a run: {error or type(error).__name__}") from error


def stored_trials(directory: Path) -> tuple[Trial, ...]:
    """Every trial appended so far, in order, second rows included. Raises StoreError."""
    trials = []
    for number, line in enumerate(read_lines(directory / TRIALS_FILE), start=1):
        try:
            if isinstance(line, dict) and "trial" in line:
                trials.append(read_trial(line["trial"], f"{TRIALS_FILE} line {number}"))
        except UNLIKE as error:
            raise StoreError(f"{directory / TRIALS_FILE}, line {number}: {error}") from error
    return tuple(trials)


def _text(run: Run) -> str:
    return json_text(document(run), indent=1, allow_nan=False) + "\n"


def _stacks(directory: Path, plain: Any) -> dict[str, dict[Stack, float]]:
    """The stacks of the profiles that a document names, by span."""
    stacks = {}
    named = plain.get("profiles", {}) if isinstance(plain, dict) else {}
    for span in named if isinstance(named, dict) else ():
        path = directory / profile_file(span)
        try:
            stacks[span] = unfold(read_text(path))
        except (ValueError, Unreadable) as error:
            raise StoreError(f"{path}: {error}") from error
    return stacks
