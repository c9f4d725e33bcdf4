"""Whose code a frame is, and which function of the application a stack belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from perfhunt.model.profile import Frame, FrameKind, Stack

Key: TypeAlias = tuple[str, str]  # (function, file), as Frame.key

_PACKAGES = re.compile(r"[/\\](?:site-packages|dist-packages)[/\\](.+)")
_STDLIB = re.compile(
    r"[/\\]lib(?:64)?[/\\]python\d[^/\\]*[/\\](?!site-packages|dist-packages)|python\d+\.zip[/\\]"
)
_SYSTEM_LIBRARY = re.compile(r"^/(?:usr/)?(?:local/)?lib(?:32|64)?/|\.so(?:\.[\d.]+)?$|^\[")
_RUNTIME_OF = {
    "js": re.compile(r"^node:|node_modules|^internal/|^$"),
    "jvm": re.compile(r"^(?:java|javax|jdk|sun|com\.sun)[./]"),
    "go": re.compile(r"/go/src/|/pkg/mod/|^runtime"),
}
# An event loop: the parts of Python and of its usual replacements that run one.
_LOOP = re.compile(r"asyncio/(?:base_events|runners)\.py$|/(?:uvloop|gevent|trio|curio)/")
_AWAITING = re.compile(r"/(?:asyncio|anyio|trio|curio)/")
# Code objects without a name of their own: their time belongs to the function that wrote them.
_ANONYMOUS = frozenset({"<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>", "<lambda>"})


class Origin(StrEnum):
    """Whose code: the application's, an installed library's, the language's own, or below the
    language.
    """

    APP = "app"
    LIBRARY = "library"
    STDLIB = "stdlib"
    NATIVE = "native"
    LABEL = "label"


@dataclass(frozen=True, slots=True)
class OwningFunction:
    """The function a stack belongs to, the library call on top of it, and whether it is application
    code.
    """

    frame: Frame
    via: str
    is_app: bool

    @property
    def key(self) -> Key:
        return self.frame.key


@dataclass(frozen=True, slots=True)
class Code:
    """How to tell the application's code from the rest. `fallback`: nothing was the application's,
    so libraries are.
    """

    app_modules: tuple[str, ...] = ()
    fallback: bool = False

    @staticmethod
    def seen(stacks: Iterable[Stack], app_modules: tuple[str, ...] = ()) -> Code:
        """The rule that fits these stacks: installed libraries count as the application only when
        nothing else does.
        """
        code = Code(app_modules)
        return (
            code
            if any(code.is_app(f) for s in stacks for f in s)
            else Code(app_modules, fallback=True)
        )

    def origin(self, frame: Frame) -> Origin:
        """Whose code a frame is, from its file."""
        if frame.kind == FrameKind.THREAD:
            return Origin.LABEL
        if frame.kind == FrameKind.KERNEL:
            return Origin.NATIVE
        if frame.kind == FrameKind.NATIVE:
            return (
                Origin.NATIVE
                if _SYSTEM_LIBRARY.search(frame.file) or not frame.file
                else Origin.APP
            )
        if frame.kind in _RUNTIME_OF:
            name = frame.function if frame.kind == FrameKind.JVM else frame.file or frame.function
            return Origin.LIBRARY if _RUNTIME_OF[frame.kind].search(name) else Origin.APP
        return self._python_origin(frame.file)

    def _python_origin(self, file: str) -> Origin:
        packaged = _PACKAGES.search(file)
        if packaged:
            module = packaged[1].replace("\\", "/").split("/")[0].removesuffix(".py")
            return Origin.APP if module in self.app_modules else Origin.LIBRARY
        if not file or file.startswith("<") or _STDLIB.search(file):
            return Origin.STDLIB
        return Origin.APP

    def is_app(self, frame: Frame) -> bool:
        """Whether a frame is the application's own code."""
        origin = self.origin(frame)
        return origin is Origin.APP or (self.fallback and origin is Origin.LIBRARY)

    def app_frames(self, stack: Stack) -> tuple[Frame, ...]:
        """The application's frames, root first, each nameless one replaced by the function it was
        written in.
        """
        named: list[Frame] = []
        for index, frame in enumerate(stack):
            if self.is_app(frame):
                named.append(enclosing(stack, index))
        return tuple(named)

    def owner(self, stack: Stack) -> OwningFunction | None:
        """The deepest function of the application on the stack, else the deepest frame; None for an
        empty stack.
        """
        for index in range(len(stack) - 1, -1, -1):
            if self.is_app(stack[index]):
                leaf = stack[-1]
                via = "" if index == len(stack) - 1 else spell(leaf)
                return OwningFunction(enclosing(stack, index), via, is_app=True)
        frames = [f for f in stack if self.origin(f) is not Origin.LABEL]
        return OwningFunction(frames[-1], "", is_app=False) if frames else None


def enclosing(stack: Stack, index: int) -> Frame:
    """The frame at `index`, or the named function of the same file that a comprehension or lambda
    there belongs to.
    """
    frame = stack[index]
    name = frame.function.rsplit(".", 1)[-1]
    if name not in _ANONYMOUS:
        return frame
    for outer in reversed(stack[:index]):
        if outer.file == frame.file and outer.function.rsplit(".", 1)[-1] not in _ANONYMOUS:
            return outer
    # A torn stack may lack the function; from Python 3.11 on the qualified name still says whose it
    # is.
    named = re.sub(r"(\.<locals>)?\.<\w+>", "", frame.function)
    return replace(frame, function=named) if named and not named.startswith("<") else frame


def in_loop(stack: Stack) -> bool:
    """Whether the stack is an event loop's: something in it runs the loop, rather than only calling
    into it.
    """
    return any("run" in f.function and _LOOP.search(f.file) for f in stack)


def awaits(stack: Stack, owner: Frame) -> bool:
    """Whether a coroutine of an event loop was caught in the loop's own input, output or locks: it
    awaits something there.
    """
    if owner not in stack or not in_loop(stack):
        return False
    last = len(stack) - 1 - stack[::-1].index(owner)
    return any(_AWAITING.search(f.file) for f in stack[last + 1 :])


def path_of(stack: Stack) -> tuple[Key, ...]:
    """A stack as (function, file) pairs, root first, without labels: equal for equal ways through
    the code.
    """
    return tuple(f.key for f in stack if f.kind != FrameKind.THREAD)


def spell(frame: Frame) -> str:
    """`execute (sqlite3/dbapi2.py)`: a frame for people, its path cut to the last two parts."""
    tail = "/".join(frame.file.replace("\\", "/").split("/")[-2:])
    return f"{frame.function} ({tail})" if tail else frame.function


def modules_of(cmdline: Sequence[str]) -> tuple[str, ...]:
    """Import names of the application that a command line gives away: `shop` of `shop.wsgi:app`."""
    found: list[str] = []
    for word in cmdline:
        match = re.fullmatch(r"([A-Za-z_]\w*)(?:\.\w+)*:[A-Za-z_][\w.]*(?:\(.*\))?", word)
        if match:
            found.append(match[1])
    return tuple(dict.fromkeys(found))
