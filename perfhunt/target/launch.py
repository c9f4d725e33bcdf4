"""Starts a service on a port of its own, waits until it answers, and ends everything it started.

    command = ServiceCommand("head", ("gunicorn", "-b", "127.0.0.1:$PORT", "app:app"), directory)
    with running(command, directory / "head.log") as service:
        service.url, service.pid

Or step by step: `launch`, `await_ready`, `end`.
"""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom

from perfhunt.errors import PerfhuntError, Stopped, TargetDied, UsageError
from perfhunt.model.units import Cores, Seconds
from perfhunt.target.leash import KeptCommand, inherited, run, spawn
from perfhunt.target.proc.files import tail as end_of_file
from perfhunt.target.proc.process import cpu_used, stat
from perfhunt.target.proc.sockets import connection_ports, endpoint_name, held_listening
from perfhunt.target.proc.tree import descendants

# Generous: only a command that will never listen waits so long.
READY_WITHIN: Seconds = 30.0
_PREPARED_WITHIN: Seconds = 600.0  # a build or an installation, not a service
GRACE: Seconds = 3.0  # after SIGTERM; a service without clients has nothing to finish
_GONE_WITHIN: Seconds = 1.0  # until the kernel has closed the port of a process that was killed
_CONNECTS: Seconds = 0.5
# A server that takes a request and is silent for so long is up: it may wait for its first client to
# load what it needs.
SILENT: Seconds = 10.0
_LOOKS_EVERY: Seconds = 1.0  # at what a command does that does not listen yet
_AT_WORK: Cores = 0.2  # a build takes all there are, what tries again each second next to nothing
_LOWEST, _PORTS = 10_000, 65_536  # well-known services lie below
_DRAWN = 50  # of which hardly all are taken
_POLL: Seconds = 0.02
_TAIL = 600  # bytes of the log shown when it would not start


@dataclass(frozen=True, slots=True)
class ServiceCommand:
    """How one version is started. `$PORT`, `${PORT}` and `{port}` in the words become its port,
    which is also in the environment; `prepare` runs once in the directory before the first start
    (its failure is a UsageError).
    """

    name: str
    words: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)  # beside our own
    prepare: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Launched:
    """A started service; it may not listen yet. All that it prints is in `log`."""

    command: ServiceCommand
    port: int
    process: KeptCommand
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self.process.pid


Ready = Callable[[Launched, Seconds], bool]  # whether it is up; may take so many seconds to tell


def free_port(preferred: int = 0) -> int:
    """A TCP port of 127.0.0.1 that nothing listens on now: `preferred` if it is free, else any. It
    is none that the kernel gives to connections, while there are others: on a busy host one of them
    has it before a service that starts slowly does.

    Raises PerfhuntError when the system has none left.
    """
    drawn = _apart_from_connections()
    for port in (*filter(None, (preferred,)), *drawn, 0):
        with socket.socket() as probe:
            # A port whose last connections still rest in TIME_WAIT is free to listen on.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise PerfhuntError("no port of 127.0.0.1 is free", "Look at what takes them: ss -tan")


def _apart_from_connections() -> list[int]:
    """Some ports, drawn by lot, that no connection is given (ip_local_port_range)."""
    low, high = connection_ports()
    others = [*range(_LOWEST, low), *range(high + 1, _PORTS)]
    return SystemRandom().sample(others, min(_DRAWN, len(others)))


def prepare(command: ServiceCommand) -> None:
    """Run the version's prepare command, if it has one. Raises UsageError."""
    run_prepare(command.name, command.prepare, command.directory, _PREPARED_WITHIN)


def run_prepare(
    name: str, words: Sequence[str], directory: Path | None, within: Seconds | None = None
) -> None:
    """Run what is to be done before `name` starts, if there is anything. Raises UsageError."""
    run_aside("prepare", name, words, directory, within)


def run_aside(
    what: str,
    name: str,
    words: Sequence[str],
    directory: Path | None,
    within: Seconds | None = None,
) -> None:
    """Run what is to be done beside `name`, if there is anything. Raises UsageError, with the end
    of what it printed.
    """
    if not words:
        return
    try:
        code, printed = run(words, directory=directory, within=within)
    except TimeoutError as error:
        raise UsageError(
            f"the {what} command of {name} was not done after {within:.0f} s"
        ) from error
    except OSError as error:
        raise UsageError(
            f"the {what} command of {name} cannot be started: {error.strerror}"
        ) from error
    if code != 0:
        raise UsageError(
            f"the {what} command of {name} failed with exit code {code}",
            printed.decode(errors="replace").strip()[-_TAIL:] or "It printed nothing.",
        )


