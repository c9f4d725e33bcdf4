"""What each key of run.json means, with its unit: what stops the service, and what shows it."""

from __future__ import annotations

CAUSES: dict[str, dict[str, str]] = {
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
    "StatesDocument": {
        "phase": "Which span.",
        "seconds": "Its length, seconds.",
        "threads": "Every thread that lived through at least half of it.",
        "ticks": "How often the sampler looked.",
        "source": "How deep: syscall or schedstat.",
        "cost": "CPU the sampler took, cores.",
        "notes": "Remarks.",
        "idle": (
            "Mean number of threads that waited for work, by the state they waited in; empty"
            " when stacks did not tell."
        ),
        "totals": "Mean number of threads in each state.",
    },
    "ThreadTime": {
        "pid": "Process id.",
        "tid": "Thread id.",
        "name": "Thread name.",
        "states": (
            "State (on_cpu, run_queue, gil, lock, socket, poll, sleep, disk, other,"
            " unknown) to share of wall time, 0 to 1."
        ),
        "endpoints": "Remote endpoint to share of wall time spent waiting on it, 0 to 1.",
    },
    "PeerDocument": {
        "name": "Its program; its address where that is all that is known.",
        "kind": "database (or a cache), or service.",
        "addresses": "The endpoints at which the target reaches it.",
        "connections": "Connections of the target to it, mean.",
        "others": "Connections of others to it, mean.",
        "pids": "Its first processes; empty when they may not be seen.",
        "cores": (
            "CPU of its processes without those that served only others, cores; null when they"
            " may not be seen."
        ),
        "queued": "Its threads that could run and had no core, mean.",
        "allowed": "Cores it may use.",
        "busiest": "Share of the time its busiest thread ran or could, 0 to 1.",
        "busy_share": (
            "Share of the processes that serve the target (of its threads, where they have no"
            " titles) that were at work, 0 to 1."
        ),
        "threads": "Its threads.",
        "states": "Mean number of its threads in each state.",
        "waits_on": "Mean number of its threads that wait on each endpoint.",
        "doing": "Mean number of the processes that serve the target by what their titles say.",
        "processes": "Those processes.",
        "note": "What could not be read of it, and why.",
    },
    "PeerProcess": {
        "pid": "Process id.",
        "ports": "The target's ports of the connections it served.",
        "cores": "CPU it used, cores.",
        "doing": "What its title said most often.",
    },
    "ProfileDocument": {
        "tool": "Profiler.",
        "version": "Its version.",
        "mode": "Which threads were counted.",
        "rate_hz": "Samples per second.",
        "seconds": "Length, seconds.",
        "pids": "Processes sampled.",
        "unit": "Unit of the weights.",
        "ticks": "How often the tool looked.",
        "errors": "Failed reads.",
        "dropped": "Samples thrown away.",
        "late": "Samples taken late.",
        "command": "Command line of the tool.",
        "started": "Seconds since the run began.",
        "notes": "Remarks.",
        "raw": "File of the tool's own output.",
        "weight": "Sum of all weights, in `unit`.",
        "file": "File of folded stacks in the run directory.",
    },
    "GeneratorDocument": {
        "lag_p99_ms": "How late requests were sent, 99th percentile, milliseconds.",
        "cpu": "CPU of the busiest second, cores.",
        "achieved_share": "Requests sent of those due, 0 to 1.",
        "invalid_trials": "Trials that may not be believed.",
    },
    "ProbeEffect": {
        "throughput": "Ratio of completions.",
        "p99": "Ratio of p99.",
        "cpu": "Ratio of CPU per request.",
        "p50": "Ratio of p50.",
        "quiet_p99": "p99 of the quiet spans, seconds.",
        "flagged": "Whether it disturbed the service.",
        "note": "Remark.",
        "between": "Where each ratio is at 95 %, by its key here; without those not known.",
        "cpu_waits": "`cpu` while waits were looked at; null: together with the profile.",
    },
    "Caution": {"code": "Stable code.", "sentence": "The doubt.", "next": "The next command."},
    "InsideLook": {
        "tool": "What the service was started under.",
        "rate": "Load that was offered, requests per second.",
        "seconds": "How long that was looked at, seconds.",
        "effect": "What the tool cost, against a start without it; null: not measured.",
        "lines": "What lines, or functions, of the target's code used.",
        "request": "Requests whose calls were followed; null: none were.",
        "missing": "Why there is nothing to be believed; empty: there is.",
        "notes": "What the tool could not see.",
        "file": "Its own record in the run directory; empty: not kept.",
    },
    "LineUse": {
        "file": "Its file.",
        "line": "The line; null where only the function is known.",
        "function": "The function around it; empty: not known.",
        "python": (
            "Share of the time seen in lines of this code that ran Python there, 0 to 1; null: not"
            " looked at."
        ),
        "native": "The same, that ran native code for it.",
        "system": "The same, in the system or waiting.",
        "allocated": "Bytes per second allocated; null: not looked at.",
        "copied": "Bytes per second copied; null: not looked at.",
        "held": "Bytes allocated there that each window of load added and did not give back.",
        "leak": "Whether each window added to them by much the same.",
        "running": (
            "Time of a request with the function on top of the application's, awaits aside,"
            " seconds; null: not looked at."
        ),
        "awaiting": "Time of a request that it awaited something, seconds; null: not looked at.",
    },
    "RequestTime": {
        "function": "What handles a request.",
        "n": "How many were followed to their end.",
        "seconds": "How long one took on average, seconds.",
    },
}
