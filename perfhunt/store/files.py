"""Files that are whole or not there: atomic writes, lines that survive a crash, reads that end."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perfhunt.errors import StoreError
from perfhunt.model.units import Bytes

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Without waiting: a pipe that lies where a file should would wait for a writer for ever.
_LOOK = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
# No file of ours comes near; one that is larger is not ours, and would fill the memory.
READ_MAX: Bytes = 256 * 2**20


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace `path` by `content` in one step: readers and a power loss see the old file or the new
    one. A link is replaced and not followed; into a pipe or a device it is simply written. Raises
    StoreError.
    """
    raw = encoded(content)
    try:
        if _is_stream(path):
            path.write_bytes(raw)
            return
        home = os.open(path.parent, _DIRECTORY)
        try:
            replace_in(home, path.name, raw)
        finally:
            os.close(home)
    except OSError as error:
        raise cannot_write(path, error) from error


def encoded(content: str | bytes) -> bytes:
    """The bytes of a text. A lone surrogate, which is what is left of a name that is not UTF-8, is
    written as `\\udc80`: in JSON that reads as what it was.
    """
    return content.encode(errors="backslashreplace") if isinstance(content, str) else content


def replace_in(home: int, name: str, raw: bytes) -> None:
    """Replace a file of an open directory in one step, by a name that nobody could have taken
    before. Raises OSError, and leaves the old file then.
    """
    part = f".{name}.{secrets.token_hex(4)}.tmp"
    try:
        with open(os.open(part, _NEW, 0o666, dir_fd=home), "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, name, src_dir_fd=home, dst_dir_fd=home)
        os.fsync(home)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(part, dir_fd=home)


def _is_stream(path: Path) -> bool:
    """Whether something is there that cannot be replaced by a file: /dev/stdout, /dev/null."""
    with contextlib.suppress(OSError):
        mode = os.stat(path).st_mode
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
    return False


def append_line(path: Path, plain: Any) -> None:
    """Add one JSON line and wait until it is on the disk. Raises StoreError."""
    line = json.dumps(plain, separators=(",", ":"), allow_nan=False) + "\n"
    try:
        handle = os.open(path, _APPEND, 0o666)
        try:
            _append(handle, line.encode())
        finally:
            os.close(handle)
    except OSError as error:
        raise cannot_write(path, error) from error


def _append(handle: int, raw: bytes) -> None:
    """All of it or nothing: half a line would spoil every later one."""
    before = os.fstat(handle).st_size
    try:
        while raw:
            raw = raw[os.write(handle, raw) :]
        os.fsync(handle)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, before)
        raise


def read_lines(path: Path) -> Iterator[Any]:
    """Every whole JSON line; a torn last line (a crash in mid-write) ends the reading quietly, a
    torn earlier one raises.
    """
    if not os.path.lexists(path):
        return
    lines = read_text(path).split("\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            yield json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == len(lines):  # no newline behind it: never finished
                return
            raise StoreError(f"{path}, line {number}, is not JSON: {error}") from error


def read_text(path: Path, most: Bytes = READ_MAX) -> str:
    """The text of a file of ours. Raises StoreError when it cannot be read, is none (a pipe, a
    device), or is larger than any of ours.
    """
    try:
        with open(os.open(path, _LOOK), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise StoreError(f"{path} is not a file")
            # Its size is looked at first, and not believed: it may grow, or be of a kind without.
            raw = file.read(most + 1) if status.st_size <= most else None
        if raw is None or len(raw) > most:
            raise StoreError(f"{path} is larger than {most // 2**20} MiB")
        return raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error


def make_directory(path: Path) -> None:
    """A directory, with those above it; one that is there is used. Raises StoreError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def open_store(root: Path) -> None:
    """The directory that runs are kept in (a `.perfhunt`), made if need be, which git ignores.
    Raises StoreError.
    """
    make_directory(root)
    if not os.path.lexists(root / ".gitignore"):
        write_atomic(root / ".gitignore", "*\n")


def appeared(path: str | Path) -> bool:
    """Whether there is anything at a path. Raises OSError where that cannot be said, which is not
    the same as nothing.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def sync_directory(path: Path) -> None:
    """Make renames within a directory durable."""
    handle = os.open(path, _DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cannot_write(path: Path, error: OSError) -> StoreError:
    """The StoreError for a failed write, with what to do about it."""
    hint = "Free some space there, or run from a directory you may write to."
    return StoreError(f"{path} cannot be written: {error.strerror or error}", hint)
