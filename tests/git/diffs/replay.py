"""Cases replayed as uncommitted work in real repositories."""

from __future__ import annotations

from pathlib import Path

from perfhunt.analysis.change.one_change import decide
from perfhunt.change.git.repository import Repository
from perfhunt.change.read import read_change
from perfhunt.model.profile import Frame, Profile, ProfileMode
from perfhunt.model.verdict.change import ChangeRefusal, OneChange
from tests.git.diffs.case import Case
from tests.git.diffs.cases import CASES
from tests.git.repositories import project_repository, write_files

__all__ = ["CASES", "edit_worktree", "profile_of", "ruling", "said"]


def edit_worktree(case: Case, root: Path) -> None:
    """The case's edit as uncommitted work, untracked files and all."""
    after = case.after()
    for path in set(case.project) - set(after):
        (root / path).unlink()
    write_files(root, {p: t for p, t in after.items() if case.project.get(p) != t})


def profile_of(case: Case) -> Profile | None:
    """The baseline's profile, when the case has one."""
    if not case.stacks:
        return None
    stacks = {
        tuple(_frame(part) for part in text.split(" > ")): weight for text, weight in case.stacks
    }
    return Profile("py-spy", "0.4", ProfileMode.WALL, 100.0, 10.0, stacks)


def _frame(text: str) -> Frame:
    function, _, file = text.partition("@")
    return Frame(function, file)


def ruling(case: Case, root: Path) -> OneChange | ChangeRefusal:
    """What perfhunt says about a case in a repository of its own at `root` (empty)."""
    base = project_repository(root, case.project)
    edit_worktree(case, root)
    return decide(read_change(Repository(root), base), profile_of(case))


def said(ruled: OneChange | ChangeRefusal) -> str:
    """The ruling in the reviewer's words."""
    return "pass" if isinstance(ruled, OneChange) else ruled.code
