"""HOST:PORT of a master, as it is written on the command line, and what is said of it."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import ip_address

from perfhunt.errors import UsageError
from perfhunt.model.units import Seconds

LOOPBACK = "127.0.0.1"
REMOTE_JOIN_WITHIN: Seconds = 120.0  # for workers on other hosts, which are started by hand
_WRITTEN = re.compile(r"(?:(\[[0-9a-fA-F:.]+\]|[^:\s\[\]]+)?:)?([0-9]{1,5})")
_PORTS = range(1, 1 << 16)


@dataclass(frozen=True, slots=True)
class MasterAddress:
    """Where a master waits for its workers. `host` is a name or an address, without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def worker_command(self) -> str:
        """What is to be typed on a worker's host; for a master that listens on every address of
        its own, with this host's name.
        """
        try:
            everywhere = ip_address(self.host).is_unspecified
        except ValueError:
            everywhere = False
        at = MasterAddress(socket.gethostname(), self.port) if everywhere else self
        return f"perfhunt worker --master {at}"

    @property
    def on_this_machine(self) -> bool:
        """Whether nobody on another host can be there."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def master_address(text: str) -> MasterAddress:
    """HOST:PORT; a port alone is one of loopback. Raises UsageError for what is neither."""
    written = _WRITTEN.fullmatch(text)
    if written is None or int(written[2]) not in _PORTS:
        raise UsageError(f"{text!r} is not HOST:PORT", "For example: 10.0.0.1:5557")
    return MasterAddress((written[1] or LOOPBACK).strip("[]"), int(written[2]))
