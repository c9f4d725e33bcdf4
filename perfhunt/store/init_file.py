"""The commented perfhunt.toml that `perfhunt init` writes for a live process. Numbers of the SLO
are left blank on purpose.
"""

from __future__ import annotations

import shlex
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

from perfhunt.model import redact
from perfhunt.model.question import TargetEnvironment
from perfhunt.model.recorded.traffic import HERE, RecordedTraffic, place_of
from perfhunt.model.run import Process, TargetProcess
from perfhunt.model.testfile.thresholds import BLANK
from perfhunt.model.text.command_line import HIDDEN
from perfhunt.model.text.escaping import json_text, visible

_MOST_PROCESSES = 12  # shown in the comments: a screenful, with what else was found


_EVERYWHERE = ("0.0.0.0", "::")  # where a listener takes what comes to any address
_FILE = "perfhunt.toml"  # what is read unless said
_HOME = """[[traffic]]
name = "home"
request = "GET /"
weight = 1"""


def init_text(
    target: TargetProcess | None,
    port: int | None = None,
    traffic: RecordedTraffic | None = None,
    file: str = _FILE,
) -> str:
    """The test file for a live process: what was found as comments, its port and url filled in, the
    SLO left blank. Without a process, for the place where `traffic` was recorded. `file` is where
    it will be.

    `port` is the target's serving one unless said. `parse_question` refuses the text until a person
    has chosen the numbers.
    """
    template = resources.files(__package__).joinpath("init_template.toml").read_text("utf-8")
    url, process = traffic.origin if traffic is not None else "", "# process = { port = 8000 }"
    host = urlsplit(url).hostname
    # Whose traffic another host serves is for a person to say: production has rules of its own.
    elsewhere = target is None and host not in (None, *HERE)
    if target is not None:
        host, port = _address(target, port)
        scheme = urlsplit(url).scheme if place_of(url) == ("localhost", port) else "http"
        url, process = f"{scheme}://{host}:{port}", f"process = {{ port = {port} }}"
    allowed = host.strip("[]") if target is not None and host else "127.0.0.1"
    found = _comments(target) if target is not None else ""
    notes = "\n".join(f"#   {_plain(note)}" for note in (traffic.notes if traffic else ()))
    return template.format(
        found="\n".join(filter(None, (found, notes))) or "#   nothing was looked at",
        then=_plain(next_command(target, file)),
        environment=BLANK if elsewhere else TargetEnvironment.LOCAL,
        url=json_text(url or "http://127.0.0.1:8000"),
        process=process,
        traffic=traffic.toml.rstrip() if traffic is not None else _HOME,
        allowed=json_text(allowed),
        blank=BLANK,
    )


def next_command(target: TargetProcess | None, file: str) -> str:
    """The command that asks what the test file says, of the process it was written for."""
    option = "" if file == _FILE else f" -f {shlex.quote(file)}"
    return f"perfhunt investigate{option} --pid {target.root if target is not None else 'PID'}"


def _address(target: TargetProcess, port: int | None) -> tuple[str, int]:
    """Host and port, as a url has them, of the serving listener (of that on `port`, where said)."""
    port = port or target.listeners[0].port
    hosts = [at.host for at in target.listeners if at.port == port]
    if not hosts or {*_EVERYWHERE, "127.0.0.1"} & set(hosts):
        return "127.0.0.1", port
    return f"[{hosts[0]}]" if ":" in hosts[0] else hosts[0], port


def _comments(target: TargetProcess) -> str:
    runtime = f"{target.runtime} {target.runtime_version}".strip()
    served = f", served by {target.framework}" if target.framework else ""
    lines = [f"{runtime}{served}"]
    lines += [f"listens on {listener.host} port {listener.port}" for listener in target.listeners]
    lines.append(f"may use {_limits(target)}")
    lines.append("processes (* does the work):")
    shown = target.processes[:_MOST_PROCESSES]
    lines += [f"  {'*' if p.pid in target.workers else ' '} {_process(p)}" for p in shown]
    if len(target.processes) > len(shown):
        lines.append(f"    and {len(target.processes) - len(shown)} more")
    lines += target.notes
    return "\n".join(f"#   {_plain(line)}" for line in lines)


def _process(process: Process) -> str:
    threads = f"{process.threads} thread{'s' if process.threads > 1 else ''}"
    words = redact.command(process.cmdline, process.exe)[:2]
    name = " ".join(Path(word).name for word in words if not word.startswith(("-", HIDDEN)))
    return f"pid {process.pid}  {name or Path(process.exe).name}  ({threads})"


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
    return visible(line)
