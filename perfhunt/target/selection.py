"""Which process a selector means: a pid, a port, a pidfile, a command line, or the port or unix
socket of a url of this machine.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from perfhunt.errors import TargetNotFound
from perfhunt.model.question import ProcessSelector
from perfhunt.model.text.socket_url import socket_path
from perfhunt.target.listeners import holders_of_path, holders_of_port
from perfhunt.target.proc.files import link, read
from perfhunt.target.proc.process import cmdline, stat, status_field
from perfhunt.target.proc.sockets import listening
from perfhunt.target.proc.tree import all_pids, ancestors

_SHOWN = 40  # characters of a pidfile's content that a message repeats
_PID = re.compile(r"[0-9]{1,10}")
_LARGEST_PIDFILE = 1 << 16  # bytes; it holds a number


def selected(selector: ProcessSelector, url: str | None) -> int:
    """The pid a selector means; with an empty one, who listens on the port of a loopback `url`, or
    on its unix socket. Raises TargetNotFound.
    """
    if selector.pid is not None:
        return _alive(selector.pid)
    if selector.pidfile is not None:
        return _alive(_pid_in(selector.pidfile))
    if selector.command is not None:
        return _by_command(selector.command)
    if selector.port is not None:
        return _by_port(selector.port)
    if path := socket_path(url or ""):
        return _by_path(path)
    parts = urlsplit(url or "")
    if not parts.hostname:
        raise TargetNotFound(
            "nothing says which process to look at",
            "Name it: --pid PID, or process = { port = 8000 } in [target]",
        )
    if parts.hostname in ("localhost", "::1") or parts.hostname.startswith("127."):
        return _by_port(parts.port or (443 if parts.scheme == "https" else 80))
    if parts.hostname in ("::", "0.0.0.0"):
        raise TargetNotFound(
            f"{parts.hostname} is every address of a host, and none that requests go to",
            "Name the one that load goes to: --url http://127.0.0.1:PORT, or http://[::1]:PORT",
        )
    raise TargetNotFound(
        f"{parts.hostname} is another host, so its process cannot be found from here",
        "Name a process: --pid PID",
    )


def _alive(pid: int) -> int:
    now = stat(pid)
    if now is None:
        raise gone(pid)
    if now.ended:
        raise TargetNotFound(
            f"pid {pid} has ended (its parent {now.parent} has not collected it)",
            "Start the service again.",
        )
    if link(pid, "exe") == "" and cmdline(pid) == () and stat(pid) is not None:
        raise TargetNotFound(
            f"pid {pid} is a thread of the kernel, not a service", "Find yours: ss -ltnp"
        )
    # /proc answers for the id of any thread; the tree hangs on its process.
    return int(status_field(pid, "Tgid") or pid)


def gone(pid: int) -> TargetNotFound:
    """What to say of a pid that is not there, which may be one of a container's own."""
    for other in all_pids():
        names = status_field(other, "NSpid").split()
        if len(names) > 1 and names[-1] == str(pid):
            return TargetNotFound(
                f"there is no pid {pid} here, but pid {other} is {pid} inside its container",
                f"Use --pid {other}",
            )
    if _is_hidden(pid):
        return TargetNotFound(
            f"pid {pid} is another user's process, and /proc does not show it (hidepid)",
            "Run as that user, or with sudo",
        )
    return TargetNotFound(
        f"there is no process with pid {pid}", "List what listens, and its pid: ss -ltnp"
    )


def _is_hidden(pid: int) -> bool:
    """Whether there is a process that /proc hides (proc(5), hidepid): the kernel says so by what it
    forbids.
    """
    try:
        if pid > 0:
            os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return False


def _pid_in(pidfile: str) -> int:
    try:
        text = read(pidfile, _LARGEST_PIDFILE).decode(errors="replace").strip()
    except OSError as error:
        raise TargetNotFound(
            f"the pidfile {pidfile} cannot be read: {error.strerror}", "Is the service running?"
        ) from error
    first = text.split()[0] if text else ""
    if not _PID.fullmatch(first):
        raise TargetNotFound(
            f"the pidfile {pidfile} holds {text[:_SHOWN]!r}, not a pid",
            "Name the process itself: --pid PID",
        )
    return int(first)


def _by_port(port: int) -> int:
    holders = holders_of_port(port, all_pids())
    if holders:
        return _topmost(holders)[0]
    if any(socket.local_port == port for socket in listening(os.getpid())):
        raise TargetNotFound(
            f"something listens on port {port}, but it belongs to another user",
            "Run as that user, or with sudo",
        )
    return _in_a_container(port)


def _in_a_container(port: int) -> int:
    """Who listens on a port in the only other network namespace where somebody does."""
    pids, tops = all_pids(), list[int]()
    for pid in {network: pid for pid in pids if (network := link(pid, "ns/net"))}.values():
        if holders := holders_of_port(port, pids, within=pid):
            tops += _topmost(holders)[:1]
    if len(tops) == 1:
        return tops[0]
    if not tops:
        raise TargetNotFound(f"nothing listens on port {port}", "List what does: ss -ltnp")
    listed = ", ".join(map(str, sorted(tops)))
    raise TargetNotFound(
        f"port {port} is listened on in {len(tops)} other network namespaces, by pids {listed}",
        f"Pick one: --pid {min(tops)}",
    )


def _by_path(path: str) -> int:
    if holders := holders_of_path(path, all_pids()):
        return _topmost(holders)[0]
    if not os.path.lexists(path):
        raise TargetNotFound(f"there is no unix socket {path}", "List those there are: ss -lxp")
    raise TargetNotFound(
        f"no process that you may look into listens on the unix socket {path}",
        "It may belong to another user, or have been left behind: sudo ss -lxp;"
        " or name the process: --pid PID",
    )


def _by_command(text: str) -> int:
    own = ancestors(os.getpid())
    top = _topmost([pid for pid in all_pids() if pid not in own and text in " ".join(cmdline(pid))])
    if len(top) == 1:
        return top[0]
    if not top:
        raise TargetNotFound(
            f"no process has {text!r} in its command line",
            "List what listens, and its pid: ss -ltnp",
        )
    listed = ", ".join(str(pid) for pid in top)
    raise TargetNotFound(
        f"{len(top)} separate processes have {text!r} in their command line: {listed}",
        f"Pick one: --pid {top[0]}",
    )


def _topmost(pids: Sequence[int]) -> list[int]:
    """Those that are not below another of them, lowest pid first."""
    chosen = set(pids)
    return sorted(pid for pid in chosen if not (set(ancestors(pid)) - {pid}) & chosen)
