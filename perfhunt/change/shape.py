"""What an edit does, without where it does it: the same mechanical edit at two sites has one shape."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

MASKED = ("N", "S", "'S'", "'N'")


def edit_shape(before: Sequence[str], after: Sequence[str]) -> str:
    """The set of token replacements between two versions of a function whose locals and texts are masked.

    Empty when only numbers, operators and masked names differ: two knobs set to one value are still two knobs.
    """
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    edits = [(before[i:j], after[k:m]) for tag, i, j, k, m in matcher.get_opcodes() if tag != "equal"]
    telling = any(t.isidentifier() and t not in MASKED for old, new in edits for t in (*old, *new))
    parts = {f"-{' '.join(old)} +{' '.join(new)}" for old, new in edits}
    return "; ".join(sorted(parts)) if telling else ""
