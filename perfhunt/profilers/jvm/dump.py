"""HotSpot's thread dump: what `jstack` prints, of JDK 8 to 25."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance, numbered
from perfhunt.model.profile import MOST_DIFFERENT_FRAMES, Frame, Stack
from perfhunt.model.profiles.readers.jfr import java_frame

_WHAT = "the JVM's thread dump"
# Of one that carries a virtual thread, JDK 25 has the number in brackets alone.
_NUMBER = re.compile(r"\bnid=(0x[0-9a-f]{1,16}|[0-9]{1,19})\b|^#[0-9]+ \[([0-9]{1,19})\]")
_STATE = re.compile(r"   java\.lang\.Thread\.State: (?P<state>[A-Z_]+)(?: \((?P<how>[^)]*)\))?")
_FRAME = re.compile(
    r"\tat (?P<method>[^()]+)\((?:[^()/]*/)?"
    r"(?:(?P<native>Native Method)|[^():]*(?::(?P<line>[0-9]{1,9}))?)\)"
)
_OBJECT = re.compile(r"(0x[0-9a-f]{1,16})> \(a ([^)]*)\)")
_CARRIES, _CARRIED = "   Carrying virtual thread ", "   Mounted virtual thread "
_LOCKED = "locked"
# What HotSpot says of a monitor that a thread gave back until it is notified, or has it again.
_GIVEN_BACK = ("waiting on", "waiting to re-lock in wait()")
_WAITS = ("waiting to lock", "parking to wait for", *_GIVEN_BACK)


class JavaState(StrEnum):
    """How a thread waits, by the JVM's word; RUNNABLE also where the kernel knows better."""

    RUNNABLE = "runnable"
    BLOCKED = "blocked"  # wants a monitor
    NOTIFIED = "notified"  # waits to be notified
    PARKED = "parked"
    SLEEPING = "sleeping"
    ENDED = "ended"  # new, or terminated


class DumpError(Unreadable):
    """A line was not what a JVM prints there; the message holds its number."""


@dataclass(frozen=True, slots=True)
class JavaObject:
    """An object that is locked or waited for: its address at that moment, and its class."""

    address: str
    of: str


@dataclass(frozen=True, slots=True)
class JavaThread:
    """One thread of a dump. `nid` is the number that its own namespace has for it; `native`: it is
    in code below Java. `timed`: it goes on by itself after a while. `monitors` are those it is in,
    `synchronizers` the locks of java.util.concurrent it has, where the dump lists them.
    """

    state: JavaState
    nid: int = 0
    name: str = ""
    stack: Stack = ()
    native: bool = False
    timed: bool = False
    waits_for: JavaObject | None = None
    monitors: frozenset[str] = frozenset()
    synchronizers: frozenset[JavaObject] = frozenset()
    carries: bool = False  # a virtual thread


@dataclass(slots=True)
class _Body:
    """What stands below the head of a thread. Frames are leaf first, as they are printed."""

    state: str = "RUNNABLE"
    how: str = ""
    frames: list[tuple[Frame, bool]] = field(default_factory=list)
    waits: JavaObject | None = None
    locked: set[str] = field(default_factory=set)
    given_back: set[str] = field(default_factory=set)
    owned: set[JavaObject] = field(default_factory=set)
    carries: bool = False

    def add_object(self, line: str) -> None:
        """What the thread does with an object; what has no address is none that others wait for."""
        words, _, rest = line.removeprefix("\t-").partition("<")
        if (match := _OBJECT.match(rest)) is None:
            return
        does, known = words.strip(), JavaObject(match[1], match[2])
        if not does:
            self.owned.add(known)
        if does == _LOCKED:
            self.locked.add(known.address)
        if does in _GIVEN_BACK:
            self.given_back.add(known.address)
        if does in _WAITS and self.waits is None:
            self.waits = known

    def whole(self) -> JavaThread:
        return JavaThread(
            state=state_of(self.state, self.how),
            stack=tuple(frame for frame, _ in reversed(self.frames) if not _is_glue(frame)),
            native=bool(self.frames) and self.frames[0][1],
            timed=self.state == "TIMED_WAITING",
            waits_for=self.waits,
            monitors=frozenset(self.locked - self.given_back),
            synchronizers=frozenset(self.owned),
            carries=self.carries,
        )


