"""How text from outside is written: one function per format, and nobody else escapes.

A name of the target's code, a file's name or a URL may hold anything: control characters, marks
that turn the direction of reading, bytes that are not UTF-8, the markup of the format it lands in.
`visible` is the ground of all of them: one printable line, nothing hidden in it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import TYPE_CHECKING, Any, NewType

if TYPE_CHECKING:  # Who captures on another host (`profilers.remote`) writes no markup.
    from markupsafe import Markup

# Text that is Markdown already: made by `markdown` and `code`, or written by ourselves.
Markdown = NewType("Markdown", str)

# Bytes of a name that are not UTF-8, as Python keeps them (PEP 383).
_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF
# What Python calls printable and nobody sees: letters and marks of Unicode's
# Default_Ignorable_Code_Point (fillers, joiners, variation selectors), and the empty braille cell.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_BREAKS = re.compile(r"[\t\n\r\x0b\x0c\x85\u2028\u2029]+")
# What a log of CI takes for an order to it: GitHub's `::name::` and `##[name]`, `##vso[` of Azure,
# `##teamcity[`.
_ORDER = re.compile(r"^(\s*):(?=:)|#(?=#(?:\[|vso\[|teamcity\[))")
_MARKDOWN = re.compile(
    r"[\\`*_\[\]<>|#~$&]|:(?=//)|(?<=www)\.(?=\S)"
    r"|^[-+=](?=[-+=\s]|$)|^:(?=:)|^\d+(?=[.)](?:\s|$))"
)
# What GitHub and GitLab make a link of even behind a backslash: people, issues, requests.
_MENTION = re.compile(r"@(?=\w)|[#!%&~$](?=\d)|(?<=\bGH-)(?=\d)", re.IGNORECASE)
_FOLDED = re.compile(r"[%;]|#(?=#(?:\[|vso\[|teamcity\[))")
_FOLDED_START = re.compile(r"\s*:(?=:[A-Za-z])")


def visible(text: str) -> str:
    """The text as one printable line: breaks become spaces, and what cannot be seen a mark that can
    be. Doing it twice changes nothing.
    """
    if _is_seen(text):
        return text
    return "".join(c if _is_seen(c) else _marked(c) for c in _BREAKS.sub(" ", text))


def _is_seen(text: str) -> bool:
    return text.isprintable() and (text.isascii() or _UNSEEN.search(text) is None)


def _marked(char: str) -> str:
    return " " if unicodedata.category(char) == "Zs" else "\ufffd"


def _coded(char: str) -> str:
    """The code of a character: `\\x1b`, `\\u202e`; `\\xff` for a byte that is not UTF-8."""
    code = ord(char)
    if _FIRST_BYTE <= code <= _LAST_BYTE:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def terminal(line: str) -> str:
    """A line for a terminal or a log: what cannot be seen is written as its code, so it steers
    neither, and it is an order to no CI. Doing it twice changes nothing.
    """
    if not _is_seen(line):
        line = "".join(c if _is_seen(c) else _coded(c) for c in _BREAKS.sub(" ", line))
    return _ORDER.sub(lambda m: f"{m[1] or ''}\\x{ord(m[0][-1]):02x}", line)


def workflow_command(name: str, message: str, **properties: str | int) -> str:
    """An order to the log of GitHub Actions: `::warning file=a.py,line=3::message`. What an order
    takes for its own marks is percent-encoded, in properties the two that part them as well.
    """
    given = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items() if value)
    return f"::{name}{given and ' '}{given}::{visible(message).replace('%', '%25')}"


def _property(text: str) -> str:
    return re.sub("[%:,]", _percent, visible(text))


def label(text: str) -> str:
    """Text between the double quotes of an OpenMetrics label."""
    return visible(text).replace("\\", "\\\\").replace('"', '\\"')


def markup(text: object) -> Markup:
    """Text for HTML, SVG and XML: for the inside of elements and for quoted attributes. What is
    markup already stays.
    """
    from markupsafe import Markup

    return text if isinstance(text, Markup) else Markup.escape(visible(str(text)))


def markdown(text: object) -> Markdown:
    """Text for Markdown that brings no markup, no link and no mention of anybody."""
    # Space in front means something in Markdown, and shows nothing.
    marked = _MARKDOWN.sub(_backslashed, visible(str(text)).strip())
    return Markdown(_MENTION.sub(r"\g<0><!-- -->", marked))


def _backslashed(match: re.Match[str]) -> str:
    return f"{match[0]}\\" if match[0].isdigit() else f"\\{match[0]}"


def code(text: str) -> Markdown:
    """Text as Markdown's code: its fence is longer than any run of backticks in it (CommonMark,
    6.1).
    """
    shown = visible(text)
    runs = [len(run) for run in re.findall("`+", shown)]
    fence = "`" * next(n for n in range(1, len(runs) + 2) if n not in runs)
    padded = f" {shown} " if shown.startswith("`") or shown.endswith("`") else shown or " "
    return Markdown(f"{fence}{padded}{fence}")


def cell(text: Markdown) -> Markdown:
    """Markdown for a cell of a table, where a pipe ends it even within code."""
    return Markdown(re.sub(r"(?<!\\)((?:\\\\)*)\|", r"\1\\|", text))


def json_text(plain: Any, **how: Any) -> str:
    """The JSON of plain values (`how` as for `json.dumps`): what cannot be seen is written as its
    code, and a byte that is not UTF-8 as the text `\\xff`, so that every reader can read it.
    """
    text = json.dumps(plain, **{**how, "ensure_ascii": False})
    if _is_seen(text.replace("\n", "")):
        return text
    return "".join(c if c == "\n" or _is_seen(c) else _json_code(c) for c in text)


def ascii_json(text: str) -> str:
    """JSON in ASCII: each other character, which only strings can hold, as its code."""
    return "".join(char if char.isascii() else json.dumps(char)[1:-1] for char in text)


def toml_text(text: str) -> str:
    """A string of TOML: as it stands between single quotes where it may, else a basic string, which
    is JSON's but for the codes of what cannot be seen, which TOML writes whole; halves of a pair
    are no characters there.
    """
    if ('"' in text or "\\" in text) and "'" not in text and _is_seen(text):
        return f"'{text}'"
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(char if _is_seen(char) else _toml_code(char) for char in quoted)


def _toml_code(char: str) -> str:
    code = ord(char)
    if 0xD800 <= code <= 0xDFFF:
        return "\\ufffd"
    return f"\\U{code:08x}" if code > 0xFFFF else f"\\u{code:04x}"


def _json_code(char: str) -> str:
    code = ord(char)
    if 0xD800 <= code <= 0xDFFF:
        return f"\\{_coded(char)}" if _FIRST_BYTE <= code <= _LAST_BYTE else "\\ufffd"
    return json.dumps(char)[1:-1] if code > 0x7F else f"\\u{code:04x}"


def folded(text: str, also: str = "") -> str:
    """Text for a line of folded stacks: what would break it (and what the pattern `also` finds) is
    percent-encoded.
    """
    quoted = _FOLDED.sub(_percent, text)
    quoted = re.sub(also, _percent, quoted) if also else quoted
    return quoted if _is_seen(quoted) else "".join(map(_percent_hidden, quoted))


def folded_line(line: str) -> str:
    """A line of folded stacks, its first character encoded where a log of CI would take it for an
    order.
    """
    return _FOLDED_START.sub(_percent, line, count=1) if _FOLDED_START.match(line) else line


def _percent(match: re.Match[str]) -> str:
    return _percent_text(match[0])


def _percent_hidden(char: str) -> str:
    return char if _is_seen(char) else _percent_text(char)


def _percent_text(text: str) -> str:
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = b"\xef\xbf\xbd"  # half of a surrogate pair stands for no character
    return "".join(f"%{byte:02X}" for byte in raw)
