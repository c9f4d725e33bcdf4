"""Readers of what stands in a target's program, and of what its runtime answers: as hostile as
whoever wrote the program.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from perfhunt.profilers.go.functions import Functions
from perfhunt.profilers.go.image import GoImage, GoModule
from perfhunt.profilers.tokio.updates import ConsoleUpdates
from perfhunt.target.binary.elf import Elf
from perfhunt.target.binary.instances import RustInstances
from perfhunt.target.binary.names import spelled
from perfhunt.target.binary.tables import UnwindTables, evaluated

_AT = 0x1000  # where the code of the program below is
_NAMES = b"\0.text\0.eh_frame\0.eh_frame_hdr\0.symtab\0.strtab\0.data.rel.ro\0.rodata\0.rela.dyn\0"
# A method of any type, of a program of Rust; what it may panic at, and the table that it is in.
_METHOD = b"_ZN35_$LT$F$u20$as$u20$shop..Handler$GT$4call17h0123456789abcdefE"
_DATA, _PATH = 0x2000, b"src/shop.rs"
_CODE = b"\x48\x8d\x3d" + struct.pack("<i", _DATA - _AT - 7) + b"\x90" * 57  # lea rdi, place
_POINTERS = struct.pack(
    "<9Q", _DATA, 8, _DATA + 64, _DATA + 24, 8, _AT, _DATA + 48, 8, _AT
)  # of the place its path, of the table what drops and the method
# One common entry (`zR`, relative pointers of 32 bits), and one of a function of 256 bytes, which
# saves a register, remembers, restores, and counts by an expression.
_COMMON = b"\0\0\0\0\x01zR\0\x01\x78\x10\x01\x1b\x0c\x07\x08\x90\x01\0\0"
_STEPS = b"\x41\x0e\x10\x86\x02\x42\x0d\x06\x0a\x41\x0f\x05\x77\x08\x08\x10\x22\x41\x0b\xc6"


def program(path: bytes = _PATH, names: bytes = b"") -> bytes:
    """An ELF file with a function of Rust, its name, its unwind table and its constants: `path` is
    where it may panic, `names` are symbols of others.
    """
    constants = struct.pack("<QQIIQQQQ", 0, len(path), 7, 5, 0, 8, 8, 0)
    at = 4 + len(_COMMON)
    entry = struct.pack("<IiI", at + 4, -at - 8, 256) + b"\0" + _STEPS
    frames = struct.pack("<I", len(_COMMON)) + _COMMON + struct.pack("<I", len(entry)) + entry
    header = b"\x01\x1b\x03\x3b" + struct.pack("<iIii", 0, 1, 0, at)
    parts: Sequence[tuple[bytes, int, bytes]] = (
        (b".text", _AT, _CODE),
        (b".eh_frame", _AT, frames),
        (b".eh_frame_hdr", _AT, header),
        (b".symtab", 0, struct.pack("<IBBHQQ", 1, 2, 0, 1, _AT, 256)),
        (b".strtab", 0, b"\0" + _METHOD + b"\0_ZN4core9panicking5panicE\0" + names),
        (b".data.rel.ro", _DATA, constants),
        (b".rodata", _DATA + 64, path),
        (b".rela.dyn", 0, _POINTERS),
    )
    at = 64 + 56
    body, heads = b"", [bytes(64)]
    for name, address, raw in parts:
        place = at + len(body)
        named = _NAMES.index(name + b"\0")
        heads.append(struct.pack("<IIQQQQIIQQ", named, 1, 0, address, place, len(raw), 0, 0, 1, 0))
        body += raw
    place = at + len(body)
    heads.append(struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, place, len(_NAMES), 0, 0, 1, 0))
    body += _NAMES
    sections = at + len(body)
    kind = (b"\x7fELF\x02\x01\x01" + bytes(9), 3, 62, 1, _AT, 64, sections, 0, 64, 56, 1, 64)
    head = struct.pack("<16sHHIQQQIHHHHHH", *kind, len(heads), len(heads) - 1)
    code = struct.pack("<IIQQQQQQ", 1, 5, at, _AT, _AT, 64, 64, 1)
    return head + code + body + b"".join(heads)


def read_program(raw: bytes) -> object:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "program")
        path.write_bytes(raw)
        elf = Elf(str(path))
        elf.address_of(120)
        tables = UnwindTables(elf)
        rows = [tables.row(at) for at in (0, _AT, _AT + 4, _AT + 255, (1 << 64) - 1)]
        rows += [row for _, row in tables.sampled(8)]
        counted = [evaluated(row.expression, {7: 64}, lambda at: at) for row in rows if row]
        function = elf.function_at(_AT)
        named = RustInstances(elf).made_for(function) if function is not None else ""
        return counted, function, named, elf.function_at((1 << 64) - 1)


_GO = GoModule(
    names=0,
    units=0x40,
    files=0x50,
    values=0x80,
    functions=0x100,
    index=0x200,
    count=1,
    text=_AT,
    code=(_AT, _AT + 256),
    variables=(),
    types=(0, 1),
    go_data=0x300,
)


class _GoTables:
    """What `Functions` asks of the image of a program, of bytes."""

    module = _GO

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def table(self, address: int, size: int) -> bytes:
        return self._raw[address : address + size]

    def string(self, address: int) -> str:
        return self._raw[address:].partition(b"\0")[0].decode(errors="replace")


def go_tables() -> bytes:
    """The tables of a Go program of one function."""
    raw = bytearray(0x340)
    raw[0:7] = b"main.f\0"
    raw[0x50:0x58] = b"/main.go"
    raw[0x81:0x88] = bytes((2, 64, 4, 64, 6, 128, 0))
    struct.pack_into("<IiiIIIIIIiBBxB", raw, 0x100, 0, 0, 0, 0, 1, 1, 1, 4, 0, 0, 0, 0, 4)
    struct.pack_into("<8I", raw, 0x12C, 1, 1, 1, 1, 0, 0, 0, 0)
    struct.pack_into("<IIII", raw, 0x200, 0, 0, 256, 0)
    return bytes(raw)


def read_go(raw: bytes) -> object:
    functions = Functions(cast("GoImage", _GoTables(raw)))
    points = [functions.at(_AT + offset) for offset in range(0, 256, 17)]
    return [functions.deepest(point.function) for point in points if point is not None]


def _told(number: int, value: int | bytes) -> bytes:
    """A field of a message of less than 128 bytes, or a number below 128."""
    if isinstance(value, int):
        return bytes((number << 3, value))
    return bytes((number << 3 | 2, len(value))) + value


def update() -> bytes:
    """One of the console's: a task, a mutex, and a wait that is over."""
    place = _told(1, b"src/main.rs") + _told(3, 61)
    task = _told(1, _told(1, 3)) + _told(6, place)
    polls = _told(1, 3) + _told(2, _told(7, _told(1, 9) + _told(6, _told(1, 1))))
    mutex = _told(1, _told(1, 7)) + _told(3, b"Mutex") + _told(5, place)
    begun = _told(1, _told(1, 8)) + _told(5, _told(1, 7))
    over = _told(1, _told(1, 10)) + _told(2, _told(1, 12)) + _told(4, _told(1, 3))
    parts = (
        _told(1, _told(1, 20)),
        _told(3, _told(1, mutex)),
        _told(2, _told(1, task) + _told(3, polls)),
        _told(4, _told(1, begun) + _told(2, _told(1, 8) + _told(2, over))),
    )
    return b"".join(parts)


def read_updates(raw: bytes) -> object:
    updates = ConsoleUpdates()
    updates.take(raw)
    updates.take(raw)
    return updates.lock_waits(), updates.long_polls(), updates.late


def read_name(raw: bytes) -> object:
    return spelled(raw.decode(errors="replace").replace("\0", ""))


NAMES = (
    b"_RNvNtCs1234_7mycrate3foo3bar",
    b"_RINvNtC3std3mem8align_ofNtNtC3std3mem12DiscriminantE",
    b"_ZN4core19_$LT$impl$u20$X$GT$4drop17h0123456789abcdefE",
    b"_ZNSt6vectorIiSaIiEE9push_backEOi.cold",
)

# f(pair<pair<…>, pair<…>>): each pair holds the one before twice, and so has twice its length.
LEVELS = 60
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PLACES = [f"S{_DIGITS[n // 36]}{_DIGITS[n % 36]}_".replace("S0", "S") for n in range(LEVELS)]
DOUBLING = "_Z1f1A4pairIS_S_E" + "".join(f"S0_I{place}{place}E" for place in _PLACES[1:])
