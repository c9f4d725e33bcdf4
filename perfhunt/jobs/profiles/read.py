"""One profile, from a file of any tool, from standard input, or from a stored run."""

from __future__ import annotations

import io
import math
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from perfhunt.errors import AttachFailed, Unreadable, UsageError
from perfhunt.model.document.bounded import json_value, lines_of, read_all, unzipped
from perfhunt.model.profile import Profile
from perfhunt.model.profiles.formats import (
    PROFILE_FORMATS,
    Held,
    ProfileFormat,
    format_by_content,
    format_by_suffix,
    format_named,
    format_of_value,
    looks_like_json,
)
from perfhunt.model.units import Bytes
from perfhunt.profilers.jvm.profiler import samples_printed
from perfhunt.reports.phases import main_phase
from perfhunt.store.listing import find
from perfhunt.store.rundir import read_directory

STREAM = "-"  # standard input, or output
_HEAD: Bytes = 1 << 16  # by which a format is known: many lines of deep stacks
# Read whole: what Python makes of JSON is ten times as large. Lines are counted as they come.
_LARGEST: Bytes = 128 << 20
_DEEPEST = 800  # levels of JSON: pyinstrument nests two for each call
_GZIP = b"\x1f\x8b"
# What tools record in before they print it: how each begins, what it is, and what reads it.
_RECORDINGS = (
    (rb"PERFILE2", "a recording of perf", "perf script -i FILE | perfhunt convert - B"),
    (rb"MOJ[\0-\x1f]", "Austin's binary form", "mojo2austin FILE B.austin"),
    (rb"Nettrace", "a recording of .NET", "dotnet-trace convert --format Speedscope FILE"),
    (rb"memray\0", "a recording of memray", "memray transform speedscope FILE"),
    (
        rb"rbspy[0-9]",
        "a recording of rbspy",
        "rbspy report -i FILE -f speedscope -o B.speedscope.json",
    ),
)
_HINT = "perfhunt convert --list names the formats; --from NAME says which it is."


@dataclass(frozen=True, slots=True)
class ProfileRead:
    """A profile, what its source is called, and its format; None: it is of a stored run."""

    profile: Profile
    name: str
    form: ProfileFormat | None


def read_profile(source: str, store: Path, named: str = "", asked: str = "") -> ProfileRead:
    """The profile in `source`: a file, `-`, a run or `RUN:SPAN` (its knee's, when none is said).
    `named` is its format, else told from its content and its suffix; `asked` which of several
    values. Raises UsageError, Unreadable, StoreError.
    """
    form = format_named(named) if named else None
    if form is None and source != STREAM and not _is_file(source):
        return _of_run(source, store)
    try:
        with _opened(source) as file:
            read = _of_file(file, source, form, asked)
    except OSError as error:
        raise UsageError(
            f"{source} cannot be read: {error.strerror or error}", "Name a profile, or a run."
        ) from error
    except Unreadable as error:
        raise Unreadable(f"{source}: {error.message}", error.hint or _HINT) from error
    except UsageError as error:
        raise UsageError(f"{source}: {error.message}", error.hint) from error
    if not math.isfinite(read.profile.total):
        raise Unreadable(f"{source}: its weights are together more than a number can be", _HINT)
    return read


def _is_file(source: str) -> bool:
    """Whether it is a file, or can be meant for nothing else."""
    path = Path(source)
    if path.exists():
        return not path.is_dir()
    return ":" not in source and ("/" in source or format_by_suffix(source) is not None)


def _of_run(source: str, store: Path) -> ProfileRead:
    name, _, span = (source, "", "") if Path(source).exists() else source.partition(":")
    run = read_directory(find(store, name))
    span = span or main_phase(run)
    if not span:
        raise UsageError(
            f"run {run.id} has no profile with a sample in it", "perfhunt report RUN says why."
        )
    if span not in run.profiles:
        has = ", ".join(run.profiles) or "no profile"
        raise UsageError(f"run {run.id} has no profile {span!r}", f"It has: {has}")
    return ProfileRead(run.profiles[span], f"{run.id}:{span}", None)


@contextmanager
def _opened(source: str) -> Iterator[BinaryIO]:
    if source == STREAM:
        yield io.BufferedReader(sys.stdin.buffer, _HEAD)  # type: ignore[type-var]
    else:
        with open(source, "rb", buffering=_HEAD) as file:
            yield file


def _of_file(file: BinaryIO, source: str, form: ProfileFormat | None, asked: str) -> ProfileRead:
    assert isinstance(file, io.BufferedReader)
    head = file.peek(_HEAD)
    content: io.BufferedReader | io.BytesIO = file
    if head[: len(_GZIP)] == _GZIP:
        content = io.BytesIO(unzipped(read_all(file.read, _LARGEST, "it"), _LARGEST, "it"))
        head = content.getbuffer()[:_HEAD].tobytes()
    for begins, what, next_step in _RECORDINGS:
        if form is None and re.match(begins, head):
            raise Unreadable(f"it is {what}, which only its own tool reads", f"First: {next_step}")
    if form is None and not looks_like_json(head):
        form = format_by_content(head) or format_by_suffix(source)
        if form is None:
            raise Unreadable("what is in it is of no format that is known")
    if form is None or form.held == Held.JSON:
        value = json_value(read_all(content.read, _LARGEST, "it"), "it", _DEEPEST)
        form = form or format_of_value(value)
        if form is None:
            raise Unreadable("this JSON is of no format that is known")
        return ProfileRead(form.read(value, asked), source, form)
    if form.held == Held.BYTES:
        return ProfileRead(form.read(read_all(content.read, _LARGEST, "it"), asked), source, form)
    if form.held == Held.RECORDING:
        return ProfileRead(_of_recording(content, form, asked), source, form)
    text = io.TextIOWrapper(content, encoding="utf-8", errors="replace", newline="\n")
    return ProfileRead(form.read(lines_of(text), asked), source, form)


def _of_recording(
    content: io.BufferedReader | io.BytesIO, form: ProfileFormat, asked: str
) -> Profile:
    if shutil.which("jfr") is None:
        raise UsageError(
            "a flight recording is read by the JDK's `jfr`, which is not here",
            "Put a JDK's bin directory on PATH, or convert the text of jfr print.",
        )
    with tempfile.NamedTemporaryFile(suffix=".jfr") as copy:
        shutil.copyfileobj(content, copy)
        copy.flush()
        try:
            with samples_printed(Path(copy.name)) as printed:
                return form.read(lines_of(printed), asked)
        except AttachFailed as error:
            raise Unreadable(error.message) from error


def formats_lines() -> list[str]:
    """The formats as a table: what is read, what is written, what each keeps."""
    lines = []
    for form in PROFILE_FORMATS.values():
        does = "read, written" if form.write else "read"
        keeps = ", ".join(sorted(form.keeps)) or "functions only"
        lines.append(f"{form.name:<13} {does:<14} {form.help}")
        lines.append(f"{'':<28} keeps {keeps}{_named(form)}")
    return lines


def _named(form: ProfileFormat) -> str:
    return f"; {' '.join(form.suffixes)}" if form.suffixes else ""
