"""What an edit does to code, told from its tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from perfhunt.analysis.change.stretches import differing

MASKED = ("N", "S")  # what stands for names of locals, and for texts


def edit_shape(before: Sequence[str], after: Sequence[str]) -> str:
    """The token replacements between two versions of a function, locals and texts masked.

    Two sites of one mechanical edit have one shape. It is empty when only numbers, operators and
    masked names differ: two knobs set to one value are still two knobs.
    """
    stretches = differing(before, after)
    edits = {(tuple(before[i:j]), tuple(after[k:m])) for i, j, k, m in stretches}
    tokens = (token for edit in edits for side in edit for token in side)
    telling = any(token.isidentifier() and token not in MASKED for token in tokens)
    parts = sorted(f"-{' '.join(old)} +{' '.join(new)}" for old, new in edits)
    return "; ".join(parts) if telling else ""


def altered_state(before: Sequence[str], after: Sequence[str]) -> tuple[set[str], set[str]]:
    """Fields of `this` or `self` that an edit mentions otherwise, and those it assigns so."""
    old, new = _mentions(before), _mentions(after)
    altered = {key for key in old | new if old[key] != new[key]}
    return {field for field, _ in altered}, {field for field, how in altered if how[:1] == "="}


def _mentions(tokens: Sequence[str]) -> Counter[tuple[str, str]]:
    """Each field with what follows it: an assignment with its value's start, else two tokens."""
    mentions: Counter[tuple[str, str]] = Counter()
    for i, (this, dot, field) in enumerate(zip(tokens, tokens[1:], tokens[2:], strict=False)):
        if this in ("this", "self") and dot == "." and field.isidentifier():
            rest = tokens[i + 3 : i + 8]
            mentions[field, " ".join(rest if rest[:1] == ["="] else rest[:2])] += 1
    return mentions
