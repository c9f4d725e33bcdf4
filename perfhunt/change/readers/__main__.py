"""The readers in a process of their own, within limits of time and memory: tasks in on standard
input, the atoms of each out as a line of JSON. A task that cannot be read ends the process: the
one who asked sees at which, and asks again without it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from typing import Any

import msgspec

from perfhunt.change.readers.every import ReadingTask, bounded, read_task
from perfhunt.model.units import Bytes, Seconds

# Of address space, a fifth of it for the stack. A megabyte of Python takes 200 MiB as trees.
_MEMORY: Bytes = 1280 << 20
_STACK: Bytes = 256 << 20
# Levels of nested code: a long sum or a chain of calls nests as deep as it is long.
_RECURSION = 20_000
# A file of several thousand edits is a generated one, or a lock of several thousand packages.
_MOST_ATOMS = 20_000


# Imports take up to a second. The slowest readers take 5 s for a million characters.
_LEAST: Seconds = 3.0
_PER_CHARACTER: Seconds = 1e-5
_SAID: Bytes = 300  # of why a task failed


def allowed(size: int) -> Seconds:
    """CPU time for a task of so many characters."""
    return _LEAST + size * _PER_CHARACTER


def serve() -> None:
    """Read the tasks, and answer each."""
    asked = json.load(sys.stdin)
    tasks = msgspec.convert(asked["tasks"], list[ReadingTask])
    present = frozenset(asked["present"])
    for task in tasks:
        _limit_time(allowed(task.size))
        read = bounded(read_task(task, present), task, _MOST_ATOMS)
        os.write(1, json.dumps(msgspec.to_builtins(read)).encode() + b"\n")


def _limit_time(more: Seconds) -> None:
    """From now on so many seconds of CPU time, in whole ones, after which the kernel ends us."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    wanted = int(time.process_time() + more) + 1
    resource.setrlimit(
        resource.RLIMIT_CPU,
        (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most),
    )


def _failed(thread: Any) -> None:
    """Say on standard error what a task failed of."""
    os.write(2, f"{thread.exc_type.__name__}: {thread.exc_value}".encode(errors="replace")[:_SAID])


def main() -> None:
    """Serve, in a thread with a stack that deep nesting does not exhaust."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    sys.setrecursionlimit(_RECURSION)
    threading.stack_size(_STACK)
    threading.excepthook = _failed
    server = threading.Thread(target=serve)
    server.start()
    server.join()


if __name__ == "__main__":
    main()
