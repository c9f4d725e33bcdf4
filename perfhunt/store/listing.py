"""Which runs there are, and finding the one a person means."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from perfhunt.errors import StoreError, UsageError
from perfhunt.store.owner import is_held
from perfhunt.store.run_json import RUN_FILE
from perfhunt.store.rundir import PARTIAL

_STAMP = re.compile(r"\d{8}T\d{6}Z-")  # how the names of runs begin that perfhunt gave


class EntryStatus(StrEnum):
    """Where a run's directory is in its life."""

    CLOSED = "closed"
    RUNNING = "running"
    ABORTED = "aborted"  # its writer is gone: see `repair`


@dataclass(frozen=True, slots=True)
class Entry:
    """One directory under `runs`."""

    id: str
    path: Path
    status: EntryStatus


def list_runs(root: Path) -> tuple[Entry, ...]:
    """Every run under `root` (a `.perfhunt`), oldest first; damaged ones too. Directories with a
    name of somebody else's come before all others. Raises StoreError when they cannot be listed.
    """
    try:
        with os.scandir(root / "runs") as entries:
            names = [entry.name for entry in entries if _is_directory(entry)]
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise StoreError(f"{root / 'runs'} cannot be read: {error.strerror}") from error
    ours = sorted(
        (_STAMP.match(name) is not None, name) for name in names if not name.startswith(".")
    )
    return tuple(_entry(root / "runs" / name) for _, name in ours)


def _is_directory(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):  # a link to itself
        return entry.is_dir()
    return False


def latest(root: Path) -> Path:
    """The newest closed run's directory. Raises StoreError when there is none."""
    closed = [entry for entry in list_runs(root) if entry.status is EntryStatus.CLOSED]
    if not closed:
        raise StoreError(
            f"no finished run under {root}", "Make one: perfhunt investigate --pid PID"
        )
    return closed[-1].path


def find(root: Path, selector: str = "last") -> Path:
    """The directory of "last", of a run's id or the beginning of one, or of a path. Raises
    UsageError, StoreError.
    """
    if selector in ("last", "latest", ""):
        return latest(root)
    if "/" in selector or Path(selector, RUN_FILE).exists():
        path = Path(selector)
        if (path / RUN_FILE).exists():
            return path
        raise UsageError(f"{selector} holds no run.json", "List the runs: perfhunt history")
    matching = [
        e for e in list_runs(root) if e.id.startswith(selector) or e.id.endswith(f"-{selector}")
    ]
    if len(matching) != 1:
        many = f"{len(matching)} runs under {root} match"
        why = many if matching else f"no run under {root} matches"
        raise UsageError(f"{why} {selector!r}", "List the runs: perfhunt history")
    return matching[0].path


def _entry(path: Path) -> Entry:
    if not path.name.endswith(PARTIAL):
        return Entry(path.name, path, EntryStatus.CLOSED)
    status = EntryStatus.RUNNING if is_held(path) else EntryStatus.ABORTED
    return Entry(path.name.removesuffix(PARTIAL), path, status)
