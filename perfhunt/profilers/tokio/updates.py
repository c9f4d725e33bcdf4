"""What the console's updates say of a span: who waited for which lock or semaphore, and which tasks
kept a worker to themselves.

Counts of polls are those of the moment. Operations come in the order they began, and console-
subscriber 0.5 takes no more than 128 events each time it publishes (tokio's budget of a poll), so
that under load they come late: what began before the span is of another load, and is left out.

Format: console-api, proto/instrument.proto, tasks.proto, resources.proto and async_ops.proto.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance
from perfhunt.model.profile import Frame, FrameKind, LockWait, LongPoll, Stack
from perfhunt.model.profiles.readers.pprof import fields
from perfhunt.model.units import Seconds

_MOST_FIELDS = 50_000_000  # of a stream: a service of ten thousand requests a second for a minute
_MOST_ROWS = 1_000_000  # tasks, resources and operations that are there at a time
_NANOSECONDS = 1e-9
# What is asked of a resource, by its type: one at a time, or some at a time. Others are for telling
# each other something.
_KINDS: Mapping[str, str] = {"Mutex": "lock", "RwLock": "lock", "Semaphore": "pool"}
# A poll that goes on for longer holds up what else its worker has: tokio's authors ask for 10 to
# 100 us from one await to the next ("Async: What is blocking?", 2020).
_LONG: Seconds = 0.001
_SHORTEST: Seconds = 0.5  # part of a span, of which is told how many waited
_FEW = 5  # polls, of which a mean says nothing


@dataclass(slots=True)
class _Resource:
    kind: str
    place: str
    line: int
    parent: int
    internal: bool


@dataclass(slots=True)
class _Operation:
    resource: int
    task: int = 0
    created: Seconds = 0.0


@dataclass(slots=True)
class _Polls:
    """How often a task was polled, and how long that took, before the span and by now."""

    before: tuple[int, Seconds]
    now: tuple[int, Seconds]


class ConsoleUpdates:
    """What a stream of updates adds up to. The span begins with the first of them."""

    def __init__(self) -> None:
        self._allowed = Allowance(_MOST_FIELDS, "fields", "the console's stream")
        self._rows = Allowance(_MOST_ROWS, "tasks and operations", "the console's stream")
        self._tasks: dict[int, Frame] = {}
        self._polls: dict[int, _Polls] = {}
        self._resources: dict[int, _Resource] = {}
        self._operations: dict[int, _Operation] = {}
        self._waited: dict[tuple[int, int], tuple[Seconds, int]] = {}  # by task and resource
        self._told: Seconds = 0.0  # when that began which came last
        self.begin: Seconds | None = None
        self.end: Seconds = 0.0
        self.dropped = 0  # events that the service itself could not keep

    def take(self, message: bytes) -> None:
        """One `Update`. Raises Unreadable for what is none."""
        parts = self._read(message)
        is_first = self.begin is None
        for value in parts.get(1, []):
            self.end = self._time(value)
        self.begin = self.end if self.begin is None else self.begin
        for value in parts.get(3, []):
            self._take_resources(self._read(value))
        for value in parts.get(2, []):
            self._take_tasks(self._read(value), is_first)
        for value in parts.get(4, []):
            self._take_operations(self._read(value))

    @property
    def late(self) -> Seconds:
        """How long ago that began which was told last; 0 when nothing was."""
        return max(0.0, self.end - self._told) if self._told else 0.0

    def lock_waits(self) -> tuple[LockWait, ...]:
        """Who waited in the part of the span that was told, those that wait now included."""
        waited = dict(self._waited)
        for each in self._operations.values():
            self._add(waited, each, self.end)
        span = self._told - (self.begin or self.end)
        if span < _SHORTEST:
            return ()
        found: dict[tuple[Stack, str], tuple[float, int]] = {}
        for (task, resource), (seconds, n) in waited.items():
            named = self._named(resource)
            if named is not None and task in self._tasks:
                key = ((self._tasks[task], named[0]), named[1])
                threads, count = found.get(key, (0.0, 0))
                found[key] = threads + seconds / span, count + n
        return tuple(LockWait(stack, of, threads, n) for (stack, of), (threads, n) in found.items())

    def long_polls(self) -> tuple[LongPoll, ...]:
        """The tasks that kept a worker for long at a time, by where they were spawned; those that
        took the most time first.
        """
        count, took = Counter[str](), dict[str, Seconds]()
        for task, polls in self._polls.items():
            if task in self._tasks:
                name = self._tasks[task].function
                count[name] += polls.now[0] - polls.before[0]
                took[name] = took.get(name, 0.0) + polls.now[1] - polls.before[1]
        return tuple(
            LongPoll(name, seconds / count[name], count[name])
            for name, seconds in sorted(took.items(), key=lambda each: -each[1])
            if count[name] >= _FEW and seconds / count[name] >= _LONG
        )

    def _named(self, resource: int) -> tuple[Frame, str] | None:
        """(a resource as a frame, its kind); None for one that nobody waits for in line."""
        row = self._resources.get(resource)
        if row is None or row.internal or row.kind not in _KINDS:
            return None
        name = f"{row.kind} of {_place(row.place, row.line)}"
        return Frame(name, row.place, row.line, FrameKind.NATIVE), _KINDS[row.kind]

    def _take_tasks(self, parts: _Parts, is_first: bool) -> None:
        for value in parts.get(1, []):
            self._rows.take()
            told = self._read(value)
            place, line = self._location(told.get(6, []))
            if self._number(told, 3) == 0:  # spawned; others are threads for what blocks
                name = f"task of {_place(place, line)}"
                self._tasks[self._id(told, 1)] = Frame(name, place, line, FrameKind.NATIVE)
        for value in parts.get(3, []):
            task, stats = self._entry(value)
            polled = self._read(stats.get(7, [b""])[-1])
            now = self._number(polled, 1), self._duration(polled.get(6, []))
            known = self._polls.get(task)
            before = known.before if known else (now if is_first else (0, 0.0))
            self._polls[task] = _Polls(before, now)
        self.dropped += self._number(parts, 4)

    def _take_resources(self, parts: _Parts) -> None:
        for value in parts.get(1, []):
            resource = self._read(value)
            kind = _text(resource.get(3, [b""])[-1])
            if kind not in _KINDS:
                continue
            self._rows.take()
            place, line = self._location(resource.get(5, []))
            self._resources[self._id(resource, 1)] = _Resource(
                kind=kind,
                place=place,
                line=line,
                parent=self._id(resource, 6),
                internal=bool(self._number(resource, 7)),
            )
        self.dropped += self._number(parts, 4)

    def _take_operations(self, parts: _Parts) -> None:
        for value in parts.get(1, []):
            operation = self._read(value)
            resource = self._id(operation, 5)
            if self._named(resource) is not None:
                self._rows.take()
                self._operations[self._id(operation, 1)] = _Operation(resource)
        for value in parts.get(2, []):
            number, stats = self._entry(value)
            each = self._operations.get(number)
            if each is None:
                continue
            each.task = self._id(stats, 4) or each.task
            each.created = self._time(stats.get(1, [b""])[-1]) or each.created
            self._told = max(self._told, each.created)
            if 2 in stats:
                self._add(self._waited, self._operations.pop(number), self._time(stats[2][-1]))
        self.dropped += self._number(parts, 3)

    def _add(
        self, waited: dict[tuple[int, int], tuple[Seconds, int]], each: _Operation, end: Seconds
    ) -> None:
        """Count a wait that began in the span. The mean number that wait is how many begin in a
        second, times how long they do (Little's law).
        """
        if each.created >= (self.begin or 0.0):
            seconds, n = waited.get((each.task, each.resource), (0.0, 0))
            waited[each.task, each.resource] = seconds + end - each.created, n + 1

    def _read(self, value: int | bytes) -> _Parts:
        if isinstance(value, int):
            raise Unreadable("a number stands where a message should")
        self._allowed.take()
        parts: _Parts = {}
        for number, each in fields(value, self._allowed):
            parts.setdefault(number, []).append(each)
        return parts

    def _entry(self, value: int | bytes) -> tuple[int, _Parts]:
        """An entry of a map from a number to a message."""
        entry = self._read(value)
        return self._number(entry, 1), self._read(entry.get(2, [b""])[-1])

    def _id(self, parts: _Parts, number: int) -> int:
        return self._number(self._read(parts.get(number, [b""])[-1]), 1)

    def _time(self, value: int | bytes) -> Seconds:
        """A `Timestamp` or a `Duration`."""
        parts = self._read(value)
        return self._number(parts, 1) + self._number(parts, 2) * _NANOSECONDS

    def _duration(self, values: list[int | bytes]) -> Seconds:
        return self._time(values[-1]) if values else 0.0

    def _location(self, values: list[int | bytes]) -> tuple[str, int]:
        parts = self._read(values[-1]) if values else {}
        file = _text(parts.get(1, parts.get(2, [b""]))[-1])
        return file, self._number(parts, 3)

    @staticmethod
    def _number(parts: _Parts, number: int) -> int:
        value = parts.get(number, [0])[-1]
        if isinstance(value, bytes):
            raise Unreadable("a message stands where a number should")
        return value


_Parts = dict[int, list[int | bytes]]


def _place(file: str, line: int) -> str:
    """`src/main.rs:61`; what a library made, by the library's own path, without cargo's."""
    _, found, rest = file.rpartition("/registry/src/")
    return f"{rest.partition('/')[2] if found else file}:{line}"


def _text(value: int | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def gathered(stream: Iterator[bytes], into: ConsoleUpdates) -> str:
    """Take all that comes; why it ended early, "" when it did not."""
    try:
        for message in stream:
            into.take(message)
    except (OSError, Unreadable) as error:
        return str(error)
    return ""
