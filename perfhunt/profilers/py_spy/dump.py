"""One py-spy dump: the Python stack of every thread of a process, keyed by the kernel's thread
number.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import msgspec

from perfhunt.errors import AttachFailed, Unreadable
from perfhunt.model.document.bounded import json_value, read_all
from perfhunt.model.profile import Frame, Stack
from perfhunt.model.units import Bytes, Seconds
from perfhunt.profilers.py_spy.program import binary, failure
from perfhunt.target.proc.files import reader_until
from perfhunt.target.proc.process import memory
from perfhunt.target.proc.threads import has_own_pids, host_tids

_LIMIT: Seconds = 5.0
_COMPLAINTS: Bytes = 1 << 16  # of what it prints of an error
_LARGEST: Bytes = 64 << 20  # of a dump: 10,000 threads of 50 frames are 30 MB
_LOOK_EVERY: Seconds = 0.001  # py-spy reads the stacks so long, or twice that, before it answers
_PTHREAD: Bytes = 2304  # glibc's struct pthread is no larger on 64-bit machines
_PTHREAD_START: Bytes = 1024  # holds the tid too, where the pages behind it are not mapped
_TID = struct.Struct("=i")
# The offset of the tid is one of those with the most votes, and is believed when so many of the
# threads agree: one may have ended since its stack was read.
_CANDIDATES, _AGREEMENT = 8, 0.8


class _Frame(msgspec.Struct):
    name: str
    filename: str
    line: int


class _DumpedThread(msgspec.Struct):
    """A thread as py-spy writes it."""

    thread_id: int
    os_thread_id: int | None
    thread_name: str | None
    frames: list[_Frame]
    active: bool
    owns_gil: bool


@dataclass(frozen=True, slots=True)
class DumpedThread:
    """A thread in a dump. `tid` is 0 when it could not be told; `active` is None where py-spy only
    guesses.
    """

    tid: int
    stack: Stack
    name: str
    active: bool | None
    holds_gil: bool


@dataclass(frozen=True, slots=True)
class Dump:
    """The Python threads of a process at one moment, the CPU seconds it took to ask, and how long
    the answer took.
    """

    threads: tuple[DumpedThread, ...]
    cpu: Seconds
    took: Seconds


def take_dump(pid: int, meanwhile: Callable[[], None] = lambda: None, after: Seconds = 0.0) -> Dump:
    """The threads of `pid` now, read without stopping it. Raises AttachFailed.

    `meanwhile` is called about every millisecond, from `after` seconds on until the answer begins,
    and once more then. py-spy reads the stacks a millisecond or two before it answers, and takes
    ten times as long to get there.
    """
    command = [*_bounded(), binary(), "dump", "--json", "--nonblocking", "--pid", str(pid)]
    began = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        assert child.stdout is not None
        with child.stdout as output:
            answered = _wait_for(output.fileno(), began, meanwhile, after)
            meanwhile()
            took = time.monotonic() - began
            text, why = b"", f"within {_LIMIT:.0f} s"
            if answered:
                text, why = _rest(output.fileno(), began + 2 * _LIMIT)
            if why:
                os.killpg(child.pid, signal.SIGKILL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        printed = errors.read(_COMPLAINTS).decode(errors="replace")
    if why:
        raise AttachFailed(f"py-spy gave no dump of pid {pid} {why}")
    if child.returncode != 0:
        raise failure(pid, printed, child.returncode)
    try:
        threads = read_dump(text, pid)
    except Unreadable as error:
        raise AttachFailed(
            f"py-spy's dump of pid {pid} is not what version 0.4 writes: {error}"
        ) from error
    return Dump(threads, usage.ru_utime + usage.ru_stime, took)


@cache
def _bounded() -> list[str]:
    """What a dump is started by, so that one that hangs ends although nobody is left to end it; a
    keeper of its own would take as long as the dump.
    """
    program = shutil.which("timeout")  # of coreutils, or of BusyBox
    return [program, "-s", "KILL", f"{2 * _LIMIT:.0f}"] if program else []


def _wait_for(answer: int, began: Seconds, meanwhile: Callable[[], None], after: Seconds) -> bool:
    """Call `meanwhile` until the answer begins (or ends, empty); False when it does neither in
    time.
    """
    begins = select.poll()
    begins.register(answer, select.POLLIN)
    pause = after
    while not begins.poll(pause * 1000):
        looked = time.monotonic()
        if looked - began > _LIMIT:
            return False
        meanwhile()
        pause = max(_LOOK_EVERY, time.monotonic() - looked)
    return True


def _rest(answer: int, end: Seconds) -> tuple[bytes, str]:
    """(an answer that has begun, why there is none): "" when it is whole before `end`."""
    try:
        return read_all(reader_until(answer, end), _LARGEST, "it"), ""
    except (OSError, Unreadable) as error:
        return b"", f"that can be read: {error}"


def read_dump(text: bytes | str, pid: int = 0) -> tuple[DumpedThread, ...]:
    """The threads in the JSON of `py-spy dump --json`. Raises Unreadable when it is something else.

    py-spy knows no kernel thread numbers in targets older than Python 3.11; those are then found in
    the memory of `pid`. Where the target has a pid namespace of its own, py-spy prints the numbers
    of that, and cannot tell who is active, since it asks /proc by them.
    """
    try:
        raw = msgspec.convert(json_value(text, "the dump"), list[_DumpedThread])
    except (msgspec.ValidationError, ValueError) as error:  # of a key with half a character too
        raise Unreadable(f"the dump is none: {error}") from error
    numbers = {thread.thread_id: thread.os_thread_id for thread in raw}
    nameless = [thread for thread, tid in numbers.items() if tid is None]
    if nameless:
        numbers = {**numbers, **kernel_tids(pid, nameless)}
    elsewhere = bool(pid) and has_own_pids(pid)
    if elsewhere:
        ours = host_tids(pid)
        numbers = {t: ours.get(tid or 0, 0) for t, tid in numbers.items()}
    return tuple(
        DumpedThread(
            tid=numbers[thread.thread_id] or 0,
            stack=tuple(Frame(f.name, f.filename, f.line or None) for f in reversed(thread.frames)),
            name=thread.thread_name or "",
            active=None if nameless or elsewhere else thread.active,
            holds_gil=thread.owns_gil,
        )
        for thread in raw
    )


def kernel_tids(pid: int, threads: Sequence[int]) -> dict[int, int]:
    """Kernel thread numbers of pthreads, as the process knows them, by looking for them where glibc
    keeps them; empty when that finds nothing.

    A pthread_t is the address of a struct that holds the thread's tid at an offset that differs
    between glibc builds. The right offset is the one at which every thread holds the number of a
    living thread of the process, all different.
    """
    living = set(host_tids(pid))
    structs = {}
    for thread in threads:
        raw = memory(pid, thread, _PTHREAD) or memory(pid, thread, _PTHREAD_START)
        if raw:
            structs[thread] = [word for (word,) in _TID.iter_unpack(raw)]
    votes: Counter[int] = Counter()
    for words in structs.values():
        votes.update(i for i, word in enumerate(words) if word in living)
    for offset, count in votes.most_common(_CANDIDATES):
        numbers = {
            thread: words[offset]
            for thread, words in structs.items()
            if offset < len(words) and words[offset] in living
        }
        all_differ = len(set(numbers.values())) == len(numbers) == count
        if all_differ and len(numbers) >= _AGREEMENT * len(structs):
            return numbers
    return {}
