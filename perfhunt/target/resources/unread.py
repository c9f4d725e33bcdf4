"""How many requests lie in the target's sockets, unread by any thread: the queue before a server
that has no thread to spare.
"""

from __future__ import annotations

import threading
import time

from perfhunt.model.run import TargetProcess
from perfhunt.model.units import Seconds, Share
from perfhunt.target.proc.namespaces import Namespace, lives_apart
from perfhunt.target.proc.sock_diag import unread_connections
from perfhunt.target.watcher import Watcher

# A queue fills and empties within tenths of a second, and a span of a few seconds wants dozens of
# looks at it; one takes half a millisecond.
_PERIOD: Seconds = 0.05
_SLOWEST: Seconds = 1.0
_COST_LIMIT: Share = 0.01  # of one core; beyond it the sockets are looked at less often


class UnreadWatch:
    """Looks at the sockets of a target from outside, from `start` to `close`."""

    def __init__(self, target: TargetProcess) -> None:
        # IPv6 takes a walk of its own through the kernel's table.
        of_tcp = [listener for listener in target.listeners if listener.port]
        six = {listener.port for listener in of_tcp if ":" in listener.host}
        self._ports = {at.port: at.port not in six for at in of_tcp}
        # The kernel is asked for its own namespace's sockets only.
        self.reachable = bool(self._ports) and not lives_apart(target.root, Namespace.NETWORK)
        self._lock = threading.Lock()
        self._seen: list[tuple[Seconds, int]] = []
        self._watcher = Watcher(
            "perfhunt-unread", "Looking at the target's sockets", self._look, _PERIOD
        )

    def start(self) -> None:
        """Begin, where the sockets can be seen. Idempotent."""
        if self.reachable:
            self._watcher.start()

    def close(self) -> None:
        """Stop looking. Idempotent."""
        self._watcher.close()

    def take(self) -> tuple[tuple[Seconds, int], ...]:
        """When it looked since the last call, and how many connections held a request that no
        thread had read. Raises PerfhuntError when looking failed.
        """
        self._watcher.check()
        with self._lock:
            seen, self._seen = self._seen, []
        return tuple(seen)

    def _look(self) -> Seconds:
        at, began = time.monotonic(), time.thread_time()
        counts = [unread_connections(port, ipv4_only=only) for port, only in self._ports.items()]
        if None not in counts:
            with self._lock:
                self._seen.append((at, sum(count for count in counts if count)))
        return min(_SLOWEST, max(_PERIOD, (time.thread_time() - began) / _COST_LIMIT))
