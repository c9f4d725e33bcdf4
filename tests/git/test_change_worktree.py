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
from perfhunt.errors import UsageError
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


def test_a_repository_without_a_commit_can_be_snapshot(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    write_files(tmp_path, FILES)
    repository = Repository(tmp_path)
    assert repository.line("cat-file", "-t", snapshot(repository)) == "commit"
