"""What the tests on working trees share."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from perfhunt.analysis.change.one_change import decide
from perfhunt.change.git.repository import Repository
from perfhunt.change.read import read_change
from perfhunt.model.verdict.change import Change, OneChange
from tests.git.repositories import write_files

FILES = {"app.py": "def price(n):\n    return n\n", "README.md": "A shop.\n"}
EDITED = {"app.py": FILES["app.py"].replace("return n", "return n + 1")}
SECRET = "TOKEN=canary-5b1c\n"


def edit(root: Path) -> Change:
    """The one edit of these tests, as it is read."""
    write_files(root, EDITED)
    return read_change(Repository(root), "HEAD")


def names(change: Change) -> list[str]:
    assert isinstance(decide(change), OneChange)
    return [atom.name or atom.file for atom in change.atoms]


def dot_git(root: Path) -> dict[str, tuple[int, int]]:
    """Every file of `.git` with its size and time."""
    places = sorted(p for p in (root / ".git").rglob("*"))
    return {str(p): (p.lstat().st_size, p.lstat().st_mtime_ns) for p in places}


def objects_with(root: Path, objects: Path, text: bytes) -> list[str]:
    """The blobs in an object directory (and the repository's own) that hold a text."""
    listed = subprocess.run(
        ["git", "cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype)"],
        cwd=root,
        env={**os.environ, "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert listed
    blobs = [i for i, kind in zip(listed[::2], listed[1::2], strict=True) if kind == "blob"]
    return [
        blob
        for blob in blobs
        if text
        in subprocess.run(
            ["git", "cat-file", "blob", blob],
            cwd=root,
            env={**os.environ, "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects)},
            capture_output=True,
            check=True,
        ).stdout
    ]
