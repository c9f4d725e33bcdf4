"""The url that load goes to, from the ports or the unix socket a target listens on."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from urllib.parse import urlsplit

from perfhunt.errors import TargetNotFound
from perfhunt.model.question import ProcessSelector
from perfhunt.model.run import Listener, TargetProcess
from perfhunt.model.text.socket_url import PREFIX, socket_url
from perfhunt.model.units import Seconds
from perfhunt.target.find import find_target
from perfhunt.target.proc.namespaces import Namespace, in_network_of, lives_apart, shares_files
from perfhunt.target.proc.sock_diag import ipv6_only_ports
from perfhunt.target.proc.sockets import listening
from perfhunt.target.selection import selected

# A socket bound to every address of the host is reached over the loopback one.
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}
_ANSWER: Seconds = 1.0  # a service of this host that speaks HTTP says so in less


@contextmanager
def beside(selector: ProcessSelector, url: str = "", *, needed: bool = True) -> Iterator[str]:
    """The block stands in the network namespace of the process that a selector means, where that
    is another than ours and load for `url` ("": the process's own) comes to it only there: its
    127.0.0.1 is then ours. Gives that as a sentence, "" where nothing was entered.

    Raises TargetNotFound, also where it may not be entered and `needed` says that it must.
    """
    with ExitStack() as stack:
        yield _entered(selector, url, stack, needed)


def _entered(selector: ProcessSelector, url: str, stack: ExitStack, needed: bool) -> str:
    if selector == ProcessSelector() and not _is_loopback(url):
        return ""
    pid = selected(selector, url or None)
    if not lives_apart(pid, Namespace.NETWORK) or (url and not _is_only_there(url, pid)):
        return ""
    try:
        stack.enter_context(in_network_of(pid))
    except OSError as error:
        if not needed:
            return ""
        raise TargetNotFound(
            f"pid {pid} lives in a network namespace of its own, which may not be entered"
            f" ({error.strerror}): its 127.0.0.1 is not ours",
            f"Enter it: sudo nsenter --net=/proc/{pid}/ns/net perfhunt ...; or say where the"
            " service is published: --url http://HOST:PORT",
        ) from None
    return (
        f"pid {pid} lives in a network namespace of its own, which perfhunt entered: load and"
        " probes come from within it, not by the way that its port is published"
    )


def _is_only_there(url: str, pid: int) -> bool:
    """Whether a url leads to a port of 127.0.0.1 that is listened on in the network of a process,
    and not in ours.
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    ours, theirs = ({row.local_port for row in listening(at)} for at in (os.getpid(), pid))
    return _is_loopback(url) and port in theirs - ours


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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
    if lives_apart(target.workers[0], Namespace.NETWORK):
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
    paths = [_path_here(target, listener.path) for listener in target.listeners]
    if not any(map(os.path.exists, paths)):
        raise TargetNotFound(
            f"pid {target.root} listens on the unix socket {target.listeners[0].path}, and there is"
            " none here",
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


def _path_here(target: TargetProcess, path: str) -> str:
    """By which path we come to a socket that the target has at `path`: through its root, where it
    has one of its own.
    """
    return path if shares_files(target.root) else f"/proc/{target.root}/root{path}"


def local_url(target: TargetProcess, port: int | None = None) -> str:
    """The url of a port of the target (its serving one unless said), or of its unix socket, on this
    host. Asks nobody.
    """
    first = target.listeners[0]
    shared = [at for at in target.listeners if at.port == (port or first.port)]
    if shared and shared[0].path:
        return socket_url(_path_here(target, first.path))
    return _url_of(shared) if shared else f"http://127.0.0.1:{port}"


def _url_of(listeners: Sequence[Listener]) -> str:
    """`http://host:port` of listeners that share a port. Raises TargetNotFound where load may not
    go to any of them.
    """
    host, port = _reach(listeners)
    if ip_address(host).is_link_local:
        raise TargetNotFound(
            f"port {port} is listened on at the link-local address {host} alone, where load is"
            " never sent",
            "Have it listen on 127.0.0.1 or ::1 too, or name a published address: --url",
        )
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
