"""Whether perf still listens: it answers pings on its control FIFOs, while its own loop may well
sleep for as long as the target does.
"""

from __future__ import annotations

import os
import re
from contextlib import ExitStack, suppress

from perfhunt.target.leash import scratch

_SINCE = (5, 12)  # the first perf that answers (tools/perf/util/evlist.c, EVLIST_CTL_CMD_PING)
_ANSWERS = 4096  # bytes; one is five


def answers_pings(version: str) -> bool:
    """Whether a perf of that version, `6.1.187`, can be asked."""
    match = re.match(r"(\d+)\.(\d+)", version)
    return match is not None and (int(match[1]), int(match[2])) >= _SINCE


class PerfHeartbeat:
    """Asks perf, and counts its answers. `option` is what perf is started with."""

    def __init__(self) -> None:
        """Raises OSError where no FIFO can be made."""
        self._answers, self._asked = 0, False
        self._place = ExitStack()
        place = self._place.enter_context(scratch("perfhunt-perf-"))
        ask, answer = place / "ask", place / "answer"
        for fifo in (ask, answer):
            os.mkfifo(fifo, 0o600)
        # Both ends of each: neither side waits for the other to open, nor dies of its end.
        self._ask, self._answer = (
            os.open(fifo, os.O_RDWR | os.O_NONBLOCK) for fifo in (ask, answer)
        )
        self.option = f"--control=fifo:{ask},{answer}"

    def __call__(self) -> int:
        """How many answers came so far; asks once more when none is awaited."""
        with suppress(OSError):
            if os.read(self._answer, _ANSWERS):
                self._answers, self._asked = self._answers + 1, False
                self._place.close()  # perf has both open by now
        if not self._asked:
            with suppress(OSError):
                self._asked = os.write(self._ask, b"ping\n") > 0
        return self._answers

    def close(self) -> None:
        """Stop asking. Idempotent."""
        for fifo in (self._ask, self._answer):
            if fifo >= 0:
                os.close(fifo)
        self._ask = self._answer = -1
        self._place.close()
