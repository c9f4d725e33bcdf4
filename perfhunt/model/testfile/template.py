"""Request templates: `{column}` is filled from the feed, `${NAME}` from the environment, both at
send time. `{column:raw}` is what is written as it has to be sent already, `{column:encoded}` what
is escaped like `{column}`, slashes and all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, quote_plus

# `{ id }` with spaces, `{"id":1}` and `{}` are literal: only a bare name in braces is a
# placeholder.
_COLUMN = re.compile(r"(?<!\$)\{([A-Za-z_][A-Za-z0-9_]*)(?::raw|:encoded)?\}")
_UNSAID = re.compile(r"(?<!\$)\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MODIFIED = re.compile(r"(?<!\$)\{[A-Za-z_][A-Za-z0-9_]*:([A-Za-z_][A-Za-z0-9_]*)\}")
_ENV = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_EITHER = re.compile(r"(\$\{[A-Za-z_][A-Za-z0-9_]*\}|\{[A-Za-z_][A-Za-z0-9_]*(?::raw|:encoded)?\})")
_DOLLAR = re.compile(r"\$\{([^}]*)\}?")

Escape = Callable[[str], str]


def columns_used(text: str) -> tuple[str, ...]:
    """The names of the feed columns a template asks for, in order, each once."""
    return tuple(dict.fromkeys(_COLUMN.findall(text)))


def columns_unsaid(text: str) -> tuple[str, ...]:
    """Those of which a template does not say whether they are raw or to be encoded."""
    return tuple(dict.fromkeys(_UNSAID.findall(text)))


def variables_used(text: str) -> tuple[str, ...]:
    """The names of the environment variables a template asks for, in order, each once."""
    return tuple(dict.fromkeys(_ENV.findall(text)))


def bad_variables(text: str) -> tuple[str, ...]:
    """What follows a `${` without being a variable name: typing mistakes."""
    return tuple(m[0] for m in _DOLLAR.finditer(text) if not _ENV.fullmatch(m[0]))


def unknown_modifiers(text: str) -> tuple[str, ...]:
    """What has the form of a column with a modifier that there is not: `{sku:url}`."""
    return tuple(
        dict.fromkeys(m[0] for m in _MODIFIED.finditer(text) if m[1] not in ("raw", "encoded"))
    )


def is_template(text: str) -> bool:
    """Whether a test file would take something of the text for a place to be filled, or refuse it
    as one.
    """
    return bool(columns_used(text) or unknown_modifiers(text) or "${" in text)


def in_path(value: str) -> str:
    """Percent-encodes a value for a path or a query."""
    return quote(value, safe="")


def in_json(value: str) -> str:
    """Escapes a value for the inside of a JSON string."""
    return json.dumps(value, ensure_ascii=False)[1:-1]


def as_is(value: str) -> str:
    """The value itself: headers and plain bodies."""
    return value


def body_escape(content_type: str) -> Escape:
    """How values go into a body of that Content-Type: JSON strings and form fields are escaped,
    anything else is not.
    """
    kind = content_type.split(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return in_json
    return quote_plus if kind == "application/x-www-form-urlencoded" else as_is


def fill(text: str, row: Mapping[str, str], env: Mapping[str, str], escape: Escape = as_is) -> str:
    """The template with its placeholders replaced in one pass, so that a value is never itself
    taken for a template.

    Raises KeyError, naming the column or variable, when one is missing.
    """

    def value(match: re.Match[str]) -> str:
        token = match[1]
        if token.startswith("$"):
            return escape(env[token[2:-1]])
        name, _, how = token[1:-1].partition(":")
        return row[name] if how == "raw" else escape(row[name])

    return _EITHER.sub(value, text)


def quote_around(text: str) -> str:
    """Form-encodes a template but leaves its placeholders readable."""
    return "".join(
        part if _EITHER.fullmatch(part) else quote_plus(part) for part in _EITHER.split(text)
    )
