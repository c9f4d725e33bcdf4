"""What the promises of a Node process wait for: whose code awaits, told from where each await is
and from what has ended such waits before.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from perfhunt.analysis.blame.frames import NODE_LOOP, Code, Origin
from perfhunt.analysis.blame.idle import CLIENT_SOCKET
from perfhunt.analysis.blame.snapshots import FOR_A_THREAD, FUTEX
from perfhunt.model.profile import Frame, FrameKind, Stack
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Share
from perfhunt.target.proc.sockets import endpoint_name
from perfhunt.target.proc.waits import Wait

# Function, file, line, column, and the line that the function begins on.
SiteFrame: TypeAlias = tuple[str, str, int, int, int]
_Position: TypeAlias = tuple[int, int]  # line, column: of bundled code, all is in one line
_Way: TypeAlias = tuple[tuple[str, str], ...]  # (function, file), root first

# Below what the stacks of what awaits begin, and that of the loop's own thread: all of one kind.
AWAITING = Frame("(awaiting)", "node:promises", kind=FrameKind.JS)
EVENT_LOOP = Frame("(event loop)", NODE_LOOP, kind=FrameKind.JS)
_ANONYMOUS = "(anonymous)"  # as readers of V8's profiles call a function without a name
_CODE = Code()

# What ends a wait, by the names of Node's own classes (lib/internal, src/*_wrap.cc).
_LOCK = "lock"  # what the target calls code of another request
_CLIENT = re.compile(r"^HTTPServerAsyncResource|^HTTPINCOMINGMESSAGE")
_NETWORK = re.compile(
    r"^(?:TCP|Pipe|TLS|UDP|HTTPClient|Http2|QUIC|JSStream|StreamBase|Query|Write|Shutdown)"
)
_TIMER, _IMMEDIATE = "Timeout", "Immediate"
_THREAD = re.compile(r"^FSReq|^Get(?:Addr|Name)Info|Job$|^(?:Zlib|Brotli|Zstd)|^MessagePort$")
_MOSTLY: Share = 0.5


def unnamed(line: int | None) -> str:
    """What a function without a name is called, by the line it begins on: a file of routes holds
    little else.
    """
    return f"(anonymous:{line})" if line else _ANONYMOUS


def with_names(stack: Stack) -> Stack:
    """A stack of V8's profiler, whose lines are those that functions begin on, likewise."""
    return tuple(
        replace(frame, function=unnamed(frame.line)) if frame.function == _ANONYMOUS else frame
        for frame in stack
    )


def frames_of(places: Iterable[SiteFrame]) -> Stack:
    """A stack as the target gives it, named as in V8's profiles."""
    return tuple(
        Frame(
            function or unnamed(first),
            file.removeprefix("file://"),
            line or None,
            kind=FrameKind.JS,
        )
        for function, file, line, _, first in places
    )


@dataclass(frozen=True, slots=True)
class AwaitSite:
    """A place that awaits: its stack, from where code of the application begins (`is_app`), else
    that of a library; empty where the runtime awaits by itself. `positions` are those of its
    frames.
    """

    stack: Stack
    positions: tuple[_Position, ...]
    is_app: bool = False

    @property
    def way(self) -> _Way:
        return tuple(frame.key for frame in self.stack)


def await_at(places: Sequence[SiteFrame]) -> AwaitSite:
    """The place of a stack. What called the application is left out: it is there only until the
    first await.
    """
    stack = frames_of(places)
    origins = [_CODE.origin(frame) for frame in stack]
    for wanted in (Origin.APP, Origin.LIBRARY):
        if wanted in origins:
            begin = origins.index(wanted)
            positions = tuple((line, at) for *_, line, at, _ in places[begin:])
            return AwaitSite(stack[begin:], positions, wanted is Origin.APP)
    return AwaitSite((), ())


def wait_of(ended: Mapping[str, int], site: int, lock: int) -> Wait:
    """The state of a wait at a place by what ended others there (class, and the other end of a
    connection, to how often); what awaits a result that nobody knows where nothing did.
    """
    if not ended:
        return Wait(ThreadState.AWAIT)
    kinds: Counter[Wait] = Counter()
    for by, n in ended.items():
        kinds[_ended_by(by, site, lock)] += n
    states: Counter[ThreadState] = Counter()
    for wait, n in kinds.items():
        states[wait.state] += n
    (state, _), *_ = states.most_common(1)
    return max((w for w in kinds if w.state is state), key=lambda w: (kinds[w], w.on))


def _ended_by(by: str, site: int, lock: int) -> Wait:
    name, _, end = by.partition(" ")
    if name == _LOCK:
        return Wait(ThreadState.LOCK, f"{FUTEX}{lock_name(lock)}")
    if _CLIENT.search(name):
        return Wait(ThreadState.SOCKET, CLIENT_SOCKET)
    if _THREAD.search(name):
        return Wait(ThreadState.LOCK, f"{FOR_A_THREAD}{site}")
    if _NETWORK.search(name):
        return Wait(ThreadState.SOCKET, endpoint_of(end))
    if name == _TIMER:
        return Wait(ThreadState.SLEEP)
    return Wait(ThreadState.LOOP if name == _IMMEDIATE else ThreadState.AWAIT)


def lock_name(lock: int) -> str:
    """What a lock made of promises is called, in `wait_on` and `holds`."""
    return f"promise:{lock}"


def endpoint_of(end: str) -> str:
    """The name of the other end of a connection, from `ADDRESS PORT`; "" when it is none."""
    host, _, port = end.partition(" ")
    with suppress(ValueError):
        return endpoint_name(host, int(port))
    return ""


@dataclass
class Passages:
    """Which awaits are only the way to another: of a handler that awaits a function that awaits a
    query, the query is what is waited for.

    An await is one where mostly others wait below it, on a way that begins with its own.
    """

    own: dict[_Way, Counter[_Position]] = field(default_factory=dict)
    below: dict[_Way, Counter[_Position]] = field(default_factory=dict)

    def saw(self, site: AwaitSite, waits: int) -> None:
        """Note so many waits at a place."""
        way = site.way
        for deep, position in enumerate(site.positions, 1):
            counts = self.own if deep == len(way) else self.below
            counts.setdefault(way[:deep], Counter())[position] += waits

    def is_one(self, site: AwaitSite) -> bool:
        """Whether a place is only the way to another, by what was seen until now."""
        way, here = site.way, site.positions[-1]
        own = self.own.get(way, Counter())
        # Who called it without awaiting is on its own stack, and on none below once it was resumed.
        inside = sum(
            n
            for begin in range(len(way))
            for at, n in self.below.get(way[begin:], Counter()).items()
            if _nearest(at, own) == here
        )
        return inside > _MOSTLY * own[here]


def _nearest(at: _Position, awaits: Iterable[_Position]) -> _Position | None:
    """The await that a call belongs to. V8 gives a waiting function the place of its `await`, one
    that is about to wait that of the call it awaits, which may stand some lines further down.
    """
    before = max((each for each in awaits if each <= at), default=None)
    behind = min((each for each in awaits if each > at), default=None)
    if before is None or behind is None:
        return before or behind
    same_line = before[0] == at[0] == behind[0]
    if behind[0] == at[0] and (
        before[0] < at[0] or (same_line and behind[1] - at[1] < at[1] - before[1])
    ):
        return behind
    return before
