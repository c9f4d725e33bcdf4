"""The load child as seen from the controller: started, spoken to, and ended for certain."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import IO

from perfhunt.errors import LoadFailed
from perfhunt.load.lifeline import ENDED_ITSELF, Lifeline
from perfhunt.load.messages import (
    ANSWERS,
    FAREWELL,
    ChildAnswer,
    ChildOrder,
    EndLoad,
    PipeReader,
    frame,
)
from perfhunt.model.units import Bytes, Seconds
from perfhunt.target.leash import inherited
from perfhunt.target.proc.files import awaited, tail

LOG = "load-child.log"
_LEAVES_WITHIN: Seconds = 0.5  # of its pipe's end; then it is killed
_READ_SIZE = 1 << 16  # bytes: all that a pipe holds
_LAST_WORDS: Bytes = 1 << 16  # of its log, of which the last line is shown


class ChildDied(Exception):
    """The load child is gone; the message says how it went. `by_itself`: it had to end itself to
    end its load.
    """

    def __init__(self, message: str, *, by_itself: bool = False) -> None:
        super().__init__(message)
        self.by_itself = by_itself


class ChildPipe:
    """A running load child. Every method that talks to it raises ChildDied when it is gone."""

    def __init__(self, directory: Path) -> None:
        """Starts the child; its standard error goes to a log in `directory`. Raises LoadFailed when
        it cannot be started.
        """
        self._log = directory / LOG
        self._reader: PipeReader[ChildAnswer] = PipeReader(ANSWERS)
        self._answers: deque[ChildAnswer] = deque()
        self.lifeline = Lifeline()
        line = self.lifeline.far_end
        command = [sys.executable, "-P", "-m", "perfhunt.load.child", str(line)]
        try:
            with self._log.open("ab") as log:
                # Its own session: Ctrl-C on the terminal reaches the controller only, which then
                # takes the load off in order.
                self.process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=inherited(),
                    start_new_session=True,
                    pass_fds=(line,),
                )
        except OSError as error:
            os.close(line)
            self.lifeline.close()
            raise LoadFailed(f"the load child does not start: {error}") from error
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._to: IO[bytes] = self.process.stdin
        self._from: IO[bytes] = self.process.stdout
        self.lifeline.start()

    def send(self, order: ChildOrder) -> None:
        """Gives the child an order."""
        try:
            self._to.write(frame(order))
            self._to.flush()
        except (BrokenPipeError, ValueError):
            raise self._death() from None

    def receive(self, timeout: Seconds) -> ChildAnswer | None:
        """The next answer, or None after `timeout` seconds without one. Raises MalformedMessage for
        what is none.
        """
        if not self._answers:
            self._fill(timeout)
        return self._answers.popleft() if self._answers else None

    def _fill(self, timeout: Seconds) -> None:
        if not awaited(self._from.fileno(), timeout):
            return
        content = os.read(self._from.fileno(), _READ_SIZE)
        if not content:
            raise self._death()
        self._answers += self._reader.feed(content)

    def _death(self) -> ChildDied:
        self.close()
        code = self.process.returncode
        how = (
            f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        )
        return ChildDied(
            f"the load child {how}{self._last_words()}", by_itself=code == ENDED_ITSELF
        )

    @property
    def lives(self) -> bool:
        """Whether there is still a child to give orders to."""
        return self.process.poll() is None

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            log = tail(self._log, _LAST_WORDS).decode(errors="replace")
            lines = [line for line in log.splitlines() if line.strip()]
            if lines and self.process.returncode not in (0, -signal.SIGKILL):
                return f": {lines[-1].strip()} (all of it is in {LOG} of the run)"
        return ""

    def close(self) -> None:
        """The child and whatever it started are gone when this returns. May be called twice."""
        with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
            self._to.write(frame(EndLoad()))
            self._to.flush()
            self.process.wait(3 * FAREWELL)
        self.lifeline.close()
        with contextlib.suppress(OSError, ValueError):
            self._to.close()  # end-of-file: it stops the load and leaves
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_LEAVES_WITHIN)
        # The whole group, even after the child itself has left: its workers are in it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._from.close()
