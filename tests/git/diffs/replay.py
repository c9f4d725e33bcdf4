"""Cases replayed: without git for speed, or as real commits and working trees."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from diffs.case import Case
from diffs.cases_functions import CASES as FUNCTIONS
from diffs.cases_languages import CASES as LANGUAGES
from diffs.cases_last import CASES as LAST
from diffs.cases_later import CASES as LATER
from diffs.cases_later_other import CASES as LATER_OTHER
from diffs.cases_modules import CASES as MODULES
from diffs.cases_operations import CASES as OPERATIONS
from perfhunt.analysis.change.one_change import decide
from perfhunt.change.git.repository import Repository
from perfhunt.change.read import read_change
from perfhunt.model.profile import Frame, Profile
from perfhunt.model.verdict.change import ChangeRefusal, OneChange

CASES = (*FUNCTIONS, *MODULES, *OPERATIONS, *LANGUAGES, *LATER, *LATER_OTHER, *LAST)
IDENTITY = {
    **{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.com",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


def git(root: Path, *arguments: str) -> str:
    """What a git command printed, run as somebody with no configuration of their own."""
    done = subprocess.run(
        ["git", *arguments], cwd=root, env=IDENTITY, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def write_files(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def commit_all(root: Path, message: str) -> str:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "-m", message)
    return git(root, "rev-parse", "HEAD")


def project_repository(root: Path, files: dict[str, str]) -> str:
    """A repository with one commit; its id."""
    git(root, "init", "--quiet")
    write_files(root, files)
    return commit_all(root, "the service as it was")


def edit_worktree(case: Case, root: Path) -> None:
    """The case's edit as uncommitted work, untracked files and all."""
    after = case.after()
    for path in set(case.project) - set(after):
        (root / path).unlink()
    write_files(root, {p: t for p, t in after.items() if case.project.get(p) != t})


def profile_of(case: Case) -> Profile | None:
    if not case.stacks:
        return None
    stacks = {
        tuple(Frame(*part.split("@")) for part in text.split(" > ")): weight
        for text, weight in case.stacks
    }
    return Profile("py-spy", "0.4", "wall", 100.0, 10.0, stacks)


def ruling(case: Case, root: Path) -> OneChange | ChangeRefusal:
    """What perfhunt says about a case, as uncommitted work in a real repository at `root`
    (empty).
    """
    base = project_repository(root, dict(case.project))
    edit_worktree(case, root)
    return decide(read_change(Repository(root), base), profile_of(case))


def said(ruled: OneChange | ChangeRefusal) -> str:
    return "pass" if isinstance(ruled, OneChange) else ruled.code
