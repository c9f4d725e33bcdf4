"""Profiles as Chrome's trace events, complete ones (X), as Perfetto opens them: calls beside each
other within their callers, so that width is cost and place says nothing about when.

Source: "Trace Event Format", Google, sections "Complete Events" and "Metadata Events".
"""

from __future__ import annotations

from typing import Any

from perfhunt.model.profile import Profile
from perfhunt.model.profiles.writers.calls import TreeCall, call_tree, callers_first
from perfhunt.model.profiles.writers.grain import (
    MICROSECONDS,
    NANOSECONDS,
    Grain,
)
from perfhunt.model.text.escaping import json_text

TRACE_GRAIN = Grain("a trace", NANOSECONDS, timed=True, counts=frozenset())
_THREAD = {"pid": 1, "tid": 1}


def trace_bytes(profile: Profile) -> bytes:
    """The trace, all on one thread. Raises UsageError for a unit that is no time."""
    root = call_tree(profile, TRACE_GRAIN)
    calls = list(callers_first(root))
    whole = {id(call): call.own for call in calls}
    for call in reversed(calls):  # Those that are called stand behind their caller.
        whole[id(call)] += sum(whole[id(within)] for within in call.callees.values())
    # A caller's own time comes first: at its beginning, only its caller begins with it.
    begins = {id(root): 0}
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "thread_name", "args": {"name": profile.tool}, **_THREAD}
    ]
    for call in calls:
        at = begins[id(call)]
        if call.frame is not None:
            events.append(_event(call, at, whole[id(call)]))
        at += call.own
        for within in call.callees.values():
            begins[id(within)] = at
            at += whole[id(within)]
    plain = {"traceEvents": events, "displayTimeUnit": "ms"}
    return json_text(plain, separators=(",", ":")).encode() + b"\n"


def _event(call: TreeCall, begins: int, lasts: int) -> dict[str, Any]:
    frame = call.frame
    assert frame is not None
    event = {"ph": "X", "name": frame.function, "cat": str(frame.kind), **_THREAD}
    event |= {"ts": begins / MICROSECONDS, "dur": lasts / MICROSECONDS}
    args = {"filename": frame.file} if frame.file else {}
    if args or frame.line is not None:
        event["args"] = args | ({} if frame.line is None else {"line": frame.line})
    return event
