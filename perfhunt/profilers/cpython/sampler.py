"""Python stacks on the CPU by perfhunt's own looks: for processes of which py-spy sees nothing, or
a part, and that can be read all the same.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from perfhunt.errors import AttachFailed
from perfhunt.model.document.folded import fold
from perfhunt.model.profile import Profile, ProfileMode, Stack
from perfhunt.model.run import TargetProcess
from perfhunt.model.states import ThreadState
from perfhunt.model.units import PerSecond, Seconds
from perfhunt.profilers.cpython.looks import CpythonLooker
from perfhunt.profilers.profiler import Profiler, own_file
from perfhunt.profilers.thread_capture import ProfileReader, ThreadCapture
from perfhunt.target.watcher import STACKS_OF_HOST, affordable_period
from perfhunt.version import __version__

# One that waits for a CPU is where its time on one goes, as py-spy has it too: on a busy host most
# looks find the threads of a service there.
_RUNNABLE = (ThreadState.ON_CPU, ThreadState.RUN_QUEUE)
_ENOUGH_HZ: PerSecond = 20.0  # 500 looks of half a minute tell a share of a half to 4 points


class _Sampling:
    """Looks at some processes, again and again."""

    def __init__(self, files: Mapping[int, Path], seconds: Seconds) -> None:
        """Raises AttachFailed when one of them cannot be read."""
        self._files, self._seconds = files, seconds
        self._held = ExitStack()
        self._lookers: list[CpythonLooker] = []
        with ExitStack() as opened:
            for pid in files:
                self._lookers.append(opened.enter_context(closing(CpythonLooker(pid))))
            self._held = opened.pop_all()

    def sample(self, ask_stop: threading.Event) -> ProfileReader:
        """Gives the profile of their threads that ran. Raises AttachFailed when no look worked."""
        began, spent = time.monotonic(), time.thread_time()
        stacks: Counter[Stack] = Counter()
        looks, errors, failure = 0, 0, AttachFailed("nothing was looked at")
        with self._held:
            while not ask_stop.is_set() and time.monotonic() - began < self._seconds:
                before = time.thread_time()
                try:
                    stacks.update(self._running())
                    looks += 1
                except AttachFailed as failed:
                    errors, failure = errors + 1, failed
                cost, most = time.thread_time() - before, CpythonLooker.cost_limit
                least = affordable_period(cost, STACKS_OF_HOST, enough=1 / _ENOUGH_HZ, most=most)
                ask_stop.wait(max(1 / CpythonLooker.rate_hz, least))
        if not looks:
            raise failure
        seconds = max(time.monotonic() - began, 1e-9)
        raw = next(iter(self._files.values()))
        raw.write_text(fold(stacks))
        share = (time.thread_time() - spent) / seconds
        profile = Profile(
            tool=CpythonSampler.name,
            version=__version__,
            mode=ProfileMode.CPU,
            rate_hz=CpythonLooker.rate_hz,
            seconds=seconds,
            stacks={stack: float(n) for stack, n in stacks.items()},
            pids=tuple(self._files),
            ticks=looks,
            errors=errors,
            notes=(f"the looks used {share:.1%} of one core",),
            raw=raw.name,
        )
        return lambda: profile

    def _running(self) -> list[Stack]:
        return [
            sample.stack
            for looker in self._lookers
            for sample in looker.look()
            if sample.state in _RUNNABLE and sample.stack
        ]


class CpythonSampler(Profiler):
    """Python stacks on the CPU, from the memory of the process."""

    name = "looks"
    needs: tuple[str, ...] = ()
    suffix = ".folded"
    help = "Python stacks from a process's memory, where py-spy does not see all of them"
    runtimes: tuple[str, ...] = ("cpython",)
    modes: tuple[ProfileMode, ...] = (ProfileMode.CPU,)
    cost = f"at most {CpythonLooker.cost_limit:.0%} of a core"
    blind = "native code, and what ran and ended between two looks"
    at_once = 8  # as of py-spy

    def available(self, pids: Sequence[int] = ()) -> str:
        """Why the first of `pids` cannot be read; "" when it can, and of none."""
        for pid in pids[:1]:
            try:
                CpythonLooker(pid).close()
            except AttachFailed as failed:
                return failed.message
        return ""

    def mode_for(self, target: TargetProcess) -> tuple[ProfileMode, str]:
        """There is one mode, for every target."""
        return ProfileMode.CPU, "read from its memory, forty times a second"

    def attach(
        self, pids: Sequence[int], seconds: int, rate_hz: int, mode: ProfileMode, out: Path
    ) -> ThreadCapture:
        """Start looking; returns at once. The rate is the looks' own. Raises AttachFailed,
        ValueError.
        """
        files = {pid: own_file(self, mode, out, pid) for pid in pids}
        return ThreadCapture(_Sampling(files, seconds).sample, "perfhunt-looks")
