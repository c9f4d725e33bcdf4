"""Starts versions by their commands, through the launcher of services that everything here uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from perfhunt.analysis.verdict.pairs import BASE, HEAD
from perfhunt.change.running import of_own_tree, same_code
from perfhunt.errors import ChangeRefused, TargetDied
from perfhunt.model.question import ProcessSelector
from perfhunt.model.run import TargetProcess
from perfhunt.model.trial import Resources
from perfhunt.model.verdict.change import Change
from perfhunt.stories.pair_bench import StartedVersion
from perfhunt.target import launch as launching
from perfhunt.target.code.compiled import code_sha256
from perfhunt.target.find import find_target
from perfhunt.target.launch import ServiceCommand
from perfhunt.target.resources.monitor import ResourceMonitor

OWN_TREE = "both versions run {} of your own tree, and not what git has of each"
FROM_HERE = (
    "Each version is started in a checkout of its own: name files from there (app.py, dist/app.js),"
    " and build there what git does not keep: --prepare COMMAND"
)
SAME_PROGRAM = (
    "both versions run the same program, byte for byte: it was not built from the edit, or the edit"
    " changes nothing in it"
)
BUILD_IT = (
    "A program that git does not keep is taken from your own tree. Build it in each version's"
    " checkout: perfhunt verify --prepare 'make' -- ./app"
)
_OTHER = {BASE: HEAD, HEAD: BASE}


class CommandStarter:
    """Starts versions by their commands, each slot on a port of its own; logs go to `directory`."""

    def __init__(
        self,
        commands: Mapping[str, ServiceCommand],
        directory: Path,
        change: Change | None = None,
    ) -> None:
        """`commands` has an entry for "base" and one for "head"; the same one twice calibrates.
        With a `change` the two must run different code.
        """
        self._commands, self._directory, self._change = commands, directory, change
        self._code: dict[str, str] = {}  # version -> a hash of what it runs that was built
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
        launched = launching.launch(command, self._ports[slot], log)
        return StartedCommand(launched, partial(self._require_own, version))

    def require_head(self, stop: Callable[[], str]) -> None:
        """Start the head version once, and end it: one that does not come up is told before
        anything is sent. Raises as `ready` does.
        """
        head = self.start(HEAD, 1)
        try:
            head.ready(stop)
        finally:
            head.close()

    def _require_own(self, version: str, target: TargetProcess) -> None:
        """Raises ChangeRefused where a version is known to run what the other does."""
        if self._change is None or version in self._code:
            return
        place = str(self._commands[version].directory)
        if shared := of_own_tree(self._change, target, place):
            raise ChangeRefused(OWN_TREE.format(shared), FROM_HERE)
        code = code_sha256(target, place) or code_sha256(target, self._change.root)
        if same_code(self._change, target, code, self._code.get(_OTHER[version], ""), place):
            raise ChangeRefused(SAME_PROGRAM, BUILD_IT)
        self._code[version] = code

    def end(self, version: StartedVersion) -> None:
        """End it and everything it started."""
        if isinstance(version, StartedCommand):
            version.close()


class StartedCommand:
    """A version that runs: watched from the moment it listens."""

    def __init__(
        self, service: launching.Launched, require: Callable[[TargetProcess], None]
    ) -> None:
        self._service, self._require = service, require
        self._monitor: ResourceMonitor | None = None

    @property
    def url(self) -> str:
        return self._service.url

    @property
    def pid(self) -> int:
        return self._service.pid

    def ready(self, stop: Callable[[], str]) -> None:
        """Wait until it takes requests, and watch its resources from then on. Raises ChangeRefused
        when it runs what the other version does.
        """
        launching.await_ready(self._service, stop=stop)
        target = find_target(ProcessSelector(pid=self.pid), self.url)
        self._require(target)
        self._monitor = ResourceMonitor(target)
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
