"""What may be kept of text that can hold secrets: an allowlist, because a secret looks like
anything.

A value that is not clearly harmless becomes `sha256:` and 12 hex digits, so that two questions
still compare, and redacting twice changes nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from urllib.parse import urlsplit, urlunsplit

_MARK = re.compile(r"sha256:[0-9a-f]{12}")
_PLACEHOLDERS = re.compile(
    r"\s*(?:(?:Bearer|Basic|Token|Digest)\s+)?(?:\$?\{[A-Za-z_][A-Za-z0-9_]*\}\s*)+", re.IGNORECASE
)
_HARMLESS_VALUE = re.compile(
    r"-?\d{1,6}(?:\.\d{1,3})?|true|false|yes|no|on|off|asc|desc", re.IGNORECASE
)
_HARMLESS_HEADERS = {
    "accept",
    "accept-encoding",
    "accept-language",
    "content-type",
    "host",
    "user-agent",
    "connection",
}
_HARMLESS_ARGUMENT = re.compile(
    r"--?[A-Za-z][A-Za-z0-9-]*"  # an option's name
    r"|\d{1,6}(?:\.\d+)?"  # a number too short to be a key
    r"|(?:[a-z0-9.-]{1,64}|\[[0-9a-f:]+\])?:\d{1,5}"  # host:port
    r"|[A-Za-z_][\w.]*:[A-Za-z_]\w*(?:\(\))?"  # module:application
    r"|[A-Za-z_]\w*(?:\.\w+)*\.(?:py|js|mjs|ts|jar|toml|conf|cfg|ini|json|sock)"
    r"|\.{0,2}(?:/[\w.+-]+)+/?"  # a path
    r"|[a-z]{1,16}"  # a verb, a worker class
)
_SECRET_OPTION = re.compile(
    r"pass|secret|token|key|auth|cred|cookie|dsn|sign|salt|pin\b|pwd", re.IGNORECASE
)
_TOOL_PROCESS = re.compile(r'(process \d+):"?(.*?)"?')


def marked(text: str) -> str:
    """`sha256:` and 12 hex digits of the text; text that is already such a mark, or empty, as it
    is.
    """
    if not text or _MARK.fullmatch(text):
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _template(text: str) -> str:
    return text if _PLACEHOLDERS.fullmatch(text) else marked(text)


def header(name: str, value: str) -> str:
    """A header's value, kept when it is only `${NAME}` (with or without "Bearer"), or of a header
    that holds no secret.
    """
    return value if name.lower() in _HARMLESS_HEADERS else _template(value)


def body(text: str | None) -> str | None:
    """A mark for a body; None and empty bodies as they are."""
    return None if text is None else marked(text)


def url(text: str) -> str:
    """A URL or a path without userinfo and fragment; query values only where they are placeholders,
    numbers or flags.
    """
    parts = urlsplit(text)
    pairs = []
    for pair in parts.query.split("&") if parts.query else ():
        name, equals, value = pair.partition("=")
        harmless = _HARMLESS_VALUE.fullmatch(value) or not value
        pairs.append(f"{name}{equals}{value if harmless else _template(value)}")
    return urlunsplit(
        (parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "&".join(pairs), "")
    )


def command(arguments: Sequence[str]) -> tuple[str, ...]:
    """A command line with its values dropped unless they are plainly numbers, addresses, modules,
    paths or words.
    """
    kept: list[str] = []
    secret_next = False
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if equals and name.startswith("-"):
            fine = not _SECRET_OPTION.search(name) and _HARMLESS_ARGUMENT.fullmatch(value)
            kept.append(argument if fine else f"{name}=…")
        elif index and (secret_next or not _HARMLESS_ARGUMENT.fullmatch(argument)):
            kept.append("…")
        else:
            kept.append(argument)
        secret_next = (
            argument.startswith("-") and not equals and bool(_SECRET_OPTION.search(argument))
        )
    return tuple(kept)


def frame_name(text: str) -> str:
    """A frame's name; where a tool put a process's command line there, that line redacted."""
    match = _TOOL_PROCESS.fullmatch(text)
    return text if match is None else f'{match[1]}:"{" ".join(command(match[2].split()))}"'
