"""Goroutines as Go itself tells of them, by `/debug/pprof/goroutine?debug=2`, for where the memory
of the process may not be read. Go stops every goroutine while it writes that.

Format: `traceback` and `goroutineheader` of Go's runtime/traceback.go, as they are since 1.20.
"""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from perfhunt.analysis.blame.idle import CLIENT_SOCKET
from perfhunt.analysis.blame.snapshots import CHANNEL, FUTEX
from perfhunt.errors import AttachFailed, Unreadable
from perfhunt.model.profile import Frame, FrameKind, Stack, ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Seconds
from perfhunt.profilers.go.served import INDEX, get
from perfhunt.profilers.go.waits import name_of_children

_PATH = f"{INDEX}goroutine?debug=2"
_WITHIN: Seconds = 5.0  # of an answer; 10,000 goroutines take a tenth of a second
_HEAD = re.compile(r"^goroutine (\d+) (?:[^\[]*)\[([^],]+)[^]]*\]:$")
_PLACE = re.compile(r"^\t(.+):(\d+)(?: \+0x[0-9a-f]+)?$")
_MADE = re.compile(r"^created by .+ in goroutine (\d+)$")
# What is said instead of frames: that they cannot be read, or are too many.
_NO_FRAME = ("\tgoroutine running on other thread", "...")
_QUEUED = re.compile(r"\.runtime_(?:Sem|notifyListWait)")
_ADDRESS = re.compile(r"0x[0-9a-f]+")
_OWN = "runtime/pprof."  # the goroutine that writes the answer
_ACCEPTS = "internal/poll.(*FD).Accept"
# A server's goroutine that waits for a client's next request, or whether the client is still there.
_FOR_A_CLIENT = re.compile(r"^net/http\.\(\*(?:connReader|http2serverConn)\)\.")
_WAITS_FOR_OTHERS = "sync.(*WaitGroup).Wait"
_STATES: Mapping[str, ThreadState] = {
    "running": ThreadState.ON_CPU,
    "runnable": ThreadState.RUN_QUEUE,
    "sleep": ThreadState.SLEEP,
    "chan send": ThreadState.LOCK,
    "chan receive": ThreadState.LOCK,
    "select": ThreadState.LOCK,
    "semacquire": ThreadState.LOCK,
}


@dataclass(frozen=True, slots=True)
class ToldGoroutine:
    """One goroutine as Go tells of it: `stack` root first, `semaphore` the address of what it is
    queued at (0: none), `parent` the number of the one that made it (0: not told).
    """

    number: int
    state: str
    stack: Stack
    semaphore: int
    parent: int


def samples_of(pid: int, text: str) -> list[ThreadSample]:
    """Every goroutine of the text but the one that wrote it. Raises AttachFailed with the line that
    is none of it.
    """
    blocks = text.strip("\n").split("\n\n")
    return list(_samples(pid, [_goroutine(block.split("\n")) for block in blocks if block]))


def _goroutine(lines: Sequence[str]) -> ToldGoroutine:
    head = _HEAD.match(lines[0])
    if head is None:
        raise AttachFailed(f"{_PATH} tells of no goroutine: {lines[0][:80]!r}")
    frames, parent, semaphore = list[Frame](), 0, 0
    rest = iter(lines[1:])
    for call in rest:
        if call.startswith(_NO_FRAME):
            continue
        if call.startswith("created by "):
            made = _MADE.match(call)
            parent = int(made[1]) if made else 0
            break
        where = _PLACE.match(next(rest, ""))
        if where is None:
            raise AttachFailed(f"{_PATH}: no place in the code follows {call[:80]!r}")
        function, _, arguments = call.rpartition("(")
        address = _ADDRESS.match(arguments)
        if _QUEUED.search(function) and address:
            semaphore = int(address[0], 16)
        frames.append(Frame(function, where[1], int(where[2]), FrameKind.GO))
    return ToldGoroutine(int(head[1]), head[2], tuple(reversed(frames)), semaphore, parent)


class GoToldLooker:
    """Asks one process for its goroutines. `cpu` is the time that the answers took, in which the
    process stands still for the most part: it is looked at as seldom as that demands.
    """

    how = f"from {_PATH}, which stops it for as long as it takes to write"
    rate_hz = 10.0
    enough_hz = 4.0
    cost_limit = 0.01  # of the time: what the service may stand still for this
    unseen = (
        f"its goroutines were told by {_PATH}: not at which channel or on which connection each"
        " waits, and one that runs looks as if it waited for a CPU, since all stand still"
    )

    def __init__(self, pid: int, address: tuple[str, int]) -> None:
        self.cpu: Seconds = 0.0
        self.seen = self.unmatched = 0
        self._pid, (self._host, self._port) = pid, address

    def close(self) -> None:
        """There is nothing to let go."""

    def look(self) -> list[ThreadSample]:
        """Every goroutine now. Raises AttachFailed when it is not told."""
        began = time.monotonic()
        try:
            status, body = get(self._host, self._port, _PATH, _WITHIN)
        except (OSError, http.client.HTTPException, Unreadable) as error:
            raise AttachFailed(f"{_PATH} of process {self._pid}: {error}") from error
        finally:
            self.cpu += time.monotonic() - began
        if status != 200:
            raise AttachFailed(f"{_PATH} of process {self._pid} answered {status}")
        samples = samples_of(self._pid, body.decode(errors="replace"))
        self.seen += len(samples)
        return samples


def _samples(pid: int, told: Sequence[ToldGoroutine]) -> Iterator[ThreadSample]:
    theirs = [g for g in told if not any(f.function.startswith(_OWN) for f in g.stack)]
    states = {g.number: _state(g) for g in theirs}
    busy = {g.parent for g in theirs if states[g.number][0] is not ThreadState.POLL}
    awaited = {g.number for g in theirs if g.number in busy and _for_those_it_made(g)}
    for each in theirs:
        state, on = states[each.number]
        if each.number in awaited:
            on = name_of_children(each.number)
        yield ThreadSample(
            pid=pid,
            tid=0,
            stack=each.stack,
            state=state,
            wait_on=on,
            thread_name="goroutine",
            still=state not in (ThreadState.ON_CPU, ThreadState.RUN_QUEUE),
            task=True,
            holds=frozenset({name_of_children(each.parent)} if each.parent in awaited else ()),
        )


def _for_those_it_made(each: ToldGoroutine) -> bool:
    waits = any(frame.function == _WAITS_FOR_OTHERS for frame in each.stack)
    return waits or each.state in ("chan receive", "chan send")


def _state(each: ToldGoroutine) -> tuple[ThreadState, str]:
    """The state of a goroutine, and what it waits for as far as that is told."""
    if each.state == "IO wait":
        of_client = any(
            frame.function.startswith(_ACCEPTS) or _FOR_A_CLIENT.match(frame.function)
            for frame in each.stack
        )
        return (ThreadState.POLL, CLIENT_SOCKET) if of_client else (ThreadState.SOCKET, "")
    if each.state.startswith("sync."):
        state = ThreadState.LOCK
    else:
        kind = each.state.partition(" (")[0]  # such as `chan receive (nil chan)`
        state = _STATES.get(kind, ThreadState.OTHER)
    if state is not ThreadState.LOCK:
        return state, ""
    if each.state.startswith(("chan", "select")):
        return state, f"{CHANNEL}of {each.number}"  # Which one is not told: its own, then.
    return state, f"{FUTEX}{each.semaphore:#x}" if each.semaphore else ""
