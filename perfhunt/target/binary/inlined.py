"""Which calls were inlined at an address, with files and lines, from a program's debug information:
by the tools that read it, of which one stays at work until all that was met has been asked for.

Both answer alike: the address, then a line with the symbol and one with `file:line` for each call,
innermost first.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass

from perfhunt.model.units import Bytes, Seconds
from perfhunt.target.proc.files import reader_until
from perfhunt.target.proc.process import cpu_used, stat

# The first reads 30 MB of debug information in a fifth of a second where the second takes twice
# that. Measured: 0.1 to 1.5 ms for an address, 30 to 210 MB.
_TOOLS = (
    ("llvm-symbolizer", "--no-demangle", "--inlines", "--output-style=GNU", "--addresses", "-e"),
    ("addr2line", "-f", "-i", "-a", "-e"),
)
NEEDED = " or ".join(tool[0] for tool in _TOOLS)
_ANSWER: Seconds = 5.0  # for one address: the first waits until a large file's index was read
_ALL: Seconds = 20.0  # for all addresses of a file
_MOST_MEMORY: Bytes = 4 << 30
_MOST_TEXT: Bytes = 1 << 20  # of an answer: a hundred inlined calls of generic code have a tenth
# Asked for behind each address, so that its head says that the answer before is whole. No code is
# there, which is not so of 0: what linkers drop may be said to lie there.
_NOWHERE = 0x7FFF_FFFF_FFFF_FFFF
_PLACE = re.compile(r"(?P<file>.*?):(?P<line>\d+|\?)(?: \(discriminator \d+\))?$")
_UNKNOWN = "??"


@dataclass(frozen=True, slots=True)
class SourceCall:
    """A call that an address lies in: the symbol of its function, where in the source it is. What
    the compiler added has no line.
    """

    symbol: str
    file: str
    line: int | None


class InlinedCalls:
    """Asks for the calls at addresses of one file, as the file has them."""

    def __init__(self, path: str) -> None:
        self._path, self._buffer, self._spent = path, b"", 0.0
        self._tool: subprocess.Popen[bytes] | None = None
        self._used: Seconds = 0.0
        self.refused = ""  # why nothing is asked any more, as a clause

    def at(self, address: int) -> tuple[SourceCall, ...]:
        """The calls, innermost first; none where the file does not say."""
        if self.refused:
            return ()
        began = time.monotonic()
        try:
            lines = self._asked(address, min(began + _ANSWER, began + _ALL - self._spent))
        except (OSError, ValueError) as error:
            self.refused = f"{NEEDED} failed: {error}"
            self.close()
            return ()
        self._spent += time.monotonic() - began
        return _calls(lines)

    @property
    def cpu(self) -> Seconds:
        """What the tool used so far."""
        now = stat(self._tool.pid) if self._tool is not None else None
        return self._used if now is None else cpu_used(now)

    def close(self) -> None:
        """End the tool. Idempotent."""
        self._used = self.cpu
        tool, self._tool = self._tool, None
        if tool is not None and tool.stdin is not None and tool.stdout is not None:
            tool.kill()
            tool.stdout.close()
            with suppress(OSError):
                tool.stdin.close()
            tool.wait()

    def _asked(self, address: int, end: Seconds) -> list[str]:
        """The lines of an answer. Raises OSError, ValueError."""
        tool = self._tool = self._tool or _started(self._path)
        if tool.stdin is None or tool.stdout is None:
            raise ValueError("it has no pipes")
        tool.stdin.write(f"{address:#x}\n{_NOWHERE:#x}\n".encode())
        tool.stdin.flush()
        read = reader_until(tool.stdout.fileno(), end)
        while (lines := _whole(self._buffer, address)) is None:
            if len(self._buffer) > _MOST_TEXT:
                raise ValueError("an answer has no end")
            if not (came := read(1 << 16)):
                raise ValueError("it ended")
            self._buffer += came
        self._buffer = b""  # The rest is about nowhere: what of it comes later is skipped.
        return lines


def available() -> bool:
    """Whether a tool that reads debug information is installed."""
    return any(shutil.which(tool[0]) for tool in _TOOLS)


def _started(path: str) -> subprocess.Popen[bytes]:
    """The tool, which ends with its input. Raises OSError."""
    there = ((found, tool) for tool in _TOOLS if (found := shutil.which(tool[0])) is not None)
    found, tool = next(there, ("", _TOOLS[0]))
    if not found:
        raise FileNotFoundError("none of them is installed")
    child = subprocess.Popen(
        [found, *tool[1:], path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"LC_ALL": "C"},  # Nothing is fetched: where from would stand in DEBUGINFOD_URLS.
        start_new_session=True,
    )
    with suppress(OSError):
        resource.prlimit(child.pid, resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    return child


def _whole(text: bytes, address: int) -> list[str] | None:
    """The lines of the answer about an address; None while it is not whole."""
    lines = text.decode(errors="replace").split("\n")
    heads = {int(line, 16): n for n, line in enumerate(lines[:-1]) if line.startswith("0x")}
    if address not in heads or _NOWHERE not in heads or heads[_NOWHERE] < heads[address]:
        return None
    return lines[heads[address] + 1 : heads[_NOWHERE]]


def _calls(lines: list[str]) -> tuple[SourceCall, ...]:
    """Empty where the answer is no more than a symbol, which the file's own table has too."""
    calls = list[SourceCall]()
    for symbol, place in zip(lines[0::2], lines[1::2], strict=False):
        where = _PLACE.match(place)
        if where is None or _UNKNOWN in (symbol, where["file"]):
            return ()
        line = int(where["line"]) if where["line"] != "?" else 0
        calls.append(SourceCall(symbol, os.path.normpath(where["file"]), line or None))
    return tuple(calls) if any(call.line for call in calls) else ()
