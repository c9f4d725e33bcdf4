"""Where a thread that waits for a lock says which."""

from __future__ import annotations

from perfhunt.profilers.cpython.layouts.layout import Offset
from perfhunt.profilers.cpython.layouts.search import OBJECT, OffsetSearch
from perfhunt.target.proc.files import text
from perfhunt.target.proc.memory import WORD
from perfhunt.target.proc.threads import host_tids
from perfhunt.target.proc.waits import slept_on

_AROUND = 16  # words to either side of what a waiter sleeps on; its entry has eight


class LockSearch(OffsetSearch):
    """Learns from the two threads of the specimen that wait for one lock."""

    def parked(self) -> Offset | None:
        """Where, from the address that a waiter sleeps on, it has that of the lock: from 3.14 on
        each sleeps on a semaphore of its own, on its stack. None where all sleep on the lock.
        """
        tids, lock = host_tids(self.memory.pid), self.facts["lock"]
        agreed: set[tuple[int, int]] | None = None
        for _, native in self.facts["threads"][:2]:
            line = text(f"/proc/{self.memory.pid}/task/{tids.get(native, 0)}/syscall")
            address, _ = slept_on(line.encode()) or (0, 0)
            begin = address - _AROUND * WORD
            here = {
                (offset - _AROUND * WORD, word)
                for offset, word in self.words(begin, 2 * _AROUND)
                if lock < word < lock + OBJECT
            }
            agreed = here if agreed is None else agreed & here
        return min(agreed)[0] if agreed else None
