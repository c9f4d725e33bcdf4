"""Which kind of failure an exception of Locust's clients stands for."""

from __future__ import annotations

import socket
import ssl

import requests
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError
from locust.exception import CatchResponseError
from urllib3.exceptions import ProtocolError

from perfhunt.load.child.bounds.outbound import NotCleared
from perfhunt.model.latency import RequestOutcome

# The first that fits counts: subclasses before their bases.
_KINDS: tuple[tuple[tuple[type[BaseException], ...], RequestOutcome], ...] = (
    ((requests.exceptions.HTTPError, CatchResponseError), RequestOutcome.STATUS),
    ((requests.exceptions.Timeout, socket.timeout, TimeoutError), RequestOutcome.TIMEOUT),
    ((requests.exceptions.SSLError, ssl.SSLError), RequestOutcome.TLS),
    ((ConnectionRefusedError, socket.gaierror), RequestOutcome.CONNECT),
    (
        (ConnectionError, HTTPConnectionClosed, requests.exceptions.ChunkedEncodingError),
        RequestOutcome.RESET,
    ),
    ((HTTPParseError, requests.exceptions.ContentDecodingError), RequestOutcome.PROTOCOL),
    ((requests.exceptions.ConnectionError, OSError), RequestOutcome.CONNECT),
)


def outcome_of(error: object) -> RequestOutcome:
    """The outcome; STATUS for what is not the network's doing, such as an assertion in a task."""
    if _was_refused(error):
        return RequestOutcome.NOT_CLEARED
    if (
        isinstance(error, requests.exceptions.ConnectionError)
        and error.args
        and isinstance(error.args[0], ProtocolError)
    ):
        return RequestOutcome.RESET  # urllib3 had a connection, and lost it
    for kinds, outcome in _KINDS:
        if isinstance(error, kinds):
            return outcome
    return RequestOutcome.STATUS


def _was_refused(error: object) -> bool:
    """Whether it comes of a connection that was refused here; clients put errors into errors."""
    seen: set[int] = set()
    while isinstance(error, BaseException) and id(error) not in seen:
        if isinstance(error, NotCleared):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
