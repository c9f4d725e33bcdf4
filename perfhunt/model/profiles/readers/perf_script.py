"""`perf script` output, read strictly: one sample per block, its frames leaf first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from perfhunt.errors import Unreadable
from perfhunt.model import redact
from perfhunt.model.document.bounded import Allowance, numbered
from perfhunt.model.profile import MOST_DIFFERENT_FRAMES, Frame, FrameKind, Profile, Stack
from perfhunt.model.profiles.readers.foreign import kind_of, only_value, profile_of

FIELDS = "comm,pid,tid,time,ip,sym,dso"
UNKNOWN = "[unknown]"

_WHAT = "what perf script printed"
# What follows the name in a line that begins a sample: pid/tid (or one of them), the CPU, the time,
# and, unless other fields were asked for, the event. The name before it holds anything.
_SAMPLE = re.compile(
    r"\s[0-9]++(?:/[0-9]++)?(?:\s++\[[0-9]++\])?\s++[0-9]++\.[0-9]++:(?P<event>\s.*)?$"
)
# The same with the fields that we ask for: nothing behind the time, so no title can look like it.
_OURS = re.compile(r"\s[0-9]++/[0-9]++\s++[0-9]++\.[0-9]++:$")
# A sample without a chain of calls stands on one line, its one frame behind the event.
_ALONE = re.compile(r"\s++(?:[0-9]++\s++)?\S+:\s++(?P<frame>[0-9a-f]{1,16}\s.*\))\s*")
_ADDRESS = re.compile(r"[0-9a-f]+")
_OFFSET = re.compile(r"\+0x[0-9a-f]+$")
# Images in brackets are the kernel's and its modules', but for these.
_USER_IMAGES = (UNKNOWN, "[vdso]", "[heap]", "[stack]", "[anon]")
# How runtimes name what they compiled: CPython (`-X perf`), V8 (`--perf-basic-prof`).
_PYTHON = re.compile(r"py::(?P<function>.*):(?P<file>[^:]*)")
_V8 = re.compile(
    r"(?:JS|LazyCompile|Function|Script|Eval):[*~^+]?(?P<function>[^ ]*) (?P<file>.+?)"
    r":(?P<line>[0-9]{1,9})(?::[0-9]{1,9})?"
)

# Which calls, outermost first, a place in an image is in; None where that is not known. What perf
# prints of a place is how far into the file it is.
CallsAt: TypeAlias = Callable[[str, int], Stack | None]


class PerfScriptError(Unreadable):
    """A line was not what `perf script` prints; the message holds its number."""


@dataclass(frozen=True, slots=True)
class PerfSample:
    """One sample; `broken` says that frames were lost on the way to the root."""

    stack: Stack
    broken: bool


def parse_perf_script(
    text: str | Iterable[str], calls_at: CallsAt | None = None
) -> Iterator[PerfSample]:
    """The samples of `perf script -F comm,pid,tid,time,ip,sym,dso`, from its text or its lines.
    `calls_at` says which calls a place in an image is in, where the runtime knows that better than
    symbols do. Raises PerfScriptError at a line that is something
    else, Unreadable for more than is read.
    """
    allowed = Allowance(MOST_DIFFERENT_FRAMES, "different frames", _WHAT)
    known: dict[str, Frame] = {}
    inside = False
    frames: list[Frame] = []
    for number, line in numbered(text, _WHAT):
        if not line.strip():
            if inside:
                yield _sample(frames)
            inside, frames = False, []
        elif inside:
            named = _without_address(line, number)
            if named not in known:
                allowed.take()
                known[named] = _frame(named, line, number)
            calls = _calls(line, frames, calls_at) if calls_at is not None else None
            frames += (known[named],) if calls is None else calls[::-1]
        elif not line.startswith("#"):
            begun = _SAMPLE.search(line)
            if begun is None or not line[: begun.start()].strip():
                raise PerfScriptError(f"Line {number} does not begin a perf sample: {line[:80]!r}")
            if (alone := _ALONE.fullmatch(begun["event"] or "")) is None:
                inside = True
                continue
            named = _without_address(f" {alone['frame']}", number)
            yield _sample([_frame(named, line, number)])
    if inside:
        yield _sample(frames)


def is_perf_script(text: str) -> bool:
    """Whether a text begins as `perf script` prints: its first line begins a sample."""
    first = next((line for line in text.split("\n") if line and not line.startswith("#")), "")
    begun = _SAMPLE.search(first)
    return begun is not None and bool(first[: begun.start()].strip())


def read_perf_script(lines: Iterable[str], asked: str = "") -> Profile:
    """Its samples, one each. Raises PerfScriptError, Unreadable for more than is read."""
    only_value(asked, "samples")
    stacks: dict[Stack, float] = {}
    broken = 0
    for sample in parse_perf_script(lines):
        stacks[sample.stack] = stacks.get(sample.stack, 0.0) + 1
        broken += sample.broken
    notes = [f"{broken:,} stacks lack frames towards their root"] if broken else []
    return profile_of("perf", stacks, notes=notes)


def without_titles(lines: Iterable[str]) -> Iterator[str]:
    """The lines of `FIELDS` with names of threads as they may be kept: a program can write a title
    there.
    """
    for line in lines:
        begun = _OURS.search(line.rstrip())
        name = line[: begun.start()].strip() if begun else ""
        yield line.replace(name, redact.thread(name), 1) if name else line


def _calls(line: str, inner: list[Frame], calls_at: CallsAt) -> Stack | None:
    """The calls at the place of a line. All but the innermost of the program's are where a call
    returns to, which is one beyond it.
    """
    returns = any(frame.kind != FrameKind.KERNEL for frame in inner)
    image = line.rstrip().rpartition(" (")[2].removesuffix(")")
    return calls_at(image, int(line.split(maxsplit=1)[0], 16) - returns)


def _without_address(line: str, number: int) -> str:
    """What follows the address in `   ADDRESS symbol+0xOFFSET (image)`."""
    address, _, named = line.strip().partition(" ")
    if not (line[0].isspace() and _ADDRESS.fullmatch(address)):
        raise PerfScriptError(f"Line {number} is not a perf frame: {line[:80]!r}")
    return named


def _frame(named: str, line: str, number: int) -> Frame:
    symbol, _, image = named.rpartition(" (")  # Symbols hold spaces and brackets too.
    if not (symbol and image.endswith(")")):
        raise PerfScriptError(f"Line {number} is not a perf frame: {line[:80]!r}")
    return frame_of(_OFFSET.sub("", symbol), image[:-1])


def frame_of(symbol: str, image: str) -> Frame:
    """The frame of a symbol, `image` being the file it is of or what else perf prints of memory."""
    if (python := _PYTHON.fullmatch(symbol)) is not None:
        return Frame(python["function"], python["file"])
    if (v8 := _V8.fullmatch(symbol)) is not None:
        line, file = int(v8["line"]), v8["file"].removeprefix("file://")
        return Frame(v8["function"] or f"(anonymous:{line})", file, line, FrameKind.JS)
    of_user = image in _USER_IMAGES or image.startswith("[JIT") or not image.startswith("[")
    kind = kind_of(image, FrameKind.NATIVE) if of_user else FrameKind.KERNEL
    return Frame(symbol, image, kind=kind)


def _sample(frames: list[Frame]) -> PerfSample:
    """Frames root first. Addresses in no image are what is left when a frame pointer led nowhere:
    they are no functions.
    """
    mapped = [frame for frame in frames if (frame.function, frame.file) != (UNKNOWN, UNKNOWN)]
    stack: list[Frame] = []
    for frame in reversed(mapped):
        # A row of nameless frames in one image says no more than one of them.
        if not (frame.function == UNKNOWN and stack and stack[-1] == frame):
            stack.append(frame)
    return PerfSample(
        stack=tuple(stack) or (Frame(UNKNOWN, UNKNOWN, kind=FrameKind.NATIVE),),
        broken=len(mapped) < len(frames),
    )
