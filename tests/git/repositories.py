"""Real repositories for tests, made by git as somebody with no configuration of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

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
    """What a git command printed."""
    done = subprocess.run(
        ["git", *arguments], cwd=root, env=IDENTITY, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def write_files(root: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def commit_all(root: Path, message: str) -> str:
    """A commit of everything; its id."""
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "-m", message)
    return git(root, "rev-parse", "HEAD")


def project_repository(root: Path, files: Mapping[str, str]) -> str:
    """A repository with one commit; its id."""
    root.mkdir(exist_ok=True)
    git(root, "init", "--quiet")
    write_files(root, files)
    return commit_all(root, "the service as it was")
