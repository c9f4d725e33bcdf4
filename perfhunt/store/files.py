"""Files that are whole or not there: atomic writes, lines that survive a crash, reads that end."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from perfhunt.errors import StoreError, Unreadable
from perfhunt.model.document.bounded import json_value, numbered, read_all, too_large
from perfhunt.model.text.escaping import json_text
from perfhunt.model.units import Bytes

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# The document of a run, and how the name of a directory ends that somebody writes, or wrote.
RUN_FILE, PARTIAL = "run.json", ".partial"
# Of a file of a run. A run of a day has 2 MB of run.json, 100 MB of trials with their second rows.
LARGEST: Bytes = 256 << 20


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
    line = json_text(plain, separators=(",", ":"), allow_nan=False) + "\n"
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


def read_text(path: Path, most: Bytes = LARGEST) -> str:
    """The text of a file of ours. Raises StoreError when it cannot be read, is none (a pipe, a
    device), or is larger than any of ours.
    """
    try:
        return regular_bytes(path, most).decode()
    except (OSError, ValueError, Unreadable) as error:
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
    with _regular(path) as file:
        if os.fstat(file.fileno()).st_size > most:
            raise too_large(str(path), most)
        return read_all(file.read, most, str(path))


def first_bytes(path: Path, most: Bytes) -> tuple[bytes, bool]:
    """The first `most` bytes of a file, and whether there are more. Raises OSError as
    `regular_bytes` does.
    """
    with _regular(path) as file:
        raw = file.read(most)
        return raw, bool(file.read(1))


@contextlib.contextmanager
def _regular(path: Path) -> Iterator[BinaryIO]:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        yield file


def sync_directory(path: Path) -> None:
    """Make renames within a directory durable."""
    handle = os.open(path, _DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# What to do first about a write that failed, by why.
_BEFORE = {
    errno.ENOSPC: "Free some space there; or ",
    errno.EDQUOT: "Free some of your quota there; or ",
    errno.EFBIG: "Raise the largest file you may write (ulimit -f); or ",
}


def cannot_write(path: Path, error: OSError) -> StoreError:
    """The StoreError for a failed write, with what to do about it."""
    elsewhere = "run from a directory you may write to, or name another place (--store, --output)."
    hint = _BEFORE.get(error.errno or 0, "") + elsewhere
    return StoreError(
        f"{path} cannot be written: {error.strerror or error}", hint[:1].upper() + hint[1:]
    )
