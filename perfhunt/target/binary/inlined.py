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
import time
from dataclasses import dataclass
from functools import partial

from perfhunt.model.units import Bytes, Seconds
from perfhunt.target.binary.answerer import Answerer

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
        there = ((found, tool) for tool in _TOOLS if (found := shutil.which(tool[0])) is not None)
        found, tool = next(there, (_TOOLS[0][0], _TOOLS[0]))
        self._tool = Answerer(
            [found, *tool[1:], path],
            {resource.RLIMIT_AS: _MOST_MEMORY},
            {"LC_ALL": "C"},  # Nothing is fetched: where from would stand in DEBUGINFOD_URLS.
        )
        self._spent: Seconds = 0.0
        self.refused = ""  # why nothing is asked any more, as a clause

    def at(self, address: int) -> tuple[SourceCall, ...]:
        """The calls, innermost first; none where the file does not say."""
        if self.refused:
            return ()
        began = time.monotonic()
        # The rest of an answer is about nowhere: what of it comes later is skipped.
        question = f"{address:#x}\n{_NOWHERE:#x}\n".encode()
        whole, within = partial(_whole, address), min(_ANSWER, _ALL - self._spent)
        try:
            lines = self._tool.asked(question, whole, _MOST_TEXT, within)
        except (OSError, ValueError) as error:
            self.refused = f"{NEEDED} failed: {error}"
            self.close()
            return ()
        self._spent += time.monotonic() - began
        return _calls(lines)

    @property
    def cpu(self) -> Seconds:
        """What the tool used so far."""
        return self._tool.cpu

    def close(self) -> None:
        """End the tool. Idempotent."""
        self._tool.close()


def available() -> bool:
    """Whether a tool that reads debug information is installed."""
    return any(shutil.which(tool[0]) for tool in _TOOLS)


def _whole(address: int, text: bytes) -> list[str] | None:
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
