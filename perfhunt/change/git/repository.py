"""A repository, asked through a git directory of our own: nothing that it names is run."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from perfhunt.change.git.own_directory import (
    NoRepository,
    OwnDirectory,
    RepositoryLayout,
    layout_of,
)
from perfhunt.change.git.program import own_environment, run, words_of
from perfhunt.errors import ChangeRefused, UsageError
from perfhunt.model.verdict.change import Edit, FileEdit

LARGE = 4_000_000  # bytes; a bigger file is told apart by its id alone
NUL_WITHIN = 8000  # bytes at the start of a file: git calls it binary when it sees a NUL there
KEPT = "kept"  # the folder of a store with the objects of uncommitted work
_EDITS = {"A": Edit.ADDED, "D": Edit.REMOVED, "R": Edit.RENAMED}
_SUBMODULE = "160000"  # the mode of a commit of another repository
_DIFF = ("diff-tree", "-r", "--no-commit-id", "--no-ext-diff", "--no-textconv")


@dataclass(frozen=True, slots=True)
class Content:
    """One file of a diff with both of its contents; None where it does not exist.

    `aside` says why the newer content was not read, when it was not.
    """

    edit: FileEdit
    before: bytes | None
    after: bytes | None
    aside: str = ""

    @property
    def path(self) -> str:
        """Where it is now, or where it was when it is gone."""
        return self.edit.path

    @property
    def binary(self) -> bool:
        """Whether either side is binary, as git decides it."""
        return any(b"\0" in side[:NUL_WITHIN] for side in (self.before, self.after) if side)

    def texts(self) -> tuple[str | None, str | None]:
        """Both sides as text; undecodable bytes are kept as surrogates."""
        return _text(self.before), _text(self.after)


def _text(content: bytes | None) -> str | None:
    if content is None:
        return None
    return content.decode("utf-8", "surrogateescape").replace("\r\n", "\n")


class Repository:
    """A git repository by its top directory.

    `trusted`: it may belong to another user. `store` is where snapshots of uncommitted work are
    kept. Everything raises ChangeRefused where git fails, with git's own words.
    """

    def __init__(self, root: Path, trusted: bool = False, store: Path | None = None) -> None:
        self.root = root
        self._trusted = trusted
        self._kept = store.resolve() / KEPT if store else None
        self._own: OwnDirectory | None = None
        self._differences: dict[tuple[str, str], bytes] = {}

    def inside(self, path: Path) -> Path:
        """Where a path lies, counted from the top directory."""
        return path.resolve().relative_to(self.root.resolve())

    @property
    def own(self) -> OwnDirectory:
        """The git directory of ours through which it is seen. Raises ChangeRefused."""
        if self._own is None:
            try:
                layout = layout_of(self.root.resolve(), self._trusted)
                self._own = OwnDirectory(layout, self._kept)
            except (OSError, ValueError) as error:
                raise ChangeRefused(f"{self.root} cannot be read by git: {error}") from error
        return self._own

    @property
    def layout(self) -> RepositoryLayout:
        """Where it lies, as git says."""
        return self.own.layout

    def git(
        self,
        *arguments: str,
        stdin: bytes = b"",
        extra: Mapping[str, str] | None = None,
        at: Path | None = None,
    ) -> bytes:
        """What a git command printed. `extra` are variables for its environment; `at` is where it
        is started, when not at the top.
        """
        return self.finished(*arguments, stdin=stdin, extra=extra, at=at).stdout

    def line(self, *arguments: str, extra: Mapping[str, str] | None = None) -> str:
        """The one line that a git command printed."""
        return self.git(*arguments, extra=extra).decode().strip()

    def finished(
        self,
        *arguments: str,
        stdin: bytes = b"",
        extra: Mapping[str, str] | None = None,
        at: Path | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """A git command that did what it was asked, with what it printed and warned of."""
        done = run(at or self.root, arguments, self.environment(extra), stdin)
        if done.returncode:
            words = words_of(done) or f"it ended with {done.returncode}"
            raise ChangeRefused(
                f"git {arguments[0]} failed in {self.root}: {words}",
                "Mend the repository, then try again.",
            )
        return done

    def attempt(
        self, *arguments: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """The finished git command, whether it failed or not."""
        return run(self.root, arguments, self.environment(extra), stdin)

    def keeps(self, path: str) -> bool:
        """Whether a file, or anything of a directory, is in the newest commit or may come into the
        next one: whether it is not ignored, by its path from the top.
        """
        held = self.attempt("ls-tree", "HEAD", "--", path).stdout
        ignored = ("--others", "--ignored", "--exclude-standard", "--directory")
        return bool(held) or not self.attempt("ls-files", *ignored, "--", path).stdout

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The variables that a git command is given."""
        try:
            return own_environment({**self.own.environment, **(extra or {})})
        except OSError as error:
            raise ChangeRefused(f"{self.root} cannot be read by git: {error}") from error

    def resolve(self, revision: str) -> str:
        """The full id of the commit a revision names. Raises UsageError when there is none."""
        options = ("--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        done = self.attempt("rev-parse", *options)
        if done.returncode:
            raise UsageError(
                f"{revision!r} is not a revision of {self.root}",
                "Name a commit, a branch or a tag: git log --oneline",
            )
        return done.stdout.decode().strip()

    def tree(self, revision: str) -> str:
        """The id of a commit's tree."""
        return self.line("rev-parse", "--verify", "--end-of-options", f"{revision}^{{tree}}")

    @contextmanager
    def _own_index(self) -> Iterator[dict[str, str]]:
        index = self.own.new_index()
        try:
            yield {"GIT_INDEX_FILE": str(index)}
        finally:
            index.unlink(missing_ok=True)

    @contextmanager
    def users_index(self) -> Iterator[Mapping[str, str]]:
        """Variables for git commands that work on a copy of the user's index."""
        with self._own_index() as extra:
            index = self.layout.git / "index"
            if index.is_file():
                # The copy keeps its time: git tells racy entries by it, and reads only edited
                # files again.
                shutil.copy2(index, extra["GIT_INDEX_FILE"])
            yield extra

    @contextmanager
    def temporary_index(self, tree: str) -> Iterator[Mapping[str, str]]:
        """Variables for git commands that work on an index of their own, filled from a tree."""
        with self._own_index() as extra:
            self.git("read-tree", tree, extra=extra)
            yield extra

    def contents(self, base: str, head: str) -> tuple[Content, ...]:
        """Every file that differs between two trees (or commits), renames found, in path order."""
        rows = list(_rows(self._difference(base, head)))
        sides = [side for row in rows for side in row.sides]
        blobs = self._blobs(blob for mode, blob in sides if mode != _SUBMODULE)
        return tuple(
            Content(
                edit=FileEdit(row.path, row.old_path, _EDITS.get(row.status, Edit.CHANGED)),
                before=_content(*row.sides[0], blobs),
                after=_content(*row.sides[1], blobs),
            )
            for row in rows
        )

    def patch(self, base: str, head: str, *paths: str) -> bytes:
        """The difference between two trees (in some paths only), as `git apply` takes it."""
        return self.git(*_DIFF, "-p", "--binary", "--full-index", base, head, "--", *paths)

    def fingerprint(self, base: str, head: str) -> str:
        """SHA-256 over the paths, modes and contents' ids that differ between two trees."""
        return hashlib.sha256(self._difference(base, head)).hexdigest()

    def _difference(self, base: str, head: str) -> bytes:
        """The raw difference of two trees by id, asked for once; ids name what never changes."""
        known = self._differences.get((base, head))
        if known is None:
            known = self.git(*_DIFF, "-z", "-M", base, head, "--")
            if len(base) == len(head) == self.layout.id_length:
                self._differences[base, head] = known
        return known

    def _blobs(self, ids: Iterable[str]) -> dict[str, bytes]:
        """Blob contents by id; a large one is stood in for by its id."""
        named = sorted({blob for blob in ids if blob.strip("0")})
        if not named:
            return {}
        listing = "\n".join(named).encode()
        listed = self.git("cat-file", "--batch-check", stdin=listing).decode().splitlines()
        found = [line.split() for line in listed]
        if missing := [blob for blob, *about in found if about == ["missing"]]:
            raise ChangeRefused(
                f"{len(missing)} of the files that differ are not in {self.root}, which holds only"
                f" a part of its history (the first is {missing[0]})",
                "perfhunt fetches nothing. Fetch them first: git fetch --refetch --no-filter",
            )
        sizes = {blob: int(size) for blob, _, size in found}
        blobs = {b: f"large file {b}\0".encode() for b, size in sizes.items() if size > LARGE}
        small = [blob for blob, size in sizes.items() if size <= LARGE]
        printed = self.git("cat-file", "--batch", stdin="\n".join(small).encode()) if small else b""
        at = 0
        for blob in small:  # each is a head line, its bytes, and a newline
            start = printed.index(b"\n", at) + 1
            at = start + sizes[blob] + 1
            blobs[blob] = printed[start : at - 1]
        return blobs


@dataclass(frozen=True, slots=True)
class _Row:
    """One record of `git diff-tree --raw`: `sides` are mode and id, before and after."""

    sides: tuple[tuple[str, str], tuple[str, str]]
    status: str
    old_path: str
    path: str


def paths_of(listed: bytes) -> Iterator[str]:
    """The paths of a list that git ended each with a NUL."""
    return (os.fsdecode(path) for path in listed.split(b"\0") if path)


def _rows(raw: bytes) -> Iterator[_Row]:
    """Records of `git diff-tree --raw -z`: ':mode mode id id status', then a path, or two."""
    fields = paths_of(raw)
    for head in fields:
        mode_before, mode_after, before, after, status = head.removeprefix(":").split(" ")
        old_path = next(fields)
        path = next(fields) if status[0] in "RC" else old_path
        sides = (mode_before, before), (mode_after, after)
        yield _Row(sides, status[0], old_path, path)


def _content(mode: str, blob: str, blobs: Mapping[str, bytes]) -> bytes | None:
    """The content of one side; of a submodule its commit's id is all there is to compare."""
    return f"submodule {blob}\n".encode() if mode == _SUBMODULE else blobs.get(blob)


def find_repository(start: Path, trusted: bool = False, store: Path | None = None) -> Repository:
    """The repository that holds a directory. Raises ChangeRefused when none does, or when it
    belongs to another user and is not trusted.
    """
    here = start.resolve()
    for place in (here, *here.parents):
        if (place / ".git").exists():
            repository = Repository(place, trusted, store)
            try:
                _ = repository.own
            except NoRepository:
                continue  # a .git that is none, which git passes by
            return repository
    raise NoRepository(start)
