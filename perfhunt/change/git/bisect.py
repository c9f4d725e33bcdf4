"""The first commit that made a service slower, by halving: git's own choice of the next commit."""

from __future__ import annotations

import math
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from perfhunt.change.git.repository import Repository
from perfhunt.errors import UsageError

CommitLabel: TypeAlias = Literal["good", "bad", "skip"]
Judge: TypeAlias = Callable[[str], CommitLabel]  # of a commit id; skip when it cannot be told


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit and its parents, by id."""

    id: str
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bisected:
    """The commits one of which is the first bad one: one when it was found, more with skips.

    `judged` are the verdicts in the order they were needed, cached ones included.
    """

    first_bad: tuple[str, ...]
    judged: tuple[tuple[str, CommitLabel], ...]

    @property
    def found(self) -> bool:
        return len(self.first_bad) == 1


def commits_between(repository: Repository, good: str, bad: str) -> tuple[Commit, ...]:
    """The commits that `bad` has and `good` has not, newest first.

    Raises UsageError unless good is an ancestor of bad.
    """
    good_id, bad_id = repository.resolve(good), repository.resolve(bad)
    later = repository.attempt("merge-base", "--is-ancestor", good_id, bad_id).returncode
    if good_id == bad_id or later:
        raise UsageError(
            f"{good} does not come before {bad}",
            "Name the older, good revision first: perfhunt bisect GOOD BAD",
        )
    listed = repository.git("rev-list", "--parents", "--topo-order", bad_id, f"^{good_id}", "--")
    rows = [line.split() for line in listed.decode().splitlines()]
    return tuple(Commit(row[0], tuple(row[1:])) for row in rows)


def bisect(
    commits: Sequence[Commit], judge: Judge, cache: MutableMapping[str, CommitLabel] | None = None
) -> Bisected:
    """The first bad commit among `commits` (newest, known bad, first), judging few of them.

    `cache` is read first and written after every judgement, so that a run cut short goes on.
    """
    labels: MutableMapping[str, CommitLabel] = {} if cache is None else cache
    reach = _reach(commits)
    bit = {commit.id: 1 << i for i, commit in enumerate(commits)}
    bad = commits[0].id
    suspects, skipped = reach[bad], 0
    judged: list[tuple[str, CommitLabel]] = []
    while (commit := _next(commits, reach, suspects, skipped | bit[bad])) is not None:
        if commit not in labels:
            labels[commit] = judge(commit)
        judged.append((commit, labels[commit]))
        if labels[commit] == "good":
            suspects &= ~reach[commit]
        elif labels[commit] == "bad":
            suspects, bad = suspects & reach[commit], commit
        else:
            skipped |= bit[commit]
    return Bisected(tuple(c.id for c in commits if suspects & bit[c.id]), tuple(judged))


def expected_judgements(count: int) -> int:
    """How many of `count` commits in a line are judged at most when none is skipped: log2."""
    return math.ceil(math.log2(count)) if count > 1 else 0


def _reach(commits: Sequence[Commit]) -> dict[str, int]:
    """For each commit, itself and its ancestors among `commits`, as a set of bits by position."""
    reach: dict[str, int] = {}
    for index, commit in reversed(list(enumerate(commits))):  # parents come after their children
        reach[commit.id] = 1 << index
        for parent in commit.parents:
            reach[commit.id] |= reach.get(parent, 0)
    return reach


def _next(
    commits: Sequence[Commit], reach: dict[str, int], suspects: int, excluded: int
) -> str | None:
    """The suspect that halves the rest best, as git bisect chooses; None when there is none."""
    total = suspects.bit_count()
    best, best_worth = None, 0
    for index, commit in enumerate(commits):
        if (suspects & ~excluded) >> index & 1:
            inside = (reach[commit.id] & suspects).bit_count()
            worth = min(inside, total - inside)
            if worth > best_worth:
                best, best_worth = commit.id, worth
    return best
