"""Git, asked carefully."""

from pathlib import Path

import pytest

from perfhunt.change.git.repository import Repository, find_repository
from perfhunt.change.read import read_change
from perfhunt.errors import ChangeRefused, UsageError
from perfhunt.model.verdict.change import Edit, Kind
from tests.git.repositories import commit_all, git, project_repository, write_files

FILES = {
    "app.py": "def one():\n    return 1\n\n\ndef two():\n    return 2\n",
    ".gitignore": "*.log\n",
}


@pytest.fixture
def base(tmp_path: Path) -> str:
    return project_repository(tmp_path, FILES)


def test_untracked_files_count_and_ignored_ones_do_not(tmp_path: Path, base: str) -> None:
    write_files(
        tmp_path, {"new.py": "@app.get('/')\ndef three():\n    return 3\n", "noise.log": "x"}
    )
    change = read_change(Repository(tmp_path), base)
    assert [(a.file, a.name, a.edit) for a in change.atoms] == [("new.py", "three", Edit.ADDED)]


def test_staged_and_unstaged_edits_are_both_seen(tmp_path: Path, base: str) -> None:
    write_files(tmp_path, {"app.py": FILES["app.py"].replace("return 1", "return 10")})
    git(tmp_path, "add", "app.py")
    write_files(
        tmp_path,
        {
            "app.py": FILES["app.py"]
            .replace("return 1", "return 10")
            .replace("return 2", "return 20")
        },
    )
    assert {a.name for a in read_change(Repository(tmp_path), base).atoms} == {"one", "two"}


def test_reading_a_change_leaves_index_files_and_branches_alone(tmp_path: Path, base: str) -> None:
    write_files(tmp_path, {"app.py": FILES["app.py"] + "\n\nX = 1\n", "new.py": "Y = 1\n"})
    before = (
        git(tmp_path, "status", "--porcelain"),
        git(tmp_path, "show-ref"),
        (tmp_path / ".git/index").read_bytes(),
    )
    read_change(Repository(tmp_path), base)
    assert (
        git(tmp_path, "status", "--porcelain"),
        git(tmp_path, "show-ref"),
        (tmp_path / ".git/index").read_bytes(),
    ) == before


def test_a_commit_range_is_read_without_the_working_tree(tmp_path: Path, base: str) -> None:
    write_files(tmp_path, {"app.py": FILES["app.py"].replace("return 1", "return 10")})
    head = commit_all(tmp_path, "one")
    write_files(tmp_path, {"app.py": "broken("})
    change = read_change(Repository(tmp_path), base, head)
    assert ([a.name for a in change.atoms], change.head) == (["one"], head)


def test_the_same_difference_has_the_same_fingerprint_committed_or_not(
    tmp_path: Path, base: str
) -> None:
    write_files(tmp_path, {"app.py": FILES["app.py"].replace("return 1", "return 10")})
    uncommitted = read_change(Repository(tmp_path), base)
    head = commit_all(tmp_path, "one")
    assert uncommitted.sha256 == read_change(Repository(tmp_path), base, head).sha256 != ""


def test_an_unknown_revision_is_a_usage_error_that_names_it(tmp_path: Path, base: str) -> None:
    with pytest.raises(UsageError, match="no-such"):
        Repository(tmp_path).resolve("no-such")


def test_a_revision_that_looks_like_an_option_is_not_taken_for_one(
    tmp_path: Path, base: str
) -> None:
    with pytest.raises(UsageError):
        Repository(tmp_path).resolve("--output=/tmp/x")


def test_outside_a_repository_the_refusal_says_where(tmp_path: Path) -> None:
    with pytest.raises(ChangeRefused, match=str(tmp_path)):
        find_repository(tmp_path)


def test_nothing_a_hostile_repository_configures_is_run(tmp_path: Path, base: str) -> None:
    trap = tmp_path.parent / f"{tmp_path.name}-trap"
    script = f"touch {trap}; cat"
    hook = tmp_path / ".git/hooks/post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {trap}\n")
    hook.chmod(0o755)
    for key in (
        "core.fsmonitor",
        "core.pager",
        "diff.external",
        "filter.evil.clean",
        "filter.evil.smudge",
        "diff.evil.textconv",
    ):
        git(tmp_path, "config", key, script)
    git(tmp_path, "config", "filter.evil.required", "false")
    write_files(
        tmp_path,
        {
            ".gitattributes": "*.py filter=evil diff=evil\n",
            "app.py": FILES["app.py"] + "\n\nX = 1\n",
        },
    )
    repository = find_repository(tmp_path)
    read_change(repository, base)
    assert not trap.exists()


def test_a_git_environment_of_the_caller_is_not_believed(
    tmp_path: Path, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere")
    assert find_repository(tmp_path).resolve("HEAD") == base


def test_file_names_with_spaces_quotes_and_newlines_are_read(tmp_path: Path, base: str) -> None:
    odd = 'odd "näme"\n.py'
    write_files(tmp_path, {odd: "@app.get('/')\ndef three():\n    return 3\n"})
    assert [a.file for a in read_change(Repository(tmp_path), base).atoms] == [odd]


def test_a_binary_file_is_data_and_says_its_size(tmp_path: Path, base: str) -> None:
    (tmp_path / "model.bin").write_bytes(b"\0\1\2" * 1000)
    (atom,) = read_change(Repository(tmp_path), base).atoms
    assert (atom.kind, atom.detail) == (Kind.DATA, "3,000 bytes")


def test_a_change_of_mode_alone_is_ignored(tmp_path: Path, base: str) -> None:
    (tmp_path / "app.py").chmod(0o755)
    change = read_change(Repository(tmp_path), base)
    assert (change.atoms, len(change.ignored)) == ((), 1)
