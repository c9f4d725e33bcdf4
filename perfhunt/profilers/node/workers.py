"""V8's sampler in the worker threads of a Node process, by way of the session with its main thread.

https://github.com/nodejs/node/blob/main/src/inspector/node_protocol.pdl, domain NodeWorker.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import json_value
from perfhunt.model.text.escaping import json_text
from perfhunt.model.units import Seconds
from perfhunt.profilers.node.inspector import Inspector, InspectorError

_MOST_THREADS = 64  # that are sampled; a pool has about as many as there are cores
_STOP = 4  # the number of the command that ends a profile, after three that begin it


class WorkerThreads:
    """Sampling of the worker threads of one process: of those that there are, and from each `tend`
    on of those that were begun since.
    """

    def __init__(self, inspector: Inspector, rate_hz: int) -> None:
        """Raises InspectorError."""
        self._inspector, self._interval = inspector, round(1e6 / rate_hz)
        self._sampled: list[str] = []
        self._profiles: dict[str, dict[str, Any]] = {}
        self._ended: set[str] = set()
        self.unseen = 0
        inspector.call("NodeWorker.enable", waitForDebuggerOnStart=False)
        self.tend()

    def tend(self, within: Seconds = 0.0) -> bool:
        """Take note of what came, waiting so long for the first; whether anything did. Raises
        InspectorError.
        """
        came = False
        while (event := self._inspector.event(0.0 if came else within)) is not None:
            came = True
            name, told = event
            session = str(told.get("sessionId", ""))
            match name.rpartition(".")[2]:
                case "attachedToWorker":
                    self._begin(session)
                case "detachedFromWorker":
                    self._ended.add(session)
                case "receivedMessageFromWorker":
                    self._heard(session, told.get("message"))
        return came

    def taken(self, within: Seconds) -> list[dict[str, Any]]:
        """The profile of each, of those that answer within so long. Raises InspectorError."""
        self.tend()
        for session in self._sampled:
            self._tell(session, _STOP, "Profiler.stop")
        deadline = time.monotonic() + within
        while self._missing() and (left := deadline - time.monotonic()) > 0:
            self.tend(left)
        self.unseen += len(self._sampled) - len(self._profiles)
        self._inspector.call("NodeWorker.disable")
        return list(self._profiles.values())

    def _missing(self) -> set[str]:
        return set(self._sampled) - self._profiles.keys() - self._ended

    def _begin(self, session: str) -> None:
        if len(self._sampled) >= _MOST_THREADS:
            self.unseen += 1
            return
        self._sampled.append(session)
        self._tell(session, 1, "Profiler.enable")
        self._tell(session, 2, "Profiler.setSamplingInterval", interval=self._interval)
        self._tell(session, 3, "Profiler.start")

    def _tell(self, session: str, number: int, method: str, **params: Any) -> None:
        message = json_text({"id": number, "method": method, "params": params})
        with suppress(InspectorError):  # The thread has ended meanwhile.
            self._inspector.call(
                "NodeWorker.sendMessageToWorker", message=message, sessionId=session
            )

    def _heard(self, session: str, message: Any) -> None:
        with suppress(Unreadable, AttributeError, LookupError, TypeError):
            said = json_value(str(message), "a message of a worker thread")
            if said.get("id") == _STOP:
                self._profiles[session] = said["result"]["profile"]
