"""The working tree as it stands, as a tree of git's, with nothing read that is no part of it.

git's own plumbing does it, on an index and an object directory of ours: the user's index and `.git`
are not written to, and no filter can run. So what a filter would have to turn (a file kept by LFS,
an encrypted one) is told apart by its size and its time, or LFS's own sum, and never kept.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from perfhunt.change.git.filtered import (
    Knowledge,
    behind_filters,
    edited_behind,
    few,
    filters_of,
    keeps_secrets,
)
from perfhunt.change.git.own_directory import is_ours
from perfhunt.change.git.program import words_of
from perfhunt.change.git.repository import LARGE, Repository, paths_of
from perfhunt.change.paths import IGNORED, may_hold_secrets, role_of

_COUNTS = "not read, so not counted as edited"


@dataclass(frozen=True, slots=True)
class WorkingTree:
    """`tree` is its id; `untracked` are the paths in it that git does not know, of `size` bytes.

    `left_out` are untracked paths that are not in it, each with the reason; `unmeasured` those
    whose role says that they measure nothing. `behind` are tracked files that were edited behind a
    filter: they stand in the tree by a sentence that tells one state from another. `untold` may
    have been, which only the filter could tell.
    """

    tree: str
    untracked: frozenset[str]
    size: int
    left_out: Mapping[str, str]
    unmeasured: tuple[str, ...]
    behind: Mapping[str, str]
    untold: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def beside(self) -> tuple[str, ...]:
        """Files of the user's that the tree does not hold as they are."""
        return (*self.left_out, *self.unmeasured, *self.behind)

    def notes(self) -> Iterator[str]:
        """What was not looked into, as sentences."""
        for why in dict.fromkeys(self.left_out.values()):
            yield f"{few(p for p, w in self.left_out.items() if w == why)}: {why}; {_COUNTS}"
        if self.untold:
            yield (
                f"{few(self.untold)}: written since git last looked, of the same size, and behind"
                " a filter, which is not run: taken as not edited"
            )
        yield from self.warnings


def working_tree(repository: Repository, for_patches: bool = False) -> WorkingTree:
    """The working tree, untracked files included. Raises ChangeRefused.

    For patches, untracked files that measure nothing are in it too, and what was edited behind a
    filter is not: its content cannot be put into a patch.
    """
    with repository.users_index() as extra:
        listing = ("ls-files", "-z", "-t", "--modified", "--deleted", "--others")
        done = repository.finished(*listing, "--exclude-standard", extra=extra)
        edited, others = _listed(done.stdout)
        filters = filters_of(repository, (*edited, *others))
        filtered = behind_filters(repository, edited, filters, extra)
        untracked = _Untracked(repository, others, filters, for_patches)
        known = [path for path in edited if path not in filtered]
        gone = [path for path in known if not _there(repository, path)]
        _remove(repository, gone, extra)
        _add(repository, [*(p for p in known if p not in set(gone)), *untracked.wanted], extra)
        behind = {} if for_patches else edited_behind(repository, filtered, extra)
        return WorkingTree(
            tree=repository.line("write-tree", "--missing-ok", extra=extra),
            untracked=frozenset(untracked.wanted),
            size=untracked.size,
            left_out=untracked.left_out,
            unmeasured=tuple(untracked.unmeasured),
            behind=behind,
            untold=tuple(
                path for path, state in filtered.items() if state.known is Knowledge.UNTOLD
            ),
            warnings=tuple(_warnings(words_of(done))),
        )


def _listed(listed: bytes) -> tuple[list[str], list[str]]:
    """Tracked paths that differ from the index, and untracked ones: `? path` are the latter."""
    tagged = [(path[0], path[2:]) for path in paths_of(listed)]
    edited = dict.fromkeys(path for tag, path in tagged if tag != "?")
    return list(edited), [path for tag, path in tagged if tag == "?" and not is_ours(path)]


class _Untracked:
    """Untracked paths by what becomes of them."""

    def __init__(
        self,
        repository: Repository,
        paths: Sequence[str],
        filters: Mapping[str, str],
        whole: bool,
    ) -> None:
        self.wanted: list[str] = []
        self.unmeasured: list[str] = []
        self.left_out: dict[str, str] = {}
        self.size = 0
        for path in paths:
            if not whole and role_of(path) in IGNORED:
                self.unmeasured.append(path)
            elif why := _why_not(repository, path, filters):
                self.left_out[path] = why
            else:
                self.wanted.append(path)
                self.size += (repository.root / path).lstat().st_size


def _why_not(repository: Repository, path: str, filters: Mapping[str, str]) -> str:
    """Why an untracked path is not read; "" when it is."""
    place = repository.root / path
    if path.endswith("/"):
        return "a repository of its own"
    if may_hold_secrets(path):
        return "untracked, and may hold secrets (`git add` makes it count)"
    if keeps_secrets(filters.get(path, "")):
        return f"untracked, and behind the filter {filters[path]}, which is not run"
    try:
        about = place.lstat()
    except OSError:
        return "untracked, and cannot be looked at"
    if stat.S_ISREG(about.st_mode) and not os.access(place, os.R_OK):
        return "untracked, and may not be read"
    large = f"untracked, and larger than {LARGE:,} bytes (`git add` makes it count)"
    return large if about.st_size > LARGE else ""


def _there(repository: Repository, path: str) -> bool:
    """Whether a tracked path is still where it was, not somewhere that a link leads to."""
    place = repository.root / path
    folders = [folder for folder in place.parents if repository.root in folder.parents]
    return os.path.lexists(place) and not any(folder.is_symlink() for folder in folders)


def _remove(repository: Repository, paths: Sequence[str], extra: Mapping[str, str]) -> None:
    if paths:
        none = "0" * repository.layout.id_length
        gone = "".join(f"0 {none}\t{path}\0" for path in paths)
        repository.git("update-index", "-z", "--index-info", stdin=os.fsencode(gone), extra=extra)


def _add(repository: Repository, paths: Sequence[str], extra: Mapping[str, str]) -> None:
    if paths:
        listed = os.fsencode("".join(f"{path}\0" for path in paths))
        how = ("--add", "--remove", "--replace", "-z", "--stdin")
        repository.git("update-index", *how, stdin=listed, extra=extra)


def _warnings(words: str) -> Iterator[str]:
    """git's own warnings: a folder that may not be read."""
    for line in words.splitlines():
        if line.startswith("warning: "):
            yield f"git says: {line.removeprefix('warning: ')}"
