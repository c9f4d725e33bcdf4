"""What of a working tree is read, what is not and said, and where what was read goes."""

from __future__ import annotations

import gc
import os
import pwd
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from perfhunt.change.git.kept import FRESH, code_state, prune_kept
from perfhunt.change.git.repository import KEPT, Repository, find_repository
from perfhunt.change.git.working_tree import working_tree
from perfhunt.change.git.worktree import checkout
from perfhunt.change.paths import may_hold_secrets
from perfhunt.change.read import read_change
from perfhunt.errors import ChangeRefused
from perfhunt.jobs.profile import code_cautions
from perfhunt.model.verdict.change import Kind
from tests.git.repositories import commit_all, git, project_repository, write_files
from tests.git.working_trees import EDITED, FILES, SECRET, dot_git, edit, names, objects_with


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


def test_a_snapshot_stays_as_long_as_a_run_names_it(shop: Path) -> None:
    store = shop.parent / "store"
    write_files(shop, {"notes.txt": "a draft\n", "README.md": "A quick shop.\n"})
    first = code_state(str(shop), store).snapshot
    write_files(shop, EDITED)
    second = code_state(str(shop), store).snapshot
    soon, later = time.time(), time.time() + FRESH + 1
    assert prune_kept(store, lambda: {second}, soon) == 0  # another run may be about to name it
    # The commit and its top tree alone: the second has all else of it as well.
    assert prune_kept(store, lambda: {first, second}, later) == 0
    gone = prune_kept(store, lambda: {second}, later)
    assert gone >= 2
    assert prune_kept(store, lambda: {second}, later) == 0
    kept = Repository(shop, store=store)
    assert kept.git("show", f"{second}:README.md") == b"A quick shop.\n"
    with pytest.raises(ChangeRefused):
        Repository(shop, store=store).git("show", f"{first}:README.md")
    assert prune_kept(store, frozenset, later) > 0
    assert not [path for path in (store / KEPT).rglob("*") if path.is_file()]


def test_where_git_cannot_tell_nothing_of_a_store_goes(shop: Path) -> None:
    store = shop.parent / "store"
    write_files(shop, EDITED)
    snapshot = code_state(str(shop), store).snapshot
    (store / KEPT / snapshot[:2] / snapshot[2:]).write_bytes(b"torn")
    assert prune_kept(store, lambda: {snapshot}, time.time() + FRESH + 1) == 0


def test_a_store_that_cannot_be_written_costs_the_snapshot_only(shop: Path, tmp_path: Path) -> None:
    write_files(shop, EDITED)
    (tmp_path / "store").write_text("a file, not a folder")
    state = code_state(str(shop), tmp_path / "store")
    assert (state.revision, state.dirty, state.snapshot) == (
        git(shop, "rev-parse", "HEAD"),
        True,
        "",
    )


def test_a_store_that_came_with_the_repository_is_not_followed(shop: Path, tmp_path: Path) -> None:
    write_files(shop, EDITED)
    (tmp_path / "elsewhere").mkdir()
    (shop / ".perfhunt").mkdir()
    os.symlink(tmp_path / "elsewhere", shop / ".perfhunt" / KEPT)
    assert code_state(str(shop), shop / ".perfhunt").snapshot == ""
    assert list((tmp_path / "elsewhere").iterdir()) == []


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


@pytest.mark.parametrize(
    "path",
    [
        *("kubeconfig", "prod.kubeconfig", ".envrc", "gha-creds-12ab.json", "db_password.txt"),
        *("client_secret_9.apps.example.json", "gcp-key.json", "api_keys.yaml", "deploy/token"),
        *(".vault_pass", "home.ovpn", "auth.json", "private-key.txt", "Passwords.csv", "a/.ssh/x"),
    ],
)
def test_a_name_with_a_word_for_a_secret_may_hold_one(path: str) -> None:
    assert may_hold_secrets(path)


@pytest.mark.parametrize(
    "path",
    [
        *("app.py", "token.py", "tokenizer.json", "secretary.yaml", "keys.sql", "monkeys.json"),
        *("password_reset.html", "tokens.css", "cookies.vue", "api-key.graphql"),
        *("secrets.example.yaml.sample", "passwordless.conf", "author.json", "data/keys.csv"),
    ],
)
def test_a_name_that_only_resembles_one_is_read(path: str) -> None:
    assert not may_hold_secrets(path)


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
        repository = Repository(open_shop)
        standing = working_tree(repository)
        edited = repository.contents("HEAD", standing.tree)
        assert [content.path for content in edited] == ["app.py"]
        said = " ".join(standing.notes())
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
    (caution,) = code_cautions(state)
    assert "--trust-repository" in caution.sentence
    assert names(read_change(find_repository(open_shop, trusted=True), "HEAD")) == ["price"]
    assert code_state(str(open_shop), trusted=True).dirty


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_its_owner_reads_it_without_being_asked(open_shop: Path) -> None:
    write_files(open_shop, EDITED)
    given_to_nobody(open_shop)
    as_nobody(lambda: print(working_tree(find_repository(open_shop)).tree))


def test_what_the_users_git_was_told_to_trust_is_trusted(
    open_shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_to_nobody(open_shop)
    configuration = tmp_path / "gitconfig"
    configuration.write_text(f"[safe]\n\tdirectory = {open_shop}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(configuration))
    assert find_repository(open_shop).resolve("HEAD")


def test_who_has_neither_a_name_nor_a_home_is_a_user_like_any_other(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that runs under a number."""

    def nobody(uid: int) -> NoReturn:
        raise KeyError(uid)

    write_files(shop, EDITED)
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert code_state(str(shop)).dirty


def test_bytes_that_no_path_holds_end_a_name_in_a_git_directory(shop: Path, tmp_path: Path) -> None:
    """As they do for git."""
    git(shop, "worktree", "add", "--quiet", str(tmp_path / "linked"))
    (shop / ".git" / "worktrees" / "linked" / "commondir").write_text("../..\0behind\n")
    assert code_state(str(tmp_path / "linked")).revision == git(shop, "rev-parse", "HEAD")


@pytest.mark.parametrize("setting", ["core.compression", "core.bigFileThreshold"])
def test_what_git_says_of_a_url_is_told_without_its_password(setting: str, shop: Path) -> None:
    """git shows a value that it cannot use."""
    git(shop, "config", setting, "https://shop:canary-5b1c@git.example/shop?t=canary-5b1c")
    doubt = code_state(str(shop)).doubt
    assert ("https://git.example/shop?" in doubt, "canary" in doubt) == (True, False)
