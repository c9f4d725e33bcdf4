"""Checkouts of a revision, or of the working tree as it stands, always taken away again.

Files are written from git's objects by us, so no filter, hook or setting of the repository takes
part; nothing is written into the repository. A checkout's `.git` is its own: it reads the user's
objects and has a copy of the references, so that `git describe` answers as it does at home.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from perfhunt.change.git.filtered import few, filters_of
from perfhunt.change.git.own_directory import make
from perfhunt.change.git.places import held_directory, sweep
from perfhunt.change.git.program import clean_environment, streaming
from perfhunt.change.git.repository import Repository, paths_of
from perfhunt.change.git.working_tree import WorkingTree, working_tree
from perfhunt.errors import ChangeRefused, UsageError
from perfhunt.model.units import Seconds
from perfhunt.target.leash import run

PREPARE_TIMEOUT: Seconds = 900.0  # for installing a project's packages anew
_LAST_WORDS = 5  # lines of a failed prepare command that are shown
_BLOCK = 1 << 20  # bytes of a file that are written at once
_AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (
        ("NAME", "perfhunt"),
        ("EMAIL", "perfhunt@localhost"),
        ("DATE", "2000-01-01T00:00:00Z"),
    )
}
_EXECUTABLE, _LINK, _SUBMODULE = "100755", "120000", "160000"

# Told what a user should know of a checkout.
Say = Callable[[str], None]


def unsaid(sentence: str) -> None:
    """Nobody is told."""


@contextmanager
def checkout(
    repository: Repository,
    revision: str = "",
    prepare: Sequence[str] = (),
    timeout: Seconds = PREPARE_TIMEOUT,
    say: Say = unsaid,
) -> Iterator[Path]:
    """Where a revision is checked out and prepared; an empty one is the working tree.

    The working tree comes with untracked files. The user's files and repository are not touched.
    Ignored files (virtual environments, node_modules) are not in it: that is what `prepare` is for;
    it finds the user's own tree in PERFHUNT_REPOSITORY. Files behind a filter are as git stores
    them, which `say` is told. Raises ChangeRefused, and UsageError when `prepare` fails.
    """
    sweep()
    standing = None if revision else working_tree(repository)
    commit = snapshot(repository, standing) if standing else repository.resolve(revision)
    held = held_directory("checkout")
    try:
        path = held.path / (repository.root.name or "checkout")
        _write(repository, commit, path)
        copied = _copy(repository.root, path, standing.beside) if standing else frozenset()
        _say_filtered(repository, path, copied, revision or "the working tree", say)
        if prepare:
            _prepare(prepare, path, {"PERFHUNT_REPOSITORY": str(repository.root)}, timeout)
        yield path
    finally:
        held.remove()


def snapshot(repository: Repository, standing: WorkingTree | None = None) -> str:
    """The id of a commit that holds the working tree as it stands, on top of HEAD.

    It lasts as long as `repository` does.
    """
    tree = (standing or working_tree(repository)).tree
    head = repository.attempt("rev-parse", "--verify", "--quiet", "HEAD")
    parent = () if head.returncode else ("-p", head.stdout.decode().strip())
    message = "The working tree, as perfhunt found it"
    return repository.line("commit-tree", tree, *parent, "-m", message, extra=_AUTHOR)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file of a tree."""

    mode: str
    blob: str
    path: str


def _write(repository: Repository, commit: str, path: Path) -> None:
    """A checkout of a commit at a path that does not exist yet."""
    own = path / ".git"
    layout = repository.layout
    settings = [s for s in layout.settings if s[0] != "extensions.refstorage"]
    make(own, repository.own.objects, settings)
    with suppress(OSError):
        shutil.copyfile(repository.own.path / "info" / "attributes", own / "info" / "attributes")
    with suppress(OSError):
        shutil.copyfile(layout.common / "shallow", own / "shallow")
    (own / "packed-refs").write_bytes(
        repository.git("for-each-ref", "--format=%(objectname) %(refname)")
    )
    (own / "HEAD").write_text(f"{commit}\n")
    # git itself refuses a tree whose paths lead elsewhere: `..`, `.git`.
    index = {"GIT_INDEX_FILE": str(own / "index")}
    repository.git("read-tree", commit, extra=index)
    _write_files(repository, list(_entries(repository, commit)), path)


def _entries(repository: Repository, commit: str) -> Iterator[_Entry]:
    """The files of a commit. Raises ChangeRefused for a path that is none inside a checkout."""
    for line in paths_of(repository.git("ls-tree", "-r", "-z", "--full-tree", commit)):
        about, _, path = line.partition("\t")
        mode, _, blob = about.split()
        if path.startswith("/") or {"", ".", "..", ".git"} & {p.lower() for p in path.split("/")}:
            raise ChangeRefused(f"{commit} holds {path!r}, which no checkout may hold")
        yield _Entry(mode, blob, path)


