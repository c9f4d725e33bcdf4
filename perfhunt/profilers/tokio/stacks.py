"""Where a task of tokio was at a call: its own part of its worker's stack."""

from __future__ import annotations

import re

import numpy as np

from perfhunt.analysis.blame.frames import has_inlined
from perfhunt.model.profile import Frame, Stack
from perfhunt.model.units import Bytes
from perfhunt.profilers.native.calls import SeenCall
from perfhunt.profilers.native.image import ProcessImage
from perfhunt.profilers.native.unwind import StackCopy, Unwinder

_TELLING: Bytes = 2048  # of a stack: addresses of code in it tell one way to a wait from another
_MOST_STACKS = 20_000  # that are kept, so that each is walked once
# What polls a task, on a worker's stack; else what the worker itself is in.
_POLLS = re.compile(
    r"\btokio::runtime::task::(?:raw::poll|harness::(?!.*read_output)|core::Core\b)"
)
_WORKS = re.compile(r"\btokio::runtime::(?!io::|time::|task::(?:join|waker|core::Trailer))")
# What only keeps a waker: a task's last calls, which are no place.
_WAKER = re.compile(
    r"\btokio::runtime::task::waker::|\bcore::task::wake::|\batomic_waker::|into_waker$"
    r"|^<?(?:std|core)::(?:panic|panicking|ops::function)\b"
)
# Of a stack's top, in which is what a function that asks for something has in hand.
_IN_HAND = 64  # words
_WAKER_WORDS = 3  # of std::task::Context, in whichever order the compiler put them
_WORD = 8


class TaskStacks:
    """Reads where tasks of one process were, each way once."""

    def __init__(self, image: ProcessImage, unwinder: Unwinder) -> None:
        self._image, self._unwinder = image, unwinder
        self._known: dict[tuple[int, ...], Stack] = {}

    def of(self, call: SeenCall) -> Stack:
        """What a task was in of its own, root first."""
        words = _words(call.raw[:_TELLING])
        code = words[self._image.code_among(words)].tolist()
        key = (call.registers.code, call.registers.stack, *code)
        if key not in self._known:
            copy = StackCopy(call.registers.stack, call.raw, _nothing)
            addresses, _ = self._unwinder.walk(call.registers, copy)
            stack = tuple(f for a in reversed(addresses) for f in self._image.calls(a))
            if len(self._known) > _MOST_STACKS:
                self._known.clear()
            self._known[key] = _own_part(stack)
        return self._known[key]


def in_hand(call: SeenCall) -> tuple[int, ...]:
    """The words that a function may have been given, or that called it: of the registers, and of
    the top of the stack.
    """
    top = _words(call.raw[: _IN_HAND * _WORD]).tolist()
    return (*call.registers.others.values(), *top)


def task_words(call: SeenCall) -> tuple[int, ...]:
    """The words of which one is the task that polls a future, by the waker that the second argument
    leads to (std::task::Context).
    """
    copy, found = StackCopy(call.registers.stack, call.raw, _nothing), list[int]()
    for n in range(_WAKER_WORDS):
        waker = copy.word(call.arguments[1] + n * _WORD)
        for at in (waker, waker + _WORD) if waker else ():
            found.append(copy.word(at) or 0)
    return tuple(found)


def _own_part(stack: Stack) -> Stack:
    end = len(stack)
    while end > 1 and _WAKER.search(stack[end - 1].function):
        end -= 1
    begin = _last(stack[:end], _POLLS) or _last(stack[:end], _WORKS)
    begin -= begin > 0 and has_inlined(stack[begin - 1].function)
    return stack[begin:end]


def _last(stack: tuple[Frame, ...], pattern: re.Pattern[str]) -> int:
    """Behind the last function of such a name; 0 for none."""
    return max((n for n, frame in enumerate(stack, 1) if pattern.search(frame.function)), default=0)


def _words(raw: bytes) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.frombuffer(raw[: len(raw) // _WORD * _WORD], "<u8")


def _nothing(address: int, size: Bytes) -> bytes:
    """What is on a stack now says nothing of then."""
    return b""
