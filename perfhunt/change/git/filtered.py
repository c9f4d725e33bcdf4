"""Files behind a filter (Git LFS, an encryption): which they are, and what can be told of them
without running it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from perfhunt.change.git.repository import Repository, paths_of
from perfhunt.errors import ChangeRefused

# https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md: what git holds of a file kept by LFS.
_POINTER = re.compile(
    rb"version https://git-lfs[^\n]*\n(?:.*\n)*?oid sha256:(\w{64})\nsize (\d+)\n"
)
_NO_FILTER = ("unspecified", "unset", "set")
_NAMED = 3  # files that a sentence names; how many more there are is said


@dataclass(frozen=True, slots=True)
class FilteredFile:
    """What is known of a file that git's index says was written. `state` tells it from others."""

    edited: bool
    state: str


def few(paths: Iterable[str]) -> str:
    """The first of some paths, and how many more there are."""
    first = sorted(paths)
    more = f" and {len(first) - _NAMED} more" if len(first) > _NAMED else ""
    return ", ".join(first[:_NAMED]) + more


def filters_of(
    repository: Repository,
    paths: Sequence[str],
    extra: Mapping[str, str] | None = None,
    at: Path | None = None,
) -> dict[str, str]:
    """Path -> the name of its filter, for those of the paths that have one; `at`: of a checkout."""
    if not paths:
        return {}
    asked = os.fsencode("".join(f"{path}\0" for path in paths))
    ask = ("check-attr", "-z", "--stdin", "filter")
    fields = list(paths_of(repository.git(*ask, stdin=asked, extra=extra, at=at)))
    said = zip(fields[::3], fields[2::3], strict=True)
    return {path: name for path, name in said if name not in _NO_FILTER}


def behind_filters(
    repository: Repository,
    edited: Sequence[str],
    filters: Mapping[str, str],
    extra: Mapping[str, str],
) -> dict[str, FilteredFile]:
    """What can be told of the written files that are behind a filter; without those of LFS that
    are what the index has.
    """
    told = {
        path: _told(repository, path, filters[path], extra) for path in edited if path in filters
    }
    return {path: file for path, file in told.items() if file is not None}


def edited_behind(
    repository: Repository, filtered: Mapping[str, FilteredFile], extra: Mapping[str, str]
) -> dict[str, str]:
    """Path -> state of those that were edited, each put into the index by a sentence."""
    behind = {path: file.state for path, file in filtered.items() if file.edited}
    for path, state in behind.items():
        said = f"{state}\0".encode()  # the NUL makes it binary
        blob = repository.git("hash-object", "-w", "--no-filters", "--stdin", stdin=said)
        entry = f"100644 {blob.decode().strip()}\t{path}\0"
        repository.git("update-index", "-z", "--index-info", stdin=os.fsencode(entry), extra=extra)
    return behind


def _told(
    repository: Repository, path: str, name: str, extra: Mapping[str, str]
) -> FilteredFile | None:
    place = repository.root / path
    try:
        about = place.lstat()
    except OSError:
        return FilteredFile(True, f"removed, behind the filter {name}")
    said = f"{about.st_size:,} bytes behind the filter {name}, which is not run"
    stored = repository.git("cat-file", "blob", f":0:{path}", extra=extra)
    if pointer := _POINTER.match(stored):
        content = _sum(repository, path)
        same = content.encode() in (pointer[1], hashlib.sha256(stored).hexdigest().encode())
        return None if same else FilteredFile(True, f"{said} ({content[:12]})")
    if place.is_file() and about.st_size == len(stored) and place.read_bytes() == stored:
        return None  # kept as git stores it: nothing was ever turned
    edited = about.st_size != _size_in_index(repository, path, extra)
    return FilteredFile(edited, f"{said} ({about.st_mtime_ns})")


def _sum(repository: Repository, path: str) -> str:
    try:
        with (repository.root / path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ChangeRefused(f"{path} cannot be read: {error}") from error


def _size_in_index(repository: Repository, path: str, extra: Mapping[str, str]) -> int:
    """How large the file was when git last looked; 0 when git is not sure itself."""
    printed = repository.git("ls-files", "--debug", "--", path, extra=extra)
    size = re.search(rb"^\s+size: (\d+)", printed, re.MULTILINE)
    return int(size[1]) if size else 0
