"""Unified diffs of some of a file's hunks, with context that never reaches into the hunks of
others.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

CONTEXT = 3


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines `old_start` to `old_end` become lines `new_start` to `new_end`: half open, counted from
    0.
    """

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


def file_patch(
    path: str, old: Sequence[bytes], new: Sequence[bytes], hunks: Sequence[Hunk], chosen: set[int]
) -> bytes:
    """A patch that makes only the chosen hunks (by index) of `hunks`; it applies to the old file,
    alone or after the others.

    Context stops at the hunks of others, so that they may be applied before or after. Two hunks
    that touch leave none between them; `git apply --unidiff-zero` takes that.
    """
    out = [
        f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n".encode(
            "utf-8", "surrogateescape"
        )
    ]
    shift = 0
    for block in _blocks(hunks, chosen):
        above = hunks[block[0] - 1].old_end if block[0] else 0
        below = hunks[block[-1] + 1].old_start if block[-1] + 1 < len(hunks) else len(old)
        start, end = (
            max(above, hunks[block[0]].old_start - CONTEXT),
            min(below, hunks[block[-1]].old_end + CONTEXT),
        )
        body, at, grown = [], start, 0
        for hunk in (hunks[i] for i in block):
            body += [_line(b" ", x) for x in old[at : hunk.old_start]]
            body += [_line(b"-", x) for x in old[hunk.old_start : hunk.old_end]]
            body += [_line(b"+", x) for x in new[hunk.new_start : hunk.new_end]]
            at, grown = (
                hunk.old_end,
                grown + hunk.new_end - hunk.new_start - hunk.old_end + hunk.old_start,
            )
        body += [_line(b" ", x) for x in old[at:end]]
        count = end - start
        # An empty range is named by the line before it: the unified format's own rule.
        was = f"{start + (count > 0)},{count}"
        now = f"{start + shift + (count + grown > 0)},{count + grown}"
        out += [f"@@ -{was} +{now} @@\n".encode(), *body]
        shift += grown
    return b"".join(out)


def _blocks(hunks: Sequence[Hunk], chosen: set[int]) -> list[list[int]]:
    """The chosen hunks, those whose contexts would meet put together, unless one that was not
    chosen lies between.
    """
    blocks: list[list[int]] = []
    for index in sorted(chosen):
        close = (
            blocks
            and blocks[-1][-1] == index - 1
            and hunks[index].old_start - hunks[index - 1].old_end <= 2 * CONTEXT
        )
        if close:
            blocks[-1].append(index)
        else:
            blocks.append([index])
    return blocks


def needs_no_context(hunks: Sequence[Hunk], chosen: set[int], length: int) -> bool:
    """Whether a chosen hunk touches one that was not chosen, so that git wants --unidiff-zero to
    take it.
    """
    for index in chosen:
        if index - 1 not in chosen and index and hunks[index - 1].old_end == hunks[index].old_start:
            return True
        if (
            index + 1 < len(hunks)
            and index + 1 not in chosen
            and hunks[index + 1].old_start == hunks[index].old_end < length
        ):
            return True
    return False


def _line(mark: bytes, line: bytes) -> bytes:
    return (
        mark + line if line.endswith(b"\n") else mark + line + b"\n\\ No newline at end of file\n"
    )
