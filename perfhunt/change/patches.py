"""Unified diffs of some of a file's hunks, with context that never reaches into the hunks of others."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

CONTEXT = 3


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines `old_start` to `old_end` become lines `new_start` to `new_end`: half open, counted from 0."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int


def lines_of(content: bytes) -> list[bytes]:
    """Lines with their ends, split at newlines only (as git does)."""
    parts = content.split(b"\n")
    return [p + b"\n" for p in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def hunks_of(old: Sequence[bytes], new: Sequence[bytes]) -> list[Hunk]:
    """The differing stretches of two files, in order."""
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return [Hunk(i, j, k, m) for tag, i, j, k, m in matcher.get_opcodes() if tag != "equal"]


def file_patch(path: str, old: Sequence[bytes], new: Sequence[bytes], hunks: Sequence[Hunk], chosen: set[int]) -> bytes:
    """A patch that makes only the chosen hunks (by index) of `hunks`; it applies to the old file, alone or after the others.

    Context stops at the hunks of others, so that they may be applied before or after. Two hunks that touch leave none between
    them; `git apply --unidiff-zero` takes that.
    """
    out = [f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n".encode("utf-8", "surrogateescape")]
    shift = 0
    for index, hunk in enumerate(hunks):
        if index not in chosen:
            continue
        above = hunks[index - 1].old_end if index else 0
        below = hunks[index + 1].old_start if index + 1 < len(hunks) else len(old)
        if index - 1 in chosen:  # the space between two chosen hunks is shared out, so that they stay two
            above = max(above, hunk.old_start - (hunk.old_start - above) // 2)
        if index + 1 in chosen:
            below = hunk.old_end + (below - hunk.old_end + 1) // 2
        start, end = max(above, hunk.old_start - CONTEXT), min(below, hunk.old_end + CONTEXT)
        before, after = old[start : hunk.old_start], old[hunk.old_end : end]
        gone, fresh = old[hunk.old_start : hunk.old_end], new[hunk.new_start : hunk.new_end]
        old_count = len(before) + len(gone) + len(after)
        new_count = len(before) + len(fresh) + len(after)
        old_line = start + 1 if old_count else start
        new_line = start + shift + 1 if new_count else start + shift
        out.append(f"@@ -{old_line},{old_count} +{new_line},{new_count} @@\n".encode())
        out += [_line(b" ", x) for x in before] + [_line(b"-", x) for x in gone]
        out += [_line(b"+", x) for x in fresh] + [_line(b" ", x) for x in after]
        shift += len(fresh) - len(gone)
    return b"".join(out)


def needs_no_context(hunks: Sequence[Hunk], chosen: set[int], length: int) -> bool:
    """Whether a chosen hunk touches another, so that git wants --unidiff-zero to take it."""
    for index in chosen:
        if index and hunks[index - 1].old_end == hunks[index].old_start:
            return True
        if index + 1 < len(hunks) and hunks[index + 1].old_start == hunks[index].old_end < length:
            return True
    return False


def _line(mark: bytes, line: bytes) -> bytes:
    return mark + line if line.endswith(b"\n") else mark + line + b"\n\\ No newline at end of file\n"
