"""A series of looks at every thread (and task) of a target, at a rate that costs it little."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import EvidenceKind, Instant, Instants, Loss, ThreadSample
from perfhunt.model.units import Seconds, Share
from perfhunt.profilers.profiler import Looker, LookerMaker
from perfhunt.profilers.release import capture_targets, release
from perfhunt.target.proc.process import running_program
from perfhunt.target.proc.tree import working_pids
from perfhunt.target.watcher import STACKS_OF_HOST, affordable_period

_GIVE_UP = 10  # failed looks in a row, with none that worked
_TREE_EVERY: Seconds = 1.0  # between looks for replaced workers


def _first_look(looker: Looker) -> Seconds:
    """Look once, for what is read once only (open files, names of functions), so that it does not
    slow down the looks that follow; the CPU it took.
    """
    began = time.thread_time()
    with suppress(AttachFailed):  # It is told when the series looks.
        looker.look()
    return looker.cpu + time.thread_time() - began


class InstantsCapture:
    """A series of instants being taken, in a thread of the controller; begins when made.

    `pids` are the workers, `make` how they are looked at; with `root` their replacements are
    followed. `clock` gives seconds since the run began. The rate is lowered until looking costs no
    more than it may, of all cores and of one.
    """

    def __init__(
        self,
        pids: Sequence[int],
        seconds: Seconds,
        clock: Callable[[], Seconds] = time.monotonic,
        *,
        make: LookerMaker,
        root: int = 0,
    ) -> None:
        """Raises AttachFailed when none of the processes can be looked at."""
        self._pids, self._root, self._seconds, self._clock = tuple(pids), root, seconds, clock
        self._make = make
        self._lookers: dict[int, Looker] = {}
        self._programs: dict[int, object] = {}  # that each of them was made for
        self._every: list[Looker] = []  # those of ended processes as well
        self._looks = 0
        self._notes: dict[str, None] = {}
        self._targets = capture_targets(pids)
        self._instants: list[Instant] = []
        self._errors = 0
        self._failure: AttachFailed | None = None
        self._cpu: Seconds = 0.0
        self._took: Seconds = 0.0
        self._stop = threading.Event()
        # Those that the target was found with may all have been replaced by now.
        self._meet(working_pids(self._pids, root) or self._pids)
        if not self._lookers and self._failure is not None:
            raise self._failure
        self._began = time.monotonic()
        self._worker = threading.Thread(target=self._run, name="perfhunt-instants", daemon=True)
        self._worker.start()

    def stop(self) -> None:
        """End the series now. Idempotent."""
        self._stop.set()
        self._worker.join()

    def wait(self) -> Instants:
        """The series, when its time is over or it was stopped. Raises AttachFailed when not one
        instant could be taken.
        """
        self._worker.join()
        if not self._instants and self._failure is not None:
            raise self._failure
        cost = f"the instants cost {self._cpu / max(self._took, 1e-9):.1%} of one core"
        return Instants(self._took, tuple(self._instants), self._errors, (*self._notes, cost))

    def losses(self) -> tuple[Loss, ...]:
        """Looks that failed, threads that /proc does not know, looks that cost too much, and what
        no look reads.
        """
        known = tuple(
            Loss(EvidenceKind.WAITS, share, why, then)
            for share, why, then in (self._failed(), self._unmatched(), self._missed())
            if share > 0
        )
        unseen = dict.fromkeys(looker.unseen for looker in self._every if looker.unseen)
        return (*known, *(Loss(EvidenceKind.WAITS, None, why) for why in unseen))

    def _failed(self) -> tuple[Share, str, str]:
        tried = self._errors + self._looks
        failed = self._failure.message.rstrip(".") if self._failure else ""
        why = f"{self._errors} of {tried} looks failed: {failed}"
        return self._errors / max(1, tried), why, ""

    def _unmatched(self) -> tuple[Share, str, str]:
        seen = sum(looker.seen for looker in self._every)
        unmatched = sum(looker.unmatched for looker in self._every)
        why = f"{unmatched} of {seen} threads that were seen have no such number in /proc"
        return unmatched / max(1, seen), why, "Look from inside the container."

    def _missed(self) -> tuple[Share, str, str]:
        rate = min((looker.enough_hz for looker in self._every), default=0.0)
        limit = min((looker.cost_limit for looker in self._every), default=1.0)
        planned = min(self._took, self._seconds) * rate
        taken, cost = len(self._instants), self._cpu / max(1, self._errors + self._looks)
        why = (
            f"{taken} of {planned:.0f} looks were taken, since one costs {cost * 1e3:.0f} ms of CPU"
            f" and they may use {limit:.0%} of one core"
        )
        return max(0.0, 1 - taken / max(1.0, planned)), why, 'Hold longer: [ramp] hold = "60s".'

    def _run(self) -> None:
        end = self._began + self._seconds
        met = self._began
        try:
            while not self._stop.is_set() and (now := time.monotonic()) < end:
                if now - met > _TREE_EVERY:
                    met = now
                    self._meet(working_pids(self._pids, self._root))
                period = self._take()
                if not self._instants and self._errors >= _GIVE_UP:
                    return
                self._stop.wait(max(0.0, min(now + period, end) - time.monotonic()))
        finally:
            self._took = time.monotonic() - self._began
            for looker in self._lookers.values():
                looker.close()
            for note in release(self._targets):
                self._notes[note] = None

    def _meet(self, pids: Sequence[int]) -> None:
        """Look at these from now on, as the programs that they run now, and no longer at those that
        are not among them.
        """
        now = {pid: running_program(pid) for pid in pids}
        for pid in list(self._lookers):
            if pid not in now or now[pid] not in (None, self._programs[pid]):
                self._lookers.pop(pid).close()
        for pid in pids:
            if pid not in self._lookers:
                self._programs[pid] = now[pid]
                try:
                    looker, why = self._make(pid)
                except AttachFailed as failed:
                    if not (self._lookers and self._is_other(pid)):
                        self._fail(failed)
                    continue
                self._cpu += _first_look(looker)
                self._lookers[pid] = looker
                self._every.append(looker)
                if why:
                    self._notes[why] = None

    def _is_other(self, pid: int) -> bool:
        """Whether it ended since it was met, or runs another program: a worker that starts a
        command is two of its kind for a moment, and of the second nothing was to be seen.
        """
        return running_program(pid) != self._programs[pid]

    def _take(self) -> Seconds:
        """Look once; how long to wait until the next look."""
        at, threads = self._clock(), list[ThreadSample]()
        spent, period, enough = 0.0, 0.0, 0.0
        for pid, looker in list(self._lookers.items()):
            before, own = looker.cpu, time.thread_time()
            try:
                threads += looker.look()
                self._looks += 1
            except AttachFailed as failed:
                if len(self._lookers) > 1 and self._is_other(pid):
                    self._lookers.pop(pid).close()
                else:
                    self._fail(failed)
            cost = looker.cpu - before + time.thread_time() - own
            spent += cost
            period = max(period, 1.0 / looker.rate_hz)
            enough = max(enough, 1.0 / looker.enough_hz)
        self._cpu += spent
        if threads:
            self._instants.append(Instant(at, tuple(threads)))
        most = min((looker.cost_limit for looker in self._lookers.values()), default=1.0)
        return max(period, affordable_period(spent, STACKS_OF_HOST, enough=enough, most=most))

    def _fail(self, failed: AttachFailed) -> None:
        self._errors += 1
        self._failure = failed
