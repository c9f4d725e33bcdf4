"""Checkouts beside the user's own."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from perfhunt.change.git.places import sweep
from perfhunt.change.git.repository import Repository
from perfhunt.change.git.worktree import checkout, snapshot
from perfhunt.errors import ChangeRefused, UsageError
from tests.git.repositories import git, write_files

FILES = {"app.py": "X = 1\n", "other.py": "Y = 1\n", ".gitignore": "cache/\n"}


def test_a_revision_is_checked_out_and_taken_away(repository: Repository) -> None:
    write_files(repository.root, {"app.py": "X = 2\n"})
    with checkout(repository, "HEAD") as place:
        assert (place / "app.py").read_text() == "X = 1\n"
    assert not place.parent.exists()
    assert len(git(repository.root, "worktree", "list").splitlines()) == 1


def test_the_working_tree_is_checked_out_with_untracked_and_without_ignored_and_removed_files(
    repository: Repository,
) -> None:
    write_files(repository.root, {"app.py": "X = 2\n", "new.py": "Z = 1\n", "cache/x": "x"})
    (repository.root / "other.py").unlink()
    with checkout(repository) as place:
        assert sorted(p.name for p in place.iterdir()) == [
            ".git",
            ".gitignore",
            "app.py",
            "new.py",
        ]
        assert (place / "app.py").read_text() == "X = 2\n"


def test_the_users_tree_index_and_branches_are_as_they_were(repository: Repository) -> None:
    write_files(repository.root, {"app.py": "X = 2\n", "new.py": "Z = 1\n"})
    git(repository.root, "add", "app.py")
    before = (
        git(repository.root, "status", "--porcelain"),
        git(repository.root, "show-ref"),
        git(repository.root, "stash", "list"),
    )
    with checkout(repository):
        pass
    assert (
        git(repository.root, "status", "--porcelain"),
        git(repository.root, "show-ref"),
        git(repository.root, "stash", "list"),
    ) == before


def test_the_checkout_goes_when_its_user_fails(repository: Repository) -> None:
    with pytest.raises(RuntimeError), checkout(repository, "HEAD") as place:
        raise RuntimeError
    assert not place.parent.exists()


def test_prepare_runs_in_the_checkout_and_finds_the_users_tree(repository: Repository) -> None:
    command = (
        sys.executable,
        "-c",
        "import os; open('made', 'w').write(os.environ['PERFHUNT_REPOSITORY'])",
    )
    with checkout(repository, "HEAD", command) as place:
        assert (place / "made").read_text() == str(repository.root)


def test_a_failed_prepare_says_its_last_words(repository: Repository) -> None:
    with (
        pytest.raises(UsageError, match="no such wheel"),
        checkout(repository, "HEAD", (sys.executable, "-c", "raise SystemExit('no such wheel')")),
    ):
        pass
    assert len(git(repository.root, "worktree", "list").splitlines()) == 1


def test_a_prepare_that_hangs_is_ended(repository: Repository) -> None:
    with (
        pytest.raises(UsageError, match="longer than"),
        checkout(repository, "HEAD", ("sleep", "60"), timeout=0.2),
    ):
        pass


def test_a_prepare_command_that_is_missing_is_named(repository: Repository) -> None:
    with (
        pytest.raises(UsageError, match="no-such-command"),
        checkout(repository, "HEAD", ("no-such-command",)),
    ):
        pass


def test_checkouts_of_a_crashed_perfhunt_are_swept_and_those_of_a_live_one_are_kept(
    repository: Repository, tmp_path: Path
) -> None:
    crash = textwrap.dedent(f"""
        import os
        from pathlib import Path
        from perfhunt.change.git.repository import Repository
        from perfhunt.change.git.worktree import checkout
        with checkout(Repository(Path({str(repository.root)!r})), "HEAD") as place:
            print(place, flush=True)
            os._exit(9)
    """)
    done = subprocess.run(
        [sys.executable, "-c", crash], capture_output=True, text=True, check=False
    )
    left = Path(done.stdout.strip())
    assert left.is_dir(), done.stderr
    with checkout(repository, "HEAD") as live:
        assert not left.exists()
        assert sweep() == ()
        assert live.is_dir()


def test_a_snapshot_keeps_executable_bits_and_symbolic_links(repository: Repository) -> None:
    (repository.root / "run.sh").write_text("#!/bin/sh\n")
    (repository.root / "run.sh").chmod(0o755)
    os.symlink("app.py", repository.root / "link.py")
    commit = snapshot(repository)
    modes = {
        line.split()[3]: line.split()[0]
        for line in repository.git("ls-tree", "-r", commit).decode().splitlines()
    }
    assert (modes["run.sh"], modes["link.py"]) == ("100755", "120000")


def test_a_tree_that_leads_out_of_a_checkout_is_refused(
    repository: Repository, tmp_path: Path
) -> None:
    blob = git(repository.root, "rev-parse", "HEAD:app.py")
    for path in ("../out.py", ".git/hooks/post-checkout", ".GIT/config", "/out.py"):
        commit = commit_of(repository, blob, path)
        with pytest.raises(ChangeRefused), checkout(repository, commit):
            pass
    assert not (tmp_path / "out.py").exists()


def commit_of(repository: Repository, blob: str, path: str) -> str:
    """A commit with one file at a path that git itself would not write."""
    *folders, name = path.split("/")
    entry = f"100644 blob {blob}\t{name}"
    for folder in reversed(["", *folders]):
        tree = made(repository, tree_of(entry))
        entry = f"40000 tree {tree}\t{folder}"
    return git(repository.root, "commit-tree", "-m", "odd", tree)


def tree_of(entry: str) -> bytes:
    about, name = entry.split("\t")
    mode, _, object_id = about.split()
    return f"{mode} {name}".encode() + b"\0" + bytes.fromhex(object_id)


def made(repository: Repository, tree: bytes) -> str:
    done = subprocess.run(
        ["git", "hash-object", "-t", "tree", "-w", "--literally", "--stdin"],
        cwd=repository.root,
        input=tree,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


def test_a_file_below_a_link_of_the_same_name_is_not_written_through_it(
    repository: Repository, tmp_path: Path
) -> None:
    """Two entries of one name: a link that leads out, and a folder with a file."""
    blob = git(repository.root, "rev-parse", "HEAD:app.py")
    (tmp_path / "target").write_text(str(tmp_path))
    link = git(repository.root, "hash-object", "-w", str(tmp_path / "target"))
    inner = made(repository, tree_of(f"100644 blob {blob}\tout.py"))
    both = tree_of(f"120000 blob {link}\ta") + tree_of(f"40000 tree {inner}\ta")
    commit = git(repository.root, "commit-tree", "-m", "odd", made(repository, both))
    with pytest.raises(ChangeRefused), checkout(repository, commit):
        pass
    assert not (tmp_path / "out.py").exists()


def object_of(repository: Repository, content: bytes) -> str:
    done = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"],
        cwd=repository.root,
        input=content,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


@pytest.mark.parametrize("inside", ["120000 blob {link}", "160000 commit {commit}"])
@pytest.mark.parametrize("way", ["a folder of the same name", "a name with a slash"])
def test_nothing_is_made_behind_a_link_of_a_tree(
    way: str, inside: str, repository: Repository, tmp_path: Path
) -> None:
    """A link that leads out, and behind it another link, or a submodule's folder."""
    (tmp_path / "outside").mkdir()
    link = object_of(repository, bytes(tmp_path / "outside"))
    about = inside.format(link=link, commit=git(repository.root, "rev-parse", "HEAD"))
    tree = tree_of(f"120000 blob {link}\ta")
    if way == "a name with a slash":
        tree += tree_of(f"{about}\ta/b")
    else:
        tree += tree_of(f"40000 tree {made(repository, tree_of(f'{about}{chr(9)}b'))}\ta")
    commit = git(repository.root, "commit-tree", "-m", "odd", made(repository, tree))
    with pytest.raises(ChangeRefused, match="cannot be written"), checkout(repository, commit):
        pass
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("target", [b"a\0b", b"", b"a" * 5000])
def test_a_link_that_no_file_system_holds_is_refused(target: bytes, repository: Repository) -> None:
    tree = made(repository, tree_of(f"120000 blob {object_of(repository, target)}\ta"))
    commit = git(repository.root, "commit-tree", "-m", "odd", tree)
    with pytest.raises(ChangeRefused, match="cannot be written"), checkout(repository, commit):
        pass


def test_a_repository_without_a_commit_can_be_snapshot(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    write_files(tmp_path, FILES)
    repository = Repository(tmp_path)
    assert repository.line("cat-file", "-t", snapshot(repository)) == "commit"
