"""Which stretches of two sequences differ, in a bounded time whatever they hold."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from itertools import accumulate
from typing import TypeAlias

# Steps of the inner loop of the search for the longest match: a second of them. A lock of 20,000
# lines with 300 edits takes two thirds; with all lines alike, or none in its place, the search
# would take the square of their number, or more.
_MOST_STEPS = 10_000_000

Items: TypeAlias = Sequence[str] | Sequence[bytes]
Stretch: TypeAlias = tuple[
    int, int, int, int
]  # first and last (half open) on one side, and on the other


class _TooManySteps(Exception):
    """The search for matches takes too long."""


class _CountingMatcher(difflib.SequenceMatcher[str | bytes]):
    """difflib's matcher, which counts its steps."""

    def __init__(self, old: Sequence[str | bytes], new: Sequence[str | bytes]) -> None:
        super().__init__(None, old, new, autojunk=False)
        self._left = _MOST_STEPS
        places: dict[str | bytes, list[int]] = self.b2j  # type: ignore[attr-defined]
        self._until = [0, *accumulate(1 + len(places.get(item, ())) for item in old)]

    def find_longest_match(
        self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> difflib.Match:
        end = len(self._until) - 1 if ahi is None else ahi
        self._left -= self._until[end] - self._until[alo]
        if self._left < 0:
            raise _TooManySteps
        return super().find_longest_match(alo, ahi, blo, bhi)


def differing(old: Items, new: Items) -> list[Stretch]:
    """The stretches of `old` that others in `new` stand for, in order. Where telling them apart
    would take too long, all between the equal beginning and the equal end is one.
    """
    try:
        codes = _CountingMatcher(old, new).get_opcodes()
    except _TooManySteps:
        return _between(old, new)
    return [(i, j, k, m) for tag, i, j, k, m in codes if tag != "equal"]


def _between(old: Items, new: Items) -> list[Stretch]:
    pairs = zip(old, new, strict=False)
    first = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(old), len(new)))
    rest = zip(reversed(old[first:]), reversed(new[first:]), strict=False)
    most = min(len(old), len(new)) - first
    same = next((i for i, (a, b) in enumerate(rest) if a != b), most)
    return [(first, len(old) - same, first, len(new) - same)]
