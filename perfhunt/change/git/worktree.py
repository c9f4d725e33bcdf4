"""Checkouts of a revision, or of the working tree as it stands, always taken away again."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from perfhunt.change.git.repository import Repository, clean_environment
from perfhunt.errors import ChangeRefused, UsageError
from perfhunt.model.units import Seconds
from perfhunt.target.leash import run
from perfhunt.target.proc.process import CLOCK_TICKS, stat

PREPARE_TIMEOUT: Seconds = 900.0  # for installing a project's packages anew
KEEP_UNTRACKED = 20_000_000  # bytes of untracked files: more is not put into git's store unasked
_LAST_WORDS = 5  # lines of a failed prepare command that are shown
_PLACE = re.compile(r"perfhunt-checkout-(\d+)-(\d+)-")
_AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (
        ("NAME", "perfhunt"),
        ("EMAIL", "perfhunt@localhost"),
        ("DATE", "2000-01-01T00:00:00Z"),
    )
}


@contextmanager
def checkout(
    repository: Repository,
    revision: str = "",
    prepare: Sequence[str] = (),
    timeout: Seconds = PREPARE_TIMEOUT,
) -> Iterator[Path]:
    """Where a revision is checked out and prepared; an empty one is the working tree.

    The working tree comes with untracked files. The user's files, index and branches are not
    touched. Ignored files (virtual environments, node_modules) are not in it: that is what
    `prepare` is for; it finds the user's own tree in PERFHUNT_REPOSITORY. Raises UsageError when
    it fails.
    """
    sweep(repository)
    commit = repository.resolve(revision) if revision else snapshot(repository)
    owner = f"perfhunt-checkout-{os.getpid()}-{_started(os.getpid())}-"
    path = Path(tempfile.mkdtemp(prefix=owner)) / repository.root.name
    try:
        how = ("--detach", "--force", "--quiet")
        repository.git("worktree", "add", *how, "--", str(path), commit)
        if prepare:
            _prepare(prepare, path, {"PERFHUNT_REPOSITORY": str(repository.root)}, timeout)
        yield path
    finally:
        _remove(repository, path)


def snapshot(repository: Repository) -> str:
    """The id of a commit that holds the working tree as it stands, on top of HEAD.

    No branch or reference points to it.
    """
    tree = repository.worktree_tree()
    head = repository.attempt("rev-parse", "--verify", "--quiet", "HEAD")
    parent = () if head.returncode else ("-p", head.stdout.decode().strip())
    message = "The working tree, as perfhunt found it"
    return repository.line("commit-tree", tree, *parent, "-m", message, extra=_AUTHOR)


def kept_work(root: str) -> str:
    """A commit of the working tree when it is not HEAD's own tree, to tell a later edit from it.

    "" when there is nothing to keep, when git will not, or when untracked files are many. No
    branch or reference points to it: git tidies it up after two weeks (gc.pruneExpire).
    """
    repository = Repository(Path(root))
    try:
        loose = sum(os.lstat(repository.root / path).st_size for path in repository.untracked())
        if loose > KEEP_UNTRACKED or repository.worktree_tree() == repository.tree("HEAD"):
            return ""
        return snapshot(repository)
    except (ChangeRefused, OSError):
        return ""


def sweep(repository: Repository) -> tuple[Path, ...]:
    """Take away checkouts that a crashed perfhunt left behind; returns where they were."""
    listed = repository.git("worktree", "list", "--porcelain").decode(errors="surrogateescape")
    swept = []
    for line in listed.splitlines():
        path = Path(line.removeprefix("worktree "))
        owner = _PLACE.match(path.parent.name) if line.startswith("worktree ") else None
        if owner and _started(int(owner[1])) != int(owner[2]):
            _remove(repository, path)
            swept.append(path)
    return tuple(swept)


def _remove(repository: Repository, path: Path) -> None:
    """Take a checkout away, whatever state it is in."""
    try:
        repository.attempt("worktree", "remove", "--force", "--force", "--", str(path))
        shutil.rmtree(path.parent, ignore_errors=True)
        repository.attempt("worktree", "prune")
    except ChangeRefused:  # the repository itself has gone: there is nothing to tell it
        shutil.rmtree(path.parent, ignore_errors=True)


def _started(pid: int) -> int:
    """When a process started, in clock ticks since boot; 0 when it is gone.

    Together with its pid that is an identity which is not used again.
    """
    found = stat(pid)
    return round(found.started * CLOCK_TICKS) if found else 0


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
