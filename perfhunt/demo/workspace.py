"""A working copy of the demo shop: a small git repository of the user's own, so that the whole loop
can be tried on it.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from perfhunt.errors import UsageError

SERVICE = Path(__file__).parent / "service"
PATCH = "fix.patch"
_IGNORED = ".perfhunt/\n__pycache__/\nshop.sqlite*\nwarehouse.sock\nshop.log\n"

# The copy is committed whatever the user's git is called or signs with.
_IDENTITY = (
    *("-c", "user.name=perfhunt demo"),
    *("-c", "user.email=demo@localhost"),
    *("-c", "commit.gpgsign=false"),
)


def prepare(directory: Path) -> Path:
    """The shop in `directory`, committed to a git repository there; an earlier copy is used as it
    stands.

    Raises UsageError when the directory exists and holds something else.
    """
    if (directory / "shop" / "warehouse.py").exists():
        return directory
    if directory.exists() and any(directory.iterdir()):
        raise UsageError(
            f"{directory} exists and is not a copy of the demo",
            "Name another one: perfhunt demo --directory DIR",
        )
    shutil.copytree(
        SERVICE,
        directory,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("__pycache__", "*.sqlite*"),
    )
    (directory / ".gitignore").write_text(_IGNORED)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "The shop as it is"]):
        subprocess.run(["git", *_IDENTITY, *words], cwd=directory, check=True, capture_output=True)
    return directory
