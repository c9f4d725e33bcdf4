"""The seam for profilers: what one must offer, and the table of those there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from perfhunt.model.profile import Profile
from perfhunt.profilers.go.profiler import GoProfiler
from perfhunt.profilers.jvm.profiler import JvmProfiler
from perfhunt.profilers.node.profiler import NodeProfiler
from perfhunt.profilers.perf.profiler import PerfProfiler
from perfhunt.profilers.py_spy.profiler import PySpyProfiler


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

    `needs` are the programs it runs, `runtimes` the values of `Process.runtime` it serves, `modes`
    what it can sample: cpu, gil or wall. Some open a door into the target; `opens` says so in a
    sentence, and such a profiler is used only when asked.
    """

    name: str
    needs: tuple[str, ...]
    help: str
    runtimes: tuple[str, ...]
    modes: tuple[str, ...]
    opens: str

    def available(self, pids: Sequence[int] = ()) -> str:
        """Why it cannot be used here (and on `pids`, as far as it can tell), with the command that
        mends it; "" when it can.
        """

    def attach(
        self, pids: Sequence[int], seconds: int, rate_hz: int, mode: str, out: Path
    ) -> Capture:
        """Start sampling; returns at once. The tool's own files go into the directory `out`. Raises
        AttachFailed.
        """


_ALL: tuple[Profiler, ...] = (
    PySpyProfiler(),
    PerfProfiler(),
    NodeProfiler(),
    GoProfiler(),
    JvmProfiler(),
)
PROFILERS: Mapping[str, Profiler] = MappingProxyType({profiler.name: profiler for profiler in _ALL})
