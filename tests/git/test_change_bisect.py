"""Halving a history; the oracle is git bisect itself."""

import math
import sys
from pathlib import Path

import pytest

from perfhunt.change.git.bisect import (
    Commit,
    CommitLabel,
    bisect,
    commits_between,
    expected_judgements,
)
from perfhunt.change.git.repository import Repository
from perfhunt.errors import UsageError
from tests.git.repositories import commit_all, git, project_repository, write_files


def line(count: int) -> list[Commit]:
    """A straight history, newest (number count - 1) first; commit 0's parent is the good end."""
    return [Commit(str(i), (str(i - 1),)) for i in reversed(range(count))]


@pytest.mark.parametrize("first", range(12))
def test_the_first_bad_commit_of_a_line_is_found_in_log2_judgements(first: int) -> None:
    found = bisect(line(12), lambda c: "bad" if int(c) >= first else "good")
    assert found.first_bad == (str(first),)
    assert len(found.judged) <= expected_judgements(12) == math.ceil(math.log2(12))


def test_skipped_neighbours_leave_the_candidates_open() -> None:
    found = bisect(
        line(8), lambda c: "skip" if c in ("3", "4") else "bad" if int(c) >= 4 else "good"
    )
    assert (set(found.first_bad), found.found) == ({"3", "4", "5"}, False)


def test_a_skip_away_from_the_culprit_does_not_hide_it() -> None:
    found = bisect(line(9), lambda c: "skip" if c == "4" else "bad" if int(c) >= 7 else "good")
    assert found.first_bad == ("7",)


def test_judgements_are_kept_and_not_asked_for_again() -> None:
    asked: list[str] = []
    cache: dict[str, CommitLabel] = {}

    def judge(commit: str) -> CommitLabel:
        asked.append(commit)
        return "bad" if int(commit) >= 5 else "good"

    first, again = bisect(line(16), judge, cache), bisect(line(16), judge, cache)
    assert (first, len(asked)) == (again, len(cache))


def test_a_run_cut_short_goes_on_from_what_it_knew() -> None:
    cache: dict[str, CommitLabel] = {}
    left = iter(range(2))

    def judge(commit: str) -> CommitLabel:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return "bad" if int(commit) >= 5 else "good"

    with pytest.raises(KeyboardInterrupt):
        bisect(line(64), judge, cache)
    assert len(cache) == 2
    assert bisect(line(64), lambda c: "bad" if int(c) >= 5 else "good", cache).first_bad == ("5",)


def test_one_commit_needs_no_judgement() -> None:
    found = bisect(line(1), lambda c: pytest.fail("asked"))
    assert (found.first_bad, found.judged) == (("0",), ())


def test_a_merged_branch_is_searched_as_git_bisect_does(tmp_path: Path) -> None:
    good = project_repository(tmp_path, {"n.txt": "0"})
    git(tmp_path, "branch", "-M", "main")
    for number in range(3):
        write_files(tmp_path, {f"main{number}.txt": "x"})
        commit_all(tmp_path, f"main {number}")
    git(tmp_path, "checkout", "--quiet", "-b", "side", good)
    for number in range(5):
        write_files(tmp_path, {f"side{number}.txt": "x"})
        commit_all(tmp_path, f"side {number}")
    git(tmp_path, "checkout", "--quiet", "main")
    git(tmp_path, "merge", "--quiet", "--no-ff", "-m", "merge", "side")
    write_files(tmp_path, {"last.txt": "x"})
    bad = commit_all(tmp_path, "last")
    repository = Repository(tmp_path)

    def judge(commit: str) -> CommitLabel:
        return "bad" if "side2.txt" in git(tmp_path, "ls-tree", "--name-only", commit) else "good"

    ours = bisect(commits_between(repository, good, bad), judge)
    git(tmp_path, "bisect", "start", bad, good)
    check = f"import os, sys; sys.exit(os.path.exists({'side2.txt'!r}))"
    said = git(tmp_path, "bisect", "run", sys.executable, "-c", check)
    theirs = next(
        line.split()[0] for line in said.splitlines() if line.endswith("is the first bad commit")
    )
    assert ours.first_bad == (theirs,)


def test_ends_in_the_wrong_order_are_refused(tmp_path: Path) -> None:
    good = project_repository(tmp_path, {"n.txt": "0"})
    write_files(tmp_path, {"n.txt": "1"})
    bad = commit_all(tmp_path, "one")
    with pytest.raises(UsageError, match="does not come before"):
        commits_between(Repository(tmp_path), bad, good)
    assert [c.id for c in commits_between(Repository(tmp_path), good, bad)] == [bad]
