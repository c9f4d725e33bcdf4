"""Runs inside a service that perfhunt started, before the service's own code: watches its requests
with pyinstrument, or its memory with tracemalloc, and answers on a unix socket.

Standard library only, and syntax of Python 3.7: it runs in the service's interpreter. `_socket` and
`_thread` instead of `socket` and `threading`, so that gevent, which replaces those, replaces
nothing here. A word is asked per connection: begin, mark, take; the answer is one JSON value.
"""

from __future__ import annotations

import _socket
import _thread
import contextlib
import json
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    import threading
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any, Protocol

    class Answering(Protocol):
        """What can be asked for its words."""

        def begin(self) -> Any: ...
        def mark(self) -> Any: ...
        def take(self) -> Any: ...
        def clear(self) -> None: ...


DIRECTORY = "PERFHUNT_INSIDE"  # where the sockets are, one a process
TOOL = "PERFHUNT_INSIDE_TOOL"
PACKAGES = "PERFHUNT_INSIDE_PACKAGES"  # where pyinstrument is, if the service's own has none
INTERVAL = 0.001  # seconds between two samples: pyinstrument's own choice
THREADS = 32  # watched at once: each pays for its calls
KINDS = 8  # of tasks watched at once, one task of each
STACKS = 20000  # kept unlike ones; what comes after is counted only
DEEPEST = 200  # coroutines that wait for each other
FRAMES = 1  # of an allocation: each more makes it a multiple as dear
LINES = 300  # of memory told, the largest first
AWAIT = "[await]"


class Calls:
    """The stacks of threads, and of one task of each kind, with the seconds they took."""

    def __init__(self) -> None:
        packages = os.environ.get(PACKAGES)
        try:
            import pyinstrument.stack_sampler as sampler
        except ImportError:
            if not packages:
                raise
            sys.path.append(packages)
            try:
                import pyinstrument.stack_sampler as sampler
            finally:
                sys.path.remove(packages)
        self._sampler = sampler
        self._threads = 0
        self._kinds: set[str] = set()
        self._began: float | None = None
        self.clear()
        self._watch_threads()
        self._watch_loops()

    def clear(self) -> None:
        self._stacks: dict[tuple[str, tuple[str, ...]], float] = {}
        self._tasks: dict[str, tuple[int, float]] = {}
        self._dropped = 0.0

    def begin(self) -> Any:
        self.clear()
        self._began = time.perf_counter()
        return {}

    def mark(self) -> Any:
        return {}

    def take(self) -> Any:
        stacks, tasks = dict(self._stacks), dict(self._tasks)
        dropped, self._began = self._dropped, None
        return {
            "stacks": [[kind, list(stack), spent] for (kind, stack), spent in stacks.items()],
            "tasks": [[kind, n, spent] for kind, (n, spent) in tasks.items()],
            "dropped": dropped,
        }

    def _add(self, kind: str, stack: Sequence[str], spent: float) -> None:
        if self._began is None:
            return
        spent = min(spent, time.perf_counter() - self._began)
        key = (kind, tuple(stack))
        if key not in self._stacks and len(self._stacks) >= STACKS:
            self._dropped += spent
        else:
            self._stacks[key] = self._stacks.get(key, 0.0) + spent

    def _subscribe(self, target: Callable[..., None], in_task: bool) -> None:
        self._sampler.get_stack_sampler().subscribe(
            target=target, desired_interval=INTERVAL, use_async_context=in_task
        )

    def _unsubscribe(self, target: Callable[..., None]) -> None:
        self._sampler.get_stack_sampler().unsubscribe(target)

    def _of_thread(self, stack: list[str], spent: float, _: Any) -> None:
        self._add("", stack[1:], spent)

    def _watch_threads(self) -> None:
        import threading

        threads: Any = threading.Thread
        whole = threads._bootstrap_inner

        def watched(thread: threading.Thread) -> Any:
            if self._threads >= THREADS:
                return whole(thread)
            self._threads += 1
            self._subscribe(self._of_thread, False)
            try:
                return whole(thread)
            finally:
                self._threads -= 1
                self._unsubscribe(self._of_thread)

        threads._bootstrap_inner = watched
        self._subscribe(self._of_thread, False)  # of the main thread

    def _watch_loops(self) -> None:
        import asyncio

        events: Any = asyncio.events
        loops: Any = asyncio
        running = events._set_running_loop

        def set_running(loop: asyncio.AbstractEventLoop | None) -> None:
            if loop is not None and loop.get_task_factory() is None:
                loop.set_task_factory(self._task)
            running(loop)

        events._set_running_loop = set_running
        loops._set_running_loop = set_running

    def _task(
        self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
    ) -> asyncio.Task[Any]:
        import asyncio

        kind = getattr(coroutine, "__qualname__", "")
        if asyncio.iscoroutine(coroutine) and kind and self._is_free(kind):
            self._kinds.add(kind)
            coroutine = self._watched(coroutine, kind)
        return asyncio.Task(coroutine, loop=loop, **options)

    def _is_free(self, kind: str) -> bool:
        return kind not in self._kinds and len(self._kinds) < KINDS

    async def _watched(self, coroutine: Coroutine[Any, Any, Any], kind: str) -> Any:
        def seen(stack: list[str], spent: float, state: Any) -> None:
            if state is not None and state.state == "out_of_context_awaited":
                self._add(kind, [*below(state.info), AWAIT], spent)
            elif state is not None and state.state != "in_context":
                return
            elif not any(__file__ in frame for frame in stack):
                # A loop without Python frames goes on with the task, which stands where it waited.
                self._add(kind, [*suspended(coroutine), AWAIT], spent)
            else:
                self._add(kind, below(stack), spent)

        began = time.perf_counter()
        # The context is a copy of that of who started the task, who may be watched as well.
        self._sampler.active_profiler_context_var.set(None)
        self._subscribe(seen, True)
        try:
            return await coroutine
        finally:
            with contextlib.suppress(Exception):
                self._unsubscribe(seen)
            self._kinds.discard(kind)
            if self._began is not None and began >= self._began:
                n, spent = self._tasks.get(kind, (0, 0.0))
                self._tasks[kind] = n + 1, spent + time.perf_counter() - began


