"""What a process calls of tokio's, read as it happens: who waits for permits and who has them, and
the wakers that tasks leave.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum

from perfhunt.errors import AttachFailed
from perfhunt.model.units import PerSecond, Seconds
from perfhunt.profilers.native.calls import WRITTEN, WatchedCalls, WatchedFunction
from perfhunt.profilers.native.image import ProcessImage
from perfhunt.profilers.tokio.awaits import waits_for_socket
from perfhunt.profilers.tokio.permits import PERMITS, PERMITS_WITH_STACK, PermitQueue
from perfhunt.profilers.tokio.wakers import WAKERS, WAKERS_WITH_STACK, LeftWakers
from perfhunt.target.proc.files import link

_EVERY: Seconds = 0.02  # between two readings of what was called: a ring holds ten times as much
# Of calls a second, for each core: one costs the target 2 to 9 us, with the copy of its stack or
# without, so that it is 1 to 3 %; and in all: one costs 10 us here, which makes 10 % of one core.
# Beyond either the more frequent half is watched no more, as soon as a part of a second shows it.
_MOST_CALLS: PerSecond = 3_000
_MOST_READ: PerSecond = 10_000
_SHOWS: Seconds = 0.25
_MOST = 500  # symbols with a word in them


class CallsHalf(StrEnum):
    """What is watched, by what it says of tasks."""

    PERMITS = "who has the locks and permits of tokio"
    WAKERS = "what tasks of tokio wait for"


class TokioCalls:
    """Follows one process, in a thread of its own, until it is closed. Whoever reads `permits` or
    `wakers` has `lock`.
    """

    def __init__(self, pid: int, image: ProcessImage) -> None:
        """Returns when it has seen whether calls come too fast."""
        self.permits, self.wakers = PermitQueue(), LeftWakers(waits_for_socket(image))
        self.lock, self._closed = threading.Lock(), threading.Event()
        self.cpu: Seconds = 0.0  # of its own
        self._pid, program = pid, link(pid, "exe")
        found = {
            CallsHalf.WAKERS: _watchable(image, program, WAKERS, "waker", WAKERS_WITH_STACK),
            CallsHalf.PERMITS: _watchable(
                image, program, PERMITS, "batch_semaphore", PERMITS_WITH_STACK
            ),
        }
        self._functions = {half: functions for half, functions in found.items() if functions}
        gone = "it was optimized as a whole (lto)" if self._functions else "it has no names"
        self._untold = {half: gone for half, functions in found.items() if not functions}
        self._missed, self._calls = 0, self._watched()
        self._reader = threading.Thread(target=self._follow, name="perfhunt-tokio", daemon=True)
        if self._calls is not None:
            self._reader.start()
            self._closed.wait(_SHOWS + _EVERY)

    @property
    def came(self) -> int:
        """How many calls were watched since a half was let go, or from the beginning."""
        return self._calls.came if self._calls is not None else 0

    def watches(self, half: CallsHalf) -> bool:
        """Whether a half of it is watched now."""
        return half in self._functions

    @property
    def unseen(self) -> str:
        """What is not watched, and why, as a clause; "" for nothing."""
        missing = [f"{half} ({why})" for half, why in self._untold.items()]
        if self._missed:
            missing.append(f"{self._missed} calls of tokio's that came too fast")
        return ", and ".join(missing)

    def refresh(self) -> None:
        """Take in what was called until now."""
        if self._calls is None:
            return
        for call in self._calls.taken():
            self._came[CallsHalf.PERMITS if call.function in PERMITS else CallsHalf.WAKERS] += 1
            if call.function in PERMITS:
                self.permits.take([call])
            else:
                self.wakers.take(call)
                if call.raw:
                    self.permits.pend(call.tid)
        if self._calls.lost:
            self._missed, self._calls.lost = self._missed + self._calls.lost, 0
            self._forget()

    def catch_up(self) -> None:
        """Take in what was called until this moment, which takes as long as a call is written."""
        if self._calls is not None:
            time.sleep(WRITTEN)
        self.refresh()

    def close(self) -> None:
        """Let the process go. Idempotent."""
        self._closed.set()
        if self._reader.is_alive():
            self._reader.join()

    def _watched(self) -> WatchedCalls | None:
        self._came = Counter[CallsHalf]()
        functions = [function for half in self._functions.values() for function in half]
        try:
            path = f"/proc/{self._pid}/exe"
            return WatchedCalls(self._pid, path, functions) if functions else None
        except AttachFailed as failed:
            self._untold = dict.fromkeys(CallsHalf, failed.message)
            self._functions.clear()
            return None

    def _follow(self) -> None:
        most = min(_MOST_READ, _MOST_CALLS * (os.cpu_count() or 1))
        came, since, began = 0, time.monotonic(), time.monotonic()
        while self._calls is not None and not self._closed.wait(_EVERY):
            with self.lock:
                self.refresh()
                now, now_came = time.monotonic(), self._calls.came
                if now - since >= _SHOWS:
                    rate = (now_came - came) / (now - since)
                    came, since = now_came, now
                    if rate > most:
                        self._give_up(rate, now - began)
                        came = 0
            self.cpu = time.thread_time()
        if self._calls is not None:
            self._calls.close()

    def _give_up(self, rate: PerSecond, after: Seconds) -> None:
        """Watch no longer what is called most."""
        half = max(self._functions, key=lambda each: self._came[each])
        del self._functions[half]
        later = f"after {after:.0f} s: " if after > 1 else ""
        self._untold[half] = f"{later}{rate:,.0f} calls a second would cost it too much"
        if self._calls is not None:
            self._calls.close()
        self._calls = self._watched()
        self._forget()

    def _forget(self) -> None:
        self.permits.forget()
        self.wakers.forget()


def _watchable(
    image: ProcessImage,
    program: str,
    names: Mapping[str, re.Pattern[str]],
    module: str,
    with_stack: Collection[str],
) -> list[WatchedFunction]:
    """Every function of these names, in whose symbols `module` stands: of a generic one each that
    was made. Empty where one of the names has none: it was stripped, or optimized away.
    """
    found = list(_found(image, program, names, module, with_stack))
    return found if {function.name for function in found} == names.keys() else []


def _found(
    image: ProcessImage,
    program: str,
    names: Mapping[str, re.Pattern[str]],
    module: str,
    with_stack: Collection[str],
) -> Iterator[WatchedFunction]:
    file, known = image.files.of(program), set[int]()
    for symbol, own in file.elf.symbols_with(module, _MOST) if file is not None else ():
        name = next((name for name, pattern in names.items() if pattern.search(symbol)), "")
        offset = file.elf.offset_of(own) if file is not None else None
        address = image.address_of(program, own)
        if name and offset is not None and address is not None and own not in known:
            known.add(own)
            yield WatchedFunction(name, offset, address, stack=name in with_stack)
