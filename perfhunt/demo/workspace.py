"""A working copy of the demo shop, so that the whole loop can be tried on it."""

from __future__ import annotations

import shutil
from pathlib import Path

from perfhunt.errors import UsageError

SERVICE = Path(__file__).parent / "service"
PATCH = "fix.patch"
_IGNORED = ".perfhunt/\n__pycache__/\nshop.sqlite*\nwarehouse.sock\nshop.log\n"


def copy_shop(directory: Path) -> bool:
    """Put the shop into `directory`; False when an earlier copy is there, which is used as it
    stands.

    Raises UsageError when the directory exists and holds something else.
    """
    if (directory / "shop" / "warehouse.py").exists():
        return False
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
    return True
