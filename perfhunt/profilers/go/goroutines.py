"""Every goroutine of a live process, read from its memory: what it does, and its stack.

A goroutine that is parked left its stack pointer and program counter with the scheduler, and from
there the sizes of frames lead to its root, as in Go's own tracebacks. Of one that runs, both are in
registers, which nobody reads without stopping it: its last calls are read instead (`last_calls`).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import Stack
from perfhunt.model.units import Bytes
from perfhunt.profilers.go.functions import CodeAt, Functions
from perfhunt.profilers.go.image import HINT, GoImage
from perfhunt.profilers.go.last_calls import DEEPEST, LONGEST_STACK, ROOT, LastCalls
from perfhunt.profilers.go.structs import GoStruct, Structs
from perfhunt.target.proc.memory import WORD, Extent, ProcessMemory, fields_at

_SCANNED = 0x1000  # a bit beside the status: the collector looks at the stack
_STATUS_BITS = 0xFFFFFFFF  # it has half a word
_SLICE = struct.Struct("<QQQ")  # where, how many, how many it has room for
_MOST = 1 << 22  # goroutines
# Searched of the variables for the list of them: the linker puts small ones first.
_SEARCHED: Bytes = 1 << 23
_CHECKED = 8  # of the list of goroutines, before it is taken for that
_MAIN = 1  # the number of the goroutine that runs main, the first of all
_NEAR: Bytes = 2048  # read of a stack at first; most have less from where they are parked
_TRIES = 2  # at goroutines that moved while they were read
_RUNS = "trackingSeq"
_MOST_STACKS = 20_000  # that are kept, so that each is made once
_RUNTIME = "runtime."


class GoStatus(IntEnum):
    """What the scheduler says of a goroutine (`_Gidle` and so on, runtime/runtime2.go)."""

    RUNNABLE = 1
    RUNNING = 2
    SYSCALL = 3
    WAITING = 4
    MOVED = 8  # its stack is being copied
    PREEMPTED = 9
    LEAKED = 10  # it waits, and nobody can wake it


_LIVING = frozenset(GoStatus)
_IN_PLACE = (GoStatus.RUNNABLE, GoStatus.WAITING, GoStatus.PREEMPTED, GoStatus.LEAKED)


@dataclass(frozen=True, slots=True, eq=False)
class GoStack:
    """A way through the code, as it is the same for many goroutines. `stack` is root first, without
    what the runtime does beneath the call into it; `calls` are the names of the functions that have
    frames of their own, leaf first.
    """

    stack: Stack
    calls: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Goroutine:
    """One goroutine at one moment. `parent` is the number of the one that made it (0: not known),
    `machine` the address of the thread it has (0: none), `waiting` that of what it is queued with.
    `first` are, frame by frame of `at.calls`, the words where its first argument was kept.
    """

    address: int
    number: int
    parent: int
    status: GoStatus
    machine: int
    waiting: int
    at: GoStack
    first: tuple[int, ...] = ()
    moved: bool = False


@dataclass(frozen=True, slots=True)
class _Record:
    """What the record of a goroutine says: as `Goroutine`, and where its stack is."""

    address: int
    low: int
    high: int
    machine: int
    pointer: int
    counter: int
    owner: int
    call_pointer: int
    call_counter: int
    status: int
    number: int
    parent: int
    begin: int
    waiting: int

    @property
    def at(self) -> tuple[int, int]:
        """(stack pointer, program counter) where it left them."""
        if self.status == GoStatus.SYSCALL:
            return self.call_pointer, self.call_counter
        return self.pointer, self.counter


class Goroutines:
    """Reads the goroutines of one process."""

    def __init__(self, memory: ProcessMemory, image: GoImage) -> None:
        """Raises AttachFailed when they were not found."""
        self._memory, self.variables = memory, image.module.variables
        self.structs = Structs(memory, image.module)
        self.functions = Functions(image)
        record = self.structs.named("runtime.g")
        self.queued = self.structs.of(_type(record, "waiting"))
        self.machine = self.structs.of(_type(record, "m"))
        self._offsets = _offsets(record, self.structs.of(_type(record, "sched")))
        self._size = max(self._offsets) + WORD
        self._fields = fields_at(*self._offsets)
        self._status_at = self._offsets.index(offset(record, "atomicstatus"))
        self._has_parent = "parentGoid" in record.fields
        # A count of how often it stopped running, within its record, tells whether it ran at all.
        self._counts_runs = record.fields.get(_RUNS, (self._size, 0))[0] < self._size
        self._last: dict[int, tuple[bytes, Goroutine | None]] = {}  # None: it had ended
        self._last_calls = LastCalls(memory, self.functions)
        self._stacks: dict[tuple[int, ...], GoStack] = {}
        self._list = self._find()

    def every(self) -> list[Goroutine]:
        """Every living goroutine; one that did not run since the last time is the same object.
        Raises AttachFailed once the process is gone.
        """
        addresses, last = self._addresses(), self._last
        self._last, found = {}, list[Goroutine]()
        for _ in range(_TRIES):
            fresh: list[tuple[_Record, bytes]] = []
            for address, raw in zip(addresses, self._raw(addresses), strict=True):
                if (before := last.get(address)) is not None and before[0] == raw:
                    if before[1] is not None:
                        found.append(before[1])
                    self._last[address] = before
                elif (record := self._record(address, raw)).status in _LIVING:
                    fresh.append((record, raw))
                else:  # Go keeps the records of those that ended, for others to come.
                    self._last[address] = raw, None
            addresses = self._read_stacks(fresh, found)
        again = zip(addresses, self._raw(addresses), strict=True)
        return found + [self._running(self._record(at, raw), moved=True) for at, raw in again]

    def words_of(self, each: Goroutine) -> Sequence[int]:
        """What is on the stack of one that is parked, from where it left it; none when it goes on
        meanwhile.
        """
        record = self._record(each.address, *self._raw([each.address]))
        pointer, size = _near(record)
        return self._memory.words(pointer, size // WORD) if record.number == each.number else ()

    def _read_stacks(
        self, fresh: Sequence[tuple[_Record, bytes]], found: list[Goroutine]
    ) -> list[int]:
        """Add those whose stacks could be read to `found`; the addresses of those that moved
        meanwhile.
        """
        resting = [(record, raw) for record, raw in fresh if _rests(record)]
        found += [self._running(record) for record, _ in fresh if not _rests(record)]
        stacks = self._pieces([_near(record) for record, _ in resting])
        after, moved = self._raw([record.address for record, _ in resting]), list[int]()
        for (record, raw), stack, now in zip(resting, stacks, after, strict=True):
            if now != raw:
                moved.append(record.address)
                continue
            goroutine = self._at_rest(record, stack)
            found.append(goroutine)
            if record.status == GoStatus.WAITING and self._counts_runs:
                self._last[record.address] = raw, goroutine
        return moved

    def _pieces(self, pieces: Sequence[Extent]) -> list[bytes]:
        raw, at, cut = self._memory.together(pieces), 0, list[bytes]()
        for _, size in pieces:
            cut.append(raw[at : at + size])
            at += size
        return cut

    def _raw(self, addresses: Sequence[int]) -> list[bytes]:
        size = self._size
        raw = self._memory.together([(at, size) for at in addresses])
        return [raw[at : at + size] for at in range(0, len(raw), size)]

    def _record(self, address: int, raw: bytes) -> _Record:
        words = list(self._fields(raw))
        words[self._status_at] &= _STATUS_BITS & ~_SCANNED
        return _Record(address, *words)

    def _addresses(self) -> Sequence[int]:
        where, count, _ = _SLICE.unpack(self._memory.read(self._list, _SLICE.size).ljust(24, b"\0"))
        addresses = self._memory.words(where, count) if 0 < count <= _MOST else ()
        if not addresses:
            self._list = self._find()
            raise AttachFailed(
                f"The goroutines of process {self._memory.pid} were not where they"
                " were: it has ended"
            )
        return addresses

    def _find(self) -> int:
        """The address of the runtime's list of all goroutines: a slice among its variables whose
        first is the goroutine that runs main. Of several, the one with the most room: others are
        copies of it that the collector made.
        """
        found: dict[int, int] = {}
        for begin, size in self.variables:
            words = self._memory.words(begin, min(size, _SEARCHED) // WORD)
            for n, (where, count, room) in enumerate(
                zip(words, words[1:], words[2:], strict=False)
            ):
                if (
                    0 < count <= room < _MOST
                    and not where % WORD
                    and where
                    and self._lists(where, count)
                ):
                    found[begin + n * WORD] = room
        if not found:
            raise AttachFailed(
                f"The goroutines of process {self._memory.pid} were not found in its memory", HINT
            )
        return max(found, key=lambda at: found[at])

    def _lists(self, where: int, count: int) -> bool:
        addresses = self._memory.words(where, min(count, _CHECKED))
        if not addresses or not all(addresses):
            return False
        first, *others = map(self._record, addresses, self._raw(addresses))
        # What the scheduler left of each says whose it is.
        return first.number == _MAIN and all(
            each.owner == each.address for each in (first, *others)
        )

    def _at_rest(self, each: _Record, raw: bytes) -> Goroutine:
        pointer, counter = each.at
        points, first, whole = self._walk(raw, counter)
        if not whole and pointer + len(raw) < each.high:
            raw = self._memory.read(pointer, min(each.high - pointer, LONGEST_STACK))
            points, first, _ = self._walk(raw, counter)
        return self._goroutine(each, self._stack(points, parked=True), tuple(first))

    def _walk(self, raw: bytes, counter: int) -> tuple[list[CodeAt], list[int], bool]:
        """(the places from the leaf on, the first argument of each, whether the root was reached),
        from a stack that begins where the pointer was.
        """
        points: list[CodeAt] = []
        first: list[int] = []
        at, look, size = 0, self.functions.at, len(raw)
        while len(points) < DEEPEST:
            point = look(counter)
            if point is None or point.function.name == ROOT:
                return points, first, True
            at += point.frame_size + WORD
            if at + WORD > size:
                return points, first, False
            points.append((counter, point))
            counter = int.from_bytes(raw[at - WORD : at], "little") - 1
            first.append(int.from_bytes(raw[at : at + WORD], "little"))
        return points, first, True

    def _running(self, each: _Record, moved: bool = False) -> Goroutine:
        return self._goroutine(
            each, self._stack(self._last_calls.of(each.low, each.high), parked=False), moved=moved
        )

    def _stack(self, points: list[CodeAt], parked: bool) -> GoStack:
        key = (parked, *(counter for counter, _ in points))
        if key not in self._stacks:
            if len(self._stacks) > _MOST_STACKS:
                self._stacks.clear()
            frames = tuple(frame for _, point in reversed(points) for frame in point.frames)
            calls = tuple(point.function.name for _, point in points)
            self._stacks[key] = GoStack(_cut(frames) if parked else frames, calls)
        return self._stacks[key]

    def _goroutine(
        self, each: _Record, at: GoStack, first: tuple[int, ...] = (), moved: bool = False
    ) -> Goroutine:
        return Goroutine(
            address=each.address,
            number=each.number,
            parent=each.parent if self._has_parent else 0,
            status=GoStatus(each.status) if each.status in _LIVING else GoStatus.RUNNING,
            machine=each.machine,
            waiting=each.waiting,
            at=at,
            first=first,
            moved=moved,
        )


def _rests(record: _Record) -> bool:
    """Whether its stack stays as it is until it is woken."""
    return record.status in _IN_PLACE or (
        record.status == GoStatus.SYSCALL and record.low < record.call_pointer < record.high
    )


def _cut(stack: Stack) -> Stack:
    """A stack without what the runtime does beneath the call into it."""
    end = len(stack)
    while end > 1 and stack[end - 2].function.startswith(_RUNTIME):
        end -= 1
    return stack[:end]


def _near(each: _Record) -> Extent:
    """What of a stack is read at first."""
    pointer, _ = each.at
    return pointer, max(0, min(_NEAR, each.high - pointer))


def _offsets(record: GoStruct, scheduled: GoStruct) -> tuple[int, ...]:
    """Where the record of a goroutine has what `_Record` holds, in that order."""
    stack, left = offset(record, "stack"), offset(record, "sched")
    return (
        stack,
        stack + WORD,
        offset(record, "m"),
        left + offset(scheduled, "sp"),
        left + offset(scheduled, "pc"),
        left + offset(scheduled, "g"),
        offset(record, "syscallsp"),
        offset(record, "syscallpc"),
        offset(record, "atomicstatus"),
        offset(record, "goid"),
        # Go keeps it since 1.21.
        record.fields["parentGoid"][0] if "parentGoid" in record.fields else offset(record, "gopc"),
        offset(record, "startpc"),
        offset(record, "waiting"),
    )


def offset(record: GoStruct, name: str) -> int:
    """Where a structure has a field, in bytes. Raises AttachFailed when it has none."""
    return _field(record, name)[0]


def _type(record: GoStruct, name: str) -> int:
    return _field(record, name)[1]


def _field(record: GoStruct, name: str) -> tuple[int, int]:
    try:
        return record.fields[name]
    except KeyError:
        raise AttachFailed(f"This Go keeps no {name} where others do", HINT) from None