def launch(command: ServiceCommand, port: int, log: Path) -> Launched:
    """Start it, in a session of its own. Returns at once; `await_ready` waits for it to listen.

    It ends, with everything it started, when this process does, however that goes. Raises
    UsageError when there is no such program or directory.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        with log.open("ab") as sink:  # so that it can be cut short while it is written
            process = spawn(
                _with_port(command.words, port),
                sink,
                directory=command.directory,
                environment={**inherited(), **command.environment, "PORT": str(port)},
            )
    except OSError as error:
        raise UsageError(
            f"{command.name} cannot be started in {command.directory}: {error.strerror}"
        ) from error
    return Launched(command, port, process, log)


def _with_port(words: Sequence[str], port: int) -> list[str]:
    filled = list(words)
    for mark in ("${PORT}", "$PORT", "{port}"):
        filled = [word.replace(mark, str(port)) for word in filled]
    return filled


def answers(service: Launched, patience: Seconds) -> bool:
    """Whether a request brings back a byte or an end; a server that takes it and stays silent for
    long counts as up.

    Accepting a connection is not enough: a prefork server listens before any worker has loaded the
    application.
    """
    with socket.socket() as probe:
        probe.settimeout(_CONNECTS)
        if probe.connect_ex(("127.0.0.1", service.port)) != 0:
            return False
        probe.settimeout(min(patience, SILENT))
        with suppress(OSError):
            probe.sendall(b"HEAD / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            probe.recv(1)
        return True


def healthy(path: str) -> Ready:
    """Ready when `GET path` is answered with 200: for services that know it themselves."""

    def ready(service: Launched, patience: Seconds) -> bool:
        within = min(patience, SILENT)
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", service.port, within)) as link:
                link.request("GET", path)
                return link.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False

    return ready


def await_ready(
    service: Launched,
    within: Seconds = READY_WITHIN,
    stop: Callable[[], str] = lambda: "",
    ready: Ready = answers,
) -> Seconds:
    """Seconds until it was `ready`: until it answered a request, whatever the answer.

    What is busy and listens nowhere yet, as a build is, has longer: `within` begins anew. Raises
    UsageError with its log when it ends or is not ready in time, Stopped when `stop` gives a
    reason.
    """
    began, work = time.monotonic(), _AtWork(service, within)
    while (passed := time.monotonic() - work.last) < within:
        if why := stop():
            raise Stopped(why)
        code = service.process.poll()
        if code is not None:
            raise UsageError(
                f"{service.command.name} ended with exit code {code} before it listened",
                f"{_left_behind(service)}{tail(service.log)}",
            )
        if ready(service, within - passed):
            return time.monotonic() - began
        work.look()
        time.sleep(_POLL)
    hint = (
        f"The command must listen on $PORT (here {service.port}): put $PORT or {{port}} in it."
        f"{_elsewhere(service)} {tail(service.log)}"
    )
    raise UsageError(
        f"{service.command.name} did not listen on port {service.port} within"
        f" {time.monotonic() - began:.0f} s",
        hint.strip(),
    )


class _AtWork:
    """When a command was last seen at work (`last`, by time.monotonic): compiling, or loading, as
    what will listen does before. Who waits for others, and tries again and again, is not.
    """

    def __init__(self, service: Launched, within: Seconds) -> None:
        self._service, self._every = service, min(_LOOKS_EVERY, within / 4)
        self.last = self._began = self._at = time.monotonic()
        self._cpu = self._used()

    def look(self) -> None:
        """See what it does now, once in a while."""
        now = time.monotonic()
        if now - self._at < self._every:
            return
        used = self._used()
        works = used - self._cpu >= _AT_WORK * (now - self._at)
        if works and now - self._began < _PREPARED_WITHIN and not _listens(self._service):
            self.last = now
        self._at, self._cpu = now, used

    def _used(self) -> Seconds:
        tree = (stat(pid) for pid in descendants([self._service.pid]))
        return sum(cpu_used(each) + each.children_cpu for each in tree if each is not None)


def _left_behind(service: Launched) -> str:
    """That a command ended and what it started goes on, as a sentence; "" where nothing does."""
    ended = service.process.ended
    if ended is None or not ended.left:
        return ""
    return "What it started goes on: give a command that stays in the foreground. "


def _elsewhere(service: Launched) -> str:
    """Where it listens instead, as a sentence; "" where that is nowhere, or is not told."""
    places = ", ".join(sorted(_listens(service)))
    return f" It listens on {places} instead." if places else ""


def _listens(service: Launched) -> set[str]:
    held = [row for pid in descendants([service.pid]) for row in held_listening(pid)]
    return {endpoint_name(row.local, row.local_port) for row in held}


def check_alive(service: Launched) -> None:
    """Raises TargetDied, with the end of its log, when the service has ended."""
    code = service.process.poll()
    if code is not None:
        raise TargetDied(
            f"{service.command.name} ended under load with exit code {code}", tail(service.log)
        )


def end(service: Launched, grace: Seconds = GRACE) -> None:
    """End the service and everything that it started: asked first, and killed after `grace`. Its
    port is closed when this returns. Idempotent.
    """
    service.process.end(grace)
    until = time.monotonic() + _GONE_WITHIN
    while _accepts(service.port) and time.monotonic() < until:
        time.sleep(_POLL)


@contextmanager
def running(
    command: ServiceCommand,
    log: Path,
    port: int = 0,
    within: Seconds = READY_WITHIN,
    ready: Ready = answers,
) -> Iterator[Launched]:
    """The service, ready, on `port` (0: a free one); ended with the block. Raises as `launch` and
    `await_ready` do.
    """
    service = launch(command, port or free_port(), log)
    try:
        await_ready(service, within, ready=ready)
        yield service
    finally:
        end(service)


def tail(log: Path) -> str:
    """The end of a service's log, for a message; empty when there is none."""
    try:
        text = end_of_file(log, _TAIL).decode(errors="replace").strip()
    except OSError:
        return ""
    return f"Its log ends: {text}" if text else "It wrote nothing to its log."


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(_CONNECTS)
        return probe.connect_ex(("127.0.0.1", port)) == 0
