"""The half that asks: starts the other one by way of a command, and reads what it tells."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, TypeVar

from perfhunt.errors import AttachFailed, TargetNotFound, Unreadable
from perfhunt.model.document.bounded import json_value
from perfhunt.model.document.plain import PlainError, from_plain
from perfhunt.model.run import Environment
from perfhunt.model.text.escaping import visible
from perfhunt.model.units import Bytes, Seconds
from perfhunt.profilers.remote.messages import FarSpan, FarTarget, FarUse, framed, read_frame
from perfhunt.profilers.remote.program import COMMAND, FIRST_LINE, OLDEST, READY, SECOND, archive
from perfhunt.target.host.check import Check
from perfhunt.target.leash import inherited
from perfhunt.target.proc.files import awaited

_BEGINS_WITHIN: Seconds = 30.0  # a log-in, a cluster's answer, an interpreter's start
_ANSWERS_WITHIN: Seconds = 60.0  # a layout is learnt, sources are read
_LEAVES_WITHIN: Seconds = 2.0
_PREAMBLE: Bytes = 1 << 16  # what a log-in may say before our own words
_SAID: Bytes = 4096  # of the end of its standard error, of which the last line is shown
_NO_PYTHON = (
    "A container without Python is looked at from one beside it: kubectl debug -it POD"
    " --image=python:3.12 --target=CONTAINER --profile=general, then --exec-prefix 'kubectl exec"
    " -i POD -c DEBUGGER --'; or from its host, where it has a pid of its own"
)
_NO_INPUT = (
    "What it is asked comes on its standard input: docker exec -i, kubectl exec -i, ssh without -n"
)
_Told = TypeVar("_Told")


class FarHost:
    """A host (a container, a pod) that a target is looked at on, from `with` to its end. Every
    method raises AttachFailed when nobody answers there, and what was refused there.
    """

    def __init__(self, prefix: Sequence[str]) -> None:
        """Starts `prefix python3 ...`. Raises AttachFailed, with the way out."""
        self.prefix = visible(" ".join(prefix))
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        try:
            self._process = subprocess.Popen(
                [*prefix, *COMMAND],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=inherited(),
                start_new_session=True,
            )
        except OSError as error:
            self._errors.close()
            raise AttachFailed(f"{self.prefix} could not be run: {error.strerror}") from error
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._until = 0.0
        self._asking = threading.Lock()
        with ExitStack() as failed:
            failed.callback(self.close)
            self._begin()
            failed.pop_all()

    def __enter__(self) -> FarHost:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

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

    def target(self, pid: int | None, port: int | None) -> FarTarget:
        """The target there, as it is now."""
        return self._told(FarTarget, "target", pid=pid, port=port)

    def environment(self) -> Environment:
        """What numbers taken there depend on."""
        return self._told(Environment, "environment")

    def checks(self) -> tuple[Check, ...]:
        """What works there."""
        return self._told(tuple[Check, ...], "checks")

    def open(self) -> None:
        """Watch it from now on."""
        self._ask("open")

    def resources(self) -> FarUse:
        """What the target used since the last call."""
        return self._told(FarUse, "resources")

    def begin(self, *, waits: bool) -> None:
        """A span begins."""
        self._ask("begin", waits=waits)

    def settled(self) -> None:
        """States and peers are counted from here."""
        self._ask("settled")

    def end(self, phase: str) -> FarSpan:
        """What was captured since it began."""
        return self._told(FarSpan, "end", phase=phase)

    def dead(self) -> str:
        """Why the target can no longer be measured; "" while it lives."""
        return self._told(str, "dead")

    def sources(self, files: Collection[str]) -> dict[str, str]:
        """The texts of the target's own files."""
        return self._told(dict[str, str], "sources", files=sorted(files))

    def _begin(self) -> None:
        self._until = time.monotonic() + _BEGINS_WITHIN
        self._send(FIRST_LINE.encode() + b"\n")
        self._until_said(READY)
        version = self._until_said(b"\n").strip()
        major, _, minor = version.partition(b".")
        told = (int(major), int(minor)) if (major + minor).isdigit() else (0, 0)
        if told < OLDEST:
            raise AttachFailed(
                f"python3 behind {self.prefix} is {version.decode(errors='replace')[:20]}; the half"
                f" that looks needs {OLDEST[0]}.{OLDEST[1]}",
                _NO_PYTHON,
            )
        program = archive()
        self._send(SECOND.format(size=len(program)).encode())
        self._until_said(b"\0")
        self._send(program)

    def _until_said(self, word: bytes) -> bytes:
        """What is told until a word. Raises AttachFailed when that never comes."""
        heard = b""
        while not heard.endswith(word):
            piece = self._read(1)
            if not piece or len(heard) > _PREAMBLE:
                raise self._silent()
            heard += piece
        return heard[: -len(word)]

    def _silent(self) -> AttachFailed:
        """Why there is no answer, by what was said on the way there."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVES_WITHIN)
        code, said = self._process.returncode, self._last_words()
        if code == 0 or "InteractiveConsole" in said:
            return AttachFailed(
                f"python3 ran behind {self.prefix}, and was given nothing to do", _NO_INPUT
            )
        how = "ended" if code is None else f"ended with code {code}"
        told = f": {said}" if said else ""
        return AttachFailed(
            f"no python3 could be run behind {self.prefix} (it {how}{told})", _NO_PYTHON
        )

    def _last_words(self) -> str:
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - _SAID))
        lines = self._errors.read(_SAID).decode(errors="replace").strip().splitlines()
        return visible(lines[-1])[:200] if lines else ""

    def _told(self, kind: type[_Told], word: str, **given: Any) -> _Told:
        return self._read_as(kind, self._ask(word, **given))

    def _read_as(self, kind: type[_Told], answer: Any) -> _Told:
        try:
            return from_plain(kind, answer, "its answer")
        except PlainError as error:
            raise AttachFailed(
                f"what came from behind {self.prefix} is no answer: {error}"
            ) from error

    def _ask(self, word: str, **given: Any) -> Any:
        with self._asking:
            return self._answered(word, given)

    def _answered(self, word: str, given: Mapping[str, Any]) -> Any:
        self._until = time.monotonic() + _ANSWERS_WITHIN
        self._send(framed({"ask": word, "with": given}))
        try:
            frame = read_frame(self._read)
            answer = json_value(frame, "its answer") if frame is not None else None
        except Unreadable as error:
            raise AttachFailed(f"{self.prefix}: {error.message}") from error
        if not isinstance(answer, dict) or not answer.keys() & {"answer", "error"}:
            said = self._last_words()
            raise AttachFailed(f"the line through {self.prefix} ended{f': {said}' if said else ''}")
        if "error" in answer:
            kind, message, hint = self._read_as(tuple[str, str, str], answer["error"])
            refused = TargetNotFound if kind == "TargetNotFound" else AttachFailed
            raise refused(visible(message), visible(hint))
        return answer["answer"]

    def _send(self, content: bytes) -> None:
        view = memoryview(content)
        try:
            while view:
                view = view[os.write(self._to, view) :]
        except BrokenPipeError:
            raise self._silent() from None

    def _read(self, most: Bytes) -> bytes:
        left = max(0.0, self._until - time.monotonic())
        if not awaited(self._from, left):
            raise AttachFailed(f"nothing came through {self.prefix} in time", _NO_INPUT)
        return os.read(self._from, most)
