"""Every format of profiles in one table: how it is known, read and written, and what it keeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from perfhunt.errors import UsageError
from perfhunt.model.document.folded import fold
from perfhunt.model.profile import FrameKind, Profile
from perfhunt.model.profiles.readers.cpuprofile import is_cpuprofile, read_cpuprofile
from perfhunt.model.profiles.readers.folded import is_folded, read_any_folded
from perfhunt.model.profiles.readers.jfr import is_jfr_print, read_jfr_print
from perfhunt.model.profiles.readers.perf_script import is_perf_script, read_perf_script
from perfhunt.model.profiles.readers.phpspy import is_phpspy, read_phpspy
from perfhunt.model.profiles.readers.pprof import is_pprof, read_pprof
from perfhunt.model.profiles.readers.python.austin import is_austin, read_austin
from perfhunt.model.profiles.readers.python.memray import is_memray, read_memray
from perfhunt.model.profiles.readers.python.pyinstrument import is_pyinstrument, read_pyinstrument
from perfhunt.model.profiles.readers.python.scalene import is_scalene, read_scalene
from perfhunt.model.profiles.readers.speedscope import UNITS, is_speedscope, read_speedscope
from perfhunt.model.profiles.readers.trace_events import is_trace, read_trace
from perfhunt.model.profiles.writers.austin import AUSTIN_GRAIN, austin_bytes
from perfhunt.model.profiles.writers.cpuprofile import CPUPROFILE_GRAIN, cpuprofile_bytes
from perfhunt.model.profiles.writers.grain import SAMPLES, Grain, period
from perfhunt.model.profiles.writers.perf_script import PERF_GRAIN, perf_script_bytes
from perfhunt.model.profiles.writers.pprof import PPROF_GRAIN, pprof_bytes
from perfhunt.model.profiles.writers.speedscope import speedscope_text
from perfhunt.model.profiles.writers.trace_events import TRACE_GRAIN, trace_bytes
from perfhunt.version import __version__

_JSON = re.compile(rb'\s*(?:\{\s*["}]|\[\s*[\[{\]"])')
_FLIGHT_RECORDING = b"FLR\0"


class Part(StrEnum):
    """What a profile holds beside functions on stacks and their weights."""

    FILES = "files"
    LINES = "lines"
    KINDS = "kinds of code"
    FRACTIONS = "fractions"
    UNIT = "unit"
    DURATION = "rate and duration"
    ORDER = "order in time"


class Held(StrEnum):
    """What the reader of a format is given."""

    LINES = "lines"
    BYTES = "bytes"
    JSON = "a JSON value"
    RECORDING = "lines that the JDK prints of it"


@dataclass(frozen=True, slots=True)
class ProfileFormat:
    """A format of profiles. `known`: whether the beginning of a text, bytes, or a whole JSON value
    is of it. `read` takes what `held` says, and which value was asked for ("": the default);
    `write` None: it is only read, `unwritten` says why. `keeps`: what it says, as far as we read
    it. `grain`: what its weights are rounded to.
    """

    name: str
    help: str
    suffixes: tuple[str, ...]
    held: Held
    keeps: frozenset[Part]
    known: Callable[[Any], bool]
    read: Callable[[Any, str], Profile]
    write: Callable[[Profile], bytes] | None = None
    grain: Grain | None = None
    unwritten: str = ""


def _folded(profile: Profile) -> bytes:
    return fold(profile.stacks).encode()


def _speedscope(profile: Profile) -> bytes:
    return speedscope_text({profile.tool: profile}, profile.tool, __version__).encode()


def _is_recording(head: Any) -> bool:
    return bytes(head[:4]) == _FLIGHT_RECORDING


_PLACES = frozenset({Part.FILES, Part.LINES})
_RECORDED = "only a JVM writes recordings"
_OTHER_KIND = "it holds sums that only {} itself makes, not stacks"
_TABLE = (
    ProfileFormat(
        name="folded",
        help="stacks, one a line: flamegraph.pl, py-spy, rbspy, async-profiler",
        suffixes=(".folded", ".collapsed"),
        held=Held.LINES,
        keeps=_PLACES | {Part.KINDS, Part.FRACTIONS},
        known=is_folded,
        read=read_any_folded,
        write=_folded,
    ),
    ProfileFormat(
        name="austin",
        help="Austin's text",
        suffixes=(".austin",),
        held=Held.LINES,
        keeps=_PLACES | {Part.UNIT, Part.DURATION, Part.ORDER},
        known=is_austin,
        read=read_austin,
        write=austin_bytes,
        grain=AUSTIN_GRAIN,
    ),
    ProfileFormat(
        name="phpspy",
        help="phpspy's text",
        suffixes=(".phpspy",),
        held=Held.LINES,
        keeps=_PLACES | {Part.ORDER},
        known=is_phpspy,
        read=read_phpspy,
        unwritten="it is the text of one tool, and nothing but stackcollapse-phpspy.pl reads it",
    ),
    ProfileFormat(
        name="speedscope",
        help="speedscope, sampled or evented",
        suffixes=(".speedscope.json", ".speedscope"),
        held=Held.JSON,
        keeps=_PLACES | {Part.FRACTIONS, Part.UNIT, Part.ORDER},
        known=is_speedscope,
        read=read_speedscope,
        write=_speedscope,
    ),
    ProfileFormat(
        name="pprof",
        help="pprof's profile.proto: Go and others",
        suffixes=(".pb", ".pprof", ".prof"),
        held=Held.BYTES,
        keeps=_PLACES | {Part.UNIT, Part.DURATION},
        known=is_pprof,
        read=read_pprof,
        write=pprof_bytes,
        grain=PPROF_GRAIN,
    ),
    ProfileFormat(
        name="cpuprofile",
        help="V8: Node, Chrome's DevTools, VS Code",
        suffixes=(".cpuprofile",),
        held=Held.JSON,
        keeps=_PLACES | {Part.UNIT, Part.ORDER},
        known=is_cpuprofile,
        read=read_cpuprofile,
        write=cpuprofile_bytes,
        grain=CPUPROFILE_GRAIN,
    ),
    ProfileFormat(
        name="perf-script",
        help="the text of `perf script`",
        suffixes=(".perf",),
        held=Held.LINES,
        keeps=frozenset({Part.FILES, Part.KINDS, Part.ORDER}),
        known=is_perf_script,
        read=read_perf_script,
        write=perf_script_bytes,
        grain=PERF_GRAIN,
    ),
    ProfileFormat(
        name="trace-events",
        help="Chrome's trace events (X, B and E): Perfetto, VizTracer, py-spy",
        suffixes=(".trace.json",),
        held=Held.JSON,
        keeps=_PLACES | {Part.UNIT, Part.ORDER},
        known=is_trace,
        read=read_trace,
        write=trace_bytes,
        grain=TRACE_GRAIN,
    ),
    ProfileFormat(
        name="jfr",
        help="a flight recording, by the JDK's `jfr`",
        suffixes=(".jfr",),
        held=Held.RECORDING,
        keeps=frozenset({Part.LINES, Part.ORDER}),
        known=_is_recording,
        read=read_jfr_print,
        unwritten=_RECORDED,
    ),
    ProfileFormat(
        name="jfr-print",
        help="the text of `jfr print --events jdk.ExecutionSample`",
        suffixes=(),
        held=Held.LINES,
        keeps=frozenset({Part.LINES, Part.ORDER}),
        known=is_jfr_print,
        read=read_jfr_print,
        unwritten=_RECORDED,
    ),
    ProfileFormat(
        name="scalene",
        help="scalene's JSON",
        suffixes=(),
        held=Held.JSON,
        keeps=_PLACES | {Part.FRACTIONS, Part.UNIT, Part.DURATION},
        known=is_scalene,
        read=read_scalene,
        unwritten=_OTHER_KIND.format("scalene"),
    ),
    ProfileFormat(
        name="pyinstrument",
        help="pyinstrument's JSON or session",
        suffixes=(".pyisession",),
        held=Held.JSON,
        keeps=_PLACES | {Part.FRACTIONS, Part.UNIT, Part.DURATION},
        known=is_pyinstrument,
        read=read_pyinstrument,
        unwritten="it holds frames in pyinstrument's own order of time",
    ),
    ProfileFormat(
        name="memray",
        help="`memray stats --json`",
        suffixes=(),
        held=Held.JSON,
        keeps=_PLACES | {Part.UNIT},
        known=is_memray,
        read=read_memray,
        unwritten=_OTHER_KIND.format("memray"),
    ),
)
PROFILE_FORMATS: Mapping[str, ProfileFormat] = {form.name: form for form in _TABLE}
WRITTEN = tuple(form.name for form in _TABLE if form.write is not None)


def format_named(name: str) -> ProfileFormat:
    """The format of that name. Raises UsageError with those there are."""
    if name not in PROFILE_FORMATS:
        raise UsageError(
            f"there is no format of profiles {name!r}", f"Formats: {', '.join(PROFILE_FORMATS)}"
        )
    return PROFILE_FORMATS[name]


def format_by_suffix(file: str) -> ProfileFormat | None:
    """The format that a file's name says; None when it says none."""
    name = file.lower().removesuffix(".gz")
    return next((form for form in _TABLE if name.endswith(form.suffixes)), None)


