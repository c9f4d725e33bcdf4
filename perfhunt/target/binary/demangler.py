"""Names of C++ symbols, by the demangler of this host's C++ runtime (Itanium C++ ABI, 3.4), in a
process of its own: a symbol of some hundred characters may stand for a name of gigabytes, where
each template's arguments hold the one before twice, or for one nested deeper than any stack.
"""

from __future__ import annotations

import atexit
import resource
import sys
import threading

from perfhunt.model.units import Bytes, Seconds
from perfhunt.target.binary.answerer import Answerer

_MOST_CPU: Seconds = 1  # of one process: a hundred thousand names of common length
_MOST_MEMORY: Bytes = 64 << 20  # of its own data: Python has 10 MiB, a name a few
_MOST_LIVES = 4  # of processes: each symbol that ends one costs it
_ANSWER: Seconds = 10.0  # for one name: the first waits until the process has begun
_LONGEST: Bytes = 64 << 10  # of a name; those of generic code have some kilobytes
_PROGRAM = """\
import ctypes, sys
for library in ("libstdc++.so.6", "libc++abi.so.1"):
    try:
        demangle = ctypes.CDLL(library).__cxa_demangle
        break
    except (OSError, AttributeError):
        pass
demangle.restype = ctypes.c_void_p
free = ctypes.CDLL(None).free
for line in sys.stdin.buffer:
    at = ctypes.c_void_p(demangle(line[:-1], None, None, ctypes.byref(ctypes.c_int())))
    name = ctypes.string_at(at) if at else b""
    free(at)
    sys.stdout.buffer.write((name if len(name) < int(sys.argv[1]) else b"") + b"\\n")
    sys.stdout.buffer.flush()
"""


class Demangler:
    """Asks for one name after the other, from any thread."""

    def __init__(self) -> None:
        self._lock, self._lives = threading.Lock(), _MOST_LIVES
        self._program = Answerer(
            [sys.executable or "python3", "-I", "-S", "-c", _PROGRAM, str(_LONGEST)],
            {resource.RLIMIT_CPU: int(_MOST_CPU), resource.RLIMIT_DATA: _MOST_MEMORY},
        )
        atexit.register(self.close)

    @property
    def cpu(self) -> Seconds:
        """What who is asked used so far."""
        return self._program.cpu

    def name(self, symbol: str) -> str:
        """The whole name that a symbol stands for; "" for none, for one that is longer than any
        name, and once too many symbols have ended who is asked.
        """
        with self._lock:
            if not self._lives or "\n" in symbol:
                return ""
            question = symbol.encode(errors="replace") + b"\n"
            try:
                return self._program.asked(question, _line, _LONGEST, _ANSWER)
            except (OSError, ValueError):
                self._program.close()
                self._lives -= 1
                return ""

    def close(self) -> None:
        """End who is asked. Idempotent."""
        self._program.close()


def _line(output: bytes) -> str | None:
    return output[:-1].decode(errors="replace") if output.endswith(b"\n") else None
