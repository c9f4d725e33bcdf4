"""Who is writing a run directory: a lock in it that the kernel lets go when the writer is gone,
and, for people, a marker with the phase that it is in.

A lock says who lives across pid namespaces and users, after a reboot and when a pid is used again;
a pid says none of that.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from perfhunt.errors import StoreError
from perfhunt.model.text.escaping import json_text
from perfhunt.store.files import PARTIAL, cannot_write, make_directory, read_json, write_atomic

MARKER = "owner.json"
LOCK = "owner.lock"
UNPACKING = ".unpack-"  # how the name of a directory begins that a pack is read into
# Directories that are out of sight until they are whole.
_MAKING = re.compile(rf"\{UNPACKING}[0-9a-f]+|\..+\{PARTIAL}")
_OURS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class RunWriter:
    """Since when a `.partial` is written (ISO 8601, UTC), and the phase that the writer is in."""

    started: str
    phase: str = "start"


NOBODY = RunWriter("")


@contextmanager
def making(runs: Path) -> Iterator[None]:
    """While a directory is made out of sight in `runs`, which is made if need be. What others left
    half made goes first: whoever is making one holds a lock on `runs`, which the kernel lets go of
    however they end. Raises StoreError.
    """
    make_directory(runs)
    try:
        there = os.open(runs, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise cannot_write(runs, error) from error
    try:
        with suppress(OSError):  # somebody is making one, or the file system has no locks
            fcntl.flock(there, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for name in os.listdir(runs):
                if _MAKING.fullmatch(name):
                    shutil.rmtree(runs / name, ignore_errors=True)
        with suppress(OSError):
            fcntl.flock(there, fcntl.LOCK_SH)
        yield
    finally:
        os.close(there)


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
