"""Directories of ours for as long as this process lives; those of one that crashed are swept.

A lock on the directory says that its owner lives: the kernel lets go of it however the owner ends,
and a process number means nothing in another container that shares /tmp.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

PLACE = "perfhunt-place-"


@dataclass(frozen=True, slots=True)
class HeldDirectory:
    """A new directory that only its owner may enter, and the lock on it."""

    path: Path
    lock: int

    def remove(self) -> None:
        """Take it away with all it holds."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)


def held_directory(what: str) -> HeldDirectory:
    """A new directory in the place for temporary files."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=f"{PLACE}{what}-")).resolve()
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue  # somebody swept it before it could be locked
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return HeldDirectory(path, lock)
        os.close(lock)


def sweep() -> tuple[Path, ...]:
    """Take away what a crashed perfhunt of this user left behind; returns where it was."""
    swept = []
    for path in Path(tempfile.gettempdir()).resolve().glob(f"{PLACE}*"):
        if _left(path):
            shutil.rmtree(path, ignore_errors=True)
            swept.append(path)
    return tuple(swept)


def _left(path: Path) -> bool:
    """Whether a directory is ours and its owner does not hold it any more."""
    try:
        about = path.lstat()
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
            return False
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True
