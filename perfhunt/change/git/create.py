"""A new repository of what a directory holds."""

from __future__ import annotations

from pathlib import Path

from perfhunt.change.git.program import own_environment, run, words_of
from perfhunt.errors import ChangeRefused

# Whatever the user's git is called or signs with.
_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "perfhunt demo"), ("EMAIL", "demo@localhost"))
}


def new_repository(directory: Path, message: str) -> None:
    """Make a repository there, with one commit of everything. Raises ChangeRefused."""
    environment = own_environment(_IDENTITY)
    for words in (
        ("-c", "init.defaultBranch=main", "init", "--quiet", "--template="),
        ("add", "--all"),
        ("commit", "--quiet", "-m", message),
    ):
        done = run(directory, words, environment)
        if done.returncode:
            raise ChangeRefused(f"git could not make a repository of {directory}: {words_of(done)}")
