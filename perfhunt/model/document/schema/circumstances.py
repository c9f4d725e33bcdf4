"""What each key of run.json means, with its unit: the run, what was asked, and of what."""

from __future__ import annotations

CIRCUMSTANCES: dict[str, dict[str, str]] = {
    "RunDocument": {
        "schema": "Version of this shape.",
        "kind": "Which question the run answers.",
        "id": "Name of the run and of its directory.",
        "started": "ISO 8601, UTC.",
        "perfhunt": "Version that wrote it.",
        "verdict": "How the SLO came out as a whole.",
        "ended": "complete, or stopped, failed or aborted with the reason behind a colon.",
        "exit_code": "Exit code of the command.",
        "seconds": "How long it took, seconds.",
        "next_step": "What to do next.",
        "question": (
            "What was asked; header values, bodies and query values that may be secret are"
            " short hashes."
        ),
        "environment": "What the numbers depend on besides the code.",
        "target": "The live target; values of command lines are removed.",
        "launched": "How the target was started; null where it ran already.",
        "inside": (
            "What tools saw that the service was started under, in spans of their own after all"
            " trials; empty: none was asked for."
        ),
        "slo": "The SLO as judged.",
        "knee": "Where the first objective breaks.",
        "knees": (
            "The knee of every criterion, in the order of the SLO's criteria, then those of CPU"
            " and memory objectives that are used up at a rate which was tried."
        ),
        "capacity": "Completions when saturated.",
        "disturbance": "What other work on the host did to the search; null: nothing, or not seen.",
        "drift": "Whether the service changed while it was looked at; null: not looked for.",
        "route_knees": "Where each route breaks, of several; empty: not counted.",
        "baseline": "The trial at the lowest rate; null when there was none.",
        "trials": "Every trial, in order. Their second rows are in trials.jsonl.",
        "drains": "Waits without load until the target was itself again.",
        "bottleneck": "What kind of thing stops the service.",
        "findings": "Suspects, first one first.",
        "waterfall": (
            "What load added to the mean latency, part by part; null where it was not worked out,"
            " absent in runs of versions that did not."
        ),
        "states": "Thread states by span: baseline, knee.",
        "peers": (
            "Who answered the target's connections, by span, those that used most CPU first;"
            " absent in runs of versions that did not look."
        ),
        "profiles": "Profiles by span.",
        "generator": "The worst the generator did over all valid trials.",
        "probe_effect": (
            "What profiling did to the service: ratios of profiled to quiet spans, 1 for nothing."
        ),
        "cautions": "Doubts about the run.",
        "artifacts": "What to file name in the run directory.",
    },
    "QuestionDocument": {
        "fingerprint": "Equal for two runs that may be compared.",
        "target": "Where load goes.",
        "traffic": "Weighted endpoints.",
        "slo": "The pass mark.",
        "ramp": "How the load climbs.",
        "safety": "What load is allowed.",
        "seed": "Decides arrivals, mix and feed rows.",
        "locustfile": "A locustfile instead of traffic.",
        "locustfile_sha256": "Hash of its content, under a key of the store.",
        "locust_options": (
            "Options of the locustfile, each with what follows it, which is left out unless it is"
            " only ${NAME}."
        ),
        "locust_withheld": "Hash of what is left out of them, under a key of the store.",
        "locust_classes": "Its classes of users that were to come; empty: all.",
        "login": "Request asked before the load, once for each session; null for none.",
        "session_values": "Columns for the traffic, each with where in that answer it stood.",
        "sessions": "Sessions; 0: as many as the login's feed has rows.",
        "smoke": "How a smoke asks.",
        "locustfile_connects": "Where it may connect besides the target: host:port, unix:/path.",
        "engine": "What made the load; locust in runs of versions that had nothing else.",
        "k6_script": "A k6 script instead of traffic.",
        "k6_script_sha256": "Hash of its content, under a key of the store.",
        "source": "The test file.",
        "keep_error_text": "Whether texts of exceptions are kept, which may hold secrets.",
    },
    "SmokeLoad": {
        "rate": "Requests per second; null: the rate that the SLO is judged at.",
        "duration": "Seconds; null: as long as the SLO's percentiles need.",
    },
    "Target": {
        "url": "Scheme, host and port; of a unix socket http+unix:// and its path, encoded.",
        "environment": "local, ci, staging or production.",
        "process": "How the process is found: one of these.",
        "verify_tls": "Whether certificates are checked.",
        "name": "Name for reports.",
    },
    "ProcessSelector": {
        "pid": "Process id.",
        "port": "Port.",
        "pidfile": "File with the process id.",
        "command": "Command.",
    },
    "RequestTemplate": {
        "name": "Name.",
        "method": "HTTP method.",
        "path": "Path template.",
        "weight": "Share of traffic, relative.",
        "headers": "Name and value (a placeholder, or …) of each.",
        "body": "… for a body.",
        "feed": "Rows that fill placeholders.",
        "expect": "What counts as success.",
        "withheld": (
            "HMAC, under a key of the store, of path, headers, bodies and the feed's content, where"
            " they are not stored whole; empty when they are."
        ),
        "parts": "Parts of a multipart body; of a body that is one file, that.",
        "extract": "Columns for later steps, each with where in the answer its value stood.",
        "think": "Seconds from the answer to the step before until it is due.",
        "then": "Later steps of the journey that it begins, each sent after the one before.",
    },
    "BodyPart": {
        "name": "Field, or …; empty for a body that is one file.",
        "text": "… for a text.",
        "file": "What is sent, null for a text.",
        "type": "Its Content-Type.",
        "filename": "… for the name it is sent under, empty for its own.",
    },
    "BodyFile": {
        "path": "File.",
        "sha256": "Hash of its content; empty where `withheld` covers it.",
    },
    "Feed": {
        "path": "File.",
        "columns": "Columns.",
        "sha256": "Hash of its content; empty where `withheld` covers it.",
    },
    "Expect": {
        "status": "HTTP statuses; empty: below 400.",
        "body": "… for text that must be in the answer.",
    },
    "Slo": {
        "objectives": "Objectives.",
        "at_load": "Load it must hold at, requests per second; null for the baseline's.",
        "min_samples": "Fewer observations give no verdict.",
    },
    "Objective": {
        "measure": "What it is about.",
        "key": "What of it: p99, http_5xx, cpu…",
        "op": "Comparison.",
        "limit": "Limit: seconds, requests per second, share 0 to 1, or a count.",
        "window": "Time it must hold for, seconds.",
        "route": "Endpoint, null for all.",
    },
    "Ramp": {
        "mode": "search or staircase.",
        "start": "Lowest rate, requests per second.",
        "staircase": "Plateaus.",
        "budget": "Load at most, seconds.",
        "arrivals": "poisson or uniform.",
        "timeout": "Seconds until a request has timed out.",
        "deadline": "Seconds late at which a request is not sent any more; null for the default.",
        "precision": "Stop when the interval is this share either side, 0 to 1.",
        "baseline": "Length of the baseline, seconds.",
        "hold": "Length of the hold, seconds.",
        "loop": "open or closed.",
        "max_rate": "Highest rate that is tried, requests per second; null for what safety allows.",
    },
    "Plateau": {"rate": "Requests per second.", "duration": "Seconds."},
    "Safety": {
        "allow_hosts": "Hosts.",
        "max_rate": "Requests per second.",
        "max_duration": "Seconds.",
        "killswitch": "What stops it.",
        "comms": "Where people were told.",
    },
    "Killswitch": {
        "file": "File whose appearance stops the load.",
        "url": "URL that must answer 200.",
    },
    "Environment": {
        "host": "Host name.",
        "kernel": "Kernel release.",
        "cpu_model": "Processor.",
        "cores": "Cores.",
        "memory": "Memory, bytes.",
        "virtualised": "Hypervisor or container.",
        "load_average": "Load average over one minute, before.",
        "perfhunt": "Version of perfhunt.",
        "python": "Version of perfhunt's Python.",
        "tools": "Tool to version.",
        "pinning": "How generator and target were kept apart.",
        "git_revision": "Revision of the target's code.",
        "git_dirty": "Whether the working tree held changes.",
        "git_diff_sha256": "Hash of those changes, under a key of the store.",
        "git_snapshot": "Commit that holds the uncommitted changes; empty when there were none.",
        "code_sha256": (
            "Hash of what the target runs that a build wrote; empty where it runs its sources, and"
            " in runs of versions that did not look."
        ),
        "distributions": "Package to version, in the target's environment.",
        "env_sha256": (
            "Hash of the target's environment variables, under a key of the store; values are never"
            " stored."
        ),
        "variables": (
            "Environment variable to the first 4 hex digits of such a hash of its value: tells"
            " which one changed."
        ),
    },
    "TargetProcess": {
        "root": "Its process id.",
        "processes": "Its tree.",
        "listeners": "Listening sockets.",
        "workers": "Processes that do the work.",
        "runtime": "cpython, node, jvm, go or native.",
        "runtime_version": "Its version.",
        "framework": "A guess from the command line.",
        "cpu_limit": "CPU it may use, cores.",
        "cpu_limit_source": "Where that comes from.",
        "memory_limit": "Memory it may use, bytes.",
        "memory_limit_source": "Where that comes from.",
        "git_root": "Repository of its code.",
        "notes": "Remarks.",
        "application": (
            "What tells the application's code from that of others; absent in runs of versions that"
            " did not look."
        ),
    },
    "StartedService": {
        "command": "Its words, values removed.",
        "directory": "Where it was started.",
        "ready": "After how long it took requests, seconds.",
    },
    "Application": {
        "modules": "Import names that are the application though installed: it is served by name.",
        "entry": "Import names of the distribution that the command itself belongs to.",
        "launchers": "Scripts that an installer wrote.",
        "libraries": "Paths of what was installed elsewhere than among the libraries.",
    },
    "Process": {
        "pid": "Process id.",
        "parent": "Parent's process id.",
        "started": "Start, seconds since boot.",
        "exe": "Executable.",
        "cmdline": "Command line, values removed.",
        "cwd": "Working directory.",
        "uid": "User id.",
        "threads": "Threads.",
        "runtime": "cpython, node, jvm, go or native.",
        "runtime_version": "Its version.",
    },
    "Listener": {
        "host": "Address; of a unix socket, unix: and its path.",
        "port": "Port; 0 of a unix socket.",
        "pids": "Who holds it.",
        "backlog": "Accept backlog, connections.",
    },
}
