"""Which kind of failure an exception of Locust's clients stands for."""

from __future__ import annotations

import socket
import ssl

import requests
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError
from locust.exception import CatchResponseError
from urllib3.exceptions import ProtocolError

from perfhunt.model.latency import Outcome

# The first that fits counts: subclasses before their bases.
_KINDS: tuple[tuple[tuple[type[BaseException], ...], Outcome], ...] = (
    ((requests.exceptions.HTTPError, CatchResponseError), Outcome.STATUS),
    ((requests.exceptions.Timeout, socket.timeout, TimeoutError), Outcome.TIMEOUT),
    ((requests.exceptions.SSLError, ssl.SSLError), Outcome.TLS),
    ((ConnectionRefusedError, socket.gaierror), Outcome.CONNECT),
    ((ConnectionError, HTTPConnectionClosed, requests.exceptions.ChunkedEncodingError), Outcome.RESET),
    ((HTTPParseError, requests.exceptions.ContentDecodingError), Outcome.PROTOCOL),
    ((requests.exceptions.ConnectionError, OSError), Outcome.CONNECT),
)


def outcome_of(error: object) -> Outcome:
    """The outcome; STATUS for what is none of the network's doing, such as an assertion in a task."""
    if isinstance(error, requests.exceptions.ConnectionError) and error.args and isinstance(error.args[0], ProtocolError):
        return Outcome.RESET  # urllib3 had a connection, and lost it
    for kinds, outcome in _KINDS:
        if isinstance(error, kinds):
            return outcome
    return Outcome.STATUS
