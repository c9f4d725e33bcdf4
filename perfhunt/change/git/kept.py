"""What the code of a measured service was: its commit, and uncommitted work as a commit of ours."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from perfhunt.change.git.own_directory import NoRepository, make
from perfhunt.change.git.places import held_directory, sweep
from perfhunt.change.git.program import own_environment, run
from perfhunt.change.git.repository import KEPT, Repository, find_repository
from perfhunt.change.git.working_tree import WorkingTree, working_tree
from perfhunt.change.git.worktree import snapshot
from perfhunt.errors import ChangeRefused, StoreError, Unreadable
from perfhunt.model.units import Seconds
from perfhunt.store.files import regular_bytes, write_atomic

KEEP_UNTRACKED = 20_000_000  # bytes of untracked files: more is not kept unasked
# What was kept since belongs to a run that another process is about to begin, perhaps.
FRESH: Seconds = 3600.0


@dataclass(frozen=True, slots=True)
class CodeState:
    """The state of a repository. `revision` is "" when there is none, or when it was not read:
    then `doubt` says why.

    `dirty`: tracked files differ from it; `diff_sha256` identifies how. `snapshot` is a commit of
    the working tree, kept in the store, when it is not the revision's own tree.
    """

    revision: str = ""
    dirty: bool = False
    diff_sha256: str = ""
    snapshot: str = ""
    doubt: str = ""


def code_state(root: str, store: Path | None = None, trusted: bool = False) -> CodeState:
    """The state of the repository with this top directory; uncommitted work is kept in the store,
    if there is one, so that a later edit can be told from it.
    """
    if not root:
        return CodeState()
    sweep()
    try:
        repository = find_repository(Path(root), trusted, store)
        head = repository.attempt("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        if head.returncode:
            return CodeState()
        return _state(repository, head.stdout.decode().strip(), store)
    except NoRepository:
        return CodeState()
    except ChangeRefused as refusal:
        said = " ".join(f"{refusal.message}. {refusal.hint}".split())
        return CodeState(doubt=f"the revision of the code was not read: {said}")


def _state(repository: Repository, revision: str, store: Path | None) -> CodeState:
    standing = working_tree(repository)
    edits = [content.edit for content in repository.contents(revision, standing.tree)]
    dirty = any(edit.path not in standing.untracked for edit in edits)
    return CodeState(
        revision=revision,
        dirty=dirty,
        diff_sha256=repository.fingerprint(revision, standing.tree) if dirty else "",
        snapshot=_keep(repository, standing, store) if edits and store else "",
    )


def _keep(repository: Repository, standing: WorkingTree, store: Path) -> str:
    """A commit of the working tree whose new objects are in the store; "" when untracked files are
    many, or the store will not have it.
    """
    if standing.size > KEEP_UNTRACKED:
        return ""
    commit = snapshot(repository, standing)
    try:
        (store / KEPT).mkdir(mode=0o700, parents=True, exist_ok=True)
        for made in (repository.own.path / "objects").glob("??/*"):
            place = store / KEPT / made.parent.name / made.name
            if place.parent.is_symlink() or (store / KEPT).is_symlink():
                return ""  # a store that came with the repository may lead anywhere
            place.parent.mkdir(mode=0o700, exist_ok=True)
            write_atomic(place, regular_bytes(made))
    except (OSError, StoreError, Unreadable):
        return ""
    return commit


def prune_kept(store: Path, named: Callable[[], Collection[str]], now: Seconds) -> int:
    """Take the snapshots out of a store that none of its runs needs any more; how many objects that
    were. `named` gives the snapshots that its runs name, `now` the time since the epoch.

    Raises StoreError when `named` does; where git cannot tell what a snapshot holds, all is left.
    """
    place = store.resolve() / KEPT
    every = {path.parent.name + path.name: path for path in _objects(place)}
    if not every:
        return 0
    held = held_directory("kept")
    try:
        needed = _reachable(held.path, place, sorted(every.keys() & set(named())))
    finally:
        held.remove()
    gone = 0
    for name in every.keys() - needed if needed is not None else ():
        with suppress(OSError):
            if every[name].stat().st_mtime < now - FRESH:
                every[name].unlink()
                gone += 1
    return gone


def _objects(place: Path) -> Iterator[Path]:
    """The files of an object directory, none of them behind a link."""
    if place.is_dir() and not place.is_symlink():
        for folder in place.glob("??"):
            if not folder.is_symlink():
                yield from folder.iterdir()


def _reachable(own: Path, place: Path, commits: Collection[str]) -> set[str] | None:
    """All objects of some commits, but not of those before them; None where git cannot tell. What
    is missing is the repository's own.
    """
    if not commits:
        return set()
    try:
        make(own, [place], ())
        (own / "HEAD").write_text("ref: refs/heads/none\n")
        asked = ("rev-list", "--objects", "--no-walk", "--missing=allow-any", "--stdin")
        said = run(
            own,
            asked,
            own_environment({"GIT_DIR": str(own)}),
            "".join(f"{commit}\n" for commit in commits).encode(),
        )
    except (OSError, ChangeRefused):
        return None
    lines = said.stdout.splitlines()
    return None if said.returncode else {line.split()[0].decode() for line in lines}
