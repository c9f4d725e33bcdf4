"""A host's noise on disk: `calibration.json`, good where and when it was measured."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from perfhunt.analysis.verdict.calibration import Calibration
from perfhunt.errors import StoreError, Unreadable
from perfhunt.model import redact
from perfhunt.model.document.bounded import json_value
from perfhunt.model.document.plain import PlainError, from_plain, to_plain
from perfhunt.model.text.escaping import json_text
from perfhunt.store.files import open_store, read_text, write_atomic

CALIBRATION_FILE = "calibration.json"
SCHEMA = 1
# Days that a calibration holds: a host's neighbours and its kernel's settings seldom stay longer.
GOOD_FOR_DAYS = 30


@dataclass(frozen=True, slots=True)
class StoredCalibration:
    """A calibration on disk, with where and when it holds. `made` is ISO 8601, UTC."""

    schema: int
    made: str
    host: str
    kernel: str
    command: tuple[str, ...]
    calibration: Calibration


def save_calibration(
    store: Path, calibration: Calibration, command: tuple[str, ...], now: datetime
) -> None:
    """Keep a calibration, its command line without secrets. Raises StoreError."""
    open_store(store)
    stored = StoredCalibration(
        schema=SCHEMA,
        made=now.isoformat(timespec="seconds"),
        host=platform.node(),
        kernel=platform.release(),
        command=redact.command(command, command[0] if command else ""),
        calibration=calibration,
    )
    write_atomic(store / CALIBRATION_FILE, json_text(to_plain(stored), indent=2) + "\n")


def load_calibration(store: Path, now: datetime | None = None) -> tuple[Calibration | None, str]:
    """The calibration that holds on this host today, and a sentence on why one that is there does
    not; ("" otherwise).
    """
    path = store / CALIBRATION_FILE
    if not os.path.lexists(path):
        return None, ""
    try:
        stored = _read(read_text(path))
        age = ((now or datetime.now(UTC)) - datetime.fromisoformat(stored.made)).days
    except (ValueError, TypeError, ArithmeticError, StoreError, Unreadable) as error:
        return None, f"{path} cannot be read ({error}): measure again with perfhunt calibrate"
    again = "it is not used; measure again with: perfhunt calibrate -- COMMAND"
    if age > GOOD_FOR_DAYS:
        return None, f"the calibration in {path} is {age} days old: {again}"
    for what, then, today in (
        ("host", stored.host, platform.node()),
        ("kernel", stored.kernel, platform.release()),
    ):
        if then != today:
            return None, f"the calibration in {path} is of another {what} ({then}): {again}"
    return stored.calibration, ""


def _read(text: str) -> StoredCalibration:
    plain = json_value(text, "it")
    if not isinstance(plain, dict) or plain.get("schema") != SCHEMA:
        raise PlainError(f"not a calibration of schema {SCHEMA}")
    return from_plain(StoredCalibration, plain)