def below(stack: Sequence[str]) -> list[str]:
    """The frames of a task, without those of its loop, and of this file, above them."""
    last = max((i for i, frame in enumerate(stack) if __file__ in frame), default=-1)
    return list(stack[last + 1 :])


def suspended(waiting: Any) -> list[str]:
    """The frames of a coroutine that waits, and of what it waits for, outermost first, as
    pyinstrument writes them.
    """
    frames: list[str] = []
    while len(frames) < DEEPEST:
        frame = of_any(waiting, "cr_frame", "gi_frame", "ag_frame")
        if frame is None:
            break
        code = frame.f_code
        place = "\x00".join((code.co_name, code.co_filename, str(code.co_firstlineno)))
        frames.append(f"{place}\x01l{frame.f_lineno}")
        waiting = of_any(waiting, "cr_await", "gi_yieldfrom", "ag_await")
    return frames


def of_any(thing: Any, *names: str) -> Any:
    """The first of some attributes that something has."""
    return next((getattr(thing, name) for name in names if hasattr(thing, name)), None)


class Memory:
    """Bytes that were allocated since the beginning and are still held, by place."""

    def begin(self) -> Any:
        import gc
        import tracemalloc

        gc.collect()
        tracemalloc.start(FRAMES)
        return {}

    def mark(self) -> Any:
        import gc
        import tracemalloc

        gc.collect()
        ignored = [
            tracemalloc.Filter(False, name, all_frames=True)
            for name in (__file__, tracemalloc.__file__)
        ]
        taken = tracemalloc.take_snapshot().filter_traces(ignored)
        rows = taken.statistics("traceback")[:LINES]
        return [[[[f.filename, f.lineno] for f in row.traceback], row.size] for row in rows]

    def take(self) -> Any:
        import tracemalloc

        rows = self.mark()
        tracemalloc.stop()
        return rows

    def clear(self) -> None:
        """Nothing is kept here."""


def report(what: str) -> None:
    """Say what went wrong in the service's own log."""
    os.write(2, f"perfhunt: {what}\n".encode())


def serve(place: str, tool: Answering) -> None:
    """Answer on the socket of this process, for ever, in a thread of its own."""
    listener: Any = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    listener.bind(os.path.join(place, f"{os.getpid()}.sock"))
    listener.listen(4)
    while True:
        number, _ = listener._accept()
        line = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fileno=number)
        try:
            word = line.recv(16).decode()
            answer = json.dumps(getattr(tool, word)()).encode()
            while answer:
                answer = answer[line.send(answer) :]
        except Exception as error:
            report(f"{error!r}")
        finally:
            line.close()


def start(place: str, name: str) -> None:
    """Begin to watch this process, and what forks from it."""
    tool: Answering = Calls() if name == "pyinstrument" else Memory()

    def again() -> None:
        tool.clear()
        _thread.start_new_thread(serve, (place, tool))

    os.register_at_fork(after_in_child=again)
    _thread.start_new_thread(serve, (place, tool))


def hand_over() -> None:
    """Import the `sitecustomize` that this one stands before, if there is one."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != here]
    own = sys.modules.pop("sitecustomize", None)
    try:
        __import__("sitecustomize")
    except ImportError:
        if own is not None:
            sys.modules["sitecustomize"] = own


if os.environ.get(DIRECTORY) and __name__ == "sitecustomize":
    hand_over()
    try:
        start(os.environ[DIRECTORY], os.environ[TOOL])
    except Exception as error:
        report(f"{os.environ[TOOL]} cannot look here: {error!r}")
