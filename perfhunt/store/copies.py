"""Copies in a directory that a person names, reached by no link that a repository brought along.

A checkout may hold links: a `flamegraphs` that leads elsewhere, or a `report.html` in it. Nothing
is written through those. A link outside of any checkout is the host's or the person's own.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from perfhunt.errors import StoreError
from perfhunt.store.files import cannot_write, encoded, replace_in

# A step on the way: a directory that may be gone through need not be readable.
_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_THERE = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MOST_LINKS = 40  # on the way, as the kernel counts them (path_resolution(7))


def copy_into(directory: Path, texts: Mapping[str, str | bytes]) -> dict[str, str]:
    """Write files, by name, into a directory that is made if need be; why those that were not
    written were not.
    """
    try:
        with _reached(directory) as home:
            return {n: why for n, text in texts.items() if (why := _refused(home, n, text))}
    except StoreError as error:
        return dict.fromkeys(texts, error.message)
    except OSError as error:
        return dict.fromkeys(texts, cannot_write(directory, error).message)


def _refused(home: int, name: str, content: str | bytes) -> str:
    """Why a file was not written; "" when it was."""
    try:
        mode = os.lstat(name, dir_fd=home).st_mode
    except OSError:
        mode = stat.S_IFREG
    if not stat.S_ISREG(mode):
        return f"{name} is {'a link' if stat.S_ISLNK(mode) else 'no file'}, and is left as it is"
    try:
        replace_in(home, name, encoded(content))
    except OSError as error:
        return f"{name} cannot be written: {error.strerror}"
    return ""


@contextmanager
def _reached(directory: Path) -> Iterator[int]:
    """A descriptor of the directory. Raises OSError, and StoreError for a link in a checkout."""
    # Without links from here on: every step opens what it has just looked at.
    here, left = Path("/"), list(reversed(Path(os.path.abspath(directory)).parts[1:]))
    at, links = os.open(here, _STEP), 0
    try:
        while left:
            name = left.pop()
            if (target := _link(name, at)) is None:
                here, below = here / name, _opened(name, at)
            else:
                links += 1
                _check(here / name, links)
                whole = Path(os.path.normpath(here / target))
                left += reversed(whole.parts[1:])
                here, below = Path("/"), os.open("/", _STEP)
            os.close(at)
            at = below
        reached = os.open(".", _THERE, dir_fd=at)
        os.close(at)
        at = reached
        yield at
    finally:
        os.close(at)


def _link(name: str, at: int) -> str | None:
    """Where a link leads; None when it is none, or nothing is there."""
    try:
        return os.readlink(name, dir_fd=at)
    except OSError:
        return None


def _opened(name: str, at: int) -> int:
    """A directory within another, made if nothing is there."""
    try:
        return os.open(name, _STEP, dir_fd=at)
    except FileNotFoundError:
        os.mkdir(name, dir_fd=at)
        return os.open(name, _STEP, dir_fd=at)


def _check(link: Path, links: int) -> None:
    """Raises StoreError for a link that a checkout brought, or one too many."""
    place, work = link.parent, Path.cwd()
    checkout = any(os.path.lexists(each / ".git") for each in (place, *place.parents))
    if checkout or (work != Path("/") and place.is_relative_to(work)):
        raise StoreError(f"{link} is a link within a checkout, and is not followed")
    if links > _MOST_LINKS:
        raise StoreError(f"{link} is one of too many links")
