"""How a journey goes on from what its steps are answered: the test says what comes, and when."""

from __future__ import annotations

import gzip
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfhunt.errors import LoadFailed, TrafficError
from perfhunt.load.child.fleet.share import share_of
from perfhunt.load.child.http.address import ServerAddress
from perfhunt.load.child.http.connection import Connection
from perfhunt.load.child.http.cookies import Cookies, cookie_url
from perfhunt.load.child.http.journey import JourneyClient
from perfhunt.load.child.recorder import SampleBuffer
from perfhunt.load.child.sender import SendLimits
from perfhunt.load.messages import OpenFleet, OpenLoad
from perfhunt.load.render import prepare
from perfhunt.load.trust.grant import WorkerGrant, narrowed
from perfhunt.model.latency import SAMPLE, RequestOutcome
from perfhunt.model.question import Question, RequestTemplate, Target
from perfhunt.model.slo import Slo
from perfhunt.model.traffic.parts import BodyFile, BodyPart

CART = RequestTemplate(
    "cart",
    "POST",
    "/cart",
    extract=(("id", "json:$.id"), ("v", "header:X-V")),
    then=(
        RequestTemplate("pay", "PUT", "/pay/{id}", headers=(("X-V", "{v}"),), body="{id}"),
        RequestTemplate("receipt", "GET", "/receipt/{id}", think=2.0),
    ),
)
MADE = b'HTTP/1.1 201 Made\r\nX-V: v\r\nContent-Length: 13\r\n\r\n{"id": "a/b"}'
DONE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Loop:
    """Stands in for the event loop: the test itself says when something comes, or it is time."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, Any, tuple[Any, ...]]] = []
        self._after = 0.0

    def io(self, fd: int, events: int) -> Any:
        return self

    def timer(self, after: float) -> Any:
        self._after = after
        return self

    def start(self, callback: Any = None, *arguments: Any) -> None:
        if arguments:
            self.timers.append((self._after, callback, arguments))

    def stop(self) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def client_of(
    server: socket.socket, *endpoints: RequestTemplate, in_flight: int = 100
) -> JourneyClient:
    made = JourneyClient(
        Loop(),
        ServerAddress(socket.AF_INET, server.getsockname()),
        [prepare(e, "test", "run", {}) for e in endpoints],
        SendLimits(in_flight=in_flight),
        "http://test",
    )
    begin(made)
    return made


def begin(client: JourneyClient, lasts: float = 1e9) -> None:
    client.lasts = lasts
    client.begin_trial(SampleBuffer(), 0.0, 0.0)


def under_way(client: JourneyClient) -> Connection:
    """The one connection with something in flight."""
    (connection,) = client.in_flight
    return connection


def answered(client: JourneyClient, answer: bytes, now: float) -> bytes:
    """What was sent on, of what an answer at `now` led to; empty for nothing."""
    under_way(client).take(answer, now)
    return under_way(client).payload if client.in_flight else b""


def samples(client: JourneyClient) -> np.ndarray[Any, Any]:
    assert isinstance(client.recorder, SampleBuffer)
    return np.frombuffer(client.recorder.take(), SAMPLE)


def test_values_fill_the_next_step_escaped_for_where_they_stand(server: socket.socket) -> None:
    client = client_of(server, CART)
    client.offer(1.0, 0, 0)
    sent = answered(client, MADE, 5.0)
    assert sent.startswith(b"PUT /pay/a%2Fb HTTP/1.1\r\n")
    assert b"\r\nX-V: v\r\n" in sent
    assert sent.endswith(b"\r\n\r\na/b")


def test_a_later_step_is_due_when_the_one_before_was_answered_and_then_as_it_thinks(
    server: socket.socket,
) -> None:
    client = client_of(server, CART)
    client.offer(1.0, 0, 0)
    answered(client, MADE, 5.0)
    assert not answered(client, DONE, 8.0)  # it thinks
    ((after, callback, arguments),) = client.loop.timers
    assert after == 2.0
    callback(*arguments)
    answered(client, DONE, 12.0)
    made = samples(client)
    assert made["due"].tolist() == [1.0, 5.0, 10.0]
    assert made["endpoint"].tolist() == [0, 1, 2]
    assert {*made["outcome"]} == {RequestOutcome.OK}


def test_two_steps_that_become_due_together_are_told_apart(server: socket.socket) -> None:
    client = client_of(server, CART)
    for due in (1.0, 2.0):
        client.offer(due, 0, 0)
    for connection in list(client.in_flight):
        connection.take(MADE, 5.0)
    for connection in list(client.in_flight):
        connection.take(DONE, 6.0)
    assert len(client.loop.timers) == 2
    assert len({*samples(client)["due"].tolist()}) == 4


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", ""),
        (MADE.replace(b'"id"', b'"ix"'), "cart: extract.id: $.id is not in the answer"),
        (MADE.replace(b"X-V", b"X-W"), "cart: extract.v: the answer has no header X-V"),
        (MADE.replace(b"{", b"["), "cart: extract.id: the answer is not JSON"),
        (
            MADE.replace(b"13", b"15").replace(b"a/b", b"a\\nb!"),
            "",
        ),
    ],
)
def test_an_answer_that_does_not_lead_on_fails_and_the_journey_ends_there(
    server: socket.socket, answer: bytes, words: str
) -> None:
    step = replace(CART.then[0], path="/pay", headers=(("X-Id", "{id}"), ("X-V", "{v}")))
    client = client_of(server, replace(CART, then=(step, CART.then[1])))
    client.offer(1.0, 0, 0)
    assert not answered(client, answer, 5.0)
    assert samples(client)["outcome"].tolist() == [RequestOutcome.STATUS]
    told = "cart was not answered as it must be, so 2 later steps were not sent"
    assert client.counts.errors[told] == 1
    assert any(words in error for error in client.counts.errors)
    assert not any("a\nb" in error for error in client.counts.errors)


def test_every_step_that_ended_journeys_is_told_however_many_errors_there_were(
    server: socket.socket,
) -> None:
    client = client_of(server, CART)
    for n in range(100):
        client.counts.note(f"error {n}")
    client.offer(1.0, 0, 0)
    under_way(client).ended(5.0)
    assert any("so 2 later steps" in error for error in client.counts.errors)


def test_what_was_shed_or_found_no_connection_begins_no_journey(server: socket.socket) -> None:
    client = client_of(server, CART, in_flight=1)
    client.offer(1.0, 0, 0)
    client.offer(2.0, 0, 0)
    client.sweep(1e6)
    assert sorted(samples(client)["outcome"]) == [RequestOutcome.TIMEOUT, RequestOutcome.SHED]
    (count,) = (n for error, n in client.counts.errors.items() if "2 later steps" in error)
    assert count == 2
    client.address = ServerAddress(socket.AF_UNIX, "/nowhere")
    client.offer(3.0, 0, 0)
    assert count + 1 in client.counts.errors.values()


def test_an_answer_to_an_earlier_trial_leads_to_nothing(server: socket.socket) -> None:
    client = client_of(server, CART)
    client.offer(1.0, 0, 0)
    late = under_way(client)
    client.cut(2.0, hard=False)
    begin(client)
    client.limits = SendLimits(in_flight=2)
    client.offer(1.0, 0, 0)  # due at the same moment of this trial
    late.take(MADE, 5.0)
    assert under_way(client).payload.startswith(b"POST /cart ")
    assert answered(client, MADE, 6.0).startswith(b"PUT /pay/")


@pytest.mark.parametrize("stopped", [True, False])
def test_no_step_is_sent_when_the_load_is_over(server: socket.socket, stopped: bool) -> None:
    client = client_of(server, CART)
    begin(client, lasts=1e9 if stopped else 4.0)
    client.offer(1.0, 0, 0)
    if stopped:
        client.end_journeys()
    assert not answered(client, MADE, 5.0)
    assert samples(client)["outcome"].tolist() == [RequestOutcome.OK]
    assert not client.counts.errors  # no step was to blame


def test_a_step_that_was_thinking_when_the_load_ended_is_not_sent(server: socket.socket) -> None:
    client = client_of(server, CART)
    client.offer(1.0, 0, 0)
    answered(client, MADE, 5.0)
    answered(client, DONE, 6.0)
    client.end_journeys()
    ((_, callback, arguments),) = client.loop.timers
    callback(*arguments)
    assert not client.in_flight


@pytest.mark.parametrize(
    "pieces",
    [
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
            b'HTTP/1.1 200 OK\r\nX-V: v\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"id"\r\n',
            b'6\r\n:"a/b"\r\n1\r\n}\r\n0\r\n\r\n',
        ),
        tuple(MADE[n : n + 1] for n in range(len(MADE))),
        (
            b"HTTP/1.1 200 OK\r\nX-V: v\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
            % len(gzip.compress(b'{"id": "a/b"}')),
            gzip.compress(b'{"id": "a/b"}'),
        ),
    ],
)
def test_answers_are_read_in_whatever_form_they_come(
    server: socket.socket, pieces: tuple[bytes, ...]
) -> None:
    client = client_of(server, CART)
    client.offer(1.0, 0, 0)
    connection = under_way(client)
    for piece in pieces:
        connection.take(piece, 5.0)
    assert under_way(client).payload.startswith(b"PUT /pay/a%2Fb ")


def test_cookies_go_with_the_later_steps_of_their_own_journey(server: socket.socket) -> None:
    own = replace(CART.then[1], think=0.0, headers=(("Cookie", "its=own"),))
    client = client_of(server, replace(CART, then=(*CART.then[:1], own)))
    client.offer(1.0, 0, 0)
    sets = b"X-V: v\r\nSet-Cookie: sid=1; Path=/; Secure; HttpOnly\r\nSet-Cookie: b=2; Path=/other"
    assert b"\r\nCookie: sid=1\r\n" in answered(client, MADE.replace(b"X-V: v", sets), 5.0)
    last = answered(client, DONE, 6.0)
    assert last.count(b"Cookie: ") == 1
    assert b"\r\nCookie: its=own\r\n" in last
    answered(client, DONE, 7.0)
    client.offer(8.0, 0, 0)
    assert b"Cookie" not in under_way(client).payload
    assert b"Cookie" not in answered(client, MADE, 9.0)


def test_cookies_are_kept_for_as_long_as_they_say() -> None:
    for url in ("http://127.0.0.1:8000", "http://[::1]:80", "unix:/run/app.sock"):
        kept = Cookies(cookie_url(url if "unix" not in url else "http+unix://%2Frun%2Fapp.sock"))
        assert kept.header("/") == ""
        kept.take("/a/b", [("Set-Cookie", "a=1; Path=/"), ("set-cookie", "c=3"), ("X", "y=2")])
        assert kept.header("/") == "a=1"
        assert sorted(kept.header("/a/x?q=%20").split("; ")) == ["a=1", "c=3"]
        kept.take("/", [("Set-Cookie", "a=; Max-Age=0; Path=/")])
        assert kept.header("/") == ""


@given(st.lists(st.text(), max_size=3), st.text(alphabet=st.characters(codec="latin-1")))
def test_no_cookie_that_a_service_sets_is_more_than_a_line(values: list[str], path: str) -> None:
    kept = Cookies("http://127.0.0.1:1")
    kept.take(f"/{path}", [("Set-Cookie", value) for value in values])
    assert isinstance(kept.header(f"/{path}"), str)


@settings(max_examples=200)
@given(
    body=st.binary(max_size=60)
    | st.recursive(
        st.none() | st.text() | st.floats() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["id", "x"]), inner),
        max_leaves=5,
    ).map(lambda tree: json.dumps(tree).encode()),
    header=st.binary(max_size=40).map(lambda line: re.sub(rb"[\r\n\0]", b"", line)),
    cookie=st.text(max_size=60).map(lambda line: re.sub(rb"[\r\n\0]", b"", line.encode())),
)
def test_whatever_a_service_answers_the_journey_goes_on_or_ends_with_a_reason(
    body: bytes, header: bytes, cookie: bytes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = client_of(server, CART)
        client.offer(1.0, 0, 0)
        head = b"Set-Cookie: %s\r\nX-V: %s\r\nContent-Length: %d" % (cookie, header, len(body))
        sent = answered(client, b"HTTP/1.1 200 OK\r\n%s\r\n\r\n%s" % (head, body), 5.0)
        assert sent.startswith(b"PUT /pay/") or client.counts.errors
        assert len([e for e in client.counts.errors if "2 later steps" in e]) == (not sent)
        client.cut(6.0, hard=True)


def test_variables_and_files_of_later_steps_are_looked_after_as_those_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IN_A_STEP", "1")
    file = tmp_path / "photo.jpg"
    part = BodyPart("f", file=BodyFile(str(file), ""))
    step = RequestTemplate("up", "POST", "/", headers=(("X", "${IN_A_STEP}"),), parts=(part,))
    first = RequestTemplate("get", "GET", "/", then=(step,))
    question = Question(Target("http://shop.test"), (first,), Slo(()))
    load = OpenLoad(question=question, run="r", deadline=1.0, in_flight=10, limit=1.0)
    assert share_of(OpenFleet(load=load, workers=2), ()).variables == {"IN_A_STEP": "1"}
    with pytest.raises(LoadFailed, match="may not read"):
        narrowed(WorkerGrant(), question)
    assert narrowed(WorkerGrant(files=(str(tmp_path),)), question) == question
    address = ServerAddress(socket.AF_INET, ("127.0.0.1", 9))
    prepared = [prepare(first, "test", "run", {})]
    with pytest.raises(TrafficError, match="nothing fills 'IN_A_STEP'"):
        JourneyClient(Loop(), address, prepared, SendLimits(), "http://test")
    prepared = [prepare(first, "test", "run", {"IN_A_STEP": "1"})]
    with pytest.raises(TrafficError, match=r"the file .*photo.jpg cannot be used"):
        JourneyClient(Loop(), address, prepared, SendLimits(), "http://test")
