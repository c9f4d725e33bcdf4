"""Whose code a frame is, and which function of the application a stack belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import TypeAlias

from perfhunt.model.profile import Frame, FrameKind, Stack
from perfhunt.model.run import Application
from perfhunt.model.units import Share

FunctionKey: TypeAlias = tuple[str, str]  # (function, file), as Frame.key
CallPath: TypeAlias = tuple[FunctionKey, ...]  # a way through the code, root first
CodeLocation: TypeAlias = tuple[CallPath, int | None]  # a way through the code, the line at its end

_PACKAGES = re.compile(r"[/\\](?:site-packages|dist-packages)[/\\](.+)")
_STDLIB = re.compile(
    r"[/\\]lib(?:64)?[/\\]python\d[^/\\]*[/\\](?!site-packages|dist-packages)|python\d+\.zip[/\\]"
)
_SYSTEM_LIBRARY = re.compile(r"^/(?:usr/)?(?:local/)?lib(?:32|64)?/|\.so(?:\.[\d.]+)?$|^\[")
# What the code of other languages is called: in Java by the function, elsewhere by the file.
# A script that an installer wrote, by where it lies; it holds a call of the program, and no more.
_LAUNCHER = re.compile(r"[/\\](?:bin|Scripts)[/\\][^/\\.]+$")
_GO_PACKAGES = (
    "archive|bufio|bytes|cmp|compress|container|context|crypto|database|debug|embed|encoding|errors"
    "|expvar|flag|fmt|go|hash|html|image|index|internal|io|iter|log|maps|math|mime|net|os|path"
    "|plugin|reflect|regexp|runtime|slices|sort|strconv|strings|sync|syscall|testing|text|time"
    "|unicode|unique|unsafe|vendor|weak"
)
_RUNTIME_OF: Mapping[str, re.Pattern[str]] = {
    # V8 gives no file to what is compiled into Node, nor to the time in which no function ran.
    FrameKind.JS: re.compile(r"^node:|^internal/|^$"),
    FrameKind.JVM: re.compile(r"^(?:java|javax|jdk|sun|com\.sun)[./]"),
    # By the file, of what is written in assembly: those have a name without a package.
    FrameKind.GO: re.compile(rf"(?:^|/src/)(?:{_GO_PACKAGES})/"),
}
_GO_OWN = re.compile(rf"^(?:{_GO_PACKAGES})[/.]")  # by the function, wherever GOROOT is
# What is linked into a program of Rust or C++ from the language's own library, by the function.
_COMPILED_IN = re.compile(
    r"^[<&*\s]*(?:mut |dyn |const )*"
    r"(?:(?:std|core|alloc|__rustc|__gnu_cxx|__cxxabiv1|__gnu_debug)::"
    r"|(?<=[<&*\s])(?:[\[(].{0,200}|(?:str|bool|char|[iuf](?:8|16|32|64|128|size)|[A-Z]\w?)\b[^:]{0,200})"
    r"(?:>::\w+$| as [<&]*(?:std|core|alloc)\b))"
    r"|^(?:__rust_|rust_|_start$|__libc_|_Unwind_)"
)
# Sources of others, as debug information names them: of cargo, and headers that are installed.
_OTHERS = re.compile(
    r"/registry/src/|/git/checkouts/|^/rustc/|^/usr/(?:local/)?include/|/include/c\+\+/"
    r"|/vcpkg_installed/|/\.conan2?/"
)
# What stands behind a function's name whose code has lines of the application within itself.
INLINED = " inlined)"
# A method of whatever has a trait: `<F as axum::handler::Handler<…>>::call`.
OF_ANY_TYPE = re.compile(r"^(<&?(?:mut )?)[A-Z]\w*(?= as )")
# The crate of a function, or of the type that it is of.
_CRATE = re.compile(r"^[<&*\s]*(?:mut |dyn |const )*(\w+)::")
_LIBRARY_OF: Mapping[str, re.Pattern[str]] = {
    FrameKind.JS: re.compile(r"node_modules"),
    FrameKind.GO: re.compile(r"/pkg/mod/|@v\d|/vendor/[^/]+\.[^/]+/"),
}
# An event loop: the parts of Python and of its usual replacements that run one.
_EVENT_LOOP = re.compile(
    r"asyncio/(?:base_events|runners)\.py$|/(?:uvloop|gevent(?!/threadpool)|trio|curio)/"
)
# The same of what is compiled, by the function: tokio and others of Rust, libuv, libevent, libev,
# Asio and folly.
_COMPILED_LOOP = re.compile(
    r"^<?(?:tokio::runtime::scheduler|tokio::task::local|async_executor|smol|glommio|monoio)::"
    r"|^(?:uv_run|event_base_loop|ev_run)$|\basio::detail::scheduler::run|\bEventBase::loop"
)
# The file of the frame at the root of the stack of Node's event loop.
NODE_LOOP = "node:event_loop"
_AWAITING = re.compile(r"/(?:asyncio|anyio|trio|curio)/")
# Code objects without a name of their own: their time belongs to the function that wrote them.
_ANONYMOUS = frozenset({"<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>", "<lambda>"})


# What runs when a file is imported or started.
MODULE = "<module>"
_NOT_INSTALLED = Application()  # nothing of what is installed is the application
# Of the different stacks with the application's code or that of the command's distribution, the
# part with the user's own, beyond which the distribution is a server for it: the majority.
MOST: Share = 0.5


class Origin(StrEnum):
    """Whose code: the application's, an installed library's, the language's own, or below the
    language.
    """

    APP = "app"
    LIBRARY = "library"
    RUNTIME = "runtime"
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
    def key(self) -> FunctionKey:
        return self.frame.key


@dataclass(frozen=True, slots=True)
class Code:
    """How to tell the application's code from the rest. `modules` are import names that are the
    application's though installed, in a JVM its packages; `launchers` and `libraries` are paths
    that are not, or crates as `tokio::`. `fallback`: nothing was the application's, so libraries
    are. `serving` are calls, each with the way to it, in which the application's functions sit
    while the service idles: what happens in there is the server's work, not theirs; None: not
    known.
    """

    modules: tuple[str, ...] = ()
    fallback: bool = False
    launchers: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    serving: frozenset[CallPath] | None = None

    @staticmethod
    def of(stacks: Iterable[Stack], application: Application = _NOT_INSTALLED) -> Code:
        """The rule that fits these stacks. The distribution that the command belongs to is the
        application unless code of the user's is on most of its stacks: then it is what that code is
        served by. Other installed libraries count only when nothing else does.
        """
        named = Code(
            application.modules,
            launchers=application.launchers,
            libraries=application.libraries,
        )
        whole = replace(named, modules=(*application.modules, *application.entry))
        theirs = [stack for stack in {*stacks} if whole.has_app(stack)]
        users = [stack for stack in theirs if named.has_app(stack)]
        code = whole if len(users) <= MOST * len(theirs) else named
        has_app = any(code.has_app(stack) for stack in theirs)
        return code if has_app else replace(code, fallback=True)

    def has_app(self, stack: Stack) -> bool:
        """Whether any frame is the application's own code."""
        return any(self.is_app(frame) for frame in stack)

    def origin(self, frame: Frame) -> Origin:
        """Whose code a frame is, from its kind and its file."""
        if frame.kind == FrameKind.THREAD:
            return Origin.LABEL
        if frame.kind == FrameKind.KERNEL:
            return Origin.NATIVE
        if frame.kind == FrameKind.NATIVE:
            return self._native_origin(frame)
        if frame.kind in _RUNTIME_OF:
            return self._origin_elsewhere(frame)
        if frame.function == MODULE and _LAUNCHER.search(frame.file):
            return Origin.RUNTIME
        return self._python_origin(frame.file)

    def _native_origin(self, frame: Frame) -> Origin:
        if not frame.file or _SYSTEM_LIBRARY.search(frame.file):
            return Origin.NATIVE
        if _COMPILED_IN.search(frame.function):
            return Origin.RUNTIME
        if _OTHERS.search(frame.file):
            return Origin.LIBRARY
        crate = _CRATE.match(frame.function)
        theirs = crate is not None and f"{crate[1]}::" in self.libraries
        return Origin.LIBRARY if theirs else Origin.APP

    def _python_origin(self, file: str) -> Origin:
        packaged = path_in_packages(file)
        if packaged:
            module = packaged.replace("\\", "/").removesuffix(".py").replace("/", ".")
            ours = any(f"{module}.".startswith(f"{name}.") for name in self.modules)
            return Origin.APP if ours else Origin.LIBRARY
        if any(file.startswith((f"{path}/", f"{path}.")) for path in self.libraries):
            return Origin.LIBRARY
        if not file or file.startswith("<") or file in self.launchers or _STDLIB.search(file):
            return Origin.RUNTIME
        return Origin.APP

    def _origin_elsewhere(self, frame: Frame) -> Origin:
        """The origin of a frame of Node, a JVM or Go."""
        if frame.kind == FrameKind.GO and _GO_OWN.search(frame.function):
            return Origin.RUNTIME
        of_jvm = frame.kind == FrameKind.JVM
        name = frame.function if of_jvm else frame.file
        library = _LIBRARY_OF.get(frame.kind)
        if library is not None and library.search(name):
            return Origin.LIBRARY
        if _RUNTIME_OF[frame.kind].search(name):
            return Origin.RUNTIME
        # Of a JVM's program the packages are known, where its class path told them.
        ours = not of_jvm or not self.modules or name.startswith(_beginnings(self.modules))
        return Origin.APP if ours else Origin.LIBRARY

    def is_app(self, frame: Frame) -> bool:
        """Whether a frame is the application's own code."""
        origin = self.origin(frame)
        return origin is Origin.APP or (self.fallback and _may_stand_in(origin, frame))

    def app_frames(self, stack: Stack) -> tuple[Frame, ...]:
        """The application's frames, root first, each nameless one replaced by the function it was
        written in.
        """
        return tuple(
            enclosing(stack, index) for index, frame in enumerate(stack) if self.is_app(frame)
        )

    def idling_on(self, paths: Iterable[CallPath]) -> Code:
        """The same, with the ways on which the service idles; as it is where there are none."""
        calls = {
            path[: n + 2]
            for path in paths
            for n, (function, file) in enumerate(path[:-1])
            if self.is_app(Frame(function, file))
        }
        return replace(self, serving=frozenset(calls)) if calls else self

    def _serves(self, stack: Stack, index: int) -> bool:
        """Whether the function at `index` only runs a server there."""
        if self.serving is None:
            return in_event_loop(stack[index + 1 :])
        return call_path(stack[: index + 2]) in self.serving

    def owner(self, stack: Stack) -> OwningFunction | None:
        """The deepest function of the application on the stack, unless it runs a server there; else
        that of an installed library of Python's, or a compiled one with code of the application
        within itself, which say more than what of the language they are in; else the deepest frame;
        None for an empty stack.
        """
        within = range(len(stack) - 1, -1, -1)
        own = next((n for n in within if self.is_app(stack[n])), None)
        if own is not None and not self.fallback and not self._serves(stack, own):
            return _owning(stack, own, is_app=True)
        first = next((n for n in within if self._stands_in(stack[n])), None)
        known = first is not None and stack[first].kind == FrameKind.NATIVE
        if own is not None and self.fallback and not known and not self._serves(stack, own):
            return _owning(stack, own, is_app=True)
        if first is not None and not in_event_loop(stack[first + 1 :]):
            return _owning(stack, first, is_app=self.fallback)
        frames = [frame for frame in stack if self.origin(frame) is not Origin.LABEL]
        return OwningFunction(frames[-1], "", is_app=False) if frames else None

    def _stands_in(self, frame: Frame) -> bool:
        if frame.kind == FrameKind.NATIVE:
            return has_inlined(frame.function)
        return frame.kind == FrameKind.PYTHON and self.origin(frame) is Origin.LIBRARY


