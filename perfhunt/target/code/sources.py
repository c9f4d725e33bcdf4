"""The texts of a target's own files, as its processes see them."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from math import inf
from pathlib import Path
from typing import IO, TypeAlias

from perfhunt.errors import Unreadable
from perfhunt.model.run import Process, TargetProcess
from perfhunt.model.units import Bytes, Seconds
from perfhunt.target.proc.files import counters
from perfhunt.target.proc.namespaces import seen_from_here

# Gives the texts of a target's own files, by path, of those that it is asked for.
SourceTexts: TypeAlias = Callable[[TargetProcess, Collection[str]], Mapping[str, str]]
# Nobody writes a longer file by hand, and a generated one says nothing of loops.
LONGEST: Bytes = 2_000_000
# What a zip raises that is damaged, encrypted, packed in a way that is not known, or made to harm.
UNZIPPABLE = (
    *(KeyError, EOFError, ValueError, RuntimeError, struct.error, zlib.error),
    *(zipfile.BadZipFile, Unreadable),
)


def sources(target: TargetProcess, files: Iterable[str]) -> dict[str, str]:
    """Path -> text, of the files that can be read and were not written to since the process began:
    what runs is then what they say.
    """
    lead = next((p for p in target.processes if p.pid in target.workers), None)
    if lead is None:
        return {}
    texts = {file: text_of(lead, file) for file in sorted(files) if os.path.isabs(file)}
    return {file: content for file, content in texts.items() if content}


def text_of(process: Process, file: str) -> str | None:
    """The file within the root of the process, or within a zip there; None when it is not to be
    had, or newer than the process.
    """
    path = seen_from_here(process.pid, file)
    lies_in = next((p for p in (path, *path.parents) if p.is_file()), path)
    try:
        if lies_in.stat().st_mtime > _boot() + process.started:
            return None
        content = lies_in.open("rb") if lies_in == path else _member(lies_in, path)
        with content:
            written = content.read(LONGEST + 1)
        return written.decode() if len(written) <= LONGEST else None
    except (OSError, *UNZIPPABLE):
        return None


def _member(archive: Path, path: Path) -> IO[bytes]:
    """A file of a zip. Raises OSError or one of UNZIPPABLE for none."""
    with zipfile.ZipFile(archive) as held:
        return held.open(str(path.relative_to(archive)))


def _boot() -> Seconds:
    """When the host started, in seconds since 1970; infinity when nothing says."""
    return float(counters("/proc/stat").get("btime", inf))
