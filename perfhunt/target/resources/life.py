"""Whether there is still somebody to measure: the target lives, its workers do or are replaced, and
it was not made to stand still.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from perfhunt.model.run import TargetProcess
from perfhunt.model.units import Seconds
from perfhunt.target.proc import cgroup
from perfhunt.target.proc.process import Stat, stat
from perfhunt.target.proc.tree import working_pids

# Without a worker: who keeps them (gunicorn, uvicorn) looks once or twice a second whether one has
# ended, and starts another at once.
_REPLACED_WITHIN: Seconds = 3.0
# Standing still: longer than a debugger that takes a look, or a snapshot of a container.
_LET_GO_WITHIN: Seconds = 2.0
_FREEZER_EVERY: Seconds = 0.5  # it takes some files to tell
_STOPPED = "T"  # of a stat: stopped by a signal (proc(5))


class TargetLife:
    """Looks at the target's processes whenever it is asked, which costs a few file reads."""

    def __init__(
        self,
        target: TargetProcess,
        clock: Callable[[], Seconds] = time.monotonic,
        waiting: Callable[[], int | None] = lambda: None,
    ) -> None:
        """`waiting` tells how many clients nobody has accepted; None where that is not known."""
        self._root, self._workers, self._clock = target.root, target.workers, clock
        self._waiting = waiting
        self._known = {p.pid: p.identity for p in target.processes if p.started}
        self._now: Sequence[int] = target.workers  # who does the work, as last seen
        self._gone = self._still = float("inf")  # since when
        self._frozen, self._frozen_at = False, float("-inf")
        if target.root not in target.workers:
            working_pids(target.workers, target.root)  # which are known again by their command

    def ended(self) -> str:
        """Why the target cannot be measured any more, as a sentence; "" while it can."""
        root = self._root
        now = stat(root)
        if now is None:
            return f"The target (pid {root}) is gone"
        if now.ended:
            return f"The target (pid {root}) has ended and is a zombie"
        if not self._is_known(now):
            return f"The target (pid {root}) is gone; another process has its number now"
        at, workers = self._clock(), self._living()
        self._gone = min(self._gone, at) if not workers else float("inf")
        # Where nobody asks, some servers keep none (php-fpm's `ondemand`).
        if at - self._gone >= _REPLACED_WITHIN and self._waiting() != 0:
            return f"All workers of the target (pid {root}) are gone, and nothing replaces them"
        how = self._halted(workers, at) if workers else ""
        self._still = min(self._still, at) if how else float("inf")
        if at - self._still >= _LET_GO_WITHIN:
            return f"The target (pid {root}) stands still: {how}"
        return ""

    def _is_known(self, now: Stat) -> bool:
        return self._known.get(now.pid, now.identity) == now.identity

    def _living(self) -> list[Stat]:
        """Those that do the work and live; looked for anew when none of the last ones does."""
        if living := self._alive(self._now):
            return living
        living = self._alive(working_pids(self._workers, self._root))
        self._now = [each.pid for each in living]
        return living

    def _alive(self, pids: Sequence[int]) -> list[Stat]:
        seen = [now for pid in pids if (now := stat(pid)) is not None and not now.ended]
        return [now for now in seen if self._is_known(now)]

    def _halted(self, workers: Sequence[Stat], at: Seconds) -> str:
        """Who made all of the workers stand still, and what lets them go on; "" while one goes."""
        pids = [each.pid for each in workers]
        if all(each.state == _STOPPED for each in workers):
            listed = " ".join(map(str, pids))
            return f"it was stopped (by SIGSTOP, or Ctrl-Z); kill -CONT {listed} lets it go on"
        if at - self._frozen_at >= _FREEZER_EVERY:
            self._frozen_at, self._frozen = at, all(map(cgroup.is_frozen, pids))
        return "its container or control group is frozen (docker unpause)" if self._frozen else ""
