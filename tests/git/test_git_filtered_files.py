"""Files that a filter would turn, told apart without running it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from perfhunt.change.git.kept import code_state
from perfhunt.change.git.repository import KEPT, Repository
from perfhunt.change.git.worktree import checkout
from perfhunt.change.read import read_change
from perfhunt.errors import ChangeRefused
from perfhunt.jobs.verify.edit_patch import edit_patch
from perfhunt.model.verdict.change import Edit, Kind
from tests.git.repositories import commit_all, git, project_repository, write_files
from tests.git.working_trees import FILES, SECRET, edit, names, objects_with

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"


def lfs_shop(root: Path, content: str) -> None:
    """A repository with a file that is kept by LFS, checked out: git has a pointer to it."""
    pointer = POINTER.format(hashlib.sha256(content.encode()).hexdigest(), len(content))
    files = {**FILES, ".gitattributes": "*.bin filter=lfs\n", "model.bin": pointer}
    project_repository(root, files)
    git(root, "config", "filter.lfs.required", "true")
    git(root, "config", "filter.lfs.clean", "git-lfs-that-is-not-there clean -- %f")
    write_files(root, {"model.bin": content})


def test_a_file_that_lfs_keeps_is_told_by_its_sum_without_git_lfs(tmp_path: Path) -> None:
    lfs_shop(tmp_path, "weights one\n")
    assert names(edit(tmp_path)) == ["price"]


def test_an_edited_file_that_lfs_keeps_is_an_edit_and_is_not_kept(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    lfs_shop(root, "weights one\n")
    write_files(root, {"model.bin": "weights two\n"})
    repository = Repository(root)
    change = read_change(repository, "HEAD")
    (atom,) = change.atoms
    assert (atom.kind, atom.file, atom.edit) == (Kind.DATA, "model.bin", Edit.CHANGED)
    assert "behind the filter lfs" in atom.detail
    assert edit_patch(repository, change).left == ("model.bin",)
    store = tmp_path / "store"
    assert code_state(str(root), store).snapshot
    assert objects_with(root, store / KEPT, b"weights two") == []


def encrypted_shop(root: Path) -> None:
    """A repository with an encrypted file that is checked out decrypted; git last looked then."""
    project_repository(root, FILES)
    (root / "keys.yaml").write_bytes(b"\0GITCRYPT\0" + bytes(range(100)))
    write_files(root, {".gitattributes": "keys.yaml filter=git-crypt\n"})
    commit_all(root, "keys")
    blob, mode = git(root, "rev-parse", "HEAD:keys.yaml"), "100644"
    write_files(root, {"keys.yaml": SECRET})
    # As a smudge filter leaves it: the index has the plain file's size with the encrypted blob.
    git(root, "config", "filter.git-crypt.clean", f"git cat-file blob {blob}")
    git(root, "add", "keys.yaml")
    git(root, "config", "--unset", "filter.git-crypt.clean")
    assert git(root, "ls-files", "-s", "keys.yaml") == f"{mode} {blob} 0\tkeys.yaml"


def test_a_decrypted_file_that_was_touched_is_no_edit_and_is_not_kept(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    encrypted_shop(root)
    os.utime(root / "keys.yaml", (2_000_000_000, 2_000_000_000))
    change = edit(root)
    assert names(change) == ["price"]
    assert "keys.yaml" in change.notes[0]
    code_state(str(root), tmp_path / "store")
    assert objects_with(root, tmp_path / "store" / KEPT, b"canary-5b1c") == []


def test_an_edited_decrypted_file_is_an_edit_and_is_not_kept(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    encrypted_shop(root)
    write_files(root, {"keys.yaml": SECRET + "MORE=1\n"})
    change = read_change(Repository(root), "HEAD")
    assert [(atom.file, atom.edit) for atom in change.atoms] == [("keys.yaml", Edit.CHANGED)]
    code_state(str(root), tmp_path / "store")
    assert objects_with(root, tmp_path / "store" / KEPT, b"canary-5b1c") == []


def test_a_checkout_says_which_files_are_as_git_stores_them(tmp_path: Path) -> None:
    lfs_shop(tmp_path / "shop", "weights one\n")
    repository, said = Repository(tmp_path / "shop"), list[str]()
    with checkout(repository, "HEAD", say=said.append) as place:
        assert (place / "model.bin").read_text().startswith("version https://git-lfs")
    (sentence,) = said
    assert "model.bin" in sentence
    assert "--prepare" in sentence


def test_a_checkout_of_the_working_tree_has_what_the_user_has_beside_it(tmp_path: Path) -> None:
    lfs_shop(tmp_path / "shop", "weights one\n")
    beside = {"model.bin": "weights two\n", ".env": SECRET, "tests/test_x.py": "X = 1\n"}
    write_files(tmp_path / "shop", beside)
    with checkout(Repository(tmp_path / "shop")) as place:
        assert {path: (place / path).read_text() for path in beside} == beside


@pytest.mark.parametrize("instead", ["a pipe", "a link"])
def test_what_took_the_place_of_a_file_that_lfs_keeps_is_neither_waited_for_nor_followed(
    instead: str, tmp_path: Path
) -> None:
    root = tmp_path / "shop"
    lfs_shop(root, "weights one\n")
    (root / "model.bin").unlink()
    if instead == "a pipe":
        os.mkfifo(root / "model.bin")
        with pytest.raises(ChangeRefused, match=r"model\.bin: unsupported file type"):
            edit(root)
    else:
        (tmp_path / "private").write_text("weights one\n")
        os.symlink(tmp_path / "private", root / "model.bin")
        assert sorted(content.path for content in edit(root).files) == ["app.py", "model.bin"]
