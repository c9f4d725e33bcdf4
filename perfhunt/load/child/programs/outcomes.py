"""What a program's word for a failure is among our outcomes, and what of it may be kept."""

from __future__ import annotations

import re

from perfhunt.model.latency import RequestOutcome

# What Go puts before the reason: the method, and the address with all its query.
_REQUEST = re.compile(r'^\S* ?"[^"]*": ')
_QUOTED = re.compile(r'"[^"]*"')

# Parts of the texts of Go's net and net/http, the more telling first.
_TEXTS = (
    ("too many open files", RequestOutcome.GENERATOR),
    ("cannot assign requested address", RequestOutcome.GENERATOR),
    ("permission denied", RequestOutcome.NOT_CLEARED),
    ("blacklisted", RequestOutcome.NOT_CLEARED),
    ("timeout", RequestOutcome.TIMEOUT),
    ("deadline exceeded", RequestOutcome.TIMEOUT),
    ("tls:", RequestOutcome.TLS),
    ("x509:", RequestOutcome.TLS),
    ("connection refused", RequestOutcome.CONNECT),
    ("no such host", RequestOutcome.CONNECT),
    ("dial", RequestOutcome.CONNECT),
    ("malformed", RequestOutcome.PROTOCOL),
)


def error_outcome(text: str) -> RequestOutcome:
    """The outcome of a request that got no answer, by the text of its error; what is none of those
    known ended before its answer was whole.
    """
    text = _REQUEST.sub("", text).lower()
    return next((outcome for part, outcome in _TEXTS if part in text), RequestOutcome.RESET)


def plain_error(text: str) -> str:
    """The reason alone, in Go's words: no address and nothing quoted, which may hold secrets."""
    return _QUOTED.sub('"…"', _REQUEST.sub("", text)).rpartition(": ")[2]
