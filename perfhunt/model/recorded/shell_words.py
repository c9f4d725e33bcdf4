"""The words of a shell's command line, as bash parts and unquotes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from perfhunt.errors import Unreadable

_BASH = 'Give it as for bash (in a browser: "Copy as cURL (bash)").'
_SPACE = re.compile(r"(?:[ \t\r]|\\\r?\n)+")
_OPERATOR = re.compile(r"\d*(?:&>>?|>>|>&|>\||<<<|<<|<&|<>|[<>])|&&|\|\||\|&|[;&|()\n]")
_COMMENT = re.compile(r"#[^\n]*")
_PLAIN = re.compile(r"""[^ \t\r\n\\'"$`;&|<>()^]+""")
_SINGLE = re.compile(r"'([^']*)'")
_ANSI = re.compile(r"\$'((?:[^'\\]|\\.)*)'", re.DOTALL)
_WITHIN_DOUBLE = re.compile(r'[^"\\$`]+')
_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})")
_ESCAPE = re.compile(
    r"\\(?:x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|([0-7]{1,3})|c(.)|(.))",
    re.DOTALL,
)
_WINDOWS = re.compile(r'\^[ \t\r]*(?:\n|["^%&]|$)')
_NAMED = dict(zip("abeEfnrtv\\'\"?", "\a\b\x1b\x1b\f\n\r\t\v\\'\"?", strict=True))


class ShellWord(NamedTuple):
    """A word without its quotes. An `operator` (`;`, `|`, `2>`, a line's end) is one by itself.
    Where a shell would put a variable's value stands `${NAME}`, and `variables` names them.
    """

    text: str
    operator: bool = False
    variables: tuple[str, ...] = ()


def shell_words(text: str) -> Iterator[ShellWord]:
    """Words and operators in order, without comments. Raises Unreadable for a quote that is open,
    for what a shell would run (`$(…)`), and for the quoting of Windows' cmd.
    """
    at = 0
    while at < len(text):
        if space := _SPACE.match(text, at) or _COMMENT.match(text, at):
            at = space.end()
        elif operator := _OPERATOR.match(text, at):
            at = operator.end()
            yield ShellWord(operator[0], operator=True)
        else:
            word = _Reading(text, at)
            word.take()
            at = word.at
            yield ShellWord("".join(word.parts), variables=tuple(word.variables))


class _Reading:
    """One word while it is read: `at` is the place behind what was read of it."""

    def __init__(self, text: str, at: int) -> None:
        self.text, self.at = text, at
        self.parts: list[str] = []
        self.variables: list[str] = []

    def take(self) -> None:
        while self.at < len(self.text):
            char = self.text[self.at]
            if plain := self._match(_PLAIN):
                self.parts.append(plain[0])
            elif quoted := self._match(_SINGLE):
                self.parts.append(quoted[1])
            elif ansi := self._match(_ANSI):
                self.parts.append(_unescaped(ansi[1]))
            elif char == '"' or self.text.startswith('$"', self.at):
                self.at += 1 if char == '"' else 2
                self._double()
            elif char == "\\":
                self._backslash()
            elif char in "$`":
                self._expansion()
            elif char == "'":
                raise Unreadable("a ' has no closing quotation mark", _BASH)
            elif char == "^":
                self._caret()
            else:
                return  # white space or an operator

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self.text, self.at)
        if match is not None:
            self.at = match.end()
        return match

    def _double(self) -> None:
        """The rest of a text in double quotes."""
        while self.at < len(self.text):
            char = self.text[self.at]
            if plain := self._match(_WITHIN_DOUBLE):
                self.parts.append(plain[0])
            elif char == '"':
                self.at += 1
                return
            elif char == "\\":
                self._backslash(special='$`"\\')
            else:
                self._expansion()
        raise Unreadable('a " has no closing quotation mark', _BASH)

    def _backslash(self, special: str | None = None) -> None:
        """A backslash and what it protects: anything, within double quotes only `special`."""
        rest = self.text[self.at + 1 : self.at + 3]
        if rest.startswith(("\n", "\r\n")):
            self.at += 2 if rest.startswith("\n") else 3
            return
        char = rest[:1]
        self.at += 1 + len(char)
        self.parts.append(char if special is None or char in special else f"\\{char}")

    def _expansion(self) -> None:
        if variable := self._match(_VARIABLE):
            name = variable[1] or variable[2]
            self.variables.append(name)
            self.parts.append(f"${{{name}}}")
        elif self.text[self.at] == "`" or self.text.startswith(("$(", "${"), self.at):
            cut = self.text[self.at : self.at + 20]
            raise Unreadable(f"{cut!r} is for a shell to work out", "Write what comes of it.")
        else:
            self.parts.append("$")
            self.at += 1

    def _caret(self) -> None:
        if _WINDOWS.match(self.text, self.at):
            raise Unreadable("it is quoted for Windows (^)", _BASH)
        self.parts.append("^")
        self.at += 1


def _unescaped(text: str) -> str:
    """The inside of `$'…'`; bytes that are no UTF-8 are kept as lone surrogates."""

    def char(match: re.Match[str]) -> str:
        raw, short, long, octal, control, other = match.groups()
        if raw or octal:
            byte = int(raw, 16) if raw else int(octal, 8) & 0xFF
            return bytes([byte]).decode("utf-8", "surrogateescape")
        if short or long:
            code = int(short or long, 16)
            return chr(code) if code <= 0x10FFFF else "\ufffd"
        if control:
            return chr(ord(control.upper()) & 0x1F)
        return _NAMED.get(other, f"\\{other}")

    return _rejoined(_ESCAPE.sub(char, text).partition("\0")[0])  # where a C string ends


def _rejoined(text: str) -> str:
    """Bytes that were written one by one, as the characters that they are together."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text
