"""Files that are whole or not there: atomic writes, lines that survive a crash."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perfhunt.errors import StoreError, Unreadable
from perfhunt.model.document.bounded import json_value, numbered, read_all
from perfhunt.model.text.escaping import json_text
from perfhunt.model.units import Bytes

# Of a file of a run. A run of a day has 2 MB of run.json, 100 MB of trials with their second rows.
LARGEST: Bytes = 256 << 20


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace `path` by `content` in one step: readers and a power loss see the old file or the new
    one. Raises StoreError.
    """
    raw = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(part, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise cannot_write(path, error) from error


def append_line(path: Path, plain: Any) -> None:
    """Add one JSON line and wait until it is on the disk. Raises StoreError."""
    line = json_text(plain, separators=(",", ":"), allow_nan=False) + "\n"
    try:
        with open(path, "ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise cannot_write(path, error) from error


def read_lines(path: Path) -> Iterator[Any]:
    """Every whole JSON line; a torn last line (a crash in mid-write) ends the reading quietly, a
    torn earlier one raises.
    """
    if not path.exists():
        return
    text = read_text(path)
    finished = text.count("\n")
    try:
        for number, line in numbered(text, str(path)):
            if line:
                try:
                    yield json_value(line, f"{path}, line {number},")
                except Unreadable:
                    if number <= finished:
                        raise
    except Unreadable as error:
        raise StoreError(error.message, error.hint) from error


def read_text(path: Path) -> str:
    """The text of a file of ours. Raises StoreError when it cannot be read."""
    try:
        return regular_bytes(path).decode()
    except (OSError, ValueError, Unreadable) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error


def appeared(path: str | Path) -> bool:
    """Whether there is anything at a path. Raises OSError where that cannot be said, which is not
    the same as nothing.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def read_json(path: Path) -> Any:
    """The JSON value in a file of ours. Raises StoreError when it cannot be read, or is none."""
    text = read_text(path)
    try:
        return json_value(text, str(path))
    except Unreadable as error:
        raise StoreError(error.message, error.hint) from error


def regular_bytes(path: Path, most: Bytes = LARGEST) -> bytes:
    """The content of a file. Raises OSError for one that cannot be read, or is none (a pipe or a
    device would keep us waiting), Unreadable for one larger than `most`.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return read_all(file.read, most, str(path))


def sync_directory(path: Path) -> None:
    """Make renames within a directory durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cannot_write(path: Path, error: OSError) -> StoreError:
    """The StoreError for a failed write, with what to do about it."""
    hint = "Free some space there, or run from a directory you may write to."
    return StoreError(f"{path} cannot be written: {error.strerror or error}", hint)
