"""Names of Rust's functions as people write them: without hashes and generic arguments, closures
named by the function they were written in.

Formats: the v0 scheme (RFC 2603; rustc's book, "Symbol Mangling"), and the one before it, which
looks like C++'s with a hash as its last part.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_LEGACY = re.compile(r"_?_ZN(.+)17h[0-9a-f]{16}E$")
_ESCAPES = {
    "SP": "@",
    "BP": "*",
    "RF": "&",
    "LT": "<",
    "GT": ">",
    "LP": "(",
    "RP": ")",
    "C": ",",
}
_ESCAPE = re.compile(r"\$(?:(SP|BP|RF|LT|GT|LP|RP|C)|u([0-9a-f]{1,6}))\$")
_NAMELESS = re.compile(r"\{\{.*\}\}$")  # a closure, or a shim that the compiler made
_V0 = re.compile(r"_R(?=[A-Z])")
_BASIC = dict(
    zip(
        "abcdefhijlmnopstuvxyz",
        (
            *("i8", "bool", "char", "f64", "str", "f32", "u8", "isize", "usize", "i32", "u32"),
            *("i128", "u128", "_", "i16", "u16", "()", "...", "i64", "u64", "!"),
        ),
        strict=True,
    )
)
_DEEPEST = 128  # paths within paths, above which a name is no name
_MOST_STEPS = 10_000  # of one name: backward references may repeat what repeats


def rust_name(symbol: str) -> str:
    """`shop::orders::price` for the symbol of a Rust function; "" for what is none."""
    if (legacy := _LEGACY.match(symbol)) is not None:
        return _legacy(legacy[1])
    begun = _V0.match(symbol)
    if begun is None:
        return ""
    try:
        return _Symbol(symbol[begun.end() :]).path()
    except (ValueError, IndexError, KeyError, RecursionError):
        return ""


def _legacy(rest: str) -> str:
    parts: list[str] = []
    while rest:
        length = re.match(r"\d{1,5}", rest)
        if length is None:
            return ""
        end = length.end() + int(length[0])
        part, rest = rest[length.end() : end], rest[end:]
        part = part[1:] if part.startswith("_$") else part
        part = _ESCAPE.sub(_unescaped, part).replace("..", "::")
        if not _NAMELESS.fullmatch(part):
            parts.append(_NAMELESS.sub("", part).removesuffix("::"))
    return "::".join(parts)


def _unescaped(found: re.Match[str]) -> str:
    if found[1]:
        return _ESCAPES[found[1]]
    code = int(found[2], 16)
    return chr(code) if code < 0x110000 else found[0]


class _Symbol:
    """A symbol of the v0 scheme, without its prefix. Raises ValueError, IndexError or KeyError
    where it is none.
    """

    def __init__(self, text: str) -> None:
        self._text, self._at, self._depth, self._steps = text, 0, 0, 0

    def path(self) -> str:
        self._enter()
        match self._take():
            case "C":
                name = self._identifier()
            case "M":
                self._impl()
                name = f"<{self._type()}>"
            case "X":
                self._impl()
                name = f"<{self._type()} as {self.path()}>"
            case "Y":
                name = f"<{self._type()} as {self.path()}>"
            case "N":
                namespace, outer = self._take(), self.path()
                inner = self._identifier()
                name = outer if namespace.isupper() or not inner else f"{outer}::{inner}"
            case "I":
                name = self.path()
                self._until_end(self._argument)
            case "B":
                name = self._back(self.path)
            case letter:
                raise ValueError(f"no path begins with {letter}")
        self._depth -= 1
        return name

    def _enter(self) -> None:
        self._depth += 1
        self._steps += 1
        if self._depth > _DEEPEST or self._steps > _MOST_STEPS:
            raise ValueError("deeper than any name")

    def _take(self) -> str:
        self._at += 1
        return self._text[self._at - 1]

    def _next_is(self, letter: str) -> bool:
        if self._text[self._at : self._at + 1] != letter:
            return False
        self._at += 1
        return True

    def _matched(self, pattern: str) -> str:
        found = re.compile(pattern).match(self._text, self._at)
        if found is None:
            raise ValueError(f"no {pattern} at {self._at}")
        self._at = found.end()
        return found[0]

    def _base62(self) -> int:
        digits = self._matched(r"[0-9a-zA-Z]{0,20}_")[:-1]
        value = 0
        for digit in digits:
            value = value * 62 + (
                int(digit, 36) if digit.islower() or digit.isdigit() else ord(digit) - 29
            )
        return value + 1 if digits else 0

    def _identifier(self) -> str:
        if self._next_is("s"):
            self._base62()
        return self._plain_identifier()

    def _plain_identifier(self) -> str:
        is_punycode = self._next_is("u")
        length = int(self._matched(r"0|[1-9]\d{0,4}"))
        self._next_is("_")
        name, self._at = self._text[self._at : self._at + length], self._at + length
        if not is_punycode:
            return name
        ascii_part, _, rest = name.rpartition("_")
        return f"{ascii_part}-{rest}".lstrip("-").encode().decode("punycode")

    def _impl(self) -> None:
        if self._next_is("s"):
            self._base62()
        self.path()

    def _back(self, read: Callable[[], str]) -> str:
        begun = self._at - 1
        place = self._base62()
        if place >= begun:
            raise ValueError("a reference that does not lead back")
        after, self._at = self._at, place
        name = read()
        self._at = after
        return name

    def _until_end(self, read: Callable[[], str]) -> list[str]:
        parts = []
        while not self._next_is("E"):
            parts.append(read())
        return parts

    def _argument(self) -> str:
        if self._next_is("L"):
            self._base62()
            return "'_"
        return self._const() if self._next_is("K") else self._type()

    def _const(self) -> str:
        if self._next_is("B"):
            return self._back(self._const)
        if self._next_is("p"):
            return "_"
        self._type()
        return self._matched(r"n?[0-9a-f]*_")

    def _type(self) -> str:
        self._enter()
        name = self._type_of(self._take())
        self._depth -= 1
        return name

    def _type_of(self, letter: str) -> str:
        if letter in _BASIC:
            return _BASIC[letter]
        match letter:
            case "A":
                name = f"[{self._type()}; _]"
                self._const()
            case "S":
                name = f"[{self._type()}]"
            case "T":
                name = f"({', '.join(self._until_end(self._type))})"
            case "R" | "Q":
                if self._next_is("L"):
                    self._base62()
                name = ("&" if letter == "R" else "&mut ") + self._type()
            case "P" | "O":
                name = ("*const " if letter == "P" else "*mut ") + self._type()
            case "F":
                name = self._signature()
            case "D":
                name = self._dynamic()
            case "B":
                name = self._back(self._type)
            case _:
                self._at -= 1
                name = self.path()
        return name

    def _binder(self) -> None:
        if self._next_is("G"):
            self._base62()

    def _signature(self) -> str:
        self._binder()
        self._next_is("U")
        if self._next_is("K") and not self._next_is("C"):
            self._plain_identifier()
        takes = ", ".join(self._until_end(self._type))
        gives = self._type()
        return f"fn({takes})" + (f" -> {gives}" if gives != "()" else "")

    def _dynamic(self) -> str:
        self._binder()
        traits = self._until_end(self._trait)
        if not self._next_is("L"):
            raise ValueError("a trait object without a lifetime")
        self._base62()
        return f"dyn {' + '.join(traits)}"

    def _trait(self) -> str:
        name = self.path()
        while self._next_is("p"):
            self._plain_identifier()
            self._type()
        return name
