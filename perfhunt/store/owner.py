"""Who is writing a run directory: a lock in it that the kernel lets go when the writer is gone,
and, for people, a marker with the phase that it is in.

A lock says who lives across pid namespaces and users, after a reboot and when a pid is used again;
a pid says none of that.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from perfhunt.errors import StoreError
from perfhunt.model.text.escaping import json_text
from perfhunt.store.files import cannot_write, read_json, write_atomic

MARKER = "owner.json"
LOCK = "owner.lock"
_OURS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class RunWriter:
    """Since when a `.partial` is written (ISO 8601, UTC), and the phase that the writer is in."""

    started: str
    phase: str = "start"


NOBODY = RunWriter("")


def hold(directory: Path) -> IO[bytes]:
    """The lock on a directory that we write, until it is closed or this process is no more. Raises
    StoreError.
    """
    try:
        file = os.fdopen(os.open(directory / LOCK, _OURS, 0o644), "rb")
    except OSError as error:
        raise cannot_write(directory / LOCK, error) from error
    with suppress(OSError):  # a file system without locks, of which `is_held` then knows nothing
        fcntl.flock(file, fcntl.LOCK_EX)
    return file


def is_held(directory: Path) -> bool:
    """Whether somebody is writing a directory now. Where that cannot be told they are: a run that
    may be alive is left alone.
    """
    try:
        lock = os.open(directory / LOCK, _LOOK)
    except PermissionError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def owner_of(path: Path) -> RunWriter:
    """Who was or is writing a directory; NOBODY when that was never noted, or is unreadable."""
    try:
        plain = read_json(path / MARKER)
        return RunWriter(str(plain["started"]), str(plain["phase"]))
    except (StoreError, LookupError, TypeError):
        return NOBODY


def write_owner(path: Path, owner: RunWriter) -> None:
    """Note in a directory who writes it. Raises StoreError."""
    plain = {"pid": os.getpid(), "started": owner.started, "phase": owner.phase}
    write_atomic(path / MARKER, json_text(plain))
