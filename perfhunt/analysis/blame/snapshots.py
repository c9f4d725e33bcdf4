"""Instants read as work: for every thread that is not idle, whose function it is in and what it is
doing there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from perfhunt.analysis.blame.frames import (
    CallPath,
    Code,
    CodeLocation,
    FunctionKey,
    Origin,
    OwningFunction,
    call_path,
)
from perfhunt.analysis.blame.idle import IdlePaths
from perfhunt.model.profile import FrameKind, Instant, Instants, Stack, ThreadSample
from perfhunt.model.states import ThreadState

# How the name of a wait begins that is for an address in the process's own memory.
FUTEX = "futex:"
# The same of a task, for what a thread of a pool does for it.
FOR_A_THREAD = "futex:thread:"
# The same for what several may have at once: a runtime knows it of a semaphore that counts.
SEVERAL = "futex:several:"
# The same for a channel: many may wait at one for what others take from it, or put into it, so that
# it need not be a lock.
CHANNEL = "futex:channel:"
# The same for a time of one's own, set so that waits end at an even rate: nobody has it meanwhile.
PACED = "futex:paced:"


# The last number of a thread's name, which tells it from the others of its pool.
_NUMBER = re.compile(r"[0-9]+(?=[^0-9]*$)")
_SHARED = re.compile(r"\.so(?:\.[\d.]+)?$")
# Where the standard library waits for what it gave to a pool, and where processes of one begin.
_RESULT = re.compile(r"/(?:concurrent/futures/_base|multiprocessing/pool)\.py$")
_WORKER = re.compile(
    r".*(?:/process(?:_executor)?\.py:_process_worker|/multiprocessing/pool\.py:worker)"
)


# What waits on no thread's stack, by the name that its looks give it; Java gives names of its own.
_TASKS = {"goroutine": "goroutines", "greenlet": "greenlets", "task": "tasks", "promise": "calls"}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One busy thread at one instant.

    `path` is its way through the code, `line` where that ends; `calls` the same way down to the
    call that waits, the language's own code cut off. `app` are the application's functions on it;
    `owner_depth` how many frames lead to its owner, that included. `on_idle_path`: its stack is one
    on which the service idles, so it was about to have work. `outlives_requests`: others of its
    kind, or itself, are there when there is no work.
    """

    sample: ThreadSample
    owner: OwningFunction
    calls: CallPath
    app: tuple[FunctionKey, ...]
    path: CallPath
    line: int | None
    owner_depth: int
    on_idle_path: bool
    outlives_requests: bool = False

    @property
    def state(self) -> str:
        return self.sample.state

    @property
    def kind(self) -> str:
        """What its runtime calls several of its kind: "threads", "goroutines"."""
        return called(self.sample)

    @property
    def awaits_a_result(self) -> bool:
        """Whether it awaits a bare future, something that others of its process set: a thread whose
        runtime says so, or a task whose own code, the application's, does.
        """
        ends = self.owner.is_app and self.path[-1] == self.owner.key
        return self.state == ThreadState.AWAIT and (ends or not self.sample.task)

    @property
    def waits_inside(self) -> bool:
        """Whether it waits for what others of the service hold or do."""
        return self.state == ThreadState.LOCK or self.awaits_a_result

    @property
    def at_channel(self) -> bool:
        """Whether it waits until another sends what it takes, or takes what it sends."""
        return self.sample.wait_on.startswith((CHANNEL, SEVERAL))

    @property
    def handed_over(self) -> bool:
        """Whether it waits for work that it gave to a pool of the standard library's."""
        return self.sample.wait_on.startswith(FOR_A_THREAD) or any(
            _RESULT.search(file) for _, file in self.path
        )

    @property
    def of_a_pool_of_processes(self) -> bool:
        """Whether it works in a process that was started to be given work."""
        return any(_WORKER.fullmatch(f"{file}:{function}") for function, file in self.path)

    @property
    def location(self) -> CodeLocation:
        """Where in the code it is, to the line."""
        return self.path, self.line

    @property
    def on_stack(self) -> tuple[FunctionKey, ...]:
        """Every function on the stack, whoever's, each once."""
        return tuple(dict.fromkeys((*self.path, self.owner.key)))

    @property
    def functions(self) -> tuple[FunctionKey, ...]:
        """The application's functions on the stack and the owner, each once."""
        return tuple(dict.fromkeys((*self.app, self.owner.key)))


Snapshots: TypeAlias = tuple[tuple[Snapshot, ...], ...]  # per instant
ThreadGroup: TypeAlias = CallPath  # what kind of thread: the frame at which its own code begins


def snapshots_of(instants: Instants, code: Code, idle: IdlePaths) -> Snapshots:
    """Every busy thread of every instant."""
    at_rest = {_start(path) for path in (*idle.paths, *(path for path, _ in idle.exact)) if path}
    return tuple(tuple(_busy(instant, code, idle, at_rest)) for instant in instants)


def _busy(
    instant: Instant, code: Code, idle: IdlePaths, at_rest: Container[ThreadGroup]
) -> Iterator[Snapshot]:
    for sample in instant.threads:
        owner = code.owner(sample.stack)
        if owner is None or idle.covers(sample):
            continue
        path = call_path(sample.stack)
        yield Snapshot(
            sample=sample,
            owner=owner,
            calls=_calls(sample.stack, code),
            app=tuple(frame.key for frame in code.app_frames(sample.stack)),
            path=path,
            line=sample.stack[-1].line,
            owner_depth=max(
                (n for n, key in enumerate(path, 1) if key == owner.key), default=len(path)
            ),
            on_idle_path=path in idle.paths,
            outlives_requests=_start(path) in at_rest,
        )


def called(sample: ThreadSample) -> str:
    """What its runtime calls several of its kind: "threads", "goroutines"."""
    return _TASKS.get(sample.thread_name, "virtual threads") if sample.task else "threads"


def kind_of(snapshots: Iterable[Snapshot]) -> str:
    """What most of some are called by their runtime; "threads" of none."""
    called = Counter(snapshot.kind for snapshot in snapshots).most_common(1)
    return called[0][0] if called else "threads"


def _calls(stack: Stack, code: Code) -> CallPath:
    cut = len(stack)
    while cut and code.origin(stack[cut - 1]) is Origin.RUNTIME:
        cut -= 1
    return call_path(stack[:cut] or stack)


def thread_group(sample: ThreadSample) -> ThreadGroup:
    """What kind of thread it is, equal for the threads of a pool: by where its stack begins. Where
    all begin alike, in a JVM and in the C library of what is compiled, by its name, less the number
    that a pool gives it; of what is compiled by the first of the program's functions too.
    """
    start = _start(call_path(sample.stack))
    if not sample.thread_name or not sample.stack:
        return start
    name = _NUMBER.sub("", sample.thread_name)
    if sample.stack[-1].kind == FrameKind.JVM:
        return ((name, start[-1][1]),)
    if _SHARED.search(sample.stack[0].file):
        own = (frame for frame in sample.stack if not _SHARED.search(frame.file))
        begin = next(own, sample.stack[0])
        return ((f"{name}:{begin.function}", begin.file),)
    return start


def _start(path: CallPath) -> ThreadGroup:
    start = next(
        (i for i, (_, file) in enumerate(path) if not file.endswith("threading.py")), len(path) - 1
    )
    return path[start : start + 1]
