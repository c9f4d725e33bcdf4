"""What a goroutine waits for: a connection, a lock, a permit, another goroutine, or time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from perfhunt.analysis.blame.snapshots import CHANNEL, FOR_A_THREAD, FUTEX, PACED, SEVERAL
from perfhunt.model.profile import Stack
from perfhunt.model.states import ThreadState
from perfhunt.profilers.go.givers import GoGivers
from perfhunt.profilers.go.goroutines import Goroutine, Goroutines, GoStack, offset
from perfhunt.profilers.go.timers import GoTimer, GoTimers
from perfhunt.target.proc.files import link
from perfhunt.target.proc.memory import WORD, ProcessMemory
from perfhunt.target.proc.sockets import SocketTable, socket_inode
from perfhunt.target.proc.waits import Wait

_MOST_DESCRIPTORS = 1 << 24  # a larger number is none
_POLL_WORDS = 16  # of a pollDesc, among which are those who wait for it
_DESCRIPTOR = 1  # the word of a pollDesc with its descriptor (runtime/netpoll.go, since 1.11)
_LENGTH, _ROOM = 0, 1  # words of a channel: how many things are in it, for how many it has room
_MOST_WAYS = 20_000  # of stacks that are remembered
_MOST_READERS = 20_000  # connections that are remembered; more are begun anew
_QUEUED = 16  # channels that a select waits for, of which one may be full


_GO_ITSELF = ("runtime.", "time.")


class GoWait(StrEnum):
    """How a goroutine waits, by the function of Go's own that it waits in."""

    NETWORK = "network"
    SLEEP = "sleep"
    LOCK = "lock"  # a semaphore: of a mutex, or of what else blocks by one
    GROUP = "group"  # until others are done
    CONDITION = "condition"
    CHANNEL = "channel"
    COLLECTOR = "collector"  # until the collector, which has the cores, has done its part
    OTHER = "other"


# Those that say the most come first; a semaphore is behind many of them.
_WAITS_IN: Mapping[str, GoWait] = {
    "internal/poll.runtime_pollWait": GoWait.NETWORK,
    "time.Sleep": GoWait.SLEEP,
    # Who allocates may have to begin a collection, end it or help it, each behind a semaphore.
    "runtime.gcStart": GoWait.COLLECTOR,
    "runtime.gcMarkDone": GoWait.COLLECTOR,
    "runtime.gcParkAssist": GoWait.COLLECTOR,
    "sync.runtime_Semacquire": GoWait.GROUP,
    "sync.runtime_SemacquireWaitGroup": GoWait.GROUP,
    "sync.runtime_notifyListWait": GoWait.CONDITION,
    "runtime.semacquire1": GoWait.LOCK,
    "runtime.chansend": GoWait.CHANNEL,
    "runtime.chanrecv": GoWait.CHANNEL,
    "runtime.selectgo": GoWait.CHANNEL,
    "runtime.block": GoWait.CHANNEL,
}


def way_of(each: Goroutine) -> GoWait:
    """How a goroutine that is parked waits."""
    calls = set(each.at.calls)
    return next((how for name, how in _WAITS_IN.items() if name in calls), GoWait.OTHER)


@dataclass(frozen=True, slots=True)
class _Told:
    """What was told of a goroutine that is parked. `methods` are those on its stack, leaf first:
    (the object, its type); `channels` are those it is queued at, `timer` is one that may end its
    wait.
    """

    goroutine: Goroutine
    way: GoWait
    wait: Wait
    methods: tuple[tuple[int, str], ...]
    channels: Sequence[int] = ()
    timer: GoTimer | None = None

    @property
    def place(self) -> Stack:
        return _place(self.goroutine)

    def goes_on_as(self, later: _Told | None) -> bool:
        """Whether its goroutine waits for a time in the same place at the look after."""
        return (
            later is not None
            and later.timer is not None
            and later.goroutine.number == self.goroutine.number
            and later.place == self.place
        )


