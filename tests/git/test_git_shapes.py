"""Line ends, conflicts, and repositories of every shape."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from perfhunt.change.git.repository import Repository, find_repository
from perfhunt.change.git.worktree import checkout
from perfhunt.change.read import read_change
from perfhunt.jobs.verify.edit_patch import edit_patch
from tests.git.repositories import commit_all, git, project_repository, write_files
from tests.git.working_trees import EDITED, FILES, edit, names


def test_line_ends_are_none_of_the_change(tmp_path: Path) -> None:
    project_repository(tmp_path, FILES)
    git(tmp_path, "config", "core.autocrlf", "true")
    git(tmp_path, "config", "core.safecrlf", "true")
    (tmp_path / "app.py").write_bytes(EDITED["app.py"].replace("\n", "\r\n").encode())
    (tmp_path / "README.md").write_bytes(FILES["README.md"].replace("\n", "\r\n").encode())
    repository = Repository(tmp_path)
    change = read_change(repository, "HEAD")
    assert (names(change), [edit.path for edit in change.files]) == (["price"], ["app.py"])
    edit_patch(repository, change).take_out()
    assert (tmp_path / "app.py").read_text() == FILES["app.py"]


def test_a_file_that_became_a_folder_and_a_folder_that_became_a_link_are_read(
    tmp_path: Path,
) -> None:
    project_repository(
        tmp_path, {**FILES, "one": "1\n", "two/x.json": "{}\n", "three/y.json": "{}"}
    )
    (tmp_path / "one").unlink()
    write_files(tmp_path, {"one/z.json": "{}\n"})
    for folder, file in (("two", "x.json"), ("three", "y.json")):
        (tmp_path / folder / file).unlink()
        (tmp_path / folder).rmdir()
    os.symlink("three", tmp_path / "two")
    write_files(tmp_path, {"three/x.json": "{}\n"})
    repository = Repository(tmp_path)
    with checkout(repository) as place:
        assert os.readlink(place / "two") == "three"
        assert sorted(str(p.relative_to(place)) for p in place.rglob("*.json")) == [
            "one/z.json",
            "three/x.json",
        ]


def test_a_conflict_is_read_as_it_stands(shop: Path) -> None:
    git(shop, "checkout", "--quiet", "-b", "other")
    write_files(shop, {"app.py": FILES["app.py"].replace("return n", "return 2 * n")})
    commit_all(shop, "other")
    git(shop, "checkout", "--quiet", "-")
    write_files(shop, EDITED)
    commit_all(shop, "ours")
    subprocess.run(["git", "merge", "other"], cwd=shop, capture_output=True, check=False)
    assert "<<<<<<<" in (shop / "app.py").read_text()
    change = read_change(Repository(shop), "HEAD")
    assert [edit.path for edit in change.files] == ["app.py"]


@pytest.mark.parametrize("shape", ["sha256", "linked", "split index", "shallow", "separate"])
def test_repositories_of_every_shape_are_read(tmp_path: Path, shape: str) -> None:
    home, root = tmp_path / "home", tmp_path / "home"
    home.mkdir()
    how = {
        "sha256": ("--object-format=sha256",),
        "separate": (f"--separate-git-dir={tmp_path / 'apart'}",),
    }
    git(home, "init", "--quiet", *how.get(shape, ()))
    write_files(home, FILES)
    commit_all(home, "one")
    git(home, "commit", "--quiet", "--allow-empty", "-m", "two")
    if shape == "linked":
        root = tmp_path / "linked"
        git(home, "worktree", "add", "--quiet", "--detach", str(root))
    if shape == "split index":
        git(home, "update-index", "--split-index")
    if shape == "shallow":
        root = tmp_path / "shallow"
        git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{home}", str(root))
    change = edit(root)
    assert names(change) == ["price"]
    repository = find_repository(root)
    with checkout(repository) as place:
        assert (place / "app.py").read_text() == EDITED["app.py"]
        assert git(place, "rev-parse", "HEAD~1") == git(root, "rev-parse", "HEAD")


@pytest.mark.parametrize("name", ['quo"ted', "co:lon", "new\nline", "back\\slash", "-c", "ä b"])
def test_a_repository_may_be_called_anything(tmp_path: Path, name: str) -> None:
    root = tmp_path / name
    project_repository(root, FILES)
    assert names(edit(root)) == ["price"]
    with checkout(find_repository(root)) as place:
        assert (place / "app.py").read_text() == EDITED["app.py"]
        assert git(place, "rev-parse", "HEAD~1") == git(root, "rev-parse", "HEAD")


@pytest.mark.parametrize("outer", ["outer", "co:lon"])
def test_a_dot_git_that_is_none_is_passed_by(tmp_path: Path, outer: str) -> None:
    project_repository(tmp_path / outer, FILES)
    (tmp_path / outer / "inner" / ".git").mkdir(parents=True)
    assert find_repository(tmp_path / outer / "inner").root == tmp_path / outer


def test_what_is_read_may_lie_where_temporary_files_do(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(shop / "tmp"))
    change = edit(shop)
    assert (names(change), change.notes) == (["price"], ())


def test_the_upstream_of_a_branch_is_a_revision(tmp_path: Path) -> None:
    project_repository(tmp_path / "home", FILES)
    git(tmp_path, "clone", "--quiet", str(tmp_path / "home"), str(tmp_path / "clone"))
    head = git(tmp_path / "clone", "rev-parse", "HEAD")
    assert Repository(tmp_path / "clone").resolve("@{upstream}") == head


def test_the_users_own_ignored_files_are_ignored(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ignored").write_text("*.swp.py\n")
    (tmp_path / "gitconfig").write_text(f"[core]\n\texcludesFile = {tmp_path / 'ignored'}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    (shop / ".git/info/exclude").write_text("local.py\n")
    write_files(shop, {"x.swp.py": "A = 1\n", "local.py": "A = 1\n"})
    assert names(edit(shop)) == ["price"]


def test_a_working_tree_that_the_configuration_puts_elsewhere_is_not_gone_to(
    shop: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    write_files(elsewhere, {"private.py": "A = 1\n"})
    git(shop, "config", "core.worktree", str(elsewhere))
    assert names(edit(shop)) == ["price"]