def looks_like_json(head: bytes) -> bool:
    """Whether bytes begin as JSON of a tool does."""
    return _JSON.match(head) is not None


def format_by_content(head: bytes) -> ProfileFormat | None:
    """The format that the first bytes of a file, unzipped, are of; None when that cannot be told,
    as of JSON, which is known as a whole.
    """
    text = head.decode(errors="replace")
    for held, content in ((Held.RECORDING, head), (Held.BYTES, head), (Held.LINES, text)):
        for form in reversed(_TABLE):  # Folded lines go last: much looks like them.
            if form.held == held and form.known(content):
                return form
    return None


def format_of_value(value: Any) -> ProfileFormat | None:
    """The format of a JSON value; None when it is of none."""
    return next((form for form in _TABLE if form.held == Held.JSON and form.known(value)), None)


def losses(profile: Profile, source: ProfileFormat | None, written: ProfileFormat) -> list[str]:
    """What of a profile does not come through, in sentences: order in time never does."""
    frames = {frame for stack in profile.stacks for frame in stack}
    holds = {
        Part.FILES: any(frame.file for frame in frames),
        Part.LINES: any(frame.line is not None for frame in frames),
        Part.KINDS: any(frame.kind not in (FrameKind.PYTHON, FrameKind.THREAD) for frame in frames),
        Part.UNIT: profile.unit != "samples",
        Part.DURATION: bool(profile.rate_hz or profile.seconds),
    }
    lost = [str(part) for part, held in holds.items() if held and part not in written.keeps]
    if source is not None and Part.ORDER in source.keeps:
        lost.append(str(Part.ORDER))  # Stacks are summed up by every reader.
    lines = [f"not kept in {written.name}: {', '.join(lost)}"] if lost else []
    if (grain := written.grain) is not None:
        rounded = sum(not grain.is_exact(profile, weight) for weight in profile.stacks.values())
        if rounded:
            lines.append(f"rounded: {rounded:,} weights, since {written.name} has whole numbers")
        if grain.timed and profile.unit == SAMPLES:
            each = period(profile) * 1e6
            lines.append(f"a sample is {each:,.0f} microseconds in {written.name}, which has times")
    if written.name == "speedscope" and profile.unit not in ("samples", *UNITS):
        lines.append(f"not kept: the unit, {profile.unit} (speedscope has none of that name)")
    return lines
