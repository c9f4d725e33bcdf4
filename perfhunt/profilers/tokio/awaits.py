"""What a task of tokio waits for, by where it left its wakers: a socket, a time, a permit, or what
others of the program tell it.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from perfhunt.analysis.blame.frames import has_inlined
from perfhunt.model.profile import Stack
from perfhunt.model.units import Bytes, Seconds
from perfhunt.profilers.native.calls import SeenCall
from perfhunt.profilers.native.image import ProcessImage
from perfhunt.profilers.tokio.stacks import in_hand
from perfhunt.target.proc.files import link, read
from perfhunt.target.proc.sockets import SocketLead, SocketTable, socket_inode

# tokio's own and the language's, below which a task's own code waits.
_LEAF = re.compile(r"^<?(?:&?(?:mut )?(?:tokio|core|std|alloc)::)")
_CRATE = re.compile(r"^<?(?:.* as )?&?(?:mut )?(\w+)::")
_SENDS, _LAST = re.compile(r"poll_(?:write|flush)"), 8  # among the last functions of a stack
_EPOLL = "anon_inode:[eventpoll]"
# What is handed back with an event of a descriptor: of tokio the address of what waits for it.
_TOKENS = re.compile(rb"^tfd:\s+(\d+) events:\s+\w+ data:\s+(\w+)", re.MULTILINE)
_MOST_READ: Bytes = 16 << 20  # of an epoll: a line of 80 bytes for each connection
_EVERY: Seconds = 0.02  # between two readings of them: no more than one for a look
_SPARED = 50  # times what a reading takes, between two: 2 % of the time
_ALIGNED = 128  # bytes: what waits for a descriptor begins at so many (…/io/scheduled_io.rs)
_LEAST = 0x10000  # of a word that is an address: the event loop's own descriptors have numbers
_EPOLLS_EVERY: Seconds = 5.0  # a runtime opens its own when it begins


class AwaitKind(StrEnum):
    """What is waited for."""

    SOCKET = "socket"
    TIME = "time"
    PERMIT = "permit"
    TOLD = "told"


_KINDS = {
    AwaitKind.PERMIT: re.compile(r"\btokio::sync::batch_semaphore::"),
    AwaitKind.TIME: re.compile(r"\btokio::(?:runtime::)?time::"),
    AwaitKind.SOCKET: re.compile(r"\btokio::(?:runtime::io|net|io)::"),
}


@dataclass(frozen=True, slots=True)
class Await:
    """One of the things a task waits for: `lead` says where its socket leads to."""

    kind: AwaitKind
    stack: Stack
    lead: SocketLead | None = None

    @property
    def own(self) -> Stack:
        """Its stack without what of tokio it waits in."""
        end = len(self.stack)
        while end > 1 and _is_leaf(self.stack[end - 1].function):
            end -= 1
        return self.stack[:end]

    @property
    def crate(self) -> str:
        """Whose code asked for it."""
        found = _CRATE.match(self.own[-1].function) if self.stack else None
        return found[1] if found else ""

    @property
    def on(self) -> str:
        """What it waits on, where that has a name."""
        return self.lead.name if self.lead is not None else ""

    @property
    def of_client(self) -> bool:
        """Whether it is for a client's next request, and not until one takes an answer."""
        inbound = self.lead is not None and self.lead.inbound
        return inbound and not any(_SENDS.search(frame.function) for frame in self.stack[-_LAST:])


def _is_leaf(function: str) -> bool:
    return _LEAF.search(function) is not None and not has_inlined(function)


def await_at(stack: Stack, call: SeenCall, tokens: SocketTokens) -> Await:
    """What a task waits for that left a waker there, by that call."""
    leaf = stack[len(Await(AwaitKind.TOLD, stack).own) :] or stack[-1:]
    kind = next(
        (k for k, p in _KINDS.items() if any(p.search(frame.function) for frame in leaf)),
        AwaitKind.TOLD,
    )
    return Await(kind, stack, tokens.lead(in_hand(call)) if kind is AwaitKind.SOCKET else None)


def waits_for_socket(image: ProcessImage) -> Callable[[int], bool]:
    """What says of a place in the code whether a connection is waited for there."""

    @cache
    def says(address: int) -> bool:
        calls = image.calls(address - 1)
        return any(_KINDS[AwaitKind.SOCKET].search(frame.function) for frame in calls)

    return says


def in_application(each: Await, libraries: Sequence[str]) -> bool:
    """Whether the application's code is on its stack; `libraries` are how the functions of others
    begin.
    """
    return any(not f.function.lstrip("<").startswith(tuple(libraries)) for f in each.own)


def most_telling(awaits: Sequence[Await], libraries: Sequence[str]) -> Await:
    """Of the things that one task waits for at a time, that for which its request does: furthest in
    the application's code. A time is mostly a limit to another wait, which says more; but not to
    that for a client's next request, where somebody else asked for it. Raises ValueError for none.
    """

    def depth(each: Await) -> tuple[bool, int]:
        return in_application(each, libraries), len(each.own)

    times = [each for each in awaits if each.kind is AwaitKind.TIME]
    others = [each for each in awaits if each.kind is not AwaitKind.TIME]
    if not others or not times:
        return max(awaits, key=depth)
    other, time = max(others, key=depth), max(times, key=depth)
    further = depth(time)[0] > depth(other)[0]
    return time if further or (other.of_client and time.crate != other.crate) else other


class SocketTokens:
    """Which descriptor an event loop of a process waits for, by the word that it gave the kernel to
    have it back.
    """

    def __init__(self, pid: int) -> None:
        self._pid, self._sockets = pid, SocketTable(pid)
        self._descriptors: dict[int, int] = {}
        self._epolls: list[int] = []
        self._next = self._next_epolls = float("-inf")  # when they are read again

    def lead(self, words: Sequence[int]) -> SocketLead | None:
        """Where the socket leads that one of the words is for; None where none is."""
        if (now := time.monotonic()) >= self._next:
            self._read(now)
            after = time.monotonic()
            self._next = after + max(_EVERY, _SPARED * (after - now))
        known = self._descriptors
        descriptor = next((known[w] for w in words if w in known), None)
        if descriptor is None:  # a part of it, or what counts those who use it, which is before it
            parts = (w // _ALIGNED * _ALIGNED for w in words)
            descriptor = next(
                (known[w] for p in parts for w in (p, p + _ALIGNED) if w in known), None
            )
        if descriptor is None:
            return None
        inode = socket_inode(link(self._pid, f"fd/{descriptor}"))
        return self._sockets.describe(inode, descriptor) if inode is not None else None

    def _read(self, now: Seconds) -> None:
        self._descriptors = {}
        try:
            if now >= self._next_epolls:
                every = map(int, os.listdir(f"/proc/{self._pid}/fd"))
                self._epolls = [fd for fd in every if link(self._pid, f"fd/{fd}") == _EPOLL]
                self._next_epolls = now + _EPOLLS_EVERY
            for epoll in self._epolls:
                text = read(f"/proc/{self._pid}/fdinfo/{epoll}", _MOST_READ)
                waited = ((int(m[2], 16), int(m[1])) for m in _TOKENS.finditer(text))
                self._descriptors |= {word: fd for word, fd in waited if word >= _LEAST}
        except OSError:
            return  # it has ended, or closed one
