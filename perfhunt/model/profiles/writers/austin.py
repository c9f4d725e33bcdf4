"""Profiles as Austin's text: `P1;T0:1;file:function:line 123`.

Source: github.com/P403n1x87/austin, README.md, "Normal Mode", "Memory and Full Metrics".
"""

from __future__ import annotations

import re

from perfhunt.model.profile import Frame, FrameKind, Profile
from perfhunt.model.profiles.writers.grain import MICROSECONDS, Grain, period
from perfhunt.model.text.escaping import folded

_BYTES = "bytes"
AUSTIN_GRAIN = Grain("an Austin file", MICROSECONDS, timed=True, counts=frozenset({_BYTES}))
# Since when every file says its mode.
_VERSION = "3.0.0"
_PROCESS, _THREAD = re.compile(r"P[0-9]+"), re.compile(r"T[0-9a-fx]+(?::[0-9a-fx]+)?")


def austin_bytes(profile: Profile) -> bytes:
    """Microseconds of wall time by stack, or bytes. Every line is of a process and a thread there:
    stacks without them are put below `P1;T0:1`. Raises UsageError for another unit.
    """
    mode = "memory" if profile.unit == _BYTES else "wall"
    head = f"# austin: {_VERSION}\n# interval: {period(profile) * 1e6:.0f}\n# mode: {mode}\n\n"
    pid = profile.pids[0] if profile.pids else 1
    lines = [head]
    known: dict[Frame, str] = {}
    for stack, weight in profile.stacks.items():
        for frame in stack:
            if frame not in known:
                known[frame] = _named(frame)
        names = [known[frame] for frame in stack]
        top = names[:2]
        if len(top) < 2 or not (_PROCESS.fullmatch(top[0]) and _THREAD.fullmatch(top[1])):
            names = [f"P{pid}", "T0:1", *names]
        lines.append(f"{';'.join(names)} {AUSTIN_GRAIN.whole(profile, weight)}\n")
    if profile.seconds:
        lines.append(f"\n# duration: {profile.seconds * 1e6:.0f}\n")
    return "".join(lines).encode()


def _named(frame: Frame) -> str:
    if frame.kind == FrameKind.THREAD and (
        _PROCESS.fullmatch(frame.function) or _THREAD.fullmatch(frame.function)
    ):
        return frame.function
    # What is between the colons is the function: those of its own are encoded.
    return f"{folded(frame.file)}:{folded(frame.function, ':') or '%'}:{frame.line or 0}"
