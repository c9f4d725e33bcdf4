"""What each key of run.json means, with its unit: what stops the service."""

from __future__ import annotations

FINDINGS: dict[str, dict[str, str]] = {
    "BottleneckDocument": {
        "class": "What it is.",
        "score": "0 to 1.",
        "evidence": "Why.",
        "runner_up": "The next class; empty when nothing else scored.",
        "runner_up_score": "0 to 1.",
    },
    "FindingDocument": {
        "rank": "1 is first.",
        "function": "Function.",
        "file": "Its file.",
        "line": "A line of it.",
        "class": "Kind of time.",
        "self_share": "Share of samples with it on top, 0 to 1.",
        "total_share": "Share of samples with it anywhere, 0 to 1.",
        "ms_per_request": (
            "Its own time and the waits it causes in others, milliseconds per completed request."
        ),
        "own_ms": (
            "Time with it, or one of its leaves, on top, milliseconds per completed request."
        ),
        "total_ms": "Time with it anywhere on the stack, milliseconds per completed request.",
        "grew_ms": (
            "Own time at the knee minus own time at baseline, milliseconds per request; null"
            " when unknown."
        ),
        "via": "The library call on top of it.",
        "evidence": "Why it is suspected.",
        "what_if": "Prediction of removing it.",
        "runtime": "Runtime of the function.",
        "withheld": "Why there is no prediction of removing it; empty when there is one.",
        "leaves": (
            "Functions that it calls again and again, and whose cost counts for it; the costliest"
            " first. Absent in runs of versions that had none."
        ),
    },
    "LeafDocument": {
        "function": "Function.",
        "file": "Its file.",
        "own_ms": "Time with it on top, milliseconds per completed request.",
    },
    "RiseDocument": {
        "kind": "What the time was spent on.",
        "name": "The part in words.",
        "function": "The function it is of: that runs, waits or holds; empty when it is of none.",
        "file": "Its file.",
        "meanwhile": (
            "What threads spent their time on while requests waited for one; null where that is"
            " not the question."
        ),
        "base_ms": "At the baseline, milliseconds per request.",
        "knee_ms": "At the knee, milliseconds per request.",
        "inferred_ms": (
            "How much of knee_ms no thread and no socket shows: what is left where the resource"
            " was taken."
        ),
        "added_ms": "What load added, milliseconds per request.",
    },
    "WaterfallDocument": {
        "base_ms": "Mean response time of the profiled baseline, milliseconds.",
        "knee_ms": "Mean response time of the profiled hold at the knee, milliseconds.",
        "base_p99_ms": "99th percentile of the same trial, which no parts sum to, milliseconds.",
        "knee_p99_ms": "99th percentile of the same trial, which no parts sum to, milliseconds.",
        "parts": "The parts, what load added most to first.",
        "unexplained": "What the parts leave: with it they sum to base_ms and knee_ms.",
        "closure": (
            "The unexplained part over the growth, without its sign; null where the mean did not"
            " grow."
        ),
        "inferred": "Share of the growth that is inferred, 0 to 1.",
        "differs": "How the largest part disagrees with the class of bottleneck; empty: it agrees.",
        "missing": "Why there is no waterfall; empty when there is one.",
    },
    "WhatIf": {
        "rate": "Predicted knee, requests per second.",
        "low": "Lower end, requests per second.",
        "high": "Upper end, requests per second.",
        "removed": "How much of it is supposed gone, 0 to 1.",
        "cap": "What caps the rate next.",
        "caveat": "When the prediction does not hold.",
        "saturated": "Predicted capacity, requests per second; null when not told.",
        "saturated_low": "Its lower end.",
        "saturated_high": "Its upper end.",
        "at_least": "Whether the rates are lower bounds.",
        "binding": "The resource that limits the service now; empty when not told.",
    },
}
