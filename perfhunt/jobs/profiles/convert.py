"""A profile of any tool written in the format of another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from perfhunt.errors import UsageError
from perfhunt.jobs.profiles.read import STREAM, read_profile
from perfhunt.jobs.profiles.uncollected import uncollected
from perfhunt.model.profiles.formats import (
    WRITTEN,
    ProfileFormat,
    format_by_suffix,
    format_named,
    losses,
)
from perfhunt.store.files import write_atomic


@dataclass(frozen=True, slots=True)
class ConvertRequest:
    """What to read (a file, `-`, a run) and where to (`-`: the caller prints it); the formats'
    names, "" where files say them; which of several values.
    """

    source: str
    target: str = STREAM
    source_format: str = ""
    target_format: str = ""
    value: str = ""
    store: Path = Path(".perfhunt")


@dataclass(frozen=True, slots=True)
class Converted:
    """The bytes, and sentences about what was read and what was not kept."""

    content: bytes
    notes: tuple[str, ...]


@uncollected()
def convert_profile(request: ConvertRequest) -> Converted:
    """The profile in the other format, written unless the target is `-`. Raises UsageError,
    Unreadable, StoreError.
    """
    written = _target_format(request)
    read = read_profile(request.source, request.store, request.source_format, request.value)
    assert written.write is not None
    content = written.write(read.profile)
    if request.target != STREAM:
        write_atomic(Path(request.target), content)
    notes = (*read.profile.notes, *losses(read.profile, read.form, written))
    return Converted(content, notes)


def _target_format(request: ConvertRequest) -> ProfileFormat:
    by_suffix = format_by_suffix(request.target) if request.target != STREAM else None
    form = format_named(request.target_format) if request.target_format else by_suffix
    hint = f"Name one of those that are written: --to {', '.join(WRITTEN)}"
    if form is None:
        raise UsageError(f"{request.target} does not say which format to write", hint)
    if form.write is None:
        raise UsageError(f"{form.name} is read, and not written: {form.unwritten}", hint)
    return form