class DumpReader:
    """Reads the dumps of one JVM. Most of its threads are where they were in the last one, and
    most of their frames were read before.
    """

    def __init__(self) -> None:
        self._frames: dict[str, tuple[Frame, bool]] = {}
        self._bodies: dict[str, JavaThread] = {}
        self._threads: dict[int, tuple[JavaThread, JavaThread]] = {}  # by number: without it, with
        self._allowance = Allowance(MOST_DIFFERENT_FRAMES, "different frames", _WHAT)

    def read(self, text: str) -> list[JavaThread]:
        """The threads of a dump, those without Java code too. Raises DumpError, or Unreadable for
        more than is read.
        """
        bodies, threads, above = dict[str, JavaThread](), [], 0
        for part in text.replace("\r\n", "\n").split('\n"'):
            head, _, body = part.partition("\n")
            name, quote, rest = head.rpartition('" ')
            if quote and (number := _NUMBER.search(rest)) is not None:
                known = bodies.get(body) or self._bodies.get(body) or self._body(body, above + 1)
                bodies[body] = known
                own = int(number[1] or number[2], 16 if (number[1] or "")[:2] == "0x" else 10)
                threads.append(self._named(known, own, name.removeprefix('"')))
            above += part.count("\n") + 1
        self._bodies = bodies
        self._threads = {each.nid: self._threads[each.nid] for each in threads}
        return threads

    def _named(self, body: JavaThread, nid: int, name: str) -> JavaThread:
        """The thread of that number and name: the last dump's own, where it stands as it did."""
        last = self._threads.get(nid)
        if last is None or last[0] is not body or last[1].name != name:
            last = self._threads[nid] = body, replace(body, nid=nid, name=name)
        return last[1]

    def _body(self, text: str, above: int) -> JavaThread:
        """A thread by what is below its head; `above` are the lines before that."""
        body = _Body()
        for number, line in numbered(text, _WHAT):
            if line.startswith("\tat "):
                body.frames.append(self.frame(line, above + number))
            elif line.startswith("\t- "):
                body.add_object(line)
            elif (state := _STATE.match(line)) is not None:
                body.state, body.how = state["state"], state["how"] or ""
            elif line.startswith(_CARRIES):
                body.carries = True
            elif line.startswith(_CARRIED):
                body.frames.clear()  # Those of the carrier, which only runs what follows.
        return body.whole()

    def frame(self, line: str, number: int) -> tuple[Frame, bool]:
        """The frame of a line, and whether it is native code. Raises DumpError."""
        known = self._frames.get(line)
        if known is None:
            match = _FRAME.fullmatch(line)
            if match is None:
                raise DumpError(f"Line {number} is not a Java frame: {line[:80]!r}")
            self._allowance.take()
            at = int(match["line"]) if match["line"] else None
            known = java_frame(match["method"], at), match["native"] is not None
            self._frames[line] = known
        return known


def state_of(state: str, how: str) -> JavaState:
    """How a thread waits that is, for Java, in a state: "sleeping", "parking" or else."""
    if state in ("NEW", "TERMINATED"):
        return JavaState.ENDED
    if state == "BLOCKED":
        return JavaState.BLOCKED
    if state in ("WAITING", "TIMED_WAITING"):
        if how == "sleeping":
            return JavaState.SLEEPING
        return JavaState.PARKED if how == "parking" else JavaState.NOTIFIED
    return JavaState.RUNNABLE


def _is_glue(frame: Frame) -> bool:
    """Whether the JVM wrote the class at run time, to call a lambda: the lambda is a frame too."""
    return frame.file.endswith("$$Lambda")
