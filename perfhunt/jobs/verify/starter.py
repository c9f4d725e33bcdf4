"""Starts versions by their commands, through the launcher of services that everything here uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from perfhunt.errors import TargetDied
from perfhunt.model.question import ProcessSelector
from perfhunt.model.trial import Resources
from perfhunt.stories.pair_bench import StartedVersion
from perfhunt.target import launch as launching
from perfhunt.target.find import find_target
from perfhunt.target.launch import ServiceCommand
from perfhunt.target.resources.monitor import ResourceMonitor


class CommandStarter:
    """Starts versions by their commands, each slot on a port of its own; logs go to `directory`."""

    def __init__(self, commands: Mapping[str, ServiceCommand], directory: Path) -> None:
        """`commands` has an entry for "base" and one for "head"; the same one twice calibrates."""
        self._commands, self._directory = commands, directory
        self._ports = (launching.free_port(), launching.free_port())

    def prepare(self) -> None:
        """Each version's prepare command, once. Raises UsageError."""
        unlike = {(c.directory, c.prepare): c for c in self._commands.values()}
        for command in unlike.values():
            launching.prepare(command)

    def start(self, version: str, slot: int) -> StartedCommand:
        """Begin to start it; returns at once."""
        command = self._commands[version]
        log = self._directory / f"{version}-{slot}.log"
        return StartedCommand(launching.launch(command, self._ports[slot], log))

    def end(self, version: StartedVersion) -> None:
        """End it and everything it started."""
        if isinstance(version, StartedCommand):
            version.close()


class StartedCommand:
    """A version that runs: watched from the moment it listens."""

    def __init__(self, service: launching.Launched) -> None:
        self._service = service
        self._monitor: ResourceMonitor | None = None

    @property
    def url(self) -> str:
        return self._service.url

    @property
    def pid(self) -> int:
        return self._service.pid

    def ready(self, stop: Callable[[], str]) -> None:
        """Wait until it takes requests, and watch its resources from then on."""
        launching.await_ready(self._service, stop=stop)
        self._monitor = ResourceMonitor(find_target(ProcessSelector(pid=self.pid), self.url))
        self._monitor.start()

    def resources(self) -> Resources | None:
        """What its processes used since the last call. Raises TargetDied when it ended, or another
        process has its port.
        """
        launching.check_alive(self._service)
        if self._monitor is None:
            return None
        if why := self._monitor.dead():
            raise TargetDied(why, launching.tail(self._service.log))
        return self._monitor.take()

    def close(self) -> None:
        """Stop watching it and end it."""
        if self._monitor is not None:
            self._monitor.close()
        launching.end(self._service)
