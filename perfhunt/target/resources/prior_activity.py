"""What a target does before any load of ours."""

from __future__ import annotations

import time
from dataclasses import dataclass

from perfhunt.model.run import TargetProcess
from perfhunt.model.units import Cores, Seconds
from perfhunt.target.proc.sockets import ESTABLISHED, tcp_sockets
from perfhunt.target.resources.monitor import ResourceMonitor

_WATCHED: Seconds = 1.0  # long enough to tell a loaded target from one that only keeps house


@dataclass(frozen=True, slots=True)
class PriorActivity:
    """What the target did over a short while before any load of ours."""

    cpu: Cores  # on-CPU seconds per second, whole tree
    connections: int  # established to its listening ports, not ours


def prior_activity(target: TargetProcess) -> PriorActivity:
    """Watch the target for a short while; sends nothing."""
    monitor = ResourceMonitor(target)
    try:
        monitor.start()
        time.sleep(_WATCHED)
        used = monitor.take()
    finally:
        monitor.close()
    ports = {listener.port for listener in target.listeners if listener.port}
    clients = sum(socket.local_port in ports for socket in tcp_sockets(target.root, ESTABLISHED))
    return PriorActivity(used.cpu or 0.0, clients)
