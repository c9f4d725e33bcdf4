"""Profiles as V8 gives them (Profiler.Profile of the DevTools Protocol): what Chrome's DevTools
and VS Code open.
"""

from __future__ import annotations

from itertools import chain, repeat
from typing import Any

from perfhunt.errors import UsageError
from perfhunt.model.profile import Frame, Profile
from perfhunt.model.profiles.writers.calls import TreeCall, call_tree, callers_first
from perfhunt.model.profiles.writers.grain import (
    MICROSECONDS,
    SAMPLES,
    Grain,
    is_time,
    period,
)
from perfhunt.model.text.escaping import json_text

CPUPROFILE_GRAIN = Grain("a cpuprofile", MICROSECONDS, counts=frozenset({SAMPLES}))
MOST_SAMPLES = 5_000_000  # of one file: an hour of a program at V8's own rate, 1 kHz
_LARGEST_LINE = (1 << 31) - 1  # of the protocol's own type, integer


def cpuprofile_bytes(profile: Profile) -> bytes:
    """One sample after the other, of like stacks in a row. Of times, each stack is one sample that
    lasts as long. Raises UsageError for another unit, and for more samples than tools open.
    """
    timed = is_time(profile)
    calls = list(callers_first(call_tree(profile, CPUPROFILE_GRAIN)))
    identities = {id(call): number for number, call in enumerate(calls, start=1)}
    seen = [(identities[id(call)], call.own) for call in calls if call.own]
    if timed:
        samples = [number for number, _ in seen]
        lasts = [own for _, own in seen]
    else:
        total = sum(own for _, own in seen)
        if total > MOST_SAMPLES:
            raise UsageError(
                f"{total:,} samples are more than a cpuprofile may have ({MOST_SAMPLES:,})",
                "It has each by itself: write folded, pprof or speedscope, which count them.",
            )
        samples = list(chain.from_iterable(repeat(number, own) for number, own in seen))
        lasts = [max(round(period(profile) * 1e6), 1)] * total
    plain = {
        "nodes": [_node(call, identities, timed) for call in calls],
        "startTime": 0,
        "endTime": sum(lasts),
        "samples": samples,
        # What is said of a sample is how long after the one before it was taken.
        "timeDeltas": [0, *lasts[:-1]] if lasts else [],
    }
    if timed:
        plain["unit"] = "microseconds"  # for our own reader: how often is no number of samples here
    return json_text(plain, separators=(",", ":")).encode() + b"\n"


def _node(call: TreeCall, identities: dict[int, int], timed: bool) -> dict[str, Any]:
    node: dict[str, Any] = {
        "id": identities[id(call)],
        "callFrame": _place(call.frame),
        "hitCount": min(call.own, 1) if timed else call.own,
    }
    if call.callees:
        node["children"] = [identities[id(within)] for within in call.callees.values()]
    return node


def _place(frame: Frame | None) -> dict[str, Any]:
    """Where a function is; lines count from 0 there, and -1 is none."""
    line = frame.line if frame is not None else None
    known = line is not None and line <= _LARGEST_LINE
    return {
        "functionName": "(root)" if frame is None else frame.function,
        "scriptId": "0",
        "url": "" if frame is None else frame.file,
        "lineNumber": line - 1 if line is not None and known else -1,
        "columnNumber": 0 if known else -1,
    }
