"""The load child's dead man's switch: a thread of the system's, beside the event loop, that ends
the load when nobody listens for stops any more, when it lasts too long, and when the killswitch
file is there.

It asks the event loop first. A loop that does not obey, held up by a client in C or by a task that
never waits, ends with its process.
"""

from __future__ import annotations

import math
import os
from _thread import start_new_thread
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

# The system's own, since this is imported before gevent puts its own in their place.
from signal import SIGKILL
from time import monotonic, sleep
from typing import NoReturn

from perfhunt.load.child.bounds.lines import Line
from perfhunt.load.child.bounds.starving import ThreadAccount
from perfhunt.load.lifeline import BEAT, ENDED_ITSELF, OBEYED_WITHIN, SILENCE, STARVED, STOP
from perfhunt.model.units import Seconds, format_duration
from perfhunt.store.files import appeared

# Of a look at the killswitch file; a file system that takes longer is not there.
_SEEN_WITHIN: Seconds = 0.7
# Not run for so long, a generator was suspended or starved: five looks of this thread were missed,
# which needs a hundredth of a core. What was due or answered meanwhile came late by up to that.
HELD: Seconds = 0.5
_GLANCE: Seconds = 0.01  # between two looks at whether the loop has obeyed
_UNHEARD = (
    f"nothing was heard of the process that listens for stops for {SILENCE:g} s (it was suspended,"
    " or hung), so the load ended itself"
)
_NO_CPU = (
    f"perfhunt itself got no CPU for {SILENCE:g} s beside the target, so the load was taken off (a"
    " service in a session of its own, started by setsid, leaves perfhunt its half of the CPUs)"
)


def _nobody() -> None:
    """There is no loop yet, and no load."""


class Sentinel:
    """Watches over what is under way. `why` says afterwards why it was ended from here, or ""."""

    def __init__(self, line: Line, above: int = 0) -> None:
        """`line` is what the one above is heard by: a controller, or a worker's master. `above` is
        its pid, where it is a process of this host.
        """
        self.why = ""
        self._above, self._before = above, ThreadAccount.of(above)
        self._pauses: list[tuple[Seconds, Seconds]] = []  # when each ended, how long it was
        self._line = line
        # Of our own: later nothing that is printed by a locustfile reaches the log.
        self._log = os.dup(2)
        self._end: Callable[[], None] = _nobody
        self._under_way = self._unruly = False
        self._until = self._expires = math.inf
        self._switch, self._pulled = "", ""
        self._unseen: Seconds = 0.0

    @property
    def starved(self) -> bool:
        """Whether that was because the one above got no CPU, and otherwise was well."""
        return self.why == _NO_CPU

    def start(self) -> None:
        """Begins to watch. Nothing is under way yet."""
        start_new_thread(self._watch, (monotonic(),))

    def open(
        self, end: Callable[[], None], lifetime: Seconds, switch: str, *, unruly: bool
    ) -> None:
        """`end` asks the loop to take the load off, from any thread. There is none after `lifetime`
        from now, or with a file at `switch`. `unruly` traffic may go on by itself when nothing is
        under way, as a user's own code may.
        """
        self._end, self._unruly, self._switch = end, unruly, switch
        self._expires = monotonic() + lifetime
        if switch:
            start_new_thread(self._look, ())

    @contextmanager
    def under_way(self, seconds: Seconds) -> Iterator[None]:
        """Load may be on within, and for no longer than `seconds`."""
        self.why, self._until = "", monotonic() + seconds
        self._pauses.clear()
        self._under_way = True
        try:
            yield
        finally:
            self._under_way, self._until = False, math.inf

    def paused(self, since: Seconds) -> str:
        """That this process did not run for HELD or longer in what was under way last, from `since`
        on its clock, as the end of a sentence; "" when it ran.
        """
        # The thread waits for beats and nothing else: what took longer was no CPU, or a stop.
        spans = [min(pause, ended - since) for ended, pause in self._pauses]
        longest = max(spans, default=0.0)
        if longest < HELD:
            return ""
        return (
            f"was suspended or got no CPU for {format_duration(longest)}:"
            " what was due or answered meanwhile came late"
        )

    def _watch(self, looked: Seconds) -> None:
        """`looked` is when it was started."""
        silent: Seconds = 0.0
        ended = False
        while True:
            began = monotonic()
            if began - looked - BEAT >= HELD:
                self._pauses.append((began, began - looked - BEAT))
            looked = began
            said = self._said(BEAT)
            # A process that was stopped itself sent nothing meanwhile, and heard nothing.
            passed = min(monotonic() - began, 2 * BEAT)
            if silent + passed >= SILENCE:
                said = said or self._said(0.0)
            if not said and not silent:
                self._before = ThreadAccount.of(self._above)
            silent = 0.0 if said else silent + passed
            self._unseen = self._unseen + passed if self._switch else 0.0
            why = self._reason(silent)
            if not why and STOP not in said:
                ended = False
            elif self._under_way or not ended:
                self._end_load(why)
                ended = True

    def _said(self, within: Seconds) -> bytes:
        """What was said on the line; nothing when it is silent for so long."""
        try:
            return self._line.said(within)
        except EOFError:
            leave(0)

    def _reason(self, silent: Seconds) -> str:
        now = monotonic()
        if silent >= SILENCE:
            starved = self._before.starved_until(ThreadAccount.of(self._above))
            return _NO_CPU if starved else _UNHEARD
        if self._switch and self._unseen > _SEEN_WITHIN:
            return f"the killswitch file {self._switch} cannot be looked at, so the load ended"
        if now > self._expires:
            return "safety.max_duration is over"
        return "the load did not end when it had to" if now > self._until else self._pulled

    def _end_load(self, why: str) -> None:
        """Asks the loop; what it has not ended then is ended with the process."""
        self.why = why
        self._end()
        deadline = monotonic() + OBEYED_WITHIN
        while self._under_way and monotonic() < deadline:
            sleep(_GLANCE)
        if self._under_way or self._unruly:
            last = f"The load child ended itself: {why or 'told to stop'}\n"
            os.write(self._log, last.encode(errors="replace"))
            leave(STARVED if self.starved else ENDED_ITSELF)

    def _look(self) -> None:
        """Looks for the killswitch file, in a thread of its own: a file system may hold it up."""
        while True:
            self._pulled = _pulled(self._switch)
            self._unseen = 0.0
            sleep(BEAT)


def leave(code: int) -> NoReturn:
    """Ends this process at once, and what it started: whatever is in its process group, which it
    leads.
    """
    if os.getpgrp() == os.getpid():
        for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))):
            with suppress(OSError):  # gone meanwhile
                if pid != os.getpid() and os.getpgid(pid) == os.getpid():
                    os.kill(pid, SIGKILL)
    os._exit(code)


def _pulled(path: str) -> str:
    """Why the killswitch file says stop, or "". One that cannot be looked at says so too."""
    try:
        return f"the killswitch file {path} appeared" if appeared(path) else ""
    except OSError as error:
        return f"the killswitch file {path} cannot be looked at ({error.strerror})"
