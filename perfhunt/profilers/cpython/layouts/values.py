"""Where code, text and dictionaries keep their parts."""

from __future__ import annotations

import struct

from perfhunt.profilers.cpython.layouts.layout import CodeLayout, DictLayout, TextKind, TextLayout
from perfhunt.profilers.cpython.layouts.search import (
    LOWEST,
    OBJECT,
    OffsetSearch,
    int64,
    unknown,
)
from perfhunt.target.proc.memory import WORD

_HALF = 0xFFFFFFFF  # the state of a string is half a word
_ENCODINGS = (("ascii", 1), ("latin-1", 1), ("utf-16-le", 2), ("utf-32-le", 4))


class ValueSearch(OffsetSearch):
    """Learns from the strings, dictionaries and code objects of the specimen."""

    def code(self, instructions: int, copies: int | None) -> CodeLayout:
        """Code objects, and the bytes in which they keep their lines."""
        codes = self.facts["codes"]
        length, data = self._bytes()
        return CodeLayout(
            name=self.offset("a code's name", [(c["at"], c["name"]) for c in codes]),
            file=self.offset("a code's file", [(c["at"], c["file"]) for c in codes]),
            first_line=self.int_offset(
                "a code's first line", [(c["at"], c["first_line"]) for c in codes]
            ),
            table=self.offset("a code's lines", [(c["at"], c["table"]) for c in codes]),
            instructions=instructions,
            copies=copies,
            bytes_length=length,
            bytes_data=data,
        )

    def text(self) -> TextLayout:
        """Strings. What tells their kinds apart are the bits of the state that no two strings of a
        kind differ in.
        """
        strings = self.facts["strings"]
        length = self.offset("a string's length", [(at, len(text)) for at, text in strings])
        found: dict[str, list[tuple[int, int]]] = {}
        widths = dict(_ENCODINGS)
        for at, text in strings:
            encoding = _encoding_of(text)
            data = self.memory.read(at, OBJECT * WORD).find(text.encode(encoding))
            if data < 0:
                raise unknown("the text of a string")
            found.setdefault(encoding, []).append((at, data))
        # The state follows the length and the hash, which is one word.
        state = length + 2 * WORD
        states = {
            encoding: [self.memory.word(at + state) & _HALF for at, _ in seen]
            for encoding, seen in found.items()
        }
        constant, differs, some = _HALF, 0, states["ascii"][0]
        for seen in states.values():
            for one in seen:
                constant &= ~(one ^ seen[0])
                differs |= one ^ some
        mask = constant & differs
        kinds = tuple(
            TextKind(states[encoding][0] & mask, seen[0][1], encoding, widths[encoding])
            for encoding, seen in found.items()
        )
        if len({kind.state for kind in kinds}) < len(kinds):
            raise unknown("the kind of a string")
        return TextLayout(length, state, mask, kinds)

    def dict(self) -> DictLayout:
        """Dictionaries whose keys are strings: pairs of key and value, in order."""
        seen = []
        for at, count, items in self.facts["dicts"]:
            first = items[0]
            for offset, word in self.words(at, 8):
                raw = self.memory.read(word, 1 << 15)
                start = raw.find(struct.pack("<2Q", *first))
                if start >= 0:
                    seen.append((offset, raw[:start], start, count))
                    break
            else:
                raise unknown("the keys of a dictionary")
        (keys, *_), *others = seen
        index = [
            (at, start - (1 << raw[at]))
            for _, raw, start, _ in seen[:1]
            for at in range(min(WORD * 8, start))
            if raw[at] < 32
        ]
        for at, header in index:
            if header > 0 and all(start - (1 << raw[at]) == header for _, raw, start, _ in others):
                counts = [
                    o
                    for o in range(0, header, WORD)
                    if all(int64(raw, o) == count for _, raw, _, count in seen)
                ]
                if counts:
                    return DictLayout(keys, at, counts[0], header, self._shared_values(keys))
        raise unknown("the entries of a dictionary")

    def _shared_values(self, keys: int) -> tuple[int, ...]:
        """The steps to the first value of a dictionary that shares its keys; none where it has its
        own.
        """
        if not self.facts["attribute"]:
            return ()
        at, index, value = self.facts["attribute"]
        for offset, word in self.words(at, 8):
            for further, held in self.words(word, 8 + index) if offset != keys else ():
                if word > LOWEST and held == value and further >= index * WORD:
                    return offset, further - index * WORD
        return ()

    def _bytes(self) -> tuple[int, int]:
        """(where a bytes object keeps its length, where its bytes begin)."""
        lengths: set[int] | None = None
        data: set[int] = set()
        for code in self.facts["codes"]:
            raw, known = (
                self.memory.read(code["table"], OBJECT * WORD),
                bytes.fromhex(code["table_hex"]),
            )
            data.add(raw.find(known))
            here = {o for o in range(0, 64, WORD) if int64(raw, o) == len(known)}
            lengths = here if lengths is None else lengths & here
        if len(data) != 1 or -1 in data or not lengths:
            raise unknown("the content of bytes")
        return min(lengths), data.pop()


def _encoding_of(text: str) -> str:
    """How CPython writes a string: in the narrowest of its forms."""
    widest = max(map(ord, text))
    limits = (0x80, 0x100, 0x10000)
    return _ENCODINGS[sum(widest >= limit for limit in limits)][0]
