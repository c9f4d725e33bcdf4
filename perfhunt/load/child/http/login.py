"""Logins, before the load: each is asked on a connection of its own, one after the other, and what
its answer holds fills `{name}` of the traffic. Nothing of an answer is kept or told but that.
"""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import gevent

from perfhunt.errors import LoadFailed, Unreadable
from perfhunt.load.child.http.address import ServerAddress, resolve
from perfhunt.load.child.http.cookies import Cookies, cookie_url
from perfhunt.load.messages import LOGIN_WITHIN, OpenLoad
from perfhunt.load.render import Payloads, path_of, prepare, prepare_later
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
    address, url = resolve(question.target, order.addresses), question.target.url
    first = prepare(login, authority(url), order.run, variables)
    asking = Asking(question, address, [first, *(prepare_later(s, first) for s in login.then)])
    rows: list[FeedRow] = []
    count = question.sessions or min(first.rows, MOST_SESSIONS)
    try:
        with gevent.Timeout(LOGIN_WITHIN):
            while len(rows) < count:
                rows.append(asking.session(len(rows) % first.rows))
    except gevent.Timeout:
        raise LoadFailed(
            f"[login] took longer than {LOGIN_WITHIN:g} s: {len(rows)} of {count} sessions were"
            " there by then",
            "Take fewer: sessions = 10 in [login].",
        ) from None
    return tuple(rows)


class Asking:
    """Asks the steps of logins one after the other, at `safety.max_rate` at most."""

    def __init__(
        self, question: Question, address: ServerAddress, steps: Sequence[Payloads]
    ) -> None:
        self._question, self._address, self._steps = question, address, steps
        self._began, self._asked = time.monotonic(), 0

    def session(self, row: int) -> FeedRow:
        """What a session fills: its row of the feed, and what its answers gave. Raises LoadFailed,
        saying which step failed and how.
        """
        question, first = self._question, self._steps[0]
        values = dict(first.values(row))
        cookies = Cookies(cookie_url(question.target.url))
        for step in self._steps:
            which = _which(step.endpoint, first.endpoint, row)
            try:
                payload = first.get(row) if step is first else step.filled(values, cookies.header)
            except ValueError as error:
                raise LoadFailed(f"{which}: {error}", _HINT) from None
            due = self._began + self._asked / question.safety.max_rate
            gevent.sleep(max(0.0, due - time.monotonic()))
            self._asked += 1
            timeout = question.ramp.timeout
            answer = _asked(step.endpoint, payload, self._address, timeout, which)
            extract = step.endpoint.extract or question.session_values
            values |= _values(extract, step.endpoint.expect, answer, which)
            cookies.take(path_of(payload), answer.headers)
        return values


def _which(step: RequestTemplate, first: RequestTemplate, row: int) -> str:
    if first.feed is None:
        return f"[login] {step.name}"
    return f"[login] {step.name}, row {row + 1} of {Path(first.feed.path).name}"


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


def _values(
    extract: Sequence[tuple[str, str]], expect: Expect, answer: LoginAnswer, which: str
) -> FeedRow:
    """What an answer gives a session. Raises LoadFailed where the login failed or has not all."""
    passes = answer.status in expect.status if expect.status else 200 <= answer.status < 400
    if not passes:
        raise LoadFailed(f"{which}: the login failed with status {answer.status}", _HINT)
    if expect.body and expect.body.encode() not in answer.body:
        raise LoadFailed(f"{which}: its answer does not hold the text that it must", _HINT)
    values: FeedRow = {}
    for name, place in extract:
        try:
            values[name] = value_at(place, answer.headers, answer.body)
        except Unreadable as error:
            raise LoadFailed(
                f"{which}: extract.{name}: {error.message} (status {answer.status})", _HINT
            ) from None
    return values
