"""A program that answers on its output what it is asked on its input, within limits: what it is
asked about comes from the target.
"""

from __future__ import annotations

import resource
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

from perfhunt.model.units import Bytes, Seconds
from perfhunt.target.proc.files import reader_until
from perfhunt.target.proc.process import cpu_used, stat

_Whole = TypeVar("_Whole")


class Answerer:
    """Starts the program when it is asked first. It ends with its input."""

    def __init__(
        self,
        command: Sequence[str],
        limits: Mapping[int, int],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`limits` are those of setrlimit(2). `environment`: None for our own."""
        self._command, self._limits, self._environment = command, limits, environment
        self._child: subprocess.Popen[bytes] | None = None
        self._used: Seconds = 0.0

    @property
    def cpu(self) -> Seconds:
        """What it used so far."""
        now = stat(self._child.pid) if self._child is not None else None
        return self._used if now is None else self._used + cpu_used(now)

    def asked(
        self,
        question: bytes,
        whole: Callable[[bytes], _Whole | None],
        most: Bytes,
        within: Seconds,
    ) -> _Whole:
        """What it answers: what `whole` makes of its output, None for one that is not whole yet.
        Raises OSError, ValueError; it has to be closed then.
        """
        end = time.monotonic() + within
        child = self._child = self._child or self._started()
        if child.stdin is None or child.stdout is None:
            raise ValueError("it has no pipes")
        child.stdin.write(question)
        child.stdin.flush()
        read, output = reader_until(child.stdout.fileno(), end), b""
        while (answer := whole(output)) is None:
            if len(output) > most:
                raise ValueError("an answer has no end")
            if not (came := read(1 << 16)):
                raise ValueError("it ended")
            output += came
        return answer

    def close(self) -> None:
        """End it; the next question starts it again. Idempotent."""
        self._used = self.cpu
        child, self._child = self._child, None
        if child is not None and child.stdin is not None and child.stdout is not None:
            child.kill()
            child.stdout.close()
            with suppress(OSError):
                child.stdin.close()
            child.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment,
            start_new_session=True,
        )
        for kind, most in self._limits.items():
            with suppress(OSError):
                resource.prlimit(child.pid, kind, (most, most))
        return child
