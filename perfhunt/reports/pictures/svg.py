"""SVG elements, whose texts are escaped as they are put in: only what is markup already stays."""

from __future__ import annotations

import zlib
from functools import cache
from importlib import resources

from markupsafe import Markup

from perfhunt.model.text.escaping import markup


def element(tag: str, *inside: str | Markup, **attributes: str | float) -> Markup:
    """One element, in the order of its arguments: closed at once when nothing is inside.

    Attributes are named as in Python (`class_`, `text_anchor`); numbers are written as coordinates.
    Text, inside or in an attribute, is escaped; `Markup` is what elements are made of, and stays.
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for name, value in attributes.items()
    )
    content = "".join(map(markup, inside))
    return Markup(f"<{tag}{written}>{content}</{tag}>" if inside else f"<{tag}{written}/>")


def lines(*parts: Markup) -> Markup:
    """Elements on lines of their own."""
    return Markup("\n").join(parts)


def _attribute(value: str | float) -> str:
    return markup(value) if isinstance(value, str) else number(value)


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
