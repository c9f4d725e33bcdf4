"""What an edit does, told from its tokens: its shape, and the fields of its object that it reads or
writes otherwise.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence

MASKED = ("N", "S", "'S'", "'N'")


def edit_shape(before: Sequence[str], after: Sequence[str]) -> str:
    """The set of token replacements between two versions of a function whose locals and texts are
    masked.

    Empty when only numbers, operators and masked names differ: two knobs set to one value are still
    two knobs.
    """
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    edits = [
        (before[i:j], after[k:m]) for tag, i, j, k, m in matcher.get_opcodes() if tag != "equal"
    ]
    telling = any(t.isidentifier() and t not in MASKED for old, new in edits for t in (*old, *new))
    parts = {f"-{' '.join(old)} +{' '.join(new)}" for old, new in edits}
    return "; ".join(sorted(parts)) if telling else ""


def altered_state(before: Sequence[str], after: Sequence[str]) -> tuple[set[str], set[str]]:
    """Fields of `this` or `self` that an edit mentions otherwise than before, and those it assigns
    otherwise.
    """
    old, new = _mentions(before), _mentions(after)
    changed = {key for key in {*old, *new} if old[key] != new[key]}
    return {field for field, _ in changed}, {field for field, how in changed if how.startswith("=")}


def _mentions(tokens: Sequence[str]) -> Counter[tuple[str, str]]:
    """Each field with what follows it: an assignment with its value's first tokens, else the next
    token or two.
    """
    found: Counter[tuple[str, str]] = Counter()
    for i in range(len(tokens) - 2):
        if tokens[i] in ("this", "self") and tokens[i + 1] == "." and tokens[i + 2].isidentifier():
            rest = tokens[i + 3 : i + 8]
            found[(tokens[i + 2], " ".join(rest if rest[:1] == ["="] else rest[:2]))] += 1
    return found
