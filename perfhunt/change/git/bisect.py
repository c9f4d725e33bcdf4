"""The first commit that made a service slower, by halving: git's own choice of the next commit, and
judgements kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from perfhunt.change.git.repository import Repository
from perfhunt.errors import UsageError

CommitLabel: TypeAlias = Literal["good", "bad", "skip"]
Judge: TypeAlias = Callable[
    [str], CommitLabel
]  # commit id -> good, bad, or skip when it cannot be told


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit and its parents, by id."""

    id: str
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bisected:
    """The commits one of which is the first bad one: exactly one when it was found, more when skips
    hide it.

    `judged` are the verdicts in the order they were asked for, cached ones included.
    """

    first_bad: tuple[str, ...]
    judged: tuple[tuple[str, CommitLabel], ...]

    @property
    def found(self) -> bool:
        return len(self.first_bad) == 1


def commits_between(repository: Repository, good: str, bad: str) -> tuple[Commit, ...]:
    """The commits that `bad` has and `good` has not, newest first. Raises UsageError unless good is
    an ancestor of bad.
    """
    good_id, bad_id = repository.resolve(good), repository.resolve(bad)
    if (
        good_id == bad_id
        or repository.attempt("merge-base", "--is-ancestor", good_id, bad_id).returncode
    ):
        raise UsageError(
            f"{good} does not come before {bad}",
            "Name the older, good revision first: perfhunt bisect GOOD BAD",
        )
    listed = repository.git("rev-list", "--parents", "--topo-order", bad_id, f"^{good_id}", "--")
    rows = [line.split() for line in listed.decode().splitlines()]
    return tuple(Commit(row[0], tuple(row[1:])) for row in rows)


def confirm_ends(good: str, bad: str, judge: Judge) -> None:
    """Check that the two ends are what they were said to be. Raises UsageError when they are not:
    halving would find nothing.
    """
    for commit, expected in ((good, "good"), (bad, "bad")):
        verdict = judge(commit)
        if verdict != expected:
            raise UsageError(
                f"{commit[:12]} was named {expected}, and measures {verdict}",
                "Choose ends that differ, or measure longer.",
            )


def bisect(
    commits: Sequence[Commit], judge: Judge, cache: MutableMapping[str, CommitLabel] | None = None
) -> Bisected:
    """The first bad commit among `commits` (newest, known bad, first), judging as few as possible.

    A skipped commit is not asked again; `cache` is read first and written after every judgement, so
    that a run cut short goes on.
    """
    kept: MutableMapping[str, CommitLabel] = {} if cache is None else cache
    reach = _reach(commits)
    index = {c.id: i for i, c in enumerate(commits)}
    bad = commits[0].id
    suspects = reach[bad]
    skipped = 0
    asked: list[tuple[str, CommitLabel]] = []
    while True:
        commit = _next(commits, reach, suspects, skipped | 1 << index[bad])
        if commit is None:
            return Bisected(
                tuple(c.id for i, c in enumerate(commits) if suspects >> i & 1), tuple(asked)
            )
        if commit not in kept:
            kept[commit] = judge(commit)
        asked.append((commit, kept[commit]))
        if kept[commit] == "good":
            suspects &= ~reach[commit]
        elif kept[commit] == "bad":
            suspects, bad = suspects & reach[commit], commit
        else:
            skipped |= 1 << index[commit]


def expected_judgements(count: int) -> int:
    """How many commits are judged at most when none is skipped and history is a line: log2 of the
    commits in question.
    """
    return math.ceil(math.log2(count)) if count > 1 else 0


def _reach(commits: Sequence[Commit]) -> dict[str, int]:
    """For each commit, itself and its ancestors among `commits`, as a set of bits by position."""
    index = {c.id: i for i, c in enumerate(commits)}
    reach: dict[str, int] = {}
    for commit in reversed(commits):  # parents come after their children
        bits = 1 << index[commit.id]
        for parent in commit.parents:
            bits |= reach.get(parent, 0)
        reach[commit.id] = bits
    return reach


def _next(
    commits: Sequence[Commit], reach: dict[str, int], suspects: int, not_these: int
) -> str | None:
    """The suspect that halves the rest best (as git bisect chooses); None when there is none left
    to ask.
    """
    total = suspects.bit_count()
    best, best_worth = None, 0
    for i, commit in enumerate(commits):
        if suspects >> i & 1 and not not_these >> i & 1:
            inside = (reach[commit.id] & suspects).bit_count()
            worth = min(inside, total - inside)
            if worth > best_worth:
                best, best_worth = commit.id, worth
    return best
