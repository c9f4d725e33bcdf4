"""What there is to find from a directory, quickly: which runs, the one a person means, and the test
file.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from perfhunt.errors import StoreError, Unreadable, UsageError
from perfhunt.model.document.bounded import toml_table
from perfhunt.model.units import Bytes
from perfhunt.store.files import PARTIAL, RUN_FILE, regular_bytes
from perfhunt.store.owner import is_held

FILE_NAME, TABLE = "perfhunt.toml", "tool.perfhunt"
# People write these by hand; the largest pyproject.toml there are have 100 kB.
LARGEST_TEST_FILE: Bytes = 1 << 20
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
    except FileNotFoundError:
        return ()
    except NotADirectoryError:
        if root.is_dir():
            return ()
        raise StoreError(
            f"{root} is not a directory, so no runs can be in it",
            "Move it away, or say where runs are kept: --store PATH",
        ) from None
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


def find_test_file(start: Path) -> Path | None:
    """The test file that applies in a directory: in it, or in the nearest parent up to the root of
    the git repository.

    `perfhunt.toml` wins over a `pyproject.toml` beside it; a `pyproject.toml` without
    `[tool.perfhunt]` does not count.
    """
    start = start.resolve()
    for directory in (start, *start.parents):
        if (own := directory / FILE_NAME).is_file():
            return own
        if _has_table(directory / "pyproject.toml"):
            return directory / "pyproject.toml"
        if (directory / ".git").exists():
            return None
    return None


def _has_table(pyproject: Path) -> bool:
    try:
        document = toml_table(regular_bytes(pyproject, LARGEST_TEST_FILE).decode(), str(pyproject))
    except (OSError, ValueError, Unreadable):
        return False  # another tool's file, and broken: not for us to report
    tool = document.get("tool")
    return isinstance(tool, dict) and "perfhunt" in tool
