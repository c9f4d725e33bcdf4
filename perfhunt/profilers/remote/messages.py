"""What the two halves say to each other: frames of JSON, and series of instants in few words.

`far` writes them with nothing but Python's own library; `link` reads them, bounded and checked.
"""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import unzipped
from perfhunt.model.profile import Frame, Instant, Instants, Loss, Stack, ThreadSample
from perfhunt.model.run import TargetProcess
from perfhunt.model.states import Peer, States
from perfhunt.model.text.escaping import json_text
from perfhunt.model.trial import Resources
from perfhunt.model.units import Bytes, Seconds

LARGEST: Bytes = 128 << 20  # of a frame: half a minute of 200 threads has under a fifth of it
_PACKED: Bytes = LARGEST >> 2  # of one as it is sent: looks at the same threads pack to a tenth
_FASTEST = 1  # gzip's level: it packs them nearly as well, while the service is measured
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class FarTarget:
    """The target as the far half found it, and its url there; `now` is the clock there."""

    target: TargetProcess
    url: str
    now: Seconds


@dataclass(frozen=True, slots=True)
class PackedSample:
    """A `ThreadSample` whose stack is a number of one."""

    pid: int
    tid: int
    stack: int
    state: str
    wait_on: str
    thread_name: str
    holds_gil: bool
    still: bool
    task: bool
    holds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PackedInstants:
    """`Instants` in which frames, stacks and samples, of which most come again and again, are
    written once: a stack is numbers of frames, a look (when, numbers of samples).
    """

    seconds: Seconds
    errors: int
    notes: tuple[str, ...]
    frames: tuple[Frame, ...]
    stacks: tuple[tuple[int, ...], ...]
    samples: tuple[PackedSample, ...]
    looks: tuple[tuple[Seconds, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class FarUse:
    """What the target used since the last question, and what its sockets held meanwhile, by the
    clock there.
    """

    resources: Resources
    unread: tuple[tuple[Seconds, int], ...]


@dataclass(frozen=True, slots=True)
class FarSpan:
    """What was captured there between two words of ours."""

    states: States
    instants: PackedInstants | None
    peers: tuple[Peer, ...] | None
    losses: tuple[Loss, ...]


def packed(series: Instants) -> PackedInstants:
    """A series in few words."""
    frames: dict[Frame, int] = {}
    stacks: dict[Stack, int] = {}
    known: dict[int, int] = {}  # by identity: a thread that slept on has the same sample again
    samples: list[PackedSample] = []
    looks = []
    for instant in series:
        for sample in instant.threads:
            if id(sample) not in known:
                known[id(sample)] = len(samples)
                for frame in sample.stack:
                    frames.setdefault(frame, len(frames))
                stack = stacks.setdefault(sample.stack, len(stacks))
                samples.append(_packed(sample, stack))
        looks.append((instant.at, tuple(known[id(sample)] for sample in instant.threads)))
    return PackedInstants(
        seconds=series.seconds,
        errors=series.errors,
        notes=series.notes,
        frames=tuple(frames),
        stacks=tuple(tuple(frames[frame] for frame in stack) for stack in stacks),
        samples=tuple(samples),
        looks=tuple(looks),
    )


def _packed(sample: ThreadSample, stack: int) -> PackedSample:
    return PackedSample(
        pid=sample.pid,
        tid=sample.tid,
        stack=stack,
        state=str(sample.state),
        wait_on=sample.wait_on,
        thread_name=sample.thread_name,
        holds_gil=sample.holds_gil,
        still=sample.still,
        task=sample.task,
        holds=tuple(sorted(sample.holds)),
    )


def unpacked(series: PackedInstants, later: Seconds = 0.0) -> Instants:
    """The series again, by a clock that shows `later` more. Raises Unreadable where a number is of
    nothing.
    """
    stacks = [tuple(_each(series.frames, numbers)) for numbers in series.stacks]
    samples = [
        ThreadSample(
            pid=each.pid,
            tid=each.tid,
            stack=_each(stacks, (each.stack,))[0],
            state=each.state,
            wait_on=each.wait_on,
            thread_name=each.thread_name,
            holds_gil=each.holds_gil,
            still=each.still,
            task=each.task,
            holds=frozenset(each.holds),
        )
        for each in series.samples
    ]
    instants = (Instant(at + later, tuple(_each(samples, of))) for at, of in series.looks)
    return Instants(series.seconds, tuple(instants), series.errors, series.notes)


def _each(known: Sequence[Any], numbers: Sequence[int]) -> list[Any]:
    if numbers and not 0 <= min(numbers) <= max(numbers) < len(known):
        raise Unreadable(f"a series of instants names number {max(numbers)} of {len(known)} things")
    return [known[number] for number in numbers]


def plain(value: object) -> Any:
    """As `model.document.plain.to_plain`, by Python's own library alone."""
    if is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def framed(value: object) -> bytes:
    """A value as it is sent: its length, then its JSON, packed (a line may be slow)."""
    written = gzip.compress(json_text(plain(value), separators=(",", ":")).encode(), _FASTEST)
    return _LENGTH.pack(len(written)) + written


def read_frame(read: Callable[[int], bytes]) -> bytes | None:
    """The JSON of the next frame; None at the end of the stream. `read` gives up to so many bytes.
    Raises Unreadable for one that is cut short, or longer than LARGEST.
    """
    head = _whole(read, _LENGTH.size)
    if not head:
        return None
    (length,) = _LENGTH.unpack(head) if len(head) == _LENGTH.size else (_PACKED + 1,)
    if length > _PACKED:
        raise Unreadable("it sent what is no frame, or one that is larger than is read")
    body = _whole(read, length)
    if len(body) < length:
        raise Unreadable("it ended in the middle of a frame")
    return unzipped(body, LARGEST, "what it sent")


def _whole(read: Callable[[int], bytes], size: Bytes) -> bytes:
    pieces, left = [], size
    while left and (piece := read(min(left, 1 << 16))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)
