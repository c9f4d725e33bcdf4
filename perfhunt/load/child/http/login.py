"""Logins, before the load: each is asked on a connection of its own, one after the other, and what
its answer holds fills `{name}` of the traffic. Nothing of an answer is kept or told but that.
"""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import gevent

from perfhunt.errors import LoadFailed, Unreadable
from perfhunt.load.child.http.address import ServerAddress, resolve
from perfhunt.load.messages import LOGIN_WITHIN, OpenLoad
from perfhunt.load.render import prepare
from perfhunt.model.document.bounded import read_all
from perfhunt.model.question import Question, RequestTemplate
from perfhunt.model.testfile.feed import FeedRow, value_at
from perfhunt.model.testfile.login_table import MOST_SESSIONS
from perfhunt.model.text.socket_url import authority
from perfhunt.model.traffic.parts import Expect
from perfhunt.model.units import Bytes, Seconds

_LONGEST: Bytes = 1 << 20  # of an answer: a token with a page around it
_HINT = "Nothing else was sent. Its request is [login] in the test file."


class LoginAnswer(NamedTuple):
    """What a login was answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def log_in(order: OpenLoad, variables: Mapping[str, str]) -> tuple[FeedRow, ...]:
    """A row for each session: its row of the login's feed, and what its answer gave. `variables`
    are what `${NAME}` stands for.

    Raises LoadFailed, saying which of them failed and how.
    """
    question = order.question
    login = question.login
    if login is None:
        return ()
    address = resolve(question.target, order.addresses)
    payloads = prepare(login, authority(question.target.url), order.run, variables)
    rows: list[FeedRow] = []
    count = question.sessions or min(payloads.rows, MOST_SESSIONS)
    began = time.monotonic()
    try:
        with gevent.Timeout(LOGIN_WITHIN):
            for n in range(count):
                gevent.sleep(max(0.0, began + n / question.safety.max_rate - time.monotonic()))
                row = n % payloads.rows
                which = _which(login, row)
                answer = _asked(login, payloads.get(row), address, question.ramp.timeout, which)
                rows.append(payloads.values(row) | _values(question, login.expect, answer, which))
    except gevent.Timeout:
        raise LoadFailed(
            f"[login] took longer than {LOGIN_WITHIN:g} s: {len(rows)} of {count} sessions were"
            " there by then",
            "Take fewer: sessions = 10 in [login].",
        ) from None
    return tuple(rows)


def _which(login: RequestTemplate, row: int) -> str:
    if login.feed is None:
        return f"[login] {login.name}"
    return f"[login] {login.name}, row {row + 1} of {Path(login.feed.path).name}"


def _asked(
    login: RequestTemplate, payload: bytes, address: ServerAddress, timeout: Seconds, which: str
) -> LoginAnswer:
    try:
        with socket.socket(address.family, socket.SOCK_STREAM) as plain:
            plain.settimeout(timeout)
            plain.connect(address.sockaddr)
            link = plain
            if address.tls is not None:
                link = address.tls.wrap_socket(plain, server_hostname=address.server_name or None)
            with link:
                link.sendall(payload)
                response = http.client.HTTPResponse(link, method=login.method)
                response.begin()
                body = read_all(response.read, _LONGEST, "the answer")
                return LoginAnswer(response.status, response.getheaders(), body)
    except (OSError, http.client.HTTPException, Unreadable) as error:
        # The texts of others may hold what came.
        own = error.message if isinstance(error, Unreadable) else getattr(error, "strerror", None)
        why = own or type(error).__name__
        raise LoadFailed(f"{which}: no answer that can be read ({why})", _HINT) from None


def _values(question: Question, expect: Expect, answer: LoginAnswer, which: str) -> FeedRow:
    """The values of one session. Raises LoadFailed where the login failed or has none."""
    passes = answer.status in expect.status if expect.status else 200 <= answer.status < 400
    if not passes:
        raise LoadFailed(f"{which}: the login failed with status {answer.status}", _HINT)
    if expect.body and expect.body.encode() not in answer.body:
        raise LoadFailed(f"{which}: its answer does not hold the text that it must", _HINT)
    values: FeedRow = {}
    for name, place in question.session_values:
        try:
            values[name] = value_at(place, answer.headers, answer.body)
        except Unreadable as error:
            raise LoadFailed(
                f"{which}: extract.{name}: {error.message} (status {answer.status})", _HINT
            ) from None
    return values
