"""Reading the small files that the kernel makes up as they are read."""

from __future__ import annotations

import os

_CHUNK = 1 << 16  # bytes; nearly every file of /proc fits into one


def read(path: str) -> bytes:
    """The whole of a /proc file. Raises OSError (ProcessLookupError or FileNotFoundError when its
    owner is gone).
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        chunks = []
        while chunk := os.read(fd, _CHUNK):
            chunks.append(chunk)
        return b"".join(chunks)
    finally:
        os.close(fd)


def text(path: str | os.PathLike[str]) -> str:
    """The whole of a file as text without the white space around it; "" when it cannot be read."""
    try:
        return read(os.fspath(path)).decode(errors="replace").strip()
    except OSError:
        return ""


def number(path: str) -> int | None:
    """The first number of a file; None when it cannot be read or holds something else."""
    try:
        return int(read(path).split()[0])
    except (OSError, ValueError, IndexError):
        return None


def counters(path: str | os.PathLike[str]) -> dict[str, int]:
    """The lines `name count` of a file; others, and a file that cannot be read, are left out."""
    pairs = (line.split() for line in text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def link(pid: int, name: str) -> str:
    """Where a link of /proc/PID leads (`exe`, `fd/3`, `ns/net`); "" when it cannot be read."""
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""
