"""Checkouts of a revision, or of the working tree as it stands, beside the user's own; always taken
away again.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from perfhunt.change.git.repository import Repository, clean_environment
from perfhunt.errors import ChangeRefused, UsageError

PREPARE_TIMEOUT = 900.0
KEEP_UNTRACKED = 20_000_000  # bytes
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


@dataclass(frozen=True, slots=True)
class Checkout:
    """A revision on disk: where it is, and its commit (made from the working tree when that was
    asked for).
    """

    path: Path
    commit: str


@contextmanager
def checkout(
    repository: Repository,
    revision: str = "",
    prepare: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    timeout: float = PREPARE_TIMEOUT,
) -> Iterator[Checkout]:
    """A checkout of a revision (empty: the working tree, untracked files included) with its prepare
    command run in it.

    The user's files, index and branches are not touched. Ignored files (virtual environments,
    node_modules) are not in it: that is what `prepare` is for; it finds the user's own tree in
    PERFHUNT_REPOSITORY. Raises UsageError when it fails.
    """
    sweep(repository)
    commit = repository.resolve(revision) if revision else snapshot(repository)
    place = Path(
        tempfile.mkdtemp(prefix=f"perfhunt-checkout-{os.getpid()}-{_started(os.getpid())}-")
    )
    path = place / repository.root.name
    try:
        repository.git("worktree", "add", "--detach", "--force", "--quiet", "--", str(path), commit)
        if prepare:
            _prepare(
                prepare,
                path,
                {**(environment or {}), "PERFHUNT_REPOSITORY": str(repository.root)},
                timeout,
            )
        yield Checkout(path, commit)
    finally:
        _remove(repository, path)


def snapshot(repository: Repository) -> str:
    """The id of a commit that holds the working tree as it stands, on top of HEAD; no branch or
    reference points to it.
    """
    tree = repository.worktree_tree()
    head = repository.attempt("rev-parse", "--verify", "--quiet", "HEAD")
    parent = ("-p", head.stdout.decode().strip()) if head.returncode == 0 else ()
    made = repository.git(
        "commit-tree", tree, *parent, "-m", "The working tree, as perfhunt found it", extra=_AUTHOR
    )
    return made.decode().strip()


def kept_work(root: str) -> str:
    """A commit of the working tree as it stands when it is not HEAD's own tree, so that a later
    edit can be told from it.

    "" when there is nothing to keep, when git will not, or when untracked files are larger than is
    kind to put into git's store unasked. No branch or reference points to it: git tidies it up
    after two weeks (gc.pruneExpire).
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
    left = []
    for path in (
        Path(line.removeprefix("worktree "))
        for line in listed.splitlines()
        if line.startswith("worktree ")
    ):
        owner = _PLACE.match(path.parent.name)
        if owner and _started(int(owner[1])) != int(owner[2]):
            _remove(repository, path)
            left.append(path)
    return tuple(left)


def _remove(repository: Repository, path: Path) -> None:
    """Take a checkout away, whatever state it is in."""
    try:
        repository.attempt("worktree", "remove", "--force", "--force", "--", str(path))
        shutil.rmtree(path.parent, ignore_errors=True)
        repository.attempt("worktree", "prune")
    except ChangeRefused:  # the repository itself has gone: there is nothing to tell it
        shutil.rmtree(path.parent, ignore_errors=True)


def _started(pid: int) -> int:
    """When a process started, in clock ticks since boot: with its pid, an identity that is not used
    again. 0 when it is gone.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(
        stat.rpartition(")")[2].split()[19]
    )  # field 22 of proc(5); the name before it may hold anything


def _prepare(
    command: Sequence[str], path: Path, environment: Mapping[str, str], timeout: float
) -> None:
    """Run the prepare command in a checkout, in a process group of its own so that all of it can be
    ended.
    """
    try:
        with subprocess.Popen(
            list(command),
            cwd=path,
            env=clean_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            try:
                said, _ = process.communicate(timeout=timeout)
            finally:
                if process.poll() is None:  # too slow, or somebody pressed Ctrl-C
                    os.killpg(process.pid, signal.SIGKILL)
    except FileNotFoundError as error:
        raise UsageError(
            f"the prepare command {command[0]!r} is not there", "Name it by its full path."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise UsageError(
            f"the prepare command took longer than {timeout:.0f} s: {' '.join(command)}"
        ) from error
    if process.returncode:
        last = "\n".join(said.decode(errors="replace").strip().splitlines()[-5:])
        hint = (
            "It runs in a fresh checkout, where ignored files (a virtual environment, node_modules)"
            " are missing."
        )
        raise UsageError(
            f"the prepare command ended with {process.returncode}: {' '.join(command)}\n{last}",
            hint,
        )
