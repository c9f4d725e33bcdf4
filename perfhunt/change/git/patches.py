"""Unified diffs of some of a file's hunks, with context that never reaches into other hunks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from perfhunt.analysis.change.stretches import differing

CONTEXT = 3  # lines around a hunk, as git gives them


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines `old_start` to `old_end` become `new_start` to `new_end`: half open, from 0."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int

    @property
    def growth(self) -> int:
        """How many lines more there are after it than before."""
        return (self.new_end - self.new_start) - (self.old_end - self.old_start)


def lines_of(content: bytes) -> list[bytes]:
    """Lines with their ends, split at newlines only (as git does)."""
    parts = content.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def hunks_of(old: Sequence[bytes], new: Sequence[bytes]) -> list[Hunk]:
    """The differing stretches of two files, in order."""
    return [Hunk(*lines) for lines in differing(old, new)]


def file_patch(
    path: str,
    old: Sequence[bytes],
    new: Sequence[bytes],
    hunks: Sequence[Hunk],
    chosen: Collection[int],
) -> bytes:
    """A patch that makes only the chosen hunks (by index); it applies to the old file.

    Context stops at the hunks of others, so that they may be applied before or after. Two hunks
    that touch leave none between them; `git apply --unidiff-zero` takes that.
    """
    title = f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n"
    out = [title.encode("utf-8", "surrogateescape")]
    shift = 0
    for block in _blocks(hunks, chosen):
        above = hunks[block[0] - 1].old_end if block[0] else 0
        below = hunks[block[-1] + 1].old_start if block[-1] + 1 < len(hunks) else len(old)
        start = max(above, hunks[block[0]].old_start - CONTEXT)
        end = min(below, hunks[block[-1]].old_end + CONTEXT)
        growth = sum(hunks[index].growth for index in block)
        count = end - start
        # An empty range is named by the line before it: the unified format's own rule.
        was = f"{start + (count > 0)},{count}"
        now = f"{start + shift + (count + growth > 0)},{count + growth}"
        out.append(f"@@ -{was} +{now} @@\n".encode())
        out += _body(old, new, [hunks[index] for index in block], start, end)
        shift += growth
    return b"".join(out)


def _body(
    old: Sequence[bytes], new: Sequence[bytes], hunks: Sequence[Hunk], start: int, end: int
) -> Iterator[bytes]:
    """The marked lines of a block, from a line of the old file to another one."""
    at = start
    for hunk in hunks:
        yield from _marked(b" ", old[at : hunk.old_start])
        yield from _marked(b"-", old[hunk.old_start : hunk.old_end])
        yield from _marked(b"+", new[hunk.new_start : hunk.new_end])
        at = hunk.old_end
    yield from _marked(b" ", old[at:end])


def _marked(mark: bytes, lines: Sequence[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield mark + line
        if not line.endswith(b"\n"):
            yield b"\n\\ No newline at end of file\n"


def _blocks(hunks: Sequence[Hunk], chosen: Collection[int]) -> list[list[int]]:
    """The chosen hunks, those together whose contexts would meet with no other hunk between."""
    blocks: list[list[int]] = []
    for index in sorted(chosen):
        follows = bool(blocks) and blocks[-1][-1] == index - 1
        if follows and hunks[index].old_start - hunks[index - 1].old_end <= 2 * CONTEXT:
            blocks[-1].append(index)
        else:
            blocks.append([index])
    return blocks


def needs_no_context(hunks: Sequence[Hunk], chosen: Collection[int], length: int) -> bool:
    """Whether a chosen hunk touches another one, so that git wants --unidiff-zero to take it.

    `length` is the number of lines of the old file: after its end there is nothing to touch.
    """
    for index, (above, below) in enumerate(pairwise(hunks)):
        touching = above.old_end == below.old_start and (index in chosen) != (index + 1 in chosen)
        if touching and (index + 1 in chosen or above.old_end < length):
            return True
    return False
