"""What others wrote, read within bounds: bytes, lines, items and depth are counted, and what is
beyond them is an error that says where, never a process without memory or end.

Whoever reads a file, an answer or a stream of others does it through these; `tests/architecture`
holds that.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

from perfhunt.errors import Unreadable
from perfhunt.model.units import Bytes

# Levels of tables within tables. What people and tools write has under twenty; Python's own limit
# on recursion, which walks over such a tree meet, lies near a thousand.
DEEPEST = 64
# A stack of 10,000 frames, of 100 characters each: no tool writes a longer line.
LONGEST_LINE = 1 << 20  # characters
MOST_LINES = 10_000_000  # of one file: a minute of deep stacks has a tenth of that
_CHUNK: Bytes = 1 << 16
_MIB: Bytes = 1 << 20
_HINT = "Nothing of that size is expected there: look at what wrote it."
_GZIP = 31  # zlib's `wbits` for the gzip format

# A dotted key of TOML with more parts than DEEPEST. tomllib takes quadratic time for such a key,
# and for each line below such a table. Possessive, so that no text makes the search quadratic.
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?<![\w-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{DEEPEST}}}")


def beyond(what: str, holds: str) -> Unreadable:
    """The error for an input that is larger than is read: `what` is it, and `holds` of what."""
    return Unreadable(f"{what} holds {holds}, which is more than is read", _HINT)


@dataclass(slots=True)
class Allowance:
    """So many items of one kind are read of one input; `take` uses some of them up."""

    most: int
    of: str  # what is counted: "frames"
    what: str  # the input, as a person knows it
    taken: int = 0

    def take(self, n: int = 1) -> None:
        """Use n of them. Raises Unreadable when they are used up."""
        self.taken += n
        if self.taken > self.most:
            raise beyond(self.what, f"over {self.most:,} {self.of}")


def read_all(read: Callable[[int], bytes], most: Bytes, what: str) -> bytes:
    """Everything `read` gives, asked for piece by piece. Raises Unreadable for more than `most`."""
    chunks: list[bytes] = []
    left = most + 1
    while left and (chunk := read(min(_CHUNK, left))):
        chunks.append(chunk)
        left -= len(chunk)
    if left <= 0:
        raise too_large(what, most)
    return b"".join(chunks)


def too_large(what: str, most: Bytes) -> Unreadable:
    """The error for an input of more than `most` bytes."""
    return beyond(what, f"over {most / _MIB:g} MiB")


def unzipped(raw: bytes, most: Bytes, what: str) -> bytes:
    """The content of gzip bytes. Raises Unreadable for what is none, is cut short, has more behind
    it, or unpacks to more than `most`.
    """
    member = zlib.decompressobj(_GZIP)
    try:
        content = member.decompress(raw, most + 1)
    except zlib.error as error:
        raise Unreadable(f"{what} does not unzip: {error}") from error
    if len(content) > most:
        raise beyond(what, f"over {most / _MIB:g} MiB, unzipped")
    if not member.eof or member.unused_data.strip(b"\0"):
        raise Unreadable(f"{what} does not unzip: it is cut short, or more follows")
    return content


def lines_of(file: IO[str]) -> Iterator[str]:
    """The lines of an open file; of one that is too long, as much as `numbered` refuses it by."""
    return iter(partial(file.readline, LONGEST_LINE + 2), "")


def numbered(source: str | Iterable[str], what: str) -> Iterator[tuple[int, str]]:
    """Each line, without its end, with its number from 1. Raises Unreadable for a line, or for more
    of them, than is read.
    """
    lines = source.split("\n") if isinstance(source, str) else source
    for number, line in enumerate(lines, 1):
        if len(line) > LONGEST_LINE:
            raise beyond(what, f"over {LONGEST_LINE:,} characters in line {number}")
        if number > MOST_LINES:
            raise beyond(what, f"over {MOST_LINES:,} lines")
        yield number, line.removesuffix("\n").removesuffix("\r")


def json_value(text: str | bytes, what: str, deepest: int = DEEPEST) -> Any:
    """The value of a JSON text. Raises Unreadable for what is none, or is nested deeper."""
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise _too_deep(what, deepest) from error
    except ValueError as error:  # of bytes that are no text, and of numbers of 5,000 digits too
        raise Unreadable(f"{what} is not JSON: {error}") from error
    return _shallow(value, what, deepest)


def toml_table(text: str, what: str) -> dict[str, Any]:
    """The table of a TOML text. Raises Unreadable for what is none, or is nested beyond DEEPEST."""
    if _LONG_KEY.search(text):
        raise _too_deep(what)
    try:
        table = tomllib.loads(text)
    except RecursionError as error:
        raise _too_deep(what) from error
    except ValueError as error:
        raise Unreadable(f"{what} is not TOML: {error}") from error
    _shallow(table, what)
    return table


def python_tree(text: str, what: str) -> ast.Module:
    """The tree of a Python text. Raises Unreadable for what this interpreter cannot parse."""
    try:
        return ast.parse(text)
    # MemoryError is the parser's own word for an expression that is nested too deeply.
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Unreadable(f"{what} does not parse: {str(error) or type(error).__name__}") from error


def _shallow(value: Any, what: str, deepest: int = DEEPEST) -> Any:
    """The value, when it is nested no deeper; told without recursion."""
    level = [value]
    for _ in range(deepest + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return value
    raise _too_deep(what, deepest)


def _too_deep(what: str, deepest: int = DEEPEST) -> Unreadable:
    return beyond(what, f"over {deepest} levels of nesting")
