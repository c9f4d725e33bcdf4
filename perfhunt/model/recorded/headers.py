"""What of a recorded request's headers is sent again, and what may be secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import parse_qsl

from perfhunt.model.testfile.template import is_template

# What belongs to the connection, and what the engine sets.
_TRANSPORT = re.compile(
    r":.*|host|connection|content-length|transfer-encoding|expect|keep-alive|te|trailer|upgrade"
    r"|proxy-.*|x-perfhunt-.*",
    re.IGNORECASE,
)
# What a browser or a proxy adds by itself. Answers may depend on it, so its omission is told.
_ADDED = re.compile(
    r"user-agent|accept-language|referer|origin|cache-control|pragma|sec-.*|dnt|priority|if-.*"
    r"|upgrade-.*|x-forwarded-.*",
    re.IGNORECASE,
)
# What names one request, and would be untrue of its repetition.
_OF_ONE = re.compile(
    r"sentry-trace|baggage|traceparent|tracestate|b3|x-b3-.*|uber-trace-id|x-datadog-.*|newrelic"
    r"|x-amzn-trace-id|x-cloud-trace-context|(?:x-)?(?:request|correlation|trace)-id"
    r"|(?:x-)?idempotency-key",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"auth|cookie|token|secret|session|key(?!word|board)|passw|passphrase|pwd|credential|csrf|xsrf"
    r"|jwt|signature|bearer|assertion|hmac|saml|nonce|(?:^|[-_])(?:sid|otp|pin|sig|pass)(?:$|[-_])",
    re.IGNORECASE,
)
# A word of 20 characters with three digits is a key or an identifier; versions are shorter.
_CODED = re.compile(r"(?=(?:\D*\d){3})(?=.*[A-Za-z])[\w+/=.~:-]{20,}", re.ASCII)
_OF_CONTENT = re.compile(r"accept.*|content-.*", re.IGNORECASE)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD = re.compile(r'([\w.-]{1,60})"?[ \t]*[:=]')
_SEARCHED = 100_000  # characters of a body in which names of secrets are looked for
# Variables that no other program means something by.
_OWN = re.compile(r"X_.+|AUTHORIZATION|COOKIE")


class SentHeaders(NamedTuple):
    """Headers as a test file holds them. `hidden`: the variables in them, each with a number that
    is equal for equal values. `dropped`: names of what was left out. `joined`: names of which
    there were several lines.
    """

    headers: tuple[tuple[str, str], ...]
    hidden: tuple[tuple[str, int], ...]
    dropped: tuple[str, ...]
    joined: tuple[str, ...]


def sent_headers(given: Iterable[tuple[str, str]], host: str) -> SentHeaders:
    """The headers that are the request's own, `Host` where it names another one than `host`. Lines
    of one name are one (RFC 9110, 5.3). For a value that may be secret, and for one that a test
    file would take for something else, stands a variable.
    """
    lines: dict[str, tuple[str, list[str]]] = {}
    dropped = list[str]()
    for name, value in given:
        lower = name.lower()
        if lower == "host" and value and host and value.lower() != host:
            pass
        elif _TRANSPORT.fullmatch(name):
            continue
        elif _ADDED.fullmatch(name) or _OF_ONE.fullmatch(name) or not _HEADER_NAME.fullmatch(name):
            dropped.append("sec-*" if lower.startswith("sec-") else name)
            continue
        lines.setdefault(lower, (name, []))[1].append(value)
    headers, hidden = list[tuple[str, str]](), list[tuple[str, int]]()
    for lower, (name, values) in lines.items():
        value = ("; " if lower == "cookie" else ", ").join(values)
        if _is_hidden(name, value):
            variable = variable_of(name)
            hidden.append((variable, hash(value)))
            value = f"${{{variable}}}"
        headers.append((name, value))
    joined = [n for lower, (n, values) in lines.items() if len(values) > 1 and lower != "cookie"]
    return SentHeaders(tuple(headers), tuple(hidden), tuple(dropped), tuple(joined))


def _is_hidden(name: str, value: str) -> bool:
    plain = all(32 <= ord(char) < 127 for char in value)
    coded = _CODED.fullmatch(value) and not _OF_CONTENT.fullmatch(name)
    return bool(_SECRET.search(name) or coded or not plain or is_template(value))


def is_own_header(name: str) -> bool:
    """Whether a header is the request's own: none that a browser, a proxy or the engine sets."""
    others = (_TRANSPORT, _ADDED, _OF_ONE)
    return bool(_HEADER_NAME.fullmatch(name)) and not any(p.fullmatch(name) for p in others)


def of_one_request(name: str) -> bool:
    """Whether a header names the one request that it was sent with."""
    return _OF_ONE.fullmatch(name) is not None


def variable_of(header: str) -> str:
    """The variable of the environment that a header's value comes from: never one that programs
    know, as `PATH` is.
    """
    name = variable_named(header)
    return name if _OWN.fullmatch(name) else f"HEADER_{name.lstrip('_')}"


def variable_named(name: str) -> str:
    """The variable that is called like a thing: `API_KEY` of `api-key`."""
    variable = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_") or "VALUE"
    return f"_{variable}" if variable[0].isdigit() else variable


def secret_fields(target: str, body: str) -> Iterator[str]:
    """The names in a query and a body of what may be secret."""
    query = target.partition("?")[2]
    yield from (name for name, _ in parse_qsl(query) if _SECRET.search(name))
    for match in _FIELD.finditer(body, 0, _SEARCHED):
        if _SECRET.search(match[1]):
            yield match[1]
