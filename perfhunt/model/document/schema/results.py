"""What each key of run.json means, with its unit: what was measured."""

from __future__ import annotations

_OUTCOMES = (
    "How arrivals ended: outcome (ok, status, timeout, connect, reset, protocol, tls, too_large,"
    " shed, cut, generator, not_cleared) to count."
)
RESULTS: dict[str, dict[str, str]] = {
    "SloDocument": {
        "verdict": "MISSED if any objective missed, else UNKNOWN if any has no verdict.",
        "judged_at": "Load it was judged at, requests per second.",
        "objectives": "Each objective.",
    },
    "JudgedDocument": {
        "name": "measure.key, with [route] for one route.",
        "op": "Comparison: <, <=, >, >=.",
        "limit": "Limit, in `unit`.",
        "value": "Measured value, in `unit`; null for no data.",
        "unit": "ms, 1/s, share or count.",
        "n": "Observations.",
        "verdict": "How it came out; no data is UNKNOWN, never MET.",
        "window_s": "Time it must hold for, seconds.",
        "note": "Explanation.",
    },
    "KneeDocument": {
        "rate": "Largest rate at which the criterion still holds, requests per second.",
        "low": "Lower end of its interval, requests per second.",
        "high": "Upper end, requests per second.",
        "confidence": "Confidence of the interval, 0 to 1.",
        "criterion": "Name of the criterion.",
        "limit_ms": (
            "Latency limit, milliseconds; null when the criterion counts failures only,"
            " or is about CPU or memory."
        ),
        "sharpness": "d ln(share over the limit) / d ln(rate) at the knee; below 4 is soft.",
        "label": "How sure it is, or what it is a knee of.",
        "phi": "Dispersion of counts over binomial.",
        "passes": "Passes over the knee.",
        "load_s": "Load spent finding it, seconds.",
        "note": "Remark.",
        "curve": (
            "The fitted curve that the knee was read off; null when nothing was fitted,"
            " absent in runs of versions that did not store it."
        ),
    },
    "FittedCurve": {
        "rates": "Rates, ascending, requests per second.",
        "shares": "Fitted share of requests over the limit at each rate, 0 to 1.",
        "low": "Lower end of its interval at each rate, at the knee's confidence.",
        "high": "Upper end at each rate.",
    },
    "NoKneeDocument": {
        "none": "The reason, a sentence.",
        "code": "The reason, stable.",
        "low": "Known to hold up to, requests per second.",
        "high": "Known to break at, requests per second.",
    },
    "Capacity": {
        "rate": "Completions per second.",
        "low": "Lower end, per second.",
        "high": "Upper end, per second.",
        "offered": "Rate offered then, requests per second.",
        "note": "Remark.",
    },
    "Drift": {
        "kind": (
            "Of one step asked early and late: steady, slower, quicker or unclear (too little"
            " was asked); null: asked once, or slower at the last look alone."
        ),
        "rate": "The step's rate, requests per second.",
        "ratio": "Response late over early.",
        "sentence": "The same in words.",
        "slopes": "What grew with the requests served, and how fast.",
    },
    "Slope": {
        "of": (
            "What: latency (median at one rate, seconds), cpu (seconds per request at one rate),"
            " rss (bytes), fds, threads."
        ),
        "per_thousand": "Growth in its own unit per 1,000 requests served.",
        "reached": "What it was at the end, in its own unit.",
    },
    "Interval": {
        "value": "Estimate.",
        "low": "Lower end.",
        "high": "Upper end.",
        "n": "Observations behind it.",
        "confidence": "Of the interval, 0 to 1.",
    },
    "LatencyDocument": {
        "n": "Requests in it.",
        "censored": (
            "Of those, how many ended unknown (shed, cut, timeout): a percentile that reaches"
            " them is at least the value."
        ),
        "p50": "p50, milliseconds.",
        "p90": "p90, milliseconds.",
        "p95": "p95, milliseconds.",
        "p99": "p99, milliseconds.",
        "mean": "mean, milliseconds.",
        "max": "max, milliseconds.",
    },
    "IntervalDocument": {
        "value": "Estimate, milliseconds.",
        "low": "Lower end, milliseconds.",
        "high": "Upper end, milliseconds.",
        "n": "Observations behind it.",
        "confidence": "Confidence of the interval, 0 to 1.",
    },
    "Resources": {
        "seconds": "Length of the span, seconds.",
        "cpu": "CPU used by the tree, cores (CPU seconds per second).",
        "cpu_seconds": "CPU used by the tree, seconds.",
        "cpu_share": "CPU used, share of what the target may use, 0 to 1.",
        "cpu_limit": "What the target may use, cores.",
        "cpu_limit_source": "Where that limit comes from.",
        "throttled": "Share of quota periods in which the target was throttled, 0 to 1.",
        "rss": "Resident memory at the end, bytes.",
        "rss_peak": "Highest resident memory, bytes.",
        "rss_slope": "Growth of resident memory at held load, bytes per second.",
        "memory_share": "Memory used, share of what the target may use, 0 to 1.",
        "memory_limit": "What the target may use, bytes.",
        "memory_limit_source": "Where that limit comes from.",
        "fds": "Open file descriptors.",
        "fds_most": "Most files that the process nearest to its limit of them had open.",
        "fds_limit": "How many that process may have open at once.",
        "threads": "Threads.",
        "processes": "Processes.",
        "switches_voluntary": "Voluntary context switches per second.",
        "switches_involuntary": "Involuntary context switches per second.",
        "memory_hits": "Times that the memory of its cgroup was at its limit, and was taken back.",
        "oom_kills": "Processes killed for lack of memory.",
        "tasks_refused": "Threads and processes that the limit of its cgroup (pids.max) forbade.",
        "host_cpu_share": "CPU used on the whole host, 0 to 1.",
        "psi_cpu": "Share of time some task waited for a CPU, 0 to 1.",
        "psi_io": "Share of time some task waited for the disk, 0 to 1.",
        "psi_memory": "Share of time some task waited for memory, 0 to 1.",
        "accept_queue": "Longest accept queue seen, connections.",
        "accept_backlog": "Its limit, connections.",
        "listen_overflows": "Connections dropped because the accept queue was full.",
        "listen_drops": "Connections dropped by listening sockets for any reason.",
        "syn_retransmits": "SYNs that this host sent again.",
        "retransmits": "TCP segments sent again on the target's host.",
        "connections": "Highest number of established connections to each remote endpoint.",
        "unread": (
            "Connections of clients with bytes that no thread had read, mean; null where nobody"
            " looked."
        ),
        "unread_error": "Standard error of that, from how often it was looked at.",
    },
    "Interference": {
        "seconds": "Length of the span, seconds.",
        "cores": "Cores of the host.",
        "target_ran": "Time the target's threads ran, cores (seconds per second).",
        "target_busy": "Cores that the target may run on and that were busy, whoever kept them so.",
        "target_waited": (
            "Time the target's threads could run and did not, up to what others took of the"
            " cores they may use, cores."
        ),
        "generator_ran": "The same as target_ran, of the generator's threads.",
        "generator_waited": "The same as target_waited, of the generator's threads.",
        "others": (
            "CPU of processes that are neither the target's, nor perfhunt's, nor connected to"
            " the target, cores."
        ),
        "busiest": "The busiest of them by name.",
        "steal": "Share of the host's time that the hypervisor gave to others, 0 to 1.",
        "throttled": "Share of quota periods in which the target was throttled, 0 to 1.",
        "speed": "Speed of a core over the best seen in the run, median, 0 to 1.",
        "speed_worst": "The same, the slowest tenth of the readings.",
        "readings": "Readings of the speed.",
    },
    "Disturbance": {
        "trials": "Trials of the search.",
        "set_aside": "Of those, how many other work spoiled: they do not count.",
        "used": "Of those, how many it disturbed and were used, for there was no quiet time.",
        "busy": (
            "Share of the host that other work took in those that were used (in those set aside,"
            " where none was), 0 to 1."
        ),
        "names": "The busiest programs, the most first.",
    },
    "Wire": {
        "answers": "Whole answers that count.",
        "size_mean": "Size of an answer, head included, mean, bytes.",
        "size_p99": "The same, 99th percentile, bytes.",
        "encodings": "Encodings of their bodies that occurred; identity: none.",
        "in_pieces": "Of the answers, those that came in more than one piece.",
        "head_first": "Of those, how many had the head alone in the first piece.",
        "gap_p50": "From the first piece to the last, median, seconds.",
        "gap_p99": "The same, 99th percentile, seconds.",
        "gap_total": "The same, all of them added, seconds.",
        "held": "Of those, how many waited for a delayed acknowledgement.",
        "held_total": "What that took altogether, seconds.",
        "hurried": "Answers that do not count and were acknowledged at once.",
        "hurried_gap": "From their first piece to the last, median, seconds.",
        "connects": "Connections made in the whole trial.",
        "new_connections": "Of those, for requests that count.",
        "connect_p50": "Time to connect, TLS included, median, seconds.",
        "connect_p99": "The same, 99th percentile, seconds.",
        "slow_connects": "Connections that took a second or more: a SYN was sent again.",
        "resolution": "How long the host's name took to resolve, once, seconds.",
    },
    "Neighbour": {"name": "Name of the program.", "cpu": "CPU it used, cores."},
    "Generator": {
        "lag_p50": "How late requests were sent, median, seconds.",
        "lag_p99": "How late requests were sent, 99th percentile, seconds.",
        "cpu": "CPU of the busiest second, cores per load process.",
        "connections_opened": "Connections opened.",
        "gc_pause_max": "Longest pause of the generator's garbage collector, seconds.",
        "fds_share": "File descriptors used, share of the limit, 0 to 1.",
        "ports_share": "Local ports used, share of the range, 0 to 1.",
        "little_ratio": "Mean in flight over rate times mean response; 1 when nothing is late.",
        "notes": "Remarks.",
        "refused": (
            "Connections of a locustfile to what load was not cleared for, none of which was made,"
            " by where they would have gone."
        ),
        "mishaps": "What went wrong, in words, to count.",
        "tasks": "What the tasks of a locustfile took, in the whole trial; empty: there is none.",
    },
    "TaskTime": {
        "name": "Class and task.",
        "n": "Tasks.",
        "seconds": "What they took altogether, seconds.",
        "requests": "Requests of theirs that ended.",
        "asked": "What passed in their requests altogether, seconds.",
    },
    "AttachedTool": {
        "name": "A profiler, or another watcher of the target.",
        "rate_hz": "Samples per second asked of it; null where it sets its own pace.",
    },
    "Count": {"n": "Requests.", "exceed": "Too slow, failed, shed or cut."},
    "TrialDocument": {
        "phase": "Why it was run.",
        "rate": "Rate asked for, requests per second.",
        "achieved": "Requests sent per second of the counted span.",
        "completed": "Answers per second of the counted span.",
        "n": "Requests counted.",
        "exceed": (
            "Requests over the limit of the knee's criterion (the first criterion when there"
            " is no knee); null when nothing was counted."
        ),
        "overload": "Why the load was taken off early, a sentence; empty when it was not.",
        "invalid": "Why the trial may not be believed, a sentence; empty when it may.",
        "response": "From the moment a request was due.",
        "service": "From the moment a request was sent.",
        "errors": "Requests that did not end ok.",
        "lag_p99_ms": "How late requests were sent, 99th percentile, milliseconds.",
        "resources": "What the target used meanwhile.",
        "wire": "What passed between client and service; null where nobody looked.",
        "interference": (
            "What took the machine from target and generator meanwhile; null where it was not"
            " looked at, absent in runs of versions that did not."
        ),
        "attached": (
            "What of perfhunt looked at the target meanwhile; null in runs of versions that did"
            " not keep it."
        ),
        "counts": "Counts per criterion, by name.",
        "outcomes": _OUTCOMES,
        "routes": "Results per endpoint, by name.",
        "generator": "How the generator did.",
        "duration_s": "Duration asked for, seconds.",
        "settle_s": "Of which sent but not counted, seconds.",
        "seconds": "Seconds of load.",
        "seed": "Seed of the arrivals.",
        "arrivals": "Law of the arrivals: poisson or uniform.",
        "stop_on_overload": "Whether overload ended it.",
        "started_s": "When it began, seconds since the run began.",
        "samples": "File of raw samples in the run directory; empty when there is none.",
        "rows": "Second by second; only in trials.jsonl.",
    },
    "SecondRow": {
        "second": "Which second, from the start of the trial.",
        "due": "Requests due in it.",
        "sent": "Requests sent in it.",
        "done": "Requests that ended in it.",
        "failed": "Of those, how many did not end ok.",
        "shed": "Requests not sent any more, for they were too late.",
        "exceed": "Per criterion, requests due in it that were over its limit.",
        "in_flight": "Requests due but not answered, mean over the second.",
        "p50": "Median response time, seconds.",
        "p99": "99th percentile of response time, seconds.",
        "lag_p99": "How late requests were sent, 99th percentile, seconds.",
        "generator_cpu": "CPU of the generator, share of one core, 0 to 1.",
    },
    "RouteDocument": {
        "response": "From the moment a request was due.",
        "service": "From the moment a request was sent.",
        "statuses": "HTTP status to count.",
        "outcomes": _OUTCOMES,
        "over": "Criterion to requests of this route over its limit.",
        "failures": "Its requests that failed, by how they did, the most first.",
        "sizes": "Bytes of answers that count as success, to count; 14: from 2**14 to below 2**15.",
    },
    "RouteFailure": {
        "outcome": "How they ended: status, timeout, connect, reset, ...",
        "status": "HTTP status that they were answered with; 0 where there was no answer.",
        "count": "How many.",
        "first": "When the first of them was due, seconds from the start of the trial.",
        "took": "From when that one was sent until it ended, seconds.",
    },
    "RouteKnee": {
        "route": "Its name.",
        "share": "Its part of the traffic.",
        "n": "Its requests behind the numbers.",
        "rate": "Rate of the whole traffic at which it breaks; null: not seen to.",
        "low": "Lower end of the interval.",
        "high": "Upper end of the interval.",
        "note": "Why there is no rate.",
    },
    "Drained": {
        "seconds": "How long, seconds.",
        "recovered": "Whether it came back.",
        "why": "Why that is not known, as where the load child ended; else empty.",
    },
}
