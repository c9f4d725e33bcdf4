"""Which tasks of tokio wait, by the wakers that they leave: whatever a task waits for, it leaves a
copy of its waker there, and who ends the wait calls that (std::task::Waker).

A waker of tokio's leads to its task (tokio/src/runtime/task/waker.rs), whose first word says
whether a worker has it (tokio/src/runtime/task/state.rs, the same since 1.0).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from perfhunt.profilers.native.calls import SeenCall
from perfhunt.profilers.tokio.awaits import Await

_LEFT, _CALLED = "waker left", "waker called"
WAKERS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        _LEFT: re.compile(r"tokio::runtime::task::waker::clone_waker$"),
        _CALLED: re.compile(r"tokio::runtime::task::waker::wake_by_(?:val|ref)$"),
    }
)
WAKERS_WITH_STACK = frozenset({_LEFT})
_MOST_TASKS = 20_000  # that wait; of more the first are forgotten
_MOST_LEFT = 8  # wakers of a task at a time: a select of more is rare, and the first tell most
_WORD, _IN_HAND = 8, 512  # bytes of a stack: the caller's address, and what it has in hand
# A task: its state, the next one in a queue, and where its functions are.
HEADER = struct.Struct("<QQQ")
# Flags of a state; those who refer to the task are counted above them.
_RUNS, _OVER, _QUEUED, _AWAITED = 1, 2, 4, 8
_COUNTED_FROM, _MOST_COUNTED = 6, 1 << 20  # of more, it is no task any more


@dataclass(slots=True)
class LeftWaker:
    """A waker that was left: by which call, and for what, once that was read."""

    call: SeenCall
    what: Await | None = None


@dataclass(slots=True)
class WaitingTask:
    """A task that waits: the wakers it left since it ran last, and whether one of them was called.

    `socket` is the last call for a connection, with the top of its stack: a waker is not left anew
    where it is left already, as at the client's that was read from in vain while it was answered.
    """

    left: list[LeftWaker] = field(default_factory=list)
    woken: bool = False
    socket: SeenCall | None = None


class LeftWakers:
    """The tasks that left a waker since anybody looked, by their address."""

    def __init__(self, is_of_socket: Callable[[int], bool]) -> None:
        """`is_of_socket` says of an address whether the code there waits for a connection."""
        self.tasks: dict[int, WaitingTask] = {}
        self._is_of_socket = is_of_socket

    def take(self, call: SeenCall) -> None:
        """A waker was left, or called."""
        address = call.arguments[0]
        task = self.tasks.get(address)
        if call.function != _LEFT:
            if task is not None:
                task.woken = True
            return
        if task is None:
            if len(self.tasks) >= _MOST_TASKS:
                del self.tasks[next(iter(self.tasks))]
            task = self.tasks[address] = WaitingTask()
        elif task.woken:
            task.left, task.woken = [], False
        if len(task.left) < _MOST_LEFT:
            task.left.append(LeftWaker(call))
        if self._is_of_socket(int.from_bytes(call.raw[:_WORD], "little")):
            task.socket = call._replace(raw=call.raw[:_IN_HAND])

    def forget(self) -> None:
        """Calls were lost: who is known to wait may have gone on."""
        self.tasks.clear()

    def leave_out(self, addresses: Iterable[int]) -> None:
        """Some are no tasks any more."""
        for address in addresses:
            self.tasks.pop(address, None)


@dataclass(frozen=True, slots=True)
class TaskState:
    """What a task says of itself: whether a worker has it, or it stands in line for one, how many
    wakers of it there are; `over`: nobody will ever run it again, or no task is there.
    """

    runs: bool
    queued: bool
    over: bool
    wakers: int = 0


def task_state(header: bytes) -> TaskState:
    """By the first bytes of a task; fewer of them are none."""
    if len(header) < HEADER.size:
        return TaskState(runs=False, queued=False, over=True)
    state, _, _ = HEADER.unpack(header)
    counted = 0 < state >> _COUNTED_FROM < _MOST_COUNTED
    return TaskState(
        runs=bool(state & _RUNS),
        queued=bool(state & _QUEUED),
        over=bool(state & _OVER) or not counted,
        # Beside them the runtime counts, and who may wait for its end.
        wakers=(state >> _COUNTED_FROM) - 1 - bool(state & _AWAITED),
    )
