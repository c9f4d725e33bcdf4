"""The demo's working copy."""

from pathlib import Path

import pytest

from perfhunt.change.git.create import new_repository
from perfhunt.demo.workspace import PATCH, copy_shop
from tests.git.repositories import git


def test_the_shop_is_committed_whatever_the_users_git_would_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark, template = tmp_path / "mark", tmp_path / "template"
    (template / "hooks").mkdir(parents=True)
    (template / "hooks" / "pre-commit").write_text(f"#!/bin/sh\ntouch {mark}; exit 1\n")
    (template / "hooks" / "pre-commit").chmod(0o755)
    (tmp_path / "gitconfig").write_text(f"[init]\n\ttemplateDir = {template}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    home = tmp_path / "demo"
    assert copy_shop(home)
    new_repository(home, "The shop as it is")
    assert git(home, "status", "--porcelain") == ""
    assert git(home, "log", "--format=%an %s") == "perfhunt demo The shop as it is"
    git(home, "apply", "--check", PATCH)
    assert not copy_shop(home)
    assert not mark.exists()
