"""A service started from the user's command: on the port that load goes to, watched from when it
answers there, its log kept, and ended for certain.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from perfhunt.errors import TargetDied, TargetNotFound, UsageError
from perfhunt.model.inside.look import StartedService
from perfhunt.model.question import ProcessSelector
from perfhunt.model.run import TargetProcess
from perfhunt.model.text.socket_url import socket_path
from perfhunt.model.trial import Resources
from perfhunt.model.units import Bytes, Seconds
from perfhunt.target import launch as launching
from perfhunt.target.address import local_url, locate
from perfhunt.target.find import find_target, is_aimed_at
from perfhunt.target.launch import GRACE, SILENT, Launched, ServiceCommand
from perfhunt.target.leash import scratch
from perfhunt.target.resources.monitor import ResourceMonitor
from perfhunt.target.selection import selected
from perfhunt.target.watcher import Watcher

MARKS = ("$PORT", "${PORT}", "{port}")
_FIRST, _SECOND = "127.0.0.1", "[::1]"  # where a command on a port of our choice may listen
_CONNECTS: Seconds = 0.5
# Who listens where it likes may listen twice, and the port of its metrics is often open first.
_ANOTHER: Seconds = 1.0
_LARGEST_LOG: Bytes = 8 << 20  # begun anew beyond it: its end is what explains an end
_LOG_EVERY: Seconds = 1.0
_LOG = "service.log"


@dataclass(frozen=True, slots=True)
class LaunchPlace:
    """Where a command of the user's is to listen: the url that load goes to ("": wherever it
    listens), and the port that it is told. `ours`: the url is of our choice, and the port may be
    that of [::1] as well.
    """

    url: str
    port: int
    ours: bool = False


def place_of(words: tuple[str, ...], url: str) -> LaunchPlace:
    """Where the command is to listen. Raises UsageError where that is no place on this host, or is
    taken already.
    """
    if not url:
        port = launching.free_port()
        named = any(mark in word for word in words for mark in MARKS)
        return LaunchPlace(f"http://{_FIRST}:{port}" if named else "", port, ours=True)
    if socket_path(url):
        _require_free(url, f"the unix socket {socket_path(url)}")
        return LaunchPlace(url, launching.free_port())
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not (host in ("localhost", "::1") or host.startswith("127.")):
        raise UsageError(
            f"the command is started on this host, and load goes to {host}",
            "Aim it here: --url http://127.0.0.1:PORT, with the port in the command as $PORT.",
        )
    port = parts.port or (443 if parts.scheme == "https" else 80)
    _require_free(url, f"port {port}")
    return LaunchPlace(url, port)


def _require_free(url: str, what: str) -> None:
    """Raises UsageError when somebody answers at a url already."""
    if not accepts(url):
        return
    try:
        holder = selected(ProcessSelector(), url)
    except TargetNotFound:
        raise UsageError(
            f"{what} is taken already, by a process of another user",
            "End it, or let the command listen elsewhere.",
        ) from None
    raise UsageError(
        f"{what} is taken already, by pid {holder}",
        f"End it, or look at it as it is: perfhunt investigate --pid {holder}",
    )


def accepts(url: str) -> bool:
    """Whether somebody takes connections at a url of this host."""
    link = _connected(url)
    if link is not None:
        link.close()
    return link is not None


def answers_at(url: str, patience: Seconds) -> bool:
    """Whether a request to a url of this host brings back a byte or an end; who takes it and stays
    silent for long counts as up.
    """
    link = _connected(url)
    if link is None:
        return False
    with link, suppress(OSError):
        link.settimeout(min(patience, SILENT))
        link.sendall(b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        link.recv(1)
    return True


def _connected(url: str) -> socket.socket | None:
    at: str | tuple[str, int]
    if path := socket_path(url):
        family, at = socket.AF_UNIX, path
    else:
        parts = urlsplit(url)
        host = parts.hostname or ""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        at = (host, parts.port or (443 if parts.scheme == "https" else 80))
    link = socket.socket(family)
    link.settimeout(_CONNECTS)
    if link.connect_ex(at) == 0:
        return link
    link.close()
    return None


class LaunchedService:
    """A command of the user's, started. `ready` waits until it takes requests; then `target` and
    `url` say what was found. It is ended by `close`, or with this process, however that goes.
    """

    def __init__(
        self, command: ServiceCommand, place: LaunchPlace, log: Path, grace: Seconds = GRACE
    ) -> None:
        """Raises UsageError when the command cannot be started."""
        self._grace, self._place, self._command = grace, place, command
        self._service = launching.launch(command, place.port, log)
        self._log = Watcher("perfhunt-log", "Bounding the log", self._bound, _LOG_EVERY)
        self._log.start()
        self._monitor: ResourceMonitor | None = None
        self._took: Seconds = 0.0
        # The ports of one that listens where it likes, and since when they are these.
        self._ports: tuple[frozenset[int], Seconds] = frozenset(), 0.0
        self._target: TargetProcess | None = None

    @property
    def url(self) -> str:
        return self._place.url

    @property
    def target(self) -> TargetProcess:
        assert self._target is not None, "ready() comes first"
        return self._target

    @property
    def started(self) -> StartedService:
        """How it was started, for the run."""
        return StartedService(self._command.words, str(self._command.directory), self._took)

    @property
    def log(self) -> Path:
        return self._service.log

    @property
    def pid(self) -> int:
        return self._service.pid

    def ready(self, stop: Callable[[], str] = lambda: "", *, loaded: bool = True) -> None:
        """Wait until it takes requests. Raises UsageError, with the end of its log, when it ends
        before, or listens nowhere in time; also where it is `loaded` and several of its ports
        may be meant; Stopped.
        """
        self._took = launching.await_ready(self._service, stop=stop, ready=self._is_up)
        selector, url = ProcessSelector(pid=self._service.pid), self._place.url
        try:
            if not url:
                found = find_target(selector)
                url = self._told_url(found) or ("" if loaded else local_url(found))
            self._target, url = locate(selector, url)
        except TargetNotFound as error:
            raise UsageError(f"the command answers, and {error.message}", error.hint) from error
        if not any(is_aimed_at(listener, url) for listener in self._target.listeners):
            raise UsageError(
                f"{url} is answered by another process than the command, or one that left it",
                "The command must listen there itself, or on $PORT, and stay in the foreground."
                f" {launching.tail(self.log)}".strip(),
            )
        self._place = replace(self._place, url=url)

    def again(
        self, changed: Callable[[ServiceCommand], ServiceCommand], grace: Seconds, name: str
    ) -> LaunchedService:
        """Another life of it at the same place, its command changed; this one has ended."""
        log = self.log.with_name(f"{name}.log".replace(" ", "-"))
        return LaunchedService(changed(self._command), self._place, log, grace)

    def _is_up(self, service: Launched, patience: Seconds) -> bool:
        """Whether it takes requests where load goes, or at whatever it listens on."""
        if self._place.url:
            return self._answers_there(patience)
        try:
            target = find_target(ProcessSelector(pid=service.pid))
        except TargetNotFound:
            return False
        told, ports = self._told_url(target), frozenset(at.port for at in target.listeners)
        now = time.monotonic()
        if ports != self._ports[0]:
            self._ports = ports, now
        is_all = bool(told) or now - self._ports[1] >= _ANOTHER
        return is_all and answers_at(told or local_url(target), patience)

    def _answers_there(self, patience: Seconds) -> bool:
        """Whether it takes requests at the url, or at the other loopback where that is as good."""
        if answers_at(self._place.url, patience):
            return True
        other = self._place.url.replace(_FIRST, _SECOND)
        if not self._place.ours or not answers_at(other, patience):
            return False
        self._place = replace(self._place, url=other)
        return True

    def _told_url(self, target: TargetProcess) -> str:
        """Where it listens on the port that it was told, whatever else it listens on; "" where it
        does not.
        """
        port = self._place.port
        return local_url(target, port) if any(at.port == port for at in target.listeners) else ""

    def resources(self) -> Resources | None:
        """What it used since the last call. Raises TargetDied when it ended."""
        launching.check_alive(self._service)
        if self._monitor is None:
            self._monitor = ResourceMonitor(self.target)
            self._monitor.start()
        if why := self._monitor.dead():
            raise TargetDied(why, launching.tail(self.log))
        return self._monitor.take()

    def last_words(self) -> str:
        """How it ended, with the end of its log; "" while it runs."""
        code = self._service.process.poll()
        if code is None:
            return ""
        return f"It ended with exit code {code}. {launching.tail(self.log)}"

    def close(self) -> None:
        """Stop watching it and end it, with everything it started. Idempotent."""
        if self._monitor is not None:
            self._monitor.close()
        launching.end(self._service, self._grace)
        self._log.close()

    def _bound(self) -> Seconds:
        with suppress(OSError):
            if os.path.getsize(self.log) > _LARGEST_LOG:
                os.truncate(self.log, 0)
        return _LOG_EVERY


@contextmanager
def launched(
    words: tuple[str, ...], url: str, stop: Callable[[], str] = lambda: "", *, loaded: bool = True
) -> Iterator[LaunchedService]:
    """The service that a command starts, ready, for as long as the block lasts: to be looked at, or
    to be `loaded`. Raises UsageError, Stopped.
    """
    place = place_of(words, url)
    with scratch("perfhunt-launched-") as directory:
        command = ServiceCommand(name=words[0], words=words, directory=Path.cwd())
        service = LaunchedService(command, place, directory / _LOG)
        try:
            service.ready(stop, loaded=loaded)
            yield service
        finally:
            service.close()
