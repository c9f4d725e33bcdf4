"""Text that is safe in SVG, HTML and XML, whatever a target's code is called."""

from __future__ import annotations

import re
import zlib

# XML 1.0 knows no way to write these, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# These reorder or hide what stands around them.
_TRICKS = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def visible(text: str) -> str:
    """Text without control characters and direction tricks, each replaced by a visible mark;
    newlines become spaces.
    """
    return _TRICKS.sub("\ufffd", _NOT_XML.sub("\ufffd", re.sub(r"[\t\n\r]+", " ", text)))


def escape(text: object) -> str:
    """Text for element content and quoted attributes."""
    shown = visible(str(text))
    return (
        shown.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&quot;")
        .replace("'", "&#39;")
    )


def number(value: float) -> str:
    """A coordinate: two decimals at most, none when whole."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def shade(name: str, shades: int = 3) -> int:
    """A number below `shades` that is always the same for a name (CRC-32)."""
    return zlib.crc32(name.encode("utf-8", "replace")) % shades
