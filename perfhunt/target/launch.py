"""Starts a service on a port of its own, waits until it listens, and ends everything it started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from perfhunt.errors import Stopped, TargetDied, UsageError
from perfhunt.model.units import Seconds

READY_WITHIN: Seconds = 30.0
_GRACE: Seconds = 3.0
_SILENT: Seconds = 10.0
_POLL: Seconds = 0.02
_TAIL = 600  # bytes of the log shown when it would not start

# Runs in the child before the command: asks the kernel to end it when perfhunt dies, however it
# dies. The setting survives exec; it belongs to the thread that starts the child, so launch from
# the main thread.
_LEASH = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGTERM);"
    " os.execvp(sys.argv[1], sys.argv[1:])"
)


@dataclass(frozen=True, slots=True)
class ServiceCommand:
    """How one version is started. `$PORT`, `${PORT}` and `{port}` in the words become its port,
    which is also in the environment; `prepare` runs once in the directory before the first start
    (its failure is a UsageError).
    """

    name: str
    words: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Launched:
    """A started service; it may not listen yet."""

    command: ServiceCommand
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self.process.pid


def free_port() -> int:
    """A TCP port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def prepare(command: ServiceCommand, timeout: Seconds = 600.0) -> None:
    """Run the version's prepare command, if it has one."""
    if not command.prepare:
        return
    try:
        done = subprocess.run(
            command.prepare,
            cwd=command.directory,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except OSError as error:
        raise UsageError(
            f"the prepare command of {command.name} cannot be started: {error.strerror}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise UsageError(
            f"the prepare command of {command.name} was not done after {timeout:.0f} s"
        ) from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()[-_TAIL:]
        raise UsageError(
            f"the prepare command of {command.name} failed with exit code {done.returncode}", said
        )


def launch(command: ServiceCommand, port: int, log: Path) -> Launched:
    """Start it, in a session of its own, its output in `log`. Returns at once; `await_ready` waits
    for it to listen.
    """
    words = fill_port(command.words, port)
    environment = {**os.environ, **command.environment, "PORT": str(port)}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        try:
            process = subprocess.Popen(
                [sys.executable, "-S", "-c", _LEASH, *words],
                cwd=command.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise UsageError(
                f"{command.name} cannot be started in {command.directory}: {error.strerror}"
            ) from error
    return Launched(command, port, process, log)


def fill_port(words: Sequence[str], port: int) -> list[str]:
    """The words of a command with the port in place of `$PORT`, `${PORT}` or `{port}`."""
    filled = list(words)
    for mark in ("${PORT}", "$PORT", "{port}"):
        filled = [word.replace(mark, str(port)) for word in filled]
    return filled


def await_ready(
    service: Launched, within: Seconds = READY_WITHIN, stop: Callable[[], str] = lambda: ""
) -> Seconds:
    """Seconds until it answered a request, whatever the answer. Raises UsageError with its log when
    it exits or never listens.

    Accepting a connection is not enough: a prefork server listens before any worker has loaded the
    application.
    """
    began = time.monotonic()
    while (passed := time.monotonic() - began) < within:
        if why := stop():
            raise Stopped(why)
        code = service.process.poll()
        if code is not None:
            raise UsageError(
                f"{service.command.name} ended with exit code {code} before it listened",
                tail(service.log),
            )
        if _answers(service.port, min(within - passed, _SILENT)):
            return time.monotonic() - began
        time.sleep(_POLL)
    hint = (
        f"The command must listen on $PORT (here {service.port}): put $PORT or {{port}} in it."
        f" {tail(service.log)}"
    )
    raise UsageError(
        f"{service.command.name} did not listen on port {service.port} within {within:.0f} s",
        hint.strip(),
    )


def check_alive(service: Launched) -> None:
    """Raises TargetDied, with the end of its log, when the service has ended."""
    code = service.process.poll()
    if code is not None:
        raise TargetDied(
            f"{service.command.name} ended under load with exit code {code}", tail(service.log)
        )


def end(service: Launched) -> None:
    """End the service and everything in its session: asked first, then killed. Idempotent."""
    _signal(service.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        service.process.wait(_GRACE)
    _signal(service.pid, signal.SIGKILL)
    service.process.wait()
    until = time.monotonic() + 1.0
    while _accepts(service.port) and time.monotonic() < until:
        time.sleep(_POLL)


def tail(log: Path) -> str:
    """The end of a service's log, for a message; empty when there is none."""
    try:
        text = log.read_bytes()[-_TAIL:].decode(errors="replace").strip()
    except OSError:
        return ""
    return f"Its log ends: {text}" if text else "It wrote nothing to its log."


def _answers(port: int, patience: Seconds) -> bool:
    """Whether a request brings back a byte or an end; a server that takes it and stays silent for
    long counts as up.
    """
    with socket.socket() as probe:
        probe.settimeout(0.5)
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            return False
        probe.settimeout(patience)
        with suppress(OSError):
            probe.sendall(b"HEAD / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            probe.recv(1)
        return True


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
