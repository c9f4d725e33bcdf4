"""The half that asks: starts the other one by way of a command, and reads what it tells."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

from perfhunt.errors import AttachFailed, TargetNotFound, Unreadable
from perfhunt.model.document.bounded import json_value
from perfhunt.model.document.plain import PlainError, from_plain
from perfhunt.model.run import Environment
from perfhunt.model.text.escaping import visible
from perfhunt.model.units import Seconds
from perfhunt.profilers.remote.line import line_to
from perfhunt.profilers.remote.messages import FarSpan, FarTarget, FarUse, framed, read_frame
from perfhunt.target.host.check import Check

_ANSWERS_WITHIN: Seconds = 60.0  # a layout is learnt, sources are read
_Told = TypeVar("_Told")


class FarHost:
    """A host (a container, a pod) that a target is looked at on, from `with` to its end. Every
    method raises AttachFailed when nobody answers there, and what was refused there.
    """

    def __init__(self, prefix: Sequence[str]) -> None:
        """Starts Python by way of `prefix`. Raises AttachFailed, with the way out."""
        self.prefix = visible(" ".join(prefix))
        self._line = line_to(prefix)
        self._asking = threading.Lock()
        self._failed: AttachFailed | None = None

    def __enter__(self) -> FarHost:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Nobody asks there any more, so that it ends. Idempotent."""
        self._line.close()

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
            if self._failed is not None:  # An answer that comes late would be taken for the next.
                raise self._failed
            try:
                answer = self._answered(word, given)
            except AttachFailed as failed:
                self._failed = failed
                raise
        if "error" in answer:
            kind, message, hint = self._read_as(tuple[str, str, str], answer["error"])
            refused = TargetNotFound if kind == "TargetNotFound" else AttachFailed
            if "sudo perfhunt" in hint:  # There is no perfhunt there that could be run so.
                hint = f"As a user who may: --exec-prefix '{self.prefix} sudo -n', docker exec -u 0"
            raise refused(visible(message), visible(hint))
        return answer["answer"]

    def _answered(self, word: str, given: Mapping[str, Any]) -> dict[str, Any]:
        self._line.allow(_ANSWERS_WITHIN)
        self._line.send(framed({"ask": word, "with": given}))
        try:
            frame = read_frame(self._line.read)
            answer = json_value(frame, "its answer") if frame is not None else None
        except Unreadable as error:
            raise AttachFailed(f"{self.prefix}: {error.message}", error.hint) from error
        if not isinstance(answer, dict) or not answer.keys() & {"answer", "error"}:
            raise self._line.ended()
        return answer
