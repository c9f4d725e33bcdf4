"""Files behind a filter (Git LFS, an encryption): which they are, and what can be told of them
without running it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from perfhunt.change.git.repository import Repository, paths_of
from perfhunt.change.paths import may_hold_secrets
from perfhunt.errors import ChangeRefused

# https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md: what git holds of a file kept by LFS.
_POINTER = re.compile(
    rb"version https://git-lfs[^\n]*\n(?:.*\n)*?oid sha256:(\w{64})\nsize (\d+)\n"
)
_NO_FILTER = ("unspecified", "unset", "set")
# What a filter that keeps secrets is called, or what it leaves in git. "age" is one of them.
_SECRETIVE = re.compile(r"crypt|secret|age|gpg|pgp|sops|vault|seal|cipher|ssl", re.I)
_ENCRYPTED = re.compile(
    rb"U2FsdGVkX1|-----BEGIN (AGE|PGP)|age-encryption|[^\0]{0,7999}\0", re.DOTALL
)
_AS_IT_WAS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # no link, no waiting
_NAMED = 3  # files that a sentence names; how many more there are is said


class Knowledge(StrEnum):
    """Whether a file was edited, as far as it can be told without its filter."""

    EDITED = "edited"
    UNCHANGED = "unchanged"
    UNTOLD = "untold"


@dataclass(frozen=True, slots=True)
class FilteredFile:
    """What is known of a file that git's index says was written; `state` tells one content from
    another.
    """

    known: Knowledge
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
    if not any_attributes(repository, paths, at):
        return {}
    asked = os.fsencode("".join(f"{path}\0" for path in paths))
    ask = ("check-attr", "-z", "--stdin", "filter")
    fields = list(paths_of(repository.git(*ask, stdin=asked, extra=extra, at=at)))
    said = zip(fields[::3], fields[2::3], strict=True)
    return {path: name for path, name in said if name not in _NO_FILTER}


def any_attributes(repository: Repository, paths: Iterable[str], at: Path | None = None) -> bool:
    """Whether an attribute may be set on one of the paths: beside it, above it, or by the user."""
    top = at or repository.root
    folders = {folder for path in paths for folder in PurePosixPath(path).parents}
    if not folders:
        return False
    own = top / ".git" if at else repository.own.path
    return (own / "info" / "attributes").exists() or any(
        os.path.lexists(top / folder / ".gitattributes") for folder in folders
    )


def keeps_secrets(filter_name: str) -> bool:
    """Whether what a filter of that name is for is not to be kept in the clear."""
    return bool(_SECRETIVE.search(filter_name))


def behind_filters(
    repository: Repository,
    edited: Sequence[str],
    filters: Mapping[str, str],
    extra: Mapping[str, str],
) -> dict[str, FilteredFile]:
    """What can be told of the written files whose filter turns them into something else: a pointer,
    or what only it can read. Others are text in git too, and compared as they stand.
    """
    return {
        path: told
        for path in edited
        if path in filters and (told := _told(repository, path, filters[path], extra)) is not None
    }


def edited_behind(
    repository: Repository, filtered: Mapping[str, FilteredFile], extra: Mapping[str, str]
) -> dict[str, str]:
    """Path -> state of those that were edited, each put into the index by a sentence."""
    behind = {path: file.state for path, file in filtered.items() if file.known is Knowledge.EDITED}
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
        return None  # it is gone, and that is told without its content
    if not stat.S_ISREG(about.st_mode):
        return None  # a link or a pipe took its place
    said = f"{about.st_size:,} bytes behind the filter {name}, which is not run"
    stored = repository.git("cat-file", "blob", f":0:{path}", extra=extra)
    if pointer := _POINTER.match(stored):
        content = _sum(repository, path)
        same = content.encode() in (pointer[1], hashlib.sha256(stored).hexdigest().encode())
        return FilteredFile(
            Knowledge.UNCHANGED if same else Knowledge.EDITED, f"{said} ({content[:12]})"
        )
    if not (keeps_secrets(name) or may_hold_secrets(path) or _ENCRYPTED.match(stored)):
        return None
    if (
        about.st_size == len(stored)
        and _sum(repository, path) == hashlib.sha256(stored).hexdigest()
    ):
        return FilteredFile(Knowledge.UNCHANGED, said)  # as git stores it: it was never turned
    untold = about.st_size == _size_in_index(repository, path, extra)
    return FilteredFile(
        Knowledge.UNTOLD if untold else Knowledge.EDITED, f"{said} ({about.st_mtime_ns})"
    )


def _sum(repository: Repository, path: str) -> str:
    try:
        with open(os.open(repository.root / path, _AS_IT_WAS), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ChangeRefused(f"{path} cannot be read: {error}") from error


def _size_in_index(repository: Repository, path: str, extra: Mapping[str, str]) -> int:
    """How large the file was when git last looked; 0 when git is not sure itself."""
    printed = repository.git("ls-files", "--debug", "--", path, extra=extra)
    size = re.search(rb"^\s+size: (\d+)", printed, re.MULTILINE)
    return int(size[1]) if size else 0
