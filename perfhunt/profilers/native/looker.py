"""Every thread of a program at one moment, none of them stopped: of those that sleep the registers
and the stack, of those that run one sample of the kernel's timer.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import Stack, ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Bytes, Seconds
from perfhunt.profilers.native.image import ProcessImage
from perfhunt.profilers.native.one_sample import OneSample
from perfhunt.profilers.native.unwind import Registers, StackCopy, Unwinder
from perfhunt.target.binary.crates import linked_crates
from perfhunt.target.binary.names import naming_cpu
from perfhunt.target.proc.threads import WatchedThread, WatchedThreads, queued_longer
from perfhunt.target.proc.waits import ProcessWaits, Wait

_COPIED: Bytes = 16 << 10  # of a stack, with one read: what hardly any thread goes beyond
_MOST_STACKS = 50_000  # that are kept, so that each is named once
_TRIES = 2  # at a thread that moved while it was read
_FUTEX = "futex:"
# Where a thread waits for one of several things, or to be told something: all sleep on one address,
# though no lock is there.
_CONDITION = re.compile(
    r"^pthread_cond_|(?:^|_)sem_\w*wait|\bCondvar>?::|\bcondition_variable|semaphore"
)
# What is called for a lock; who sleeps on an address otherwise (std::counting_semaphore, a latch)
# waits for one of several things, or to be told something, too.
_LOCK = re.compile(r"mutex|rw_?lock|(?<![a-z])lock", re.IGNORECASE)
_NEAREST = 12  # frames, inlined ones too, in which a call of those is looked for
# Who runs the tasks of asynchronous code.
_TASKS = re.compile(r"(?:tokio::runtime::scheduler|async_executor|smol|glommio|monoio|compio)::")
_CONSOLE = (
    " (console-subscriber in the program, built with RUSTFLAGS='--cfg tokio_unstable', tells of"
    " tokio's locks and semaphores)"
)
_TELLS = "console_subscriber::"
_MUTEX = re.compile(r"^_*pthread_(?:mutex|cond)_")
_READERS = re.compile(r"^_*pthread_rwlock_")
_TOP = 24  # frames, inlined ones too, in which a call of those is looked for
# glibc's struct __pthread_mutex_s: the word that is slept on, a count, and who has it.
_OWNED = struct.Struct("<III")
# glibc's struct __pthread_rwlock_arch_t keeps who writes (__cur_writer) behind what is slept on:
# after the third word from there on for those that write, after the fourth for those that read.
_WRITER, _WRITER_FROM = struct.Struct("<II"), 12


class NativeLooker:
    """Looks at one process of any language that compiles to machine code."""

    how = "from registers and copies of the stacks, without stopping any thread"
    rate_hz = 20.0  # faster, a look finds too many of the same waits to be worth its cost
    enough_hz = 8.0  # what tells a wait seen half of the time to 10 points in ten seconds
    cost_limit = 0.05  # of one core

    def __init__(self, pid: int) -> None:
        """Raises AttachFailed, with the reason, where the process cannot be read."""
        try:
            self._memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise AttachFailed(f"The memory of pid {pid} may not be read: {error}") from error
        try:
            self._image = ProcessImage(pid)
        except OSError as error:
            os.close(self._memory)
            raise AttachFailed(f"The map of pid {pid} may not be read: {error}") from error
        self._pid, self._waits = pid, ProcessWaits(pid)
        self._tells = _TELLS in linked_crates(f"/proc/{pid}/exe")
        self._unwinder = Unwinder(self._image, self._read)
        self._running = OneSample()
        self._threads = WatchedThreads(pid, WatchedThread)
        self._stacks: dict[tuple[int, ...], Stack] = {}
        self._walked = self._cut = 0
        self._loop = ""  # the library whose tasks wait on no thread's stack
        # Beside the caller's own thread: of who tells of inlined calls, and who spells names.
        self.cpu: Seconds = 0.0
        self.seen = self.unmatched = 0

    @property
    def unseen(self) -> str:
        """What of the process is not read, and why, as a clause; "" for none."""
        missing = []
        if self._running.refused:
            missing.append(f"stacks of threads that run ({self._running.refused})")
        if self._cut:
            missing.append(f"the callers in {self._cut} of {self._walked} stacks, which end early")
        if self._loop and not self._tells and (tasks := self._unseen_tasks()):
            missing.append(tasks)
        if unread := self._image.files.unread:
            missing.append(f"the names of functions ({unread})")
        if refused := self._image.files.refused:
            missing.append(f"calls that were inlined ({refused})")
        return "; ".join(missing)

    def _unseen_tasks(self) -> str:
        """What is not seen of tasks, as a clause; "" for nothing."""
        console = _CONSOLE if self._loop == "tokio" else ""
        return f"what tasks of {self._loop} wait for, which are on no thread's stack{console}"

    def close(self) -> None:
        """Let the process go. Idempotent."""
        self._image.files.close()
        if self._memory >= 0:
            os.close(self._memory)
        self._memory = -1
        self._threads.close()

    def look(self) -> list[ThreadSample]:
        """Every thread now. Raises AttachFailed once the process is gone."""
        living = self._threads.living()
        if not living:
            raise AttachFailed(f"Process {self._pid} has ended")
        self.seen += len(living)
        before, used = naming_cpu(), self._image.files.cpu
        at_work: dict[int, tuple[WatchedThread, bytes]] = {}
        samples: dict[int, ThreadSample] = {}
        for thread in living.values():
            self._look_at(thread, samples, at_work)
        for sample in self._at_work(at_work):
            samples[sample.tid] = sample
        self.cpu += self._image.files.cpu - used + naming_cpu() - before
        return list(self._with_holders(samples, living))

    def _read(self, address: int, size: Bytes) -> bytes:
        try:
            return os.pread(self._memory, size, address)
        except (OSError, OverflowError):
            return b""

    def _look_at(
        self,
        thread: WatchedThread,
        samples: dict[int, ThreadSample],
        at_work: dict[int, tuple[WatchedThread, bytes]],
    ) -> None:
        """One thread: its sample, where it slept; else how long it had run, for who takes those
        that do.
        """
        for _ in range(_TRIES):
            if not (before := self._threads.ran(thread)):
                return
            if sample := thread.stood(before) or self._asleep(thread, before):
                samples[thread.tid] = sample
                return
        at_work[thread.tid] = thread, before

    def _asleep(self, thread: WatchedThread, before: bytes) -> ThreadSample | None:
        """The sample of a thread that slept all the while it was read; None for any other."""
        line = thread.call()
        wait = self._waits.wait(thread.tid, line)
        words = line.split()
        if len(words) < 3:
            return None
        stack_at, code = int(words[-2], 16), int(words[-1], 16)
        raw = self._read(stack_at, _COPIED)
        if self._threads.ran(thread) != before:
            return None
        stack = self._stack(Registers(code, stack_at, {}), raw)
        on = wait.on
        if on.startswith(_FUTEX) and _is_condition(stack):
            on = f"{_FUTEX}{stack_at:#x}"  # As with locks that give each waiter its own.
        thread.ran = before
        thread.sample = self._sample(thread, stack, Wait(wait.state, on), still=True)
        return thread.sample

    def _at_work(self, ran: Mapping[int, tuple[WatchedThread, bytes]]) -> Iterator[ThreadSample]:
        """The samples of threads that were not asleep, of how long they had run before."""
        taken = self._running.of(list(ran))
        for tid, (thread, before) in ran.items():
            thread.sample = None
            running = taken.get(tid)
            if not (after := self._threads.ran(thread)):
                continue
            if running is None and (sample := self._asleep(thread, after)):
                yield sample
                continue
            stack = self._stack(running.at, running.raw) if running is not None else ()
            queued = queued_longer(before, after)
            yield self._sample(
                thread, stack, Wait(ThreadState.RUN_QUEUE if queued else ThreadState.ON_CPU)
            )

    def _stack(self, at: Registers, raw: bytes) -> Stack:
        addresses, whole = self._unwinder.walk(at, StackCopy(at.stack, raw, self._read))
        self._walked += 1
        self._cut += not whole
        key = tuple(addresses)
        if key not in self._stacks:
            if len(self._stacks) > _MOST_STACKS:
                self._stacks.clear()
            calls = (self._image.calls(address) for address in reversed(key))
            stack = self._stacks[key] = tuple(frame for each in calls for frame in each)
            looping = next((f for f in stack if _TASKS.match(f.function)), None)
            self._loop = looping.function.partition("::")[0] if looping else self._loop
        return self._stacks[key]

    def _sample(
        self, thread: WatchedThread, stack: Stack, wait: Wait, still: bool = False
    ) -> ThreadSample:
        return ThreadSample(
            pid=self._pid,
            tid=thread.tid,
            stack=stack,
            state=wait.state,
            wait_on=wait.on,
            thread_name=thread.name,
            still=still,
        )

    def _with_holders(
        self, samples: Mapping[int, ThreadSample], living: Mapping[int, WatchedThread]
    ) -> Iterator[ThreadSample]:
        """The samples, with the locks that threads have by the C library's own record."""
        holds: dict[int, set[str]] = {}
        for waiting, owner in self._owners(samples.values()):
            if owner in living:
                holds.setdefault(living[owner].tid, set()).add(waiting)
        for tid, sample in samples.items():
            yield replace(sample, holds=frozenset(holds[tid])) if tid in holds else sample

    def _owners(self, samples: Iterable[ThreadSample]) -> Iterator[tuple[str, int]]:
        """What threads wait for, each with who has it, where the C library keeps that."""
        waiting = [s for s in samples if s.state == ThreadState.LOCK and s.wait_on[:6] == _FUTEX]
        for on in _called(waiting, _MUTEX):
            raw = self._read(int(on.removeprefix(_FUTEX), 16), _OWNED.size)
            taken, _, owner = _OWNED.unpack(raw) if len(raw) == _OWNED.size else (0, 0, 0)
            if taken:
                yield on, owner
        for on in _called(waiting, _READERS):
            raw = self._read(int(on.removeprefix(_FUTEX), 16) + _WRITER_FROM, _WRITER.size)
            if len(raw) == _WRITER.size:
                yield from ((on, writer) for writer in _WRITER.unpack(raw))


def _is_condition(stack: Stack) -> bool:
    return any(_CONDITION.search(frame.function) for frame in stack[-_TOP:]) or not any(
        _LOCK.search(frame.function) for frame in stack[-_NEAREST:]
    )


def _called(waiting: Sequence[ThreadSample], call: re.Pattern[str]) -> set[str]:
    """The addresses that threads sleep on in such a call of the C library."""
    return {s.wait_on for s in waiting if any(call.search(f.function) for f in s.stack[-_TOP:])}
