"""The seams for profilers and lookers: what one must offer. `table` has those there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

from perfhunt.model.profile import Loss, Profile, ProfileMode, ThreadSample
from perfhunt.model.run import TargetProcess
from perfhunt.model.units import Seconds, Share

_Taken = TypeVar("_Taken", covariant=True)


class AccountedCapture(Protocol[_Taken]):
    """Evidence being taken for a run, which says afterwards what it did not get: nothing goes
    missing unsaid.
    """

    def wait(self) -> _Taken:
        """The evidence, when its time is over or it was stopped. Raises AttachFailed when there is
        none at all.
        """

    def stop(self) -> None:
        """End it now and leave the target running. Idempotent."""

    def losses(self) -> tuple[Loss, ...]:
        """What of it was lost, once `wait` has returned; empty when nothing was."""


class Capture(Protocol):
    """A profile being taken."""

    def wait(self) -> Profile:
        """The profile, when its time is over or it was stopped. Raises AttachFailed when there is
        none.
        """

    def stop(self) -> None:
        """End it now and leave the target running. Idempotent."""


class Profiler(Protocol):
    """A tool that samples the stacks of live processes.

    `needs` are the programs it runs, `suffix` ends the name of its own file in a run, `runtimes`
    are the values of `Process.runtime` it serves. Some open a door into the target; `opens` says so
    in a sentence, and such a profiler is used only when that is allowed. `at_once` is how many
    processes it can, or should, sample at a time. A class that is derived from this one has the
    usual answers already.
    """

    name: str
    needs: tuple[str, ...]
    suffix: str
    help: str
    runtimes: tuple[str, ...]
    modes: tuple[ProfileMode, ...]
    opens: str = ""
    cost: str = ""
    blind: str = ""
    at_once: int = 64

    def version(self) -> str:
        """Its installed version; "" when it is absent, or is a part of the target."""
        return ""

    def is_for(self, target: TargetProcess) -> bool:
        """Whether it serves a target: by its runtime, where no more is asked of it."""
        return target.runtime in self.runtimes

    def available(self, pids: Sequence[int] = ()) -> str:
        """Why it cannot be used here (and on `pids`, as far as it can tell), with the command that
        mends it; "" when it can.
        """
        ...

    def mode_for(self, target: TargetProcess) -> tuple[ProfileMode, str]:
        """(mode, reason): how it would sample a target, and why so or why it at all."""
        ...

    def prepare(self, pids: Sequence[int]) -> None:
        """Spend on processes what the first use costs them, before they are measured. What fails
        is left for `attach` to tell.
        """
        return

    def mode_under_load(self, mode: ProfileMode, threads: int) -> ProfileMode:
        """The mode to attach with, once the busiest worker is seen to have `threads` threads: pools
        are often filled only under load.
        """
        return mode

    def rate_for(self, rate_hz: int, processes: int, threads: int, seconds: Seconds) -> int:
        """Samples per second of each of so many processes, of which the busiest has `threads`
        threads, for so long, when `rate_hz` is wanted of one.
        """
        return rate_hz

    def attach(
        self, pids: Sequence[int], seconds: int, rate_hz: int, mode: ProfileMode, out: Path
    ) -> Capture:
        """Start sampling; returns at once. Its own file goes into the directory `out`. Raises
        AttachFailed, ValueError for a mode it does not have.
        """
        ...


class Looker(Protocol):
    """Looks at every thread (task, goroutine) of one process, at one moment.

    `cpu` is what that cost so far beside the caller's own thread; `rate_hz` and `cost_limit` (of
    one core) say how often it is worth to, `enough_hz` how often is enough. `seen` counts the
    threads that the interpreter knew, `unmatched` those of them that /proc did not. `unseen` is
    what of the process is not read, and why, as a clause; "" for none. `how` ends the sentence "the
    stacks of its threads were read".
    """

    how: str
    cpu: Seconds
    rate_hz: float
    enough_hz: float
    cost_limit: Share
    seen: int
    unmatched: int

    @property
    def unseen(self) -> str:
        """See the class."""
        ...

    def look(self) -> list[ThreadSample]:
        """Every thread now. Raises AttachFailed when it cannot be told."""
        ...

    def close(self) -> None:
        """Let the process go. Idempotent."""
        ...


# (the best way to look at a process, why it is not a better one) of a pid. Raises AttachFailed when
# there is none.
LookerMaker: TypeAlias = Callable[[int], tuple[Looker, str]]


def own_file(profiler: Profiler, mode: ProfileMode, out: Path, pid: int) -> Path:
    """Where a capture's own file goes (`py-spy-cpu-42.folded`), in a directory that is there; one
    of an earlier capture is removed. Raises ValueError for a mode the profiler does not have.
    """
    if mode not in profiler.modes:
        modes = ", ".join(profiler.modes)
        raise ValueError(f"{profiler.name} has no mode {str(mode)!r}; it has {modes}")
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"{profiler.name}-{mode}-{pid}{profiler.suffix}"
    file.unlink(missing_ok=True)
    return file


def stacks_read(samples: Sequence[ThreadSample], kind: str) -> str:
    """How many threads a look met, and how many tasks of a kind: `2 threads and 1 task`."""
    tasks = sum(sample.task for sample in samples)
    counts = ((len(samples) - tasks, "thread"), (tasks, kind))
    said = [f"{n} {noun}{'' if n == 1 else 's'}" for n, noun in counts if n]
    return " and ".join(said) or "no thread"
