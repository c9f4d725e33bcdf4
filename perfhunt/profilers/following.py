"""One profiler on all workers of a target, while they come and go: each that starts is recorded as
soon as it is seen, and what the ended ones gave is kept.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import EvidenceKind, Loss, Profile, ProfileMode
from perfhunt.model.run import TargetProcess
from perfhunt.model.units import Seconds, Share
from perfhunt.profilers.profiler import Capture, Profiler
from perfhunt.target.proc.files import link
from perfhunt.target.proc.process import running_program, stat
from perfhunt.target.proc.threads import tids
from perfhunt.target.proc.tree import working_pids
from perfhunt.target.watcher import RESOURCES_OF_HOST, affordable_period

CpuAccounts = Callable[[Sequence[int]], Mapping[int, tuple[Seconds, Seconds]]]

# A worker that lives three seconds loses a tenth of them, no more; of a process of many threads,
# each of which is asked for its children, a third.
_LOOK_EVERY, _LOOK_AT_LEAST_EVERY = 0.25, 1.0
_SHORTEST: Seconds = 1.0  # profilers count whole seconds
_STARTS_PER_SECOND = 2.0  # of recordings; to begin one costs py-spy a fifth of a second of CPU
_DOCTOR = "perfhunt doctor --pid PID"
_NEXT = (
    "Let workers live longer while you measure (no limit of requests per worker, no reload), or"
    ' hold longer: [ramp] hold = "60s".'
)


# Of what lived too briefly to be recorded: less is a helper that a worker starts now and then, by
# ticks of 10 ms.
_BRIEF_LEAST: Seconds = 0.1
_FORKED = (
    "perf follows processes from their first moment: perf record -g -p PID, under the same load."
)


def cpu_accounts(pids: Sequence[int]) -> dict[int, tuple[Seconds, Seconds]]:
    """CPU that each process has used so far: its own, and that of children it has waited for."""
    return {pid: (now.cpu, now.children_cpu) for pid in pids if (now := stat(pid)) is not None}


class _BriefLives:
    """What processes used that ended too soon to be recorded, by the account of those they came of:
    servers that begin one for each request.
    """

    def __init__(self) -> None:
        self._last: Mapping[int, tuple[Seconds, Seconds]] = {}
        self._own = self._brief = 0.0

    def look(self, accounts: Mapping[int, tuple[Seconds, Seconds]]) -> None:
        """The accounts of all workers that there are now. What a worker used that has ended since
        is in its parent's account, too, and is none of this.
        """
        last, self._last = self._last, accounts
        stayed = last.keys() & accounts.keys()
        waited = sum(accounts[pid][1] - last[pid][1] for pid in stayed)
        self._own += sum(accounts[pid][0] - last[pid][0] for pid in stayed)
        ended = sum(last[pid][0] for pid in last.keys() - accounts.keys())
        self._brief += max(0.0, waited - ended)

    @property
    def share(self) -> Share:
        """Of the CPU that was used since the first look."""
        few = self._brief < _BRIEF_LEAST
        return 0.0 if few else self._brief / (self._own + self._brief)


@dataclass
class _WorkerRecording:
    """One recording, of the workers it began with, and how many looks found each of them alive."""

    capture: Capture
    seen: Counter[int] = field(default_factory=Counter)


class FollowingCapture:
    """A profile of whoever does the work while it lasts; begins when made.

    Raises AttachFailed when the first recording cannot begin. `workers` gives the processes to
    record now; `rate_hz` is wanted of one alone, and `mode` of few threads.
    """

    def __init__(
        self,
        profiler: Profiler,
        workers: Callable[[], Sequence[int]],
        seconds: Seconds,
        rate_hz: int,
        mode: ProfileMode,
        out: Path,
        accounts: CpuAccounts = cpu_accounts,
    ) -> None:
        self._profiler, self._workers, self._out = profiler, workers, out
        self._accounts, self._brief = accounts, _BriefLives()
        self._mode, self._rate_hz = mode, rate_hz
        self._parts: list[_WorkerRecording] = []
        self._programs: dict[int, object] = {}  # that a worker ran when its recording began
        self._restarts = 0  # recordings that ended since a worker ran another program
        self._part_of: dict[int, _WorkerRecording] = {}
        self._alive: Counter[int] = Counter()  # looks that found a worker
        self._failures: list[AttachFailed] = []
        self._losses: tuple[Loss, ...] = ()
        self._stop = threading.Event()
        self._began = time.monotonic()
        self._end = self._began + seconds
        self._took: Seconds = 0.0
        self._look(workers())
        if self._failures:
            raise self._failures[0]
        self._watcher = threading.Thread(target=self._watch, name="perfhunt-follow", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """End all recordings now; what was sampled is still given by `wait`. Idempotent."""
        self._stop.set()
        self._watcher.join()
        with ThreadPoolExecutor(len(self._parts) or 1) as pool:
            list(pool.map(lambda part: part.capture.stop(), self._parts))

    def wait(self) -> Profile:
        """The profile, all workers together. Raises AttachFailed when none could be recorded.

        Its ticks are those that would have been needed to see as much of every worker, so that
        weight over ticks remains the number of threads of the whole service.
        """
        self._watcher.join()
        profiles, recorded = self._recorded()
        if not profiles:
            raise next(iter(self._failures), self._nobody())
        whole = profiles[0]
        for other in profiles[1:]:
            whole = whole.merged(other)
        share = min(1.0, recorded / max(1, self._alive.total()))
        seen = {pid for each in profiles for pid in each.pids}
        self._losses = (*self._lost(1 - share, seen), *self._too_brief())
        if len(profiles) > 1:
            whole = replace(
                whole,
                pids=tuple(dict.fromkeys(whole.pids)),
                seconds=self._took,
                ticks=None if whole.ticks is None else round(self._took * whole.rate_hz),
            )
        if whole.ticks is not None:
            whole = replace(whole, ticks=max(1, round(whole.ticks * share)))
        return replace(whole, notes=(*whole.notes, *_messages(self._failures)))

    def _nobody(self) -> AttachFailed:
        """Why nothing was recorded where nothing failed."""
        if self._alive and not self._parts:
            return AttachFailed(
                f"a recording takes {_SHORTEST:g} s or more, and there were"
                f" {self._end - self._began:.1f} s",
                'Hold longer: [ramp] hold = "60s".',
            )
        return AttachFailed("no process of the target did any work", _DOCTOR)

    def losses(self) -> tuple[Loss, ...]:
        """What share of the workers' time was not recorded, once `wait` has returned."""
        return self._losses

    def _recorded(self) -> tuple[list[Profile], int]:
        """The profiles that can be added up, and the looks at workers that they cover."""
        profiles: list[tuple[Profile, int]] = []
        for part in self._parts:
            try:
                taken = part.capture.wait()
            except AttachFailed as failed:
                self._failures.append(failed)
                continue
            profiles.append((taken, sum(part.seen[pid] for pid in taken.pids)))
        kinds: Counter[tuple[ProfileMode, float]] = Counter()
        for taken, looks in profiles:
            kinds[taken.mode, taken.rate_hz] += looks
        alike = [kind for kind, _ in kinds.most_common(1)]
        kept = [each for each in profiles if (each[0].mode, each[0].rate_hz) in alike]
        return [taken for taken, _ in kept], sum(looks for _, looks in kept)

    def _lost(self, share: Share, recorded: set[int]) -> tuple[Loss, ...]:
        if share <= 0:
            return ()
        missed = self._alive.keys() - recorded
        why = (
            f"{len(missed)} of {len(self._alive)} worker processes of that time were not recorded"
            if missed
            else f"{len(self._alive)} worker processes came and went, or started anew"
        )
        if len(self._alive) > self._profiler.at_once:
            why += f" ({self._profiler.name} records {self._profiler.at_once} at once)"
        whys = (why, *_messages(self._failures))
        return (Loss(EvidenceKind.ON_CPU, share, "; ".join(whys), _NEXT),)

    def _too_brief(self) -> tuple[Loss, ...]:
        share = self._brief.share
        why = "they are of processes too brief to be recorded, as where each request has its own"
        return (Loss(EvidenceKind.ON_CPU, share, why, _FORKED),) if share else ()

    def _watch(self) -> None:
        every = _LOOK_EVERY
        while not self._stop.wait(every) and time.monotonic() < self._end:
            began = time.thread_time()
            workers = self._workers()
            spent = time.thread_time() - began
            most = affordable_period(spent, RESOURCES_OF_HOST, enough=_LOOK_AT_LEAST_EVERY)
            every = max(_LOOK_EVERY, most)
            self._look(workers)
        self._took = time.monotonic() - self._began

    def _look(self, workers: Sequence[int]) -> None:
        """Count who is there, and begin to record those that are not recorded yet."""
        self._alive.update(workers)
        self._brief.look(self._accounts(workers))
        self._let_go(workers)
        new = [pid for pid in workers if pid not in self._part_of]
        room = self._profiler.at_once - (len(workers) - len(new))
        now = time.monotonic()
        allowed = 1 + (now - self._began) * _STARTS_PER_SECOND
        if new and room > 0 and self._end - now >= _SHORTEST and len(self._parts) < allowed:
            self._attach(new[:room], max(1, round(self._end - now)))
        for pid in workers:
            if pid in self._part_of:
                self._part_of[pid].seen[pid] += 1

    def _let_go(self, workers: Sequence[int]) -> None:
        """End the recordings of workers that run another program than they began with: what they
        have is kept, and all that they recorded is recorded anew.
        """
        for pid in workers:
            now, part = running_program(pid), self._part_of.get(pid)
            if part is not None and now is not None and now != self._programs[pid]:
                part.capture.stop()
                self._part_of = {pid: of for pid, of in self._part_of.items() if of is not part}
                self._restarts += 1

    def _attach(self, pids: Sequence[int], seconds: int) -> None:
        if not self._parts:  # Those that come later are added to what these give: as they are.
            threads = max((len(tids(pid)) for pid in pids), default=0)
            self._mode = self._profiler.mode_under_load(self._mode, threads)
            rate = self._profiler.rate_for(self._rate_hz, len(pids), threads, seconds)
            self._rate_hz = rate
        programs = {pid: running_program(pid) for pid in pids}
        # Files are named for a pid: those of another program that had it stay.
        out = self._out / f"again-{self._restarts}" if self._restarts else self._out
        try:
            capture = self._profiler.attach(pids, seconds, self._rate_hz, self._mode, out)
        except AttachFailed as failed:
            self._failures.append(failed)
            return
        except OSError as error:
            self._failures.append(AttachFailed(f"{self._profiler.name} did not start: {error}"))
            return
        self._programs |= programs
        self._parts.append(_WorkerRecording(capture))
        self._part_of.update(dict.fromkeys(pids, self._parts[-1]))


def _messages(failures: Sequence[AttachFailed]) -> list[str]:
    """What failed first, and how often something did."""
    if not failures:
        return []
    more = f" (and {len(failures) - 1} more failures)" if len(failures) > 1 else ""
    return [f"{failures[0].message}{more}"]


def workers_of(target: TargetProcess) -> Callable[[], list[int]]:
    """Asks who does the target's work now: its workers and what came in their place, of the same
    program. To be made while the workers live.
    """
    programs = {program for pid in target.workers if (program := link(pid, "exe"))}

    def now() -> list[int]:
        pids = working_pids(target.workers, target.root)
        return [pid for pid in pids if not programs or link(pid, "exe") in programs]

    return now
