"""The texts of a target's own files, as its processes see them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from perfhunt.model.run import Process, TargetProcess
from perfhunt.model.units import Bytes, Seconds
from perfhunt.target.proc.files import text

# Nobody writes a longer file by hand, and a generated one says nothing of loops.
LONGEST: Bytes = 2_000_000


def sources(target: TargetProcess, files: Iterable[str]) -> dict[str, str]:
    """Path -> text, of the files that can be read and were not written to since the process began:
    what runs is then what they say.
    """
    lead = next((p for p in target.processes if p.pid in target.workers), None)
    if lead is None:
        return {}
    texts = {file: _text(lead, file) for file in sorted(files) if os.path.isabs(file)}
    return {file: content for file, content in texts.items() if content}


def _text(process: Process, file: str) -> str:
    """The file within the root of the process; "" when it is not to be had, or newer."""
    path = Path(f"/proc/{process.pid}/root{file}")
    try:
        found = path.stat()
        if found.st_size > LONGEST or found.st_mtime > _boot() + process.started:
            return ""
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _boot() -> Seconds:
    """When the host started, in seconds since 1970; infinity when nothing says."""
    lines = (line.split() for line in text("/proc/stat").splitlines())
    return next((float(words[1]) for words in lines if words[:1] == ["btime"]), float("inf"))
