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


_FILE = "perfhunt.toml"  # what is read unless said
_BY_URL = "# process = { pid = 4242 }"
_FINDS = "finds the process again after a restart; or pid, pidfile, command"
_HOME = """[[traffic]]
name = "home"
request = "GET /"
weight = 1"""


def init_text(
    target: TargetProcess | None,
    port: int | None = None,
    traffic: RecordedTraffic | None = None,
    at: str = "",
    file: str = _FILE,
) -> str:
    """The test file for a live process: what was found as comments, its port and url filled in, the
    SLO left blank. Without a process, for the place where `traffic` was recorded.

    `port` is the target's serving one unless said, `at` its url where that is not by 127.0.0.1, and
    `file` where the text will be. `parse_question` refuses it until a person has chosen the
    numbers.
    """
    template = resources.files(__package__).joinpath("init_template.toml").read_text("utf-8")
    url, process = traffic.origin if traffic is not None else "", "# process = { port = 8000 }"
    allowed = "127.0.0.1"
    if target is not None:
        port = port or target.listeners[0].port
        scheme = urlsplit(url).scheme if place_of(url) == ("localhost", port) else "http"
        url = (at or f"http://127.0.0.1:{port}").replace("http:", f"{scheme}:", 1)
        allowed = urlsplit(url).hostname or allowed if port else allowed
        process = f"process = {{ port = {port} }}" if port else _BY_URL
    # Whose traffic another host serves is for a person to say: production has rules of its own.
    elsewhere = target is None and urlsplit(url).hostname not in (None, *HERE)
    found = _comments(target) if target is not None else ""
    notes = "\n".join(f"#   {_plain(note)}" for note in (traffic.notes if traffic else ()))
    return template.format(
        found="\n".join(filter(None, (found, notes))) or "#   nothing was looked at",
        then=_plain(next_command(target, file)),
        environment=BLANK if elsewhere else TargetEnvironment.LOCAL,
        url=json_text(url or "http://127.0.0.1:8000"),
        process=process,
        finds="else who listens on that socket; or pidfile, command"
        if process == _BY_URL
        else _FINDS,
        traffic=traffic.toml.rstrip() if traffic is not None else _HOME,
        allowed=json_text(allowed),
        suggested="".join(f"# {_plain(line)}\n" for line in (traffic.slo if traffic else ())),
        blank=BLANK,
    )


def next_command(target: TargetProcess | None, file: str) -> str:
    """The command that asks what the test file says, of the process it was written for."""
    option = "" if file == _FILE else f" -f {shlex.quote(file)}"
    return f"perfhunt investigate{option} --pid {target.root if target is not None else 'PID'}"


def _comments(target: TargetProcess) -> str:
    runtime = f"{target.runtime} {target.runtime_version}".strip()
    served = f", served by {target.framework}" if target.framework else ""
    lines = [f"{runtime}{served}"]
    lines += [
        f"listens on {at.host} {at.place}" if at.port else f"listens on {at.place}"
        for at in target.listeners
    ]
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
