"""The summary of a step of GitHub Actions: Markdown that is added to a file the runner names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from perfhunt.model.units import Bytes
from perfhunt.store.files import cannot_write

VARIABLE = "GITHUB_STEP_SUMMARY"
# A step's summary that is larger is dropped as a whole (GitHub, "Workflow commands").
LARGEST: Bytes = 1 << 20
_CUT = "\n_More is in the report: this is as much as a step's summary takes._\n"


def in_actions(environ: Mapping[str, str]) -> bool:
    """Whether a runner of GitHub Actions reads what is printed."""
    return environ.get("GITHUB_ACTIONS") == "true"


def add_summary(text: str, environ: Mapping[str, str]) -> bool:
    """Add to the step's summary as much as it still takes, in whole lines; whether there is one.
    Raises StoreError.
    """
    place = environ.get(VARIABLE, "")
    if not in_actions(environ) or not place:
        return False
    path = Path(place)
    try:
        with open(path, "ab") as file:
            file.write(cut(text, LARGEST - os.fstat(file.fileno()).st_size))
    except OSError as error:
        raise cannot_write(path, error) from error
    return True


def cut(text: str, room: Bytes) -> bytes:
    """The text, or as many whole lines of it as there is room for, and that it is not all."""
    raw = text.encode(errors="backslashreplace")
    if len(raw) <= room:
        return raw
    last = _CUT.encode()
    kept = raw[: max(room - len(last), 0)]
    return kept[: kept.rfind(b"\n") + 1] + last if b"\n" in kept else b""