def _owning(stack: Stack, index: int, is_app: bool) -> OwningFunction:
    via = "" if index == len(stack) - 1 else spell(stack[-1])
    return OwningFunction(enclosing(stack, index), via, is_app)


@lru_cache(maxsize=8)
def _beginnings(packages: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{name}." for name in packages)


def _may_stand_in(origin: Origin, frame: Frame) -> bool:
    """Whether a frame counts as the application's where nothing is: a library's does, and outside
    Python the runtime's does too, for much of what a server does there ships with the runtime.
    """
    return origin is Origin.LIBRARY or (origin is Origin.RUNTIME and frame.kind in _RUNTIME_OF)


def path_in_packages(file: str) -> str:
    """The part of a path below the directory of installed packages; "" for a file elsewhere."""
    packaged = _PACKAGES.search(file)
    return packaged[1] if packaged else ""


def enclosing(stack: Stack, index: int) -> Frame:
    """The frame at `index`, or the named function of the same file that a comprehension or lambda
    there belongs to.
    """
    frame = stack[index]
    if not is_anonymous(frame):
        return frame
    for outer in reversed(stack[:index]):
        if outer.file == frame.file and not is_anonymous(outer):
            return outer
    # A torn stack may lack the function; from Python 3.11 on the qualified name still says whose it
    # is.
    named = re.sub(r"(\.<locals>)?\.<\w+>", "", frame.function)
    return replace(frame, function=named) if named and not named.startswith("<") else frame


def is_anonymous(frame: Frame) -> bool:
    """Whether a frame is of a comprehension or a lambda."""
    return frame.function.rsplit(".", 1)[-1] in _ANONYMOUS


def in_event_loop(stack: Stack) -> bool:
    """Whether the stack is an event loop's: something in it runs the loop, rather than only calling
    into it.
    """
    return any(
        _COMPILED_LOOP.search(frame.function)
        if frame.kind == FrameKind.NATIVE
        else frame.file == NODE_LOOP or ("run" in frame.function and _EVENT_LOOP.search(frame.file))
        for frame in stack
    )


def awaits(stack: Stack, owner: Frame) -> bool:
    """Whether a coroutine of an event loop was caught in the loop's own input, output or locks: it
    awaits something there.
    """
    if owner not in stack or not in_event_loop(stack):
        return False
    last = len(stack) - 1 - stack[::-1].index(owner)
    return any(_AWAITING.search(frame.file) for frame in stack[last + 1 :])


def call_path(stack: Stack) -> CallPath:
    """A stack as (function, file) pairs, root first, without labels: equal for equal ways through
    the code.
    """
    return tuple(frame.key for frame in stack if frame.kind != FrameKind.THREAD)


def location_of(stack: Stack) -> CodeLocation:
    """Where in the code a thread is, to the line. Raises IndexError for an empty stack."""
    return call_path(stack), stack[-1].line


def has_inlined(function: str) -> bool:
    """Whether a function is known to have code of the application within itself."""
    return function.endswith(INLINED)


def hides_application(function: str) -> bool:
    """Whether the application's code is within a function whose name says of no function of it."""
    return has_inlined(function) or OF_ANY_TYPE.search(function) is not None


def spell(frame: Frame) -> str:
    """`execute (sqlite3/dbapi2.py)`: a frame for people, its path cut to the last two parts."""
    tail = "/".join(frame.file.replace("\\", "/").split("/")[-2:])
    return f"{frame.function} ({tail})" if tail else frame.function
