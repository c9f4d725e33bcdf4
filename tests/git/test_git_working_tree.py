"""What of a working tree is read, what is not and said, and where what was read goes."""

from __future__ import annotations

import gc
import hashlib
import os
import subprocess
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perfhunt.analysis.change.one_change import decide
from perfhunt.change.git.kept import code_state
from perfhunt.change.git.repository import KEPT, Repository, find_repository
from perfhunt.change.git.worktree import checkout
from perfhunt.change.read import read_change
from perfhunt.errors import ChangeRefused
from perfhunt.jobs.verify.edit_patch import edit_patch
from perfhunt.model.verdict.change import Change, Edit, Kind, OneChange
from tests.git.repositories import commit_all, git, project_repository, write_files

FILES = {"app.py": "def price(n):\n    return n\n", "README.md": "A shop.\n"}
EDITED = {"app.py": FILES["app.py"].replace("return n", "return n + 1")}
SECRET = "TOKEN=canary-5b1c\n"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"


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


def test_nothing_is_written_into_the_repository(shop: Path) -> None:
    write_files(shop, {**EDITED, "new.py": "A = 1\n"})
    git(shop, "tag", "-a", "-m", "first", "v1")
    before = dot_git(shop)
    repository = find_repository(shop)
    read_change(repository, "HEAD")
    code_state(str(shop), shop.parent / "store")
    for revision in ("", "HEAD"):
        with checkout(repository, revision) as place:
            assert git(place, "describe", "--tags") == "v1" if revision else place.is_dir()
    assert dot_git(shop) == before


def test_uncommitted_work_is_kept_in_the_store_and_read_from_there(shop: Path) -> None:
    store = shop.parent / "store"
    write_files(shop, {"README.md": "A quick shop.\n"})
    state = code_state(str(shop), store)
    assert (state.dirty, len(state.diff_sha256)) == (True, 64)
    write_files(shop, EDITED)
    read = read_change(Repository(shop, store=store), state.snapshot)
    assert [content.path for content in read.files] == ["app.py"]


def test_a_store_that_cannot_be_written_costs_the_snapshot_only(shop: Path, tmp_path: Path) -> None:
    write_files(shop, EDITED)
    (tmp_path / "store").write_text("a file, not a folder")
    state = code_state(str(shop), tmp_path / "store")
    assert (state.revision, state.dirty, state.snapshot) == (
        git(shop, "rev-parse", "HEAD"),
        True,
        "",
    )


def test_untracked_secrets_are_not_read_and_do_not_count(shop: Path) -> None:
    store = shop.parent / "store"
    write_files(shop, {".env": SECRET, "deploy/id_ed25519": SECRET, "secrets.yaml": SECRET})
    change = edit(shop)
    assert names(change) == ["price"]
    (note,) = change.notes
    assert ".env" in note
    assert "git add" in note
    assert code_state(str(shop), store).snapshot
    assert objects_with(shop, store / KEPT, b"return n + 1")
    assert objects_with(shop, store / KEPT, b"canary-5b1c") == []


def test_a_secret_that_git_was_told_of_counts(shop: Path) -> None:
    write_files(shop, {".env": SECRET})
    git(shop, "add", "--intent-to-add", ".env")
    read = read_change(Repository(shop), "HEAD")
    assert {(atom.kind, atom.file) for atom in read.atoms} == {(Kind.CONFIG, ".env")}


def test_large_untracked_data_is_left_where_it_is_and_said(shop: Path) -> None:
    with (shop / "dump.bin").open("wb") as file:
        file.truncate(60_000_000)
    before = dot_git(shop)
    change = edit(shop)
    assert names(change) == ["price"]
    assert "dump.bin" in change.notes[0]
    assert dot_git(shop) == before


def test_documents_and_tests_that_git_does_not_know_are_named_and_not_read(shop: Path) -> None:
    write_files(shop, {"tests/test_x.py": SECRET, "passwords.txt": SECRET})
    change = edit(shop)
    assert {atom.file for atom in change.ignored} == {"tests/test_x.py", "passwords.txt"}
    code_state(str(shop), shop.parent / "store")
    assert objects_with(shop, shop.parent / "store" / KEPT, b"canary-5b1c") == []


@pytest.mark.parametrize("committed", [False, True])
def test_a_repository_inside_that_git_does_not_know_is_none_of_the_change(
    shop: Path, committed: bool
) -> None:
    inner = shop / "vendor" / "inner"
    inner.mkdir(parents=True)
    git(inner, "init", "--quiet")
    write_files(inner, {"x.py": "X = 1\n"})
    if committed:
        commit_all(inner, "one")
    change = edit(shop)
    assert names(change) == ["price"]
    assert "vendor/inner/" in change.notes[0]


def as_nobody(act: Callable[[], None]) -> None:
    """Run it in a process that may read what its owner may; root may read everything."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            act()
            gc.collect()  # takes away the directories that were held
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


@pytest.fixture
def open_shop() -> Iterator[Path]:
    """A shop of nobody's, in a directory that anybody may enter."""
    with tempfile.TemporaryDirectory(prefix="perfhunt-test-") as directory:
        root = Path(directory) / "shop"
        root.parent.chmod(0o755)
        project_repository(root, FILES)
        yield root


def given_to_nobody(root: Path) -> None:
    if os.geteuid() == 0:
        for place in (root, *root.rglob("*")):
            os.chown(place, 65534, 65534, follow_symlinks=False)


def test_untracked_files_that_may_not_be_read_are_named_and_do_not_count(open_shop: Path) -> None:
    write_files(open_shop, {**EDITED, "closed.py": "A = 1\n", "closed/x.py": "A = 1\n"})
    given_to_nobody(open_shop)
    (open_shop / "closed.py").chmod(0)
    (open_shop / "closed").chmod(0)

    def look() -> None:
        change = read_change(Repository(open_shop), "HEAD")
        assert names(change) == ["price"]
        said = " ".join(change.notes)
        assert "closed.py: untracked, and may not be read" in said
        assert "closed/" in said

    try:
        as_nobody(look)
    finally:
        (open_shop / "closed").chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_a_repository_of_another_user_is_read_only_when_it_is_trusted(open_shop: Path) -> None:
    write_files(open_shop, EDITED)
    given_to_nobody(open_shop)
    with pytest.raises(ChangeRefused, match="dubious ownership in repository") as refused:
        find_repository(open_shop / "somewhere")
    assert "safe.directory" in refused.value.message
    assert "--trust-repository" in refused.value.hint
    assert "git init" not in refused.value.hint
    state = code_state(str(open_shop))
    assert (state.revision, "dubious ownership" in state.doubt) == ("", True)
    assert names(read_change(find_repository(open_shop, trusted=True), "HEAD")) == ["price"]
    assert code_state(str(open_shop), trusted=True).dirty


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_its_owner_reads_it_without_being_asked(open_shop: Path) -> None:
    write_files(open_shop, EDITED)
    given_to_nobody(open_shop)
    as_nobody(lambda: names(read_change(find_repository(open_shop), "HEAD")) and None)


def test_what_the_users_git_was_told_to_trust_is_trusted(
    open_shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_to_nobody(open_shop)
    configuration = tmp_path / "gitconfig"
    configuration.write_text(f"[safe]\n\tdirectory = {open_shop}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(configuration))
    assert find_repository(open_shop).resolve("HEAD")


# What a filter would turn.


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


# Line ends, and repositories of other shapes.


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
