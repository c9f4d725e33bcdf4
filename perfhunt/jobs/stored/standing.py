"""Where a directory stands on the way to a verdict, looked up in an instant: file names and times
alone, nothing started and nothing read whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from perfhunt.change.paths import IGNORED, Role, role_of
from perfhunt.store.files import RUN_FILE
from perfhunt.store.listing import Entry, EntryStatus, find_test_file, list_runs

# Entries of directories that are looked at: beyond, an edit may stay unseen, and nobody waits.
_ENTRIES = 5000
# What others wrote, or a tool.
_NOT_OURS = frozenset({"node_modules", "site-packages", "__pycache__", "venv", "vendor", "target"})
_NO_EDIT = IGNORED | {Role.DATA, Role.QUESTION}


@dataclass(frozen=True, slots=True)
class DirectoryState:
    """The test file that applies in a directory, the newest closed run there, and a file of code
    that was edited since then; each None where there is none.
    """

    test_file: Path | None
    run: Entry | None
    edited: Path | None


def standing(directory: Path, store: Path) -> DirectoryState:
    """How far a directory has come; `store` is where its runs are kept. Raises StoreError."""
    closed = [entry for entry in list_runs(store) if entry.status is EntryStatus.CLOSED]
    run = closed[-1] if closed else None
    edited = None if run is None else _edited_since(directory, run)
    return DirectoryState(find_test_file(directory), run, edited)


def _edited_since(directory: Path, run: Entry) -> Path | None:
    """The file of code that was edited last, if that was after the run had ended."""
    latest, found = 0.0, None
    with suppress(OSError):
        latest = (run.path / RUN_FILE).stat().st_mtime
        for entry, _ in zip(_files(directory), range(_ENTRIES), strict=False):
            path = Path(entry.path).relative_to(directory)
            with suppress(OSError):
                changed = entry.stat(follow_symlinks=False).st_mtime
                if changed > latest and role_of(str(PurePosixPath(path))) not in _NO_EDIT:
                    latest, found = changed, path
    return found


def _files(directory: Path) -> Iterator[os.DirEntry[str]]:
    """Files below a directory, those of others and hidden ones left out; a virtual environment,
    whatever its name, is one of others.
    """
    waiting = [directory]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                listed = [e for e in entries if not e.name.startswith(".")]
        except OSError:
            continue
        if any(entry.name == "pyvenv.cfg" for entry in listed):
            continue
        for entry in listed:
            if entry.is_dir(follow_symlinks=False):
                waiting += [Path(entry.path)] if entry.name not in _NOT_OURS else []
            else:
                yield entry
