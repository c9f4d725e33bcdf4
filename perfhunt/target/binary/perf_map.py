"""The names of code that a runtime made as it ran, from the file that it writes for perf.

Format: linux, tools/perf/Documentation/jit-interface.txt: `START SIZE name` for each function, the
numbers hexadecimal. A runtime appends to it; what was made last at an address is what is there.
"""

from __future__ import annotations

import os
import re
import stat
from bisect import bisect_right
from contextlib import suppress

from perfhunt.model.units import Bytes
from perfhunt.target.proc.process import uid

_LINE = re.compile(rb"([0-9a-fA-F]{1,16}) ([0-9a-fA-F]{1,16}) ([^\n]{1,4096})\n")
_MOST: Bytes = 64 << 20  # of the file; half a million functions. What is beyond it is not named.
_ROOT = 0


class PerfMap:
    """What a process wrote, read on as it grows."""

    def __init__(self, pid: int, own: int) -> None:
        """`own` is its pid as it is known to itself."""
        self.path = f"/tmp/perf-{own}.map"
        self._file, self._trusted = f"/proc/{pid}/root{self.path}", (_ROOT, uid(pid))
        self._read: Bytes = 0
        self._functions: dict[int, tuple[int, str]] = {}
        self._begins: list[int] = []

    def name(self, address: int) -> str:
        """What the code at an address is called; "" where nothing says, or who wrote it is neither
        root nor the owner of the process.
        """
        if not (known := self._known(address)):
            self._read_on()
            known = self._known(address)
        return known

    def _known(self, address: int) -> str:
        place = bisect_right(self._begins, address) - 1
        if place < 0:
            return ""
        begin = self._begins[place]
        size, name = self._functions[begin]
        return name if address < begin + size else ""

    def _read_on(self) -> None:
        raw = b""
        with suppress(OSError):
            # Everybody may write into the folder: neither a link nor a pipe is followed.
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            file = os.open(self._file, flags)
            try:
                kept = os.fstat(file)
                if stat.S_ISREG(kept.st_mode) and kept.st_uid in self._trusted:
                    raw = os.pread(file, max(0, _MOST - self._read), self._read)
            finally:
                os.close(file)
        whole = raw[: raw.rfind(b"\n") + 1]
        self._read += len(whole)
        for begin, size, name in _LINE.findall(whole):
            text = name.decode(errors="replace")
            self._functions[int(begin, 16)] = int(size, 16), text
        if whole:
            self._begins = sorted(self._functions)
