"""Request templates: `{column}` is filled from the feed, `${NAME}` from the environment, both at
send time. `{column:raw}` is what is written as it has to be sent already, `{column:encoded}` what
is escaped like `{column}`, slashes and all. A `{column}` that no feed has may come from the login.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote, quote_plus

from perfhunt.model.question import RequestTemplate
from perfhunt.model.testfile.strict import Reader, did_you_mean, show

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


def in_quotes(value: str) -> str:
    """Escapes a name for the head of a part of a form, as browsers do (HTML, 4.10.21.8)."""
    return value.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


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


def check_templates(
    table: Reader,
    endpoint: RequestTemplate,
    known: Sequence[str],
    of: str,
    env: Mapping[str, str],
    unread: bool = False,
) -> None:
    """Tells the reader of every placeholder of an endpoint that nothing fills: neither the `known`
    columns, which are of `of`, nor the environment. `unread`: its feed's are not known, which was
    told already.
    """
    places = [("request", endpoint.path), ("body", endpoint.body or "")]
    places += [(f"headers.{key}", value) for key, value in endpoint.headers]
    for part in endpoint.parts:
        at = f"body.form.{part.name}"
        places += [(at, part.name), (at, part.text), (f"{at}.filename", part.filename)]
    for where, text in places:
        if where == "body" and not table.has("body"):
            where = "json" if table.has("json") else "form"
        for column in columns_used(text):
            if known.count(column) > 1:
                table.wrong(
                    where,
                    f"{{{column}}} is a column of the feed and of the login",
                    "give one of them another name",
                )
            if column not in known and not unread:
                advice = (
                    did_you_mean(column, known)
                    if known
                    else 'add feed = "rows.csv" with that column'
                )
                literal = (
                    ""
                    if where == "request"
                    else f"; for the characters themselves write {{ {column} }} with spaces"
                )
                table.wrong(where, f"{{{column}}} is no column of {of}", advice + literal)
        for place in unknown_modifiers(text):
            name, _, how = place[1:-1].partition(":")
            table.wrong(
                where,
                f"{place}: there is no {how!r}",
                f"write {{{name}}}, {{{name}:raw}} or {{{name}:encoded}}; for the characters"
                f" themselves {{ {name}:{how} }} with spaces",
            )
        _check_variables(table, where, text, env)
    columns = endpoint.feed.columns if endpoint.feed else ()
    used = {column for _, text in places for column in columns_used(text)}
    mistyped = any(unknown_modifiers(text) for _, text in places)
    if columns and not used & set(columns) and not mistyped:
        table.wrong(
            "feed",
            "no column of it is used",
            f"write {{{columns[0]}}} where its value goes, or leave the feed out",
        )


def _cut_variable(mistake: str) -> str:
    """What of a `${NAME:-value}` may be repeated: its beginning."""
    match = re.match(r"\$\{\s*\w*", mistake)
    return f"{match[0] if match else '$'}…"


def _check_variables(table: Reader, where: str, text: str, env: Mapping[str, str]) -> None:
    for mistake in bad_variables(text):
        table.wrong(
            where,
            f"{show(_cut_variable(mistake))} is not a variable",
            "write ${NAME} with letters, digits and underscores",
        )
    for name in variables_used(text):
        if where == "request":
            table.wrong(
                where,
                f"${{{name}}} cannot be in a path, which is stored and shown",
                "put it in a header or a body",
            )
        elif name not in env:
            table.wrong(where, f"the environment has no {name}", f"set it: export {name}=...")
        elif any("\ud800" <= c <= "\udfff" for c in env[name]):
            table.wrong(
                where,
                f"the value of {name} holds bytes that are not UTF-8, which is what is sent",
                f"export {name} in UTF-8",
            )
        elif where.startswith("headers.") and any(ord(c) < 32 or ord(c) == 127 for c in env[name]):
            table.wrong(
                where,
                f"the value of {name} holds a line break or control character",
                f"export {name} without it",
            )
