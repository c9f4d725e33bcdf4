"""The line to a Python that a command leads to: started, spoken over within a time, ended."""

from __future__ import annotations

import os
import select
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress

from perfhunt.errors import AttachFailed
from perfhunt.model.text.escaping import visible
from perfhunt.model.units import Bytes, PerSecond, Seconds
from perfhunt.profilers.remote.program import (
    FIRST_LINE,
    OLDEST,
    PYTHONS,
    READY,
    SECOND,
    WORDS,
    archive,
)
from perfhunt.target.leash import inherited
from perfhunt.target.proc.files import awaited

_BEGINS_WITHIN: Seconds = 30.0  # a log-in, a cluster's answer, an interpreter's start
_LEAVES_WITHIN: Seconds = 2.0
_SLOWEST: PerSecond = 32_000.0  # bytes; what is longer than a line of a modem needs has failed
_PREAMBLE: Bytes = 1 << 16  # what a log-in may say before our own words
_SAID: Bytes = 4096  # of the end of its standard error, of which the last line is shown
_BANNER, _PROMPT = "(InteractiveConsole)", ">>> "  # said by every Python that began
_PIECE: Bytes = 1 << 16
_NOT_FOUND = (126, 127)  # POSIX shells, docker and kubectl end so for a program that is not there
_OWN_FAILURE = 255  # ssh's own, whatever the command would have given
_NO_PYTHON = (
    "A container without Python is looked at from one beside it: kubectl debug -it POD"
    " --image=python:3.12 --target=CONTAINER --profile=general, then --exec-prefix 'kubectl exec"
    " -i POD -c DEBUGGER --'; or from its host, where it has a pid of its own"
)
_ELSEWHERE = (
    "One in a place of its own is found by its PATH: --exec-prefix 'ssh HOST env"
    " PATH=/opt/python3.12/bin:/usr/bin'. "
)
NO_INPUT = (
    "What it is asked comes on its standard input: docker exec -i, kubectl exec -i, ssh without -n"
)


class _NoSuchPython(AttachFailed):
    """A name that no Python which would do has there."""


def line_to(prefix: Sequence[str]) -> Line:
    """A line to the first Python there that is new enough, with its program sent. Raises
    AttachFailed, with the way out.
    """
    failed: _NoSuchPython | None = None
    for name in PYTHONS:
        try:
            return Line(prefix, name)
        except _NoSuchPython as error:
            # What the usual name comes to is told; the others are tried because of it.
            failed = failed or error
    assert failed is not None
    raise failed


class Line:
    """Bytes to and from `prefix PYTHON`. Every method raises AttachFailed when they do not come
    through; `allow` begins a question that is to be answered within some seconds, and the more that
    comes or goes, the more.
    """

    def __init__(self, prefix: Sequence[str], python: str) -> None:
        self._name, self._tried = visible(" ".join(prefix)), shlex.join([*prefix, python])
        self._until, self._begun = 0.0, False
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        try:
            self._process = subprocess.Popen(
                [*prefix, python, *WORDS],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=inherited(),
                start_new_session=True,  # without a terminal that a log-in would ask for a password
            )
        except (OSError, ValueError) as error:
            self._errors.close()
            why = (error.strerror if isinstance(error, OSError) else "") or str(error)
            raise AttachFailed(
                f"{self._name} could not be run: {why}", "Name a command: --exec-prefix 'ssh HOST'"
            ) from error
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._to, False)
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Nobody asks there any more, so that it ends. Idempotent."""
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        try:
            self._process.wait(_LEAVES_WITHIN)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._errors.close()

    def allow(self, seconds: Seconds) -> None:
        """So long for what is sent and read from now on."""
        self._until = time.monotonic() + seconds

    def send(self, content: bytes) -> None:
        """All of it."""
        view, ready = memoryview(content), select.poll()
        ready.register(self._to, select.POLLOUT)
        try:
            while view:
                if not ready.poll(self._left() * 1000):
                    raise self._late()
                written = os.write(self._to, view[:_PIECE])
                self._until += written / _SLOWEST
                view = view[written:]
        except BrokenPipeError:
            raise self.ended() from None

    def read(self, most: Bytes) -> bytes:
        """Up to so many bytes; none at the end."""
        if not awaited(self._from, self._left()):
            raise self._late()
        piece = os.read(self._from, most)
        self._until += len(piece) / _SLOWEST
        return piece

    def ended(self) -> AttachFailed:
        """Why nobody is there, or is any more."""
        if not self._begun:
            return self._silent()
        return AttachFailed(
            f"the line through {self._name} ended{self._last_words()}",
            "Nothing of perfhunt is left there: ask again.",
        )

    def _last_words(self) -> str:
        """The last line that was said beside the answers, to end a sentence with; "" for none."""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - _SAID))
        said = self._errors.read(_SAID).decode(errors="replace").rpartition(_BANNER)[2]
        lines = said.replace(_PROMPT, "").strip().splitlines()
        return f": {visible(lines[-1])[:200]}" if lines else ""

    def _left(self) -> Seconds:
        return max(0.0, self._until - time.monotonic())

    def _late(self) -> AttachFailed:
        return AttachFailed(
            f"nothing came through {self._name} in time{self._last_words()}",
            f"{NO_INPUT}; and it must print a version: {self._tried} --version",
        )

    def _begin(self) -> None:
        self.allow(_BEGINS_WITHIN)
        self.send(FIRST_LINE.encode() + b"\n")
        self._until_said(READY)
        version, _, terminal = self._until_said(b"\n").strip().partition(b" ")
        if terminal:
            raise AttachFailed(
                f"the way behind {self._name} leads through a terminal, which alters what is sent",
                "Without one: ssh -T, docker exec -i, kubectl exec -i",
            )
        major, _, minor = version.partition(b".")
        told = (int(major), int(minor)) if (major + minor).isdigit() else (0, 0)
        if told < OLDEST:
            raise _NoSuchPython(
                f"python3 behind {self._name} is {visible(version.decode(errors='replace'))[:20]};"
                f" the half that looks needs {OLDEST[0]}.{OLDEST[1]}, which is not on its PATH",
                _ELSEWHERE + _NO_PYTHON,
            )
        program = archive()
        self.send(SECOND.format(size=len(program)).encode())
        self._until_said(b"\0")
        self.send(program)
        self._begun = True

    def _until_said(self, word: bytes) -> bytes:
        """What is told until a word. Raises AttachFailed when that never comes."""
        heard = b""
        while not heard.endswith(word):
            piece = self.read(1)
            if not piece or len(heard) > _PREAMBLE:
                raise self.ended()
            heard += piece
        return heard[: -len(word)]

    def _silent(self) -> AttachFailed:
        """Why there is no answer, by what was said on the way there."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVES_WITHIN)
        code, said = self._process.returncode, self._last_words()
        if code == 0 or "InteractiveConsole" in said:
            return AttachFailed(
                f"python3 ran behind {self._name}, and was given nothing to do", NO_INPUT
            )
        how = "ended" if code is None else f"ended with code {code}"
        told = f"no python3 could be run behind {self._name} (it {how}{said})"
        if code in _NOT_FOUND or ("python3" in said and code != _OWN_FAILURE):
            return _NoSuchPython(told, _ELSEWHERE + _NO_PYTHON)
        return AttachFailed(
            told, f"What must print a version, without a question: {self._tried} --version"
        )