def _write_files(repository: Repository, entries: Sequence[_Entry], path: Path) -> None:
    """All folders, then the files, then the links: where there is a link yet, nothing is written
    through it. Raises ChangeRefused for what no file system holds.
    """
    try:
        for folder in {_folder(entry, path) for entry in entries}:
            folder.mkdir(parents=True, exist_ok=True)
        _write_contents(repository, entries, path)
    except (OSError, ValueError) as error:
        raise ChangeRefused(
            f"a checkout of {repository.root} cannot be written: {error}"
        ) from error


def _folder(entry: _Entry, path: Path) -> Path:
    """The folder that an entry needs: a submodule is an empty one itself."""
    place = path / entry.path
    return place if entry.mode == _SUBMODULE else place.parent


def _write_contents(repository: Repository, entries: Sequence[_Entry], path: Path) -> None:
    """The files and links of folders that are there."""
    files = [entry for entry in entries if entry.mode not in (_LINK, _SUBMODULE)]
    links = [entry for entry in entries if entry.mode == _LINK]
    listed = "".join(f"{entry.blob}\n" for entry in (*files, *links)).encode()
    environment = repository.environment()
    with streaming(repository.root, ("cat-file", "--batch"), environment, listed) as blobs:
        for entry in files:
            size, place = _size(blobs, entry, repository), path / entry.path
            mode = 0o777 if entry.mode == _EXECUTABLE else 0o666
            with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                _pass_on(blobs, file, size)
        for entry in links:
            size, place = _size(blobs, entry, repository), path / entry.path
            os.symlink(blobs.read(size), os.fsencode(place))
            blobs.read(1)


def _size(blobs: IO[bytes], entry: _Entry, repository: Repository) -> int:
    """The size of the blob that comes next: its head line is `id type size`, or `id missing`."""
    about = blobs.readline().split()
    if len(about) != 3 or about[1] != b"blob":
        raise ChangeRefused(
            f"the content of {entry.path} is not in {repository.root}, which holds only a part of"
            " its history",
            "perfhunt fetches nothing. Fetch it first: git fetch --refetch --no-filter",
        )
    return int(about[2])


def _pass_on(blobs: IO[bytes], file: IO[bytes], size: int) -> None:
    """So many bytes, and the newline after them."""
    left = size
    while left:
        block = blobs.read(min(left, _BLOCK))
        if not block:
            raise ChangeRefused("git ended in the middle of a file", "Try again.")
        file.write(block)
        left -= len(block)
    blobs.read(1)


def _copy(root: Path, path: Path, beside: Sequence[str]) -> frozenset[str]:
    """The user's own files that no tree holds, put into a checkout; those that could be."""
    copied = set()
    for name in beside:
        place = path / name
        if name.endswith("/"):
            continue  # another repository is no part of this one
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            shutil.copy2(root / name, place, follow_symlinks=False)
            copied.add(name)
    return frozenset(copied)


def _say_filtered(
    repository: Repository, path: Path, copied: frozenset[str], what: str, say: Say
) -> None:
    """Which files of a checkout are as git stores them, for their filter was not run."""
    seen = {"GIT_DIR": str(path / ".git"), "GIT_WORK_TREE": str(path)}
    names = list(paths_of(repository.git("ls-files", "-z", extra=seen, at=path)))
    filters = filters_of(repository, [n for n in names if n not in copied], seen, path)
    if filters:
        say(
            f"in the checkout of {what} no filter ({', '.join(sorted(set(filters.values())))}) was"
            f" run: kept as git stores it: {few(filters)}. If the service needs what the filter"
            " makes of it, let --prepare put it there; PERFHUNT_REPOSITORY is your own tree"
        )


def _prepare(
    command: Sequence[str], path: Path, environment: Mapping[str, str], timeout: Seconds
) -> None:
    """Run the prepare command in a checkout. What it leaves running ends with this process."""
    line = " ".join(command)
    try:
        code, printed = run(
            command, directory=path, environment=clean_environment(environment), within=timeout
        )
    except FileNotFoundError as error:
        missing = f"the prepare command {command[0]!r} is not there"
        raise UsageError(missing, "Name it by its full path.") from error
    except TimeoutError as error:
        raise UsageError(f"the prepare command took longer than {timeout:.0f} s: {line}") from error
    if code:
        last = printed.decode(errors="replace").strip().splitlines()[-_LAST_WORDS:]
        ended = f"the prepare command ended with {code}: {line}"
        raise UsageError(
            "\n".join((ended, *last)),
            "It runs in a fresh checkout, where ignored files"
            " (a virtual environment, node_modules) are missing.",
        )