class GoWaits:
    """Tells the waits of one process's goroutines."""

    def __init__(self, memory: ProcessMemory, goroutines: Goroutines) -> None:
        """Raises AttachFailed where this Go keeps them in another way."""
        self._memory, self._sockets = memory, SocketTable(memory.pid)
        queued, word = goroutines.queued, goroutines.structs.last_word
        self._element, self._channel = word(queued, "elem"), word(queued, "c")
        self._next = offset(queued, "waitlink")
        self._timers = GoTimers(memory, goroutines)
        self._givers = GoGivers(memory, goroutines)
        # Where a goroutine was seen to be noted at what it waits for: once woken, it is no longer.
        self._proved: set[GoStack] = set()
        self._ways: dict[GoStack, GoWait] = {}
        self._told: dict[int, _Told] = {}
        # What was begun to read from a connection, (object, its type): by whom, where that leads.
        self._readers: dict[tuple[int, str], tuple[int, Wait]] = {}

    def of(self, parked: Sequence[Goroutine], working: Iterable[Goroutine]) -> list[Wait]:
        """What each of those that are parked waits for; `working` are the others."""
        told, before = [self._tell(each) for each in parked], self._told
        self._told = {each.address: one for each, one in zip(parked, told, strict=True)}
        if len(self._readers) > _MOST_READERS:
            self._readers.clear()
        for one in told:
            if one.wait.state is ThreadState.SOCKET and one.wait.on:
                by = one.goroutine.number, one.wait
                self._readers.update((method, by) for method in one.methods[-1:])
        self._learn_of_time(before, told)
        waits = [self._of_time(one) for one in told]
        self._of_children(told, waits, working)
        return waits

    def _tell(self, each: Goroutine) -> _Told:
        before = self._told.get(each.address)
        if before is not None and before.goroutine is each:
            return before
        if (way := self._ways.get(each.at)) is None:
            if len(self._ways) > _MOST_WAYS:
                self._ways.clear()
            way = self._ways[each.at] = way_of(each)
        channels = self._queued_at(each) if way is GoWait.CHANNEL else ()
        return _Told(
            goroutine=each,
            way=way,
            wait=self._wait(each, way, channels),
            methods=_methods(each),
            channels=channels,
            timer=self._timer(each, way, channels),
        )

    def _wait(self, each: Goroutine, way: GoWait, channels: Sequence[int]) -> Wait:
        match way:
            case GoWait.NETWORK:
                return self._network(each)
            case GoWait.SLEEP:
                return Wait(ThreadState.SLEEP)
            case GoWait.LOCK | GoWait.GROUP:
                return Wait(ThreadState.LOCK, self._lock(each))
            case GoWait.CONDITION:
                at = _first(each, "sync.runtime_notifyListWait")
                return Wait(ThreadState.LOCK, f"{FUTEX}{at:#x}" if at else "")
            case GoWait.CHANNEL:
                return Wait(ThreadState.LOCK, self._name_of(channels))
            case GoWait.COLLECTOR:
                return Wait(ThreadState.RUN_QUEUE)
            case GoWait.OTHER:
                return Wait(ThreadState.OTHER)

    def _lock(self, each: Goroutine) -> str:
        """Its semaphore: the runtime notes where a goroutine is queued since 1.26; before, it is
        the first argument of the function that it waits in.
        """
        at = self._memory.word(each.waiting + self._element) if each.waiting else 0
        at = at or _first(each, "runtime.semacquire1")
        return f"{FUTEX}{at:#x}" if at else ""

    def _name_of(self, channels: Sequence[int]) -> str:
        """That of a channel; of several the one that is full, which it wants to send to, or all of
        them where there is none such.
        """
        for channel in channels:
            length, room = (*self._memory.words(channel, 2), 0, 0)[:2]
            if 0 < room == length:
                return f"{SEVERAL if room > 1 else CHANNEL}{channel:#x}"
        return CHANNEL + "+".join(f"{channel:#x}" for channel in channels) if channels else ""

    def _queued_at(self, each: Goroutine) -> list[int]:
        """The channels that it waits for."""
        channels, at = list[int](), each.waiting
        while at and len(channels) < _QUEUED:
            channels += filter(None, [self._memory.word(at + self._channel)])
            at = self._memory.word(at + self._next)
        return channels

    def _network(self, each: Goroutine) -> Wait:
        at = _first(each, "internal/poll.runtime_pollWait")
        words = self._memory.words(at, _POLL_WORDS)
        if each.address in words:
            self._proved.add(each.at)
        elif each.at not in self._proved or len(words) < _POLL_WORDS:
            return Wait(
                ThreadState.OTHER
            )  # Nothing says that it was the argument that stood there.
        reads = "internal/poll.(*FD).Write" not in each.at.calls
        descriptor = words[_DESCRIPTOR]
        file = link(self._memory.pid, f"fd/{descriptor}") if descriptor < _MOST_DESCRIPTORS else ""
        if (inode := socket_inode(file)) is None:
            return Wait(ThreadState.OTHER, file)
        endpoint, inbound = self._sockets.describe(inode, descriptor)
        return Wait(ThreadState.POLL if inbound and reads else ThreadState.SOCKET, endpoint)

    def _timer(self, each: Goroutine, way: GoWait, channels: Sequence[int]) -> GoTimer | None:
        if way is GoWait.SLEEP:
            return self._timers.of_sleep(each, _waiting_object(each))
        return self._timers.of_channels(each, _place(each), channels, _waiting_object(each))

    def _learn_of_time(self, before: Mapping[int, _Told], now: Sequence[_Told]) -> None:
        over = (one for at, one in before.items() if self._told.get(at) is not one)
        self._timers.ended(
            (one.place, one.timer, one.goes_on_as(self._told.get(one.goroutine.address)))
            for one in over
            if one.timer
        )
        begun = (one for one in now if before.get(one.goroutine.address) is not one)
        self._timers.began((one.place, one.timer) for one in begun if one.timer)
        self._timers.saw((one.place, one.timer) for one in now if one.timer)
        ticking = ((one.goroutine, one.timer) for one in now if one.timer)
        self._givers.learn(ticking, {each for one in now if not one.timer for each in one.channels})

    def _of_time(self, told: _Told) -> Wait:
        """Who waits for a timer, beside channels on which nothing comes, waits for that; so does
        who waits for what another puts into a channel at each tick.
        """
        wait = self._of_reader(told)
        if wait is not told.wait:
            return wait
        if told.timer is not None:
            return self._timers.wait(told.place, told.timer, wait)
        given = (channel for channel in told.channels if self._givers.gives(channel))
        return next((Wait(ThreadState.LOCK, f"{PACED}{at:#x}") for at in given), wait)

    def _of_reader(self, told: _Told) -> Wait:
        """Who waits for a goroutine that reads from a connection for it, waits for what is at its
        other end. The two are told by their stacks: the reader was begun on an object, in a method
        of which the other is.
        """
        if told.way is not GoWait.CHANNEL or told.wait.state is not ThreadState.LOCK:
            return told.wait
        found = (self._readers[method] for method in told.methods if method in self._readers)
        return next((to for by, to in found if by != told.goroutine.number), told.wait)

    def _of_children(
        self, told: Sequence[_Told], waits: list[Wait], working: Iterable[Goroutine]
    ) -> None:
        """Who waits for others to be done, or to send, and made goroutines that are at something,
        waits for those.
        """
        busy = {each.parent for each in working}
        busy |= {one.goroutine.parent for one in told if one.wait.state is not ThreadState.POLL}
        for n, one in enumerate(told):
            if one.goroutine.number in busy and waits[n].state is ThreadState.LOCK:
                alone = one.way is GoWait.CHANNEL and not waits[n].on.startswith(SEVERAL)
                if alone or one.way is GoWait.GROUP:
                    waits[n] = Wait(ThreadState.LOCK, name_of_children(one.goroutine.number))


def name_of_children(number: int) -> str:
    """The name of what a goroutine waits for that waits for those it made."""
    return f"{FOR_A_THREAD}{number}"


def _methods(each: Goroutine) -> tuple[tuple[int, str], ...]:
    return tuple(
        (first, name.partition(").")[0])
        for name, first in zip(each.at.calls, each.first, strict=False)
        if "(*" in name and first and not first % WORD
    )


def _place(each: Goroutine) -> Stack:
    """Where it waits, whoever called that."""
    return each.at.stack[-2:]


def _waiting_object(each: Goroutine) -> int:
    """The object whose method called what of Go's own it waits in; 0 for none."""
    calls = zip(each.at.calls, each.first, strict=False)
    own = (call for call in calls if not call[0].startswith(_GO_ITSELF))
    name, first = next(own, ("", 0))
    return first if "(*" in name and not first % WORD else 0


def _first(each: Goroutine, function: str) -> int:
    """What was kept as the first argument of a function that is on the stack; 0 for none."""
    found = zip(each.at.calls, each.first, strict=False)
    return next((first for name, first in found if name == function), 0)
