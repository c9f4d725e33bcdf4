"""One live process of a target, as it is kept in a run."""

from __future__ import annotations

from collections.abc import Sequence

from perfhunt.model import redact
from perfhunt.model.run import Process
from perfhunt.model.text.escaping import visible
from perfhunt.target.proc.files import link
from perfhunt.target.proc.process import cmdline, stat, uid
from perfhunt.target.runtime import runtime_of

_SHOWN = 60  # characters of a command line that a message repeats


def process_of(pid: int) -> Process | None:
    """One live process as it is now; None when it is gone or is a zombie."""
    now = stat(pid)
    if now is None or now.ended:
        return None
    runtime, version = runtime_of(pid)
    return Process(
        pid=pid,
        parent=now.parent,
        started=now.started,
        exe=link(pid, "exe"),
        cmdline=cmdline(pid),
        cwd=link(pid, "cwd"),
        uid=uid(pid),
        threads=now.threads,
        runtime=runtime,
        runtime_version=version,
    )


def shown(words: Sequence[str], program: str) -> str:
    """A command line as a message repeats it: short, printable, and without what may be secret."""
    return visible(" ".join(redact.command(words, program)))[:_SHOWN] or "no command line"
