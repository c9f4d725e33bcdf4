"""The layout of the runtime's own structures, from the descriptors of types that every Go program
carries: whatever its version, and whether or not it was stripped.

Format: `Type`, `StructType` and `Name` of Go's `internal/abi/type.go`, as they are since 1.19.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from perfhunt.errors import AttachFailed
from perfhunt.model.units import Bytes
from perfhunt.profilers.go.image import HINT, GoModule
from perfhunt.target.proc.memory import WORD, ProcessMemory

_KIND_AT, _NAME_AT = 23, 40  # in a descriptor
_KIND, _STRUCT, _POINTER = 31, 25, 22  # of a kind: its bits, and two kinds
_HEAD: Bytes = 48  # of a descriptor; what follows depends on its kind
_FIELDS_AT: Bytes = _HEAD + WORD  # of a struct: where its fields are, and how many
_FIELD = struct.Struct("<QQQ")  # name, type, offset
_MOST_FIELDS = 512
_LARGEST: Bytes = 1 << 28  # of all descriptors of a program; the largest have some MiB


@dataclass(frozen=True, slots=True)
class GoStruct:
    """A structure: its size, and its fields by name: (offset, the address of its type)."""

    size: Bytes
    fields: dict[str, tuple[Bytes, int]] = field(default_factory=dict)


class Structs:
    """The descriptors of one program's types."""

    def __init__(self, memory: ProcessMemory, module: GoModule) -> None:
        self._memory = memory
        self._begin, end = module.types
        self._raw = memory.read(self._begin, min(end - self._begin, _LARGEST))

    def named(self, name: str) -> GoStruct:
        """The structure of that name. Raises AttachFailed when the program has none."""
        # Its descriptor shares the text with that of the pointer to it.
        text = f"*{name}".encode()
        at = self._raw.find(bytes([len(text)]) + text)
        while at >= 0:
            wanted = struct.pack("<i", at - 1)  # A byte of flags comes before the length.
            found = self._raw.find(wanted)
            while found >= 0:
                begin = found - _NAME_AT
                aligned = begin >= 0 and begin % WORD == 0
                if aligned and self._raw[begin + _KIND_AT] & _KIND == _STRUCT:
                    return self._struct(self._begin + begin)
                found = self._raw.find(wanted, found + 1)
            at = self._raw.find(bytes([len(text)]) + text, at + 1)
        raise AttachFailed(f"The program of pid {self._memory.pid} does not describe {name}", HINT)

    def of(self, kind: int) -> GoStruct:
        """The structure of a field's type, or of what that points to. Raises AttachFailed when it
        is no structure.
        """
        head = self._memory.read(kind, _HEAD + WORD)
        if len(head) == _HEAD + WORD and head[_KIND_AT] & _KIND == _POINTER:
            (kind,) = struct.unpack_from("<Q", head, _HEAD)
            head = self._memory.read(kind, _HEAD)
        if len(head) < _HEAD or head[_KIND_AT] & _KIND != _STRUCT:
            raise AttachFailed(f"What a structure of pid {self._memory.pid} holds is none", HINT)
        return self._struct(kind)

    def last_word(self, record: GoStruct, name: str) -> int:
        """Where a field of one word is; of one that is a structure itself, its last word: what the
        collector may not see is kept twice, and there for certain. Raises AttachFailed without it.
        """
        if name not in record.fields:
            raise AttachFailed(f"This Go keeps no {name} where others do", HINT)
        begin, kind = record.fields[name]
        size = self._memory.word(kind)
        return begin + max(0, size - WORD)

    def _struct(self, kind: int) -> GoStruct:
        size = self._memory.word(kind)
        begin, count = self._memory.words(kind + _FIELDS_AT, 2)
        raw = self._memory.read(begin, min(count, _MOST_FIELDS) * _FIELD.size)
        fields = {}
        for name, of, offset in _FIELD.iter_unpack(raw):
            length = self._memory.read(name + 1, 1)
            text = self._memory.read(name + 2, length[0]) if length else b""
            fields[text.decode("utf-8", "replace")] = offset, of
        return GoStruct(size, fields)
