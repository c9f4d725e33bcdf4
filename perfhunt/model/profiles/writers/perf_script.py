"""Profiles as the text of `perf script`: a block for each sample, its frames leaf first."""

from __future__ import annotations

from perfhunt.errors import UsageError
from perfhunt.model.document.bounded import MOST_LINES
from perfhunt.model.profile import Frame, FrameKind, Profile
from perfhunt.model.profiles.writers.grain import SAMPLES, Grain, period
from perfhunt.model.text.escaping import visible

PERF_GRAIN = Grain("what perf prints", counts=frozenset({SAMPLES}))
_UNKNOWN = "[unknown]"
_KERNEL = "[kernel.kallsyms]"
_PYTHON = "/tmp/perf-1.map"  # where CPython's trampoline tells perf which function it is in


def perf_script_bytes(profile: Profile) -> bytes:
    """The text, with samples of like stacks in a row. Raises UsageError for another unit than
    samples, and for more lines than a file may have.
    """
    counted = [(stack, PERF_GRAIN.whole(profile, n)) for stack, n in profile.stacks.items()]
    lines = sum((len(stack) + 2) * n for stack, n in counted)
    if lines > MOST_LINES:
        raise UsageError(
            f"it would have {lines:,} lines, and a file of perf's may have {MOST_LINES:,}",
            "It has each sample by itself: write folded, pprof or speedscope, which count them.",
        )
    comm = visible(profile.tool).strip() or "profile"
    pid = profile.pids[0] if profile.pids else 1
    places: dict[Frame, int] = {}
    blocks = []
    at = 0.0
    for stack, n in counted:
        calls = "".join(
            f"\t{places.setdefault(frame, len(places) + 1):16x} {_named(frame)}\n"
            for frame in reversed(stack)
        )
        for _ in range(n):
            at += period(profile)
            blocks.append(f"{comm} {pid}/{pid} {at:.6f}:          1 cpu-clock: \n{calls}\n")
    return "".join(blocks).encode(errors="replace")


def _named(frame: Frame) -> str:
    """A symbol and the image it is in, as perf has them for that kind of code."""
    symbol, file = visible(frame.function) or _UNKNOWN, visible(frame.file)
    if frame.kind == FrameKind.PYTHON and file:
        return f"py::{symbol}:{file} ({_PYTHON})"
    if frame.kind == FrameKind.KERNEL:
        return f"{symbol} ({file if file.startswith('[') else _KERNEL})"
    return f"{symbol} ({file or _UNKNOWN})"
