"""What this host has for a load process, and where on it the process runs."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from perfhunt.model.text.socket_url import socket_path
from perfhunt.model.units import Share

_LOOPBACK = re.compile(r"localhost|127(\.[0-9]+){3}|::1")


def ports_in_use() -> Share | None:
    """The share of ephemeral ports held by TCP connections of this network namespace, TIME_WAIT
    included.
    """
    with contextlib.suppress(OSError, ValueError, KeyError, StopIteration):
        low, high = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
        stat = Path("/proc/net/sockstat").read_text()
        line = next(line for line in stat.splitlines() if line.startswith("TCP:"))
        words = line.split()[1:]
        counts = dict(zip(words[::2], map(int, words[1::2]), strict=True))
        # Of a connection over loopback both ends are counted as in use, but only one holds an
        # ephemeral port.
        return (counts["inuse"] / 2 + counts["tw"]) / (int(high) - int(low) + 1)
    return None


def pin_apart(url: str) -> str:
    """Keeps this process to the last core it may use, when the target may be on the same host. Says
    what was done, and why.

    The target is left where it is: moving it would change what is measured.
    """
    host = "localhost" if socket_path(url) else urlsplit(url).hostname or ""
    if not hasattr(os, "sched_setaffinity"):
        return "not pinned: this platform cannot"
    allowed = sorted(os.sched_getaffinity(0))
    if _LOOPBACK.fullmatch(host) is None:
        return "not pinned: the target is on another host"
    if len(allowed) < 2:
        return "not pinned: there is only one core for generator and target"
    try:
        os.sched_setaffinity(0, {allowed[-1]})
    except OSError as error:
        return f"not pinned: {error.strerror}"
    return (
        f"generator on core {allowed[-1]} of {allowed[0]}-{allowed[-1]};"
        " the target was left where it was"
    )
