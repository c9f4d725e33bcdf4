"""Files that are whole or not there: atomic writes, lines that survive a crash."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perfhunt.errors import StoreError
from perfhunt.model.text.escaping import json_text


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
    lines = read_text(path).split("\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            yield json.loads(line)
        except ValueError as error:
            if number == len(lines):  # no newline behind it: never finished
                return
            raise StoreError(f"{path}, line {number}, is not JSON: {error}") from error


def read_text(path: Path) -> str:
    """The text of a file of ours. Raises StoreError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error


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
