"""What a target does while nobody of ours asks it anything."""

from __future__ import annotations

import time
from dataclasses import dataclass

from perfhunt.model.run import TargetProcess
from perfhunt.model.units import Cores, Seconds
from perfhunt.target.proc.sockets import ESTABLISHED, tcp_sockets
from perfhunt.target.resources import ResourceMonitor


@dataclass(frozen=True, slots=True)
class PriorActivity:
    """What the target did over a short while before any load of ours."""

    seconds: Seconds
    cpu: Cores  # on-CPU seconds per second, whole tree
    connections: int  # established to its listening ports, not ours


def stillness(target: TargetProcess, seconds: Seconds = 1.0) -> PriorActivity:
    """Watch the target for a short while; sends nothing."""
    monitor = ResourceMonitor(target)
    try:
        monitor.start()
        time.sleep(seconds)
        used = monitor.take()
    finally:
        monitor.close()
    ports = {one.port for one in target.listeners}
    clients = sum(
        s.state == ESTABLISHED and s.local_port in ports for s in tcp_sockets(target.root)
    )
    return PriorActivity(used.seconds, used.cpu or 0.0, clients)
