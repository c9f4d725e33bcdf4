"""The commented perfhunt.toml that `perfhunt init` writes for a live process. Numbers of the SLO
are left blank on purpose.
"""

from __future__ import annotations

import json
from pathlib import Path

from perfhunt.model.run import Process, TargetProcess
from perfhunt.model.testfile.thresholds import BLANK

_TEXT = """\
# Which load does this service hold before it breaks its SLO? Written by `perfhunt init`; every line is yours to change.
#
# What was found:
{found}
#
# Before the first run, fill in the numbers of [slo] below: a tool cannot know what your users put up with.
# Then: perfhunt investigate --pid {pid}

schema = 1

[target]
url = {url}
environment = "local"          # local | ci | staging | production
process = {{ port = {port} }}     # finds the process again after a restart; or pid, pidfile, command

# The requests to send, by weight. Add the ones that matter; `{{column}}` is filled from a CSV or JSON Lines feed.
[[traffic]]
name = "home"
request = "GET /"
weight = 1
# [[traffic]]
# name = "checkout"
# request = "POST /checkout?ref={{ref}}"
# feed = "refs.csv"                                      # a header line with the column names, then the rows
# json = {{ sku = "A1" }}                                  # or form = {{ ... }}, or body = "..."
# headers = {{ Authorization = "Bearer ${{SHOP_TOKEN}}" }}   # from the environment, never stored
# expect = {{ status = [200, 201] }}                       # default: any status below 400
# weight = 1

# The pass mark. Every number needs its unit (ms, s, /s, %). perfhunt refuses to run while a {blank} is left.
[slo]
latency = {{ p95 = "<= {blank}ms", p99 = "<= {blank}ms" }}
errors = {{ http_5xx = "< {blank}%", transport = "<= 0" }}
# throughput = {{ sustained = ">= 300/s for 60s" }}
# resources = {{ cpu = "< 70%", memory = "< 80%", oom_kills = "<= 0" }}   # shares of what it may use
# at_load = "300/s"                                       # the load it must hold at; default: the baseline's
# [[slo.route]]
# match = "POST /checkout"
# latency = {{ p99 = "<= 700ms" }}

[ramp]
mode = "search"                # finds the knee; "staircase" holds the steps below one after the other
# staircase = ["10/s for 1m", "50/s for 2m", "100/s for 2m", "200/s for 2m"]
budget = "10m"

[safety]
allow_hosts = ["127.0.0.1"]
max_rate = "5000/s"
killswitch = {{ file = ".perfhunt/stop", url = "" }}   # `touch .perfhunt/stop` ends all load within a second
"""


def init_text(target: TargetProcess, port: int | None = None, url: str = "") -> str:
    """The test file for a live process: what was found as comments, its port and url filled in, the
    SLO left blank.

    `port` is the target's serving one unless said. `parse_question` refuses the text until a person
    has chosen the numbers.
    """
    port = port or target.listeners[0].port
    return _TEXT.format(
        found=_comments(target),
        pid=target.root,
        url=json.dumps(url or f"http://127.0.0.1:{port}", ensure_ascii=False),
        port=port,
        blank=BLANK,
    )


def _comments(target: TargetProcess) -> str:
    runtime = f"{target.runtime} {target.runtime_version}".strip()
    served = f", served by {target.framework}" if target.framework else ""
    lines = [f"{runtime}{served}"]
    lines += [f"listens on {one.host} port {one.port}" for one in target.listeners]
    lines.append(f"may use {_limits(target)}")
    lines.append("processes (* does the work):")
    shown = target.processes[:12]
    lines += [f"  {'*' if one.pid in target.workers else ' '} {_process(one)}" for one in shown]
    if len(target.processes) > len(shown):
        lines.append(f"    and {len(target.processes) - len(shown)} more")
    lines += target.notes
    return "\n".join(f"#   {_plain(line)}" for line in lines)


def _process(one: Process) -> str:
    threads = f"{one.threads} thread{'s' if one.threads > 1 else ''}"
    # The program and its first word only: what follows on a command line may be a secret.
    name = " ".join(Path(word).name for word in one.cmdline[:2] if not word.startswith("-"))
    return f"pid {one.pid}  {name or Path(one.exe).name}  ({threads})"


def _limits(target: TargetProcess) -> str:
    cpu = (
        f"{target.cpu_limit:g} cores ({target.cpu_limit_source})"
        if target.cpu_limit
        else "the host's cores"
    )
    memory = (
        f"{target.memory_limit / 2**30:.1f} GiB ({target.memory_limit_source})"
        if target.memory_limit
        else "the host's memory"
    )
    return f"{cpu} and {memory}"


def _plain(line: str) -> str:
    """The line without control characters, which TOML forbids even in a comment."""
    return "".join(c if c.isprintable() else "?" for c in line)
