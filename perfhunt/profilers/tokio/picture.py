"""The tasks of one look, as they are put together from what was seen of each."""

from __future__ import annotations

from dataclasses import replace

from perfhunt.model.profile import Frame, Stack, ThreadSample
from perfhunt.model.states import ThreadState


class TaskPicture:
    """The threads and the tasks of a process at one moment."""

    def __init__(self, pid: int, threads: list[ThreadSample]) -> None:
        self._pid, self._threads = pid, threads
        self._tasks: list[ThreadSample] = []
        self._at: dict[int, int] = {}  # which of them is at an address

    @property
    def samples(self) -> list[ThreadSample]:
        """All of them."""
        return self._threads + self._tasks

    def has(self, task: int) -> bool:
        """Whether the task at that address is there."""
        return task in self._at

    def add(self, task: int, stack: Stack, state: ThreadState, on: str = "") -> None:
        """A task that waits; `task` is 0 where nobody knows its address."""
        if task:
            self._at[task] = len(self._tasks)
        self._tasks.append(
            ThreadSample(
                pid=self._pid,
                tid=0,
                stack=stack,
                state=state,
                wait_on=on,
                thread_name="task",
                still=True,
                task=True,
            )
        )

    def hold(self, task: int, stack: Stack, name: str) -> None:
        """Who has a permit: the task itself; else a thread that is in the same code, where there is
        one that has none yet; else a task that waits for something else.
        """
        if task in self._at:
            self._give(self._tasks, self._at[task], name)
            return
        inside = stack[-1:]
        for n, thread in enumerate(self._threads):
            if not thread.holds and any(_is_in(frame, thread.stack) for frame in inside):
                self._give(self._threads, n, name)
                return
        self.add(task, stack, ThreadState.AWAIT)
        self._give(self._tasks, -1, name)

    def work(self, stack: Stack, name: str) -> None:
        """Who works for those that wait for something: a task that began in the same code and waits
        for something else; else as `hold` has it.
        """
        for n, sample in enumerate(self._tasks):
            if sample.wait_on != name and not sample.holds and sample.stack[:1] == stack[:1]:
                self._give(self._tasks, n, name)
                return
        self.hold(0, stack, name)

    @staticmethod
    def _give(samples: list[ThreadSample], n: int, name: str) -> None:
        samples[n] = replace(samples[n], holds=samples[n].holds | {name})


def _is_in(frame: Frame, stack: Stack) -> bool:
    return any((f.function, f.file) == (frame.function, frame.file) for f in stack)
