"""SVG elements, and text that is safe in SVG, HTML and XML, whatever a target's code is called."""

from __future__ import annotations

import re
import zlib
from functools import cache
from importlib import resources

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


def element(tag: str, *inside: str, **attributes: str | float) -> str:
    """One element, in the order of its arguments: closed at once when nothing is inside.

    Attributes are named as in Python (`class_`, `text_anchor`); numbers are written as coordinates.
    Text, inside or in an attribute, is taken as it is: whoever does not know it escapes it.
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for name, value in attributes.items()
    )
    return f"<{tag}{written}>{''.join(inside)}</{tag}>" if inside else f"<{tag}{written}/>"


def _attribute(value: str | float) -> str:
    return value if isinstance(value, str) else number(value)


def number(value: float) -> str:
    """A coordinate: two decimals at most, none when whole."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


SHADES = 3  # of each colour of a flame graph


def shade(name: str) -> int:
    """A number below SHADES that is always the same for a name (CRC-32)."""
    return zlib.crc32(name.encode("utf-8", "replace")) % SHADES


@cache
def template(package: str, name: str) -> str:
    """The text of a file in a package's `templates`."""
    return resources.files(package).joinpath("templates", name).read_text(encoding="utf-8")
