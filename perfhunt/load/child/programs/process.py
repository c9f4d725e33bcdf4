"""A load program under way: started in a pipeline, kept to the target, read in the event loop, and
ended for certain.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from urllib.parse import urlsplit

import gevent
import psutil
from gevent.os import make_nonblocking, nb_read
from gevent.subprocess import DEVNULL, PIPE, Popen

from perfhunt.errors import LoadFailed
from perfhunt.load.child.bounds.kept import kept_to
from perfhunt.load.child.http.address import ServerAddress
from perfhunt.load.child.programs.log import ArrivalLog, ProgramPlan
from perfhunt.load.child.programs.program import (
    OUTPUT,
    LoadProgram,
    OutputReader,
    ProgramCommand,
    plain_environment,
)
from perfhunt.load.child.recorder import Recorder
from perfhunt.load.child.sender import SendCounts
from perfhunt.model.units import Bytes, Seconds
from perfhunt.target.proc.tree import descendants

_READ_SIZE: Bytes = 1 << 16  # all that a pipe holds
_LAST_WORDS: Bytes = 1 << 12  # of what a program says on standard error; the rest is left unread
_LEAVES_WITHIN: Seconds = 1.0  # after its pipe has ended, or it was killed
_URL = re.compile(rb"https?://[^\s\"\\]+")
_SCRIPTS_OWN = b"source=console"  # in lines of k6's log: what the script printed


class RunningProgram:
    """A program that sends one step. Within the block there may be load, after it there is none."""

    def __init__(
        self, program: LoadProgram, plan: ProgramPlan, address: ServerAddress, counts: SendCounts
    ) -> None:
        self._program, self._plan, self._counts = program, plan, counts
        self._reader: OutputReader | None = None
        self._port = int(address.sockaddr[1])
        self._cleared = {(place, self._port) for place in address.cleared}
        self._stages: list[Popen[bytes]] = []
        self._reading: list[gevent.Greenlet[..., None]] = []
        self._said = bytearray()
        self._refused: Counter[str] = Counter()
        self._ended_by_us = False
        self._used: Seconds = 0.0
        self.log: ArrivalLog

    def __enter__(self) -> RunningProgram:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bury()

    def begin(self, recorder: Recorder) -> None:
        """Starts it. Raises LoadFailed when that cannot be done."""
        self.log = ArrivalLog(self._plan, recorder, time.time() + self._program.startup)
        self._reader = self._program.reader(self._plan, self.log, self._counts)
        try:
            self._start(self._reader)
        except OSError as error:
            raise LoadFailed(f"the load program does not start: {error}") from None

    def _start(self, reader: OutputReader) -> None:
        command = self._program.command(self._plan)
        given = os.memfd_create("perfhunt-load")
        into, out = os.pipe()
        try:
            with os.fdopen(os.dup(given), "wb") as file:
                file.write(command.given)
            os.lseek(given, 0, os.SEEK_SET)
            with kept_to((self._port,)) as restrict:
                self._start_stages(command, given, out, restrict)
        finally:
            os.close(given)
            os.close(out)
            make_nonblocking(into)
            self._reading.append(gevent.spawn(self._read, into, reader))

    def _start_stages(
        self, command: ProgramCommand, given: int, out: int, restrict: Callable[[], None]
    ) -> None:
        environment = {**plain_environment(os.environ), **command.variables}
        source: int | None = given
        for n, stage in enumerate(command.stages):
            own_output = any(OUTPUT in word for word in stage)
            last = n == len(command.stages) - 1
            process = Popen(
                [word.replace(OUTPUT, f"/dev/fd/{out}") for word in stage],
                stdin=source,
                stdout=DEVNULL if own_output else out if last else PIPE,
                stderr=PIPE,
                env=environment,
                cwd=command.directory,
                pass_fds=(out,) if own_output else (),
                preexec_fn=restrict,
            )
            self._stages.append(process)
            source = process.stdout.fileno() if process.stdout is not None else None
            self._reading.append(gevent.spawn(self._hear, process))

    def _read(self, descriptor: int, reader: OutputReader) -> None:
        rest = b""
        try:
            while content := nb_read(descriptor, _READ_SIZE):
                *lines, rest = (rest + content).split(b"\n")
                for line in lines:
                    reader.read(line)
        finally:
            os.close(descriptor)

    def _hear(self, process: Popen[bytes]) -> None:
        """Its standard error: the first of it is kept, and where it was kept from going."""
        assert process.stderr is not None
        descriptor = process.stderr.fileno()
        make_nonblocking(descriptor)
        with contextlib.suppress(OSError):
            while content := nb_read(descriptor, _READ_SIZE):
                self._said += content[: _LAST_WORDS - len(self._said)]
                for line in content.splitlines():
                    refused = b"permission denied" in line or b"blacklisted" in line
                    if refused and _SCRIPTS_OWN not in line:
                        self._note_refused(line)

    def _note_refused(self, line: bytes) -> None:
        if (found := _URL.search(line)) is not None:
            self._refused[urlsplit(found[0].decode("ascii", "replace")).netloc] += 1

    @property
    def paused(self) -> Seconds:
        """The longest that an arrival that is over did something else than wait for answers."""
        return self._reader.paused if self._reader is not None else 0.0

    @property
    def lives(self) -> bool:
        """Whether anything more may come of it."""
        return any(not reading.ready() for reading in self._reading)

    @property
    def refused(self) -> dict[str, int]:
        """Where it would have gone, and how often it was kept from that."""
        return dict(self._refused)

    def failure(self, name: str, *, keep_text: bool) -> str:
        """How it failed, as a sentence; "" where it did not. Its own words may hold secrets."""
        codes = [stage.poll() for stage in self._stages]
        code = next((code for code in codes if code), 0)
        if code and not self._ended_by_us:
            words = bytes(self._said).decode("utf-8", "replace").strip().splitlines()
            said = words[0] if words and keep_text else self._program.codes.get(code, "")
            return f"{name} ended with code {code}{': ' if said else ''}{said}"
        if self._reader is not None and self._reader.unread:
            return f"{self._reader.unread:,} lines that {name} wrote could not be read"
        return ""

    def cpu(self) -> Seconds:
        """CPU time that it has used, as of the last look at it while it ran."""
        used = 0.0
        for stage in self._stages:
            with contextlib.suppress(psutil.Error):  # it has ended
                times = psutil.Process(stage.pid).cpu_times()
                used += times.user + times.system
        self._used = max(self._used, used)
        return self._used

    def ask_to_end(self) -> None:
        """It sends no more, and awaits what it has sent. Does not wait."""
        self._signal(self._stages[:1], signal.SIGINT)

    def kill(self) -> None:
        """Ends it at once. Does not wait, so that the event loop may call it."""
        self._signal(self._stages, signal.SIGKILL)

    def _signal(self, stages: list[Popen[bytes]], signum: int) -> None:
        """To what was started and all that this has started: it may be a script around the
        program.
        """
        for stage in stages:
            if stage.poll() is None:
                self._ended_by_us = True
                for pid in reversed(descendants([stage.pid])):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signum)

    def _bury(self) -> None:
        """Nothing of it is left when this returns."""
        if self.lives:
            self.kill()
        for stage in self._stages:
            stage.wait()
        gevent.joinall(self._reading, timeout=_LEAVES_WITHIN)
        gevent.killall(self._reading)
