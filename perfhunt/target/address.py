"""The url that load goes to, from the ports or the unix socket a target listens on."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

from perfhunt.errors import TargetNotFound
from perfhunt.model.question import ProcessSelector
from perfhunt.model.run import Listener, TargetProcess
from perfhunt.model.text.socket_url import PREFIX, socket_url
from perfhunt.model.units import Seconds
from perfhunt.target.find import find_target, in_other_network
from perfhunt.target.proc.sock_diag import ipv6_only_ports

# A socket bound to every address of the host is reached over the loopback one.
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}
_ANSWER: Seconds = 1.0  # a service of this host that speaks HTTP says so in less


def locate(selector: ProcessSelector, url: str = "") -> tuple[TargetProcess, str]:
    """The target and the url that load goes to; `url`, when given, wins. Raises TargetNotFound."""
    target = find_target(selector, url or None)
    if url:
        return target, url
    url = target_url(target)
    # Of several ports the serving one is known only now, and with it which processes do the work.
    return (target if len(target.listeners) == 1 else find_target(selector, url)), url


def target_url(target: TargetProcess) -> str:
    """`http://host:port` of the target, or its unix socket where it listens on no port. Of several,
    the only one that answers HTTP.

    Raises TargetNotFound, saying to give --url, when there is none, when several answer, or when
    the port is not reachable from here. Asks a port one harmless question only when there is more
    than one.
    """
    if not target.listeners:
        raise TargetNotFound(
            f"pid {target.root} listens on nothing", "Say where load goes: --url http://HOST:PORT"
        )
    if not any(listener.port for listener in target.listeners):
        return _socket_of(target)
    if in_other_network(target.workers[0]):
        port = target.listeners[0].port
        raise TargetNotFound(
            f"pid {target.root} listens on port {port} of another network namespace, which is not"
            " reachable as 127.0.0.1",
            "Say where it is published: --url http://HOST:PORT",
        )
    by_port: dict[int, list[Listener]] = {}
    for listener in target.listeners:
        by_port.setdefault(listener.port, []).append(listener)
    if len(by_port) == 1:
        return _url_of(target.listeners)
    answering = [port for port, shared in by_port.items() if _speaks_http(_reach(shared))]
    if len(answering) == 1:
        return _url_of(by_port[answering[0]])
    listed = ", ".join(map(str, by_port))
    what = f"and {'none' if not answering else 'more than one'} of them answers plain HTTP"
    pick = answering[0] if answering else target.listeners[0].port
    raise TargetNotFound(
        f"pid {target.root} listens on ports {listed}, {what}",
        f"Say which: --url http://127.0.0.1:{pick}",
    )


def _socket_of(target: TargetProcess) -> str:
    """The url of the only unix socket, or of the only one of several that answers HTTP."""
    paths = [listener.path for listener in target.listeners]
    if not any(map(os.path.exists, paths)):
        raise TargetNotFound(
            f"pid {target.root} listens on the unix socket {paths[0]}, and there is none here",
            "If it is a container's, say where it is mounted: --url unix:/PATH",
        )
    answering = paths if len(paths) == 1 else [path for path in paths if _speaks_http(path)]
    if len(answering) == 1:
        return socket_url(answering[0])
    what = f"and {'none' if not answering else 'more than one'} of them answers plain HTTP"
    raise TargetNotFound(
        f"pid {target.root} listens on the unix sockets {', '.join(paths)}, {what}",
        f"Say which: --url {PREFIX}{(answering or paths)[0]}",
    )


def local_url(target: TargetProcess, port: int | None = None) -> str:
    """The url of a port of the target (its serving one unless said), or of its unix socket, on this
    host. Asks nobody.
    """
    first = target.listeners[0]
    shared = [at for at in target.listeners if at.port == (port or first.port)]
    if shared and shared[0].path:
        return socket_url(first.path)
    return _url_of(shared) if shared else f"http://127.0.0.1:{port}"


def _url_of(listeners: Sequence[Listener]) -> str:
    """`http://host:port` of listeners that share a port."""
    host, port = _reach(listeners)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _reach(listeners: Sequence[Listener]) -> tuple[str, int]:
    # Loopback first: it is what is allowed without being asked about.
    alone = listeners[0].port in ipv6_only_ports()
    known = _LOOPBACK | ({"::": "::1"} if alone else {})
    hosts = sorted(
        (known.get(listener.host, listener.host) for listener in listeners),
        key=lambda host: (host != "127.0.0.1", host != "::1", host),
    )
    return hosts[0], listeners[0].port


def _speaks_http(at: tuple[str, int] | str) -> bool:
    """Whether a port, or the unix socket at a path, answers `HEAD /` with something that starts
    with HTTP/.
    """
    family = socket.AF_UNIX
    if isinstance(at, tuple):
        family = socket.AF_INET6 if ":" in at[0] else socket.AF_INET
    host = f"{at[0]}:{at[1]}" if isinstance(at, tuple) else "localhost"
    try:
        with socket.socket(family) as link:
            link.settimeout(_ANSWER)
            link.connect(at)
            link.sendall(f"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            return link.recv(16).startswith(b"HTTP/")
    except OSError:
        return False
