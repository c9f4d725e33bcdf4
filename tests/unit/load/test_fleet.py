"""A master and workers that break the rules: each loses its own connection, and no more."""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent
import numpy as np
import pytest
from gevent import socket

from perfhunt.errors import LoadFailed
from perfhunt.load.child.fleet import channel as channels
from perfhunt.load.child.fleet.channel import Channel
from perfhunt.load.child.fleet.master import Fleet
from perfhunt.load.child.fleet.proving import proven_master
from perfhunt.load.child.recorder import Recorder
from perfhunt.load.messages import (
    LARGEST,
    WORKER_ANSWERS,
    WORKER_ORDERS,
    ClockReading,
    Heartbeat,
    LoadError,
    LoadReady,
    MalformedMessage,
    Message,
    OpenFleet,
    OpenLoad,
    OpenShare,
    ReadClock,
    RunShare,
    SecondReport,
    StepDone,
    WorkerDone,
    WorkerOrder,
    WorkerSecond,
    encode,
    frame,
)
from perfhunt.load.trust.address import MasterAddress
from perfhunt.model.latency import SAMPLE
from perfhunt.model.question import (
    Killswitch,
    LoopKind,
    ProcessSelector,
    Question,
    Ramp,
    RequestTemplate,
    Safety,
    Target,
)
from perfhunt.model.slo import Slo
from perfhunt.model.traffic.parts import BodyPart
from perfhunt.model.trial import Phase, Step
from perfhunt.model.units import Seconds

SECRET = "0123456789abcdef" * 2
ENOUGH: Seconds = 20.0  # for anything here, on a busy machine
STEP = Step(Phase.FIXED, 100.0, 1.0, seed=1)
QUESTION = Question(
    Target("http://shop.test", process=ProcessSelector(pidfile="/run/CANARYpidfile")),
    (
        RequestTemplate("a", "GET", "/a?t=${IN_PATH}", headers=(("X", "Bearer ${IN_HEADER}"),)),
        RequestTemplate("b", "POST", "/b", body="${IN_BODY} ${NOT_SET}"),
        RequestTemplate("c", "POST", "/c", parts=(BodyPart("f", "${IN_PART}"),)),
    ),
    Slo(()),
    safety=Safety(
        max_rate=100.0,
        comms="CANARYcomms",
        killswitch=Killswitch(url="https://CANARYkillswitch"),
    ),
    source="CANARYsource",
)


@pytest.fixture
def pair() -> Iterator[tuple[Channel[Any], Any]]:
    """A master's channel, and the bare connection at its other end."""
    ours, theirs = socket.socketpair()
    made: Channel[Any] = Channel(ours, WORKER_ANSWERS)
    yield made, theirs
    made.close()
    theirs.close()


BROKEN = {
    "no message": struct.pack(">I", 3) + b"\xc1\xc1\xc1",
    "text": b"hello, master\n",
    "an order": frame(ReadClock(at=1.0)),
    "a length of four gigabytes": struct.pack(">I", 2**32 - 1),
    "a length just over the largest": struct.pack(">I", LARGEST + 1) + b"x",
    "arrays in arrays": struct.pack(">I", 100_000) + b"\x91" * 100_000,
    "an array that claims too much": struct.pack(">I", 5) + b"\xdd\xff\xff\xff\xff",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_message_closes_the_connection_it_came_on(
    name: str, pair: tuple[Channel[Any], Any]
) -> None:
    master, bare = pair
    messages = master.messages()
    with gevent.Timeout(ENOUGH):
        bare.sendall(frame(Heartbeat()))
        assert next(messages) == Heartbeat()
        gevent.spawn(bare.sendall, BROKEN[name])
        with pytest.raises(MalformedMessage):
            next(messages)
        assert bare.recv(100) == b""  # hung up


def test_more_messages_than_anybody_has_to_say_close_the_connection(
    pair: tuple[Channel[Any], Any],
) -> None:
    master, bare = pair
    gevent.spawn(bare.sendall, frame(Heartbeat()) * (channels._AT_ONCE + 500))
    with gevent.Timeout(ENOUGH), pytest.raises(MalformedMessage, match="a second"):
        for _ in master.messages():
            pass


def test_an_end_that_takes_nothing_is_hung_up_on_and_nobody_waits_for_it(
    pair: tuple[Channel[Any], Any],
) -> None:
    master, bare = pair
    big = WorkerSecond(report=SecondReport(second=0, at=0.0, cpu=0.0, sent=0), samples=bytes(9999))
    with gevent.Timeout(ENOUGH):
        for _ in range(channels._UNTAKEN + 100):
            master.send(big)
            gevent.sleep(0)
        assert list(master.messages()) == []
    assert bare.recv(10) != b""


def test_a_channel_ends_when_the_other_end_does(pair: tuple[Channel[Any], Any]) -> None:
    master, bare = pair
    bare.sendall(frame(Heartbeat()) + frame(Heartbeat())[:3])  # and dies in the middle
    bare.close()
    assert list(master.messages()) == [Heartbeat()]
    master.send(Heartbeat())
    master.close()
    master.close()


Answer = Callable[["FakeWorker", WorkerOrder], None]


class FakeWorker:
    """A worker that knows the secret, and does as it likes."""

    def __init__(self, port: int, answer: Answer, host: str = "other") -> None:
        self.host, self.heard = host, list[WorkerOrder]()
        self._answer = answer
        self.connection = proven_master(
            socket.create_connection(("127.0.0.1", port), ENOUGH), SECRET
        )
        self.channel: Channel[WorkerOrder] = Channel(self.connection, WORKER_ORDERS)
        self.listening = gevent.spawn(self._listen)

    def _listen(self) -> None:
        for order in self.channel.messages():
            self.heard.append(order)
            self._answer(self, order)

    def say(self, *messages: Message) -> None:
        for message in messages:
            self.channel.send(message)


def honest(worker: FakeWorker, order: WorkerOrder) -> None:
    match order:
        case OpenShare():
            ready = LoadReady(
                host=worker.host, pid=1, routes=("a", "b"), weights=(1.0, 1.0), pinning=""
            )
            worker.say(ready)
        case ReadClock():
            worker.say(ClockReading(at=order.at, theirs=time.monotonic() + 5.0))
        case Heartbeat():
            worker.say(Heartbeat())
        case RunShare():
            samples = np.zeros(3, SAMPLE).tobytes()
            report = SecondReport(second=0, at=1.0, cpu=0.1, sent=3)
            worker.say(
                WorkerSecond(report=report, samples=samples),
                WorkerDone(done=StepDone(seconds=1.0), samples=b""),
            )


def silent(worker: FakeWorker, order: WorkerOrder) -> None:
    """Says nothing at all."""


def but(wanted: type[WorkerOrder], *content: bytes | Message) -> Answer:
    """Honest, but for one order, to which it says this."""

    def answer(worker: FakeWorker, order: WorkerOrder) -> None:
        if not isinstance(order, wanted):
            return honest(worker, order)
        for each in content:
            worker.connection.sendall(each if isinstance(each, bytes) else frame(each))
        return None

    return answer


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def opening(port: int, workers: int = 2, *, users: bool = False) -> OpenFleet:
    closed = replace(QUESTION, locustfile="users.py", ramp=Ramp(loop=LoopKind.CLOSED))
    load = OpenLoad(
        question=closed if users else QUESTION, run="r", deadline=2.0, in_flight=100, limit=math.inf
    )
    at = MasterAddress("127.0.0.1", port)
    return OpenFleet(load=load, workers=workers, bind=at, secret=SECRET)


def fleet_of(*answers: Answer, users: bool = False) -> tuple[Fleet, list[FakeWorker]]:
    """A fleet that is open, and its workers in the order they came."""
    port = free_port()
    opened = gevent.spawn(Fleet, opening(port, len(answers), users=users))
    opened.link_exception(lambda _: None)
    workers = []
    with gevent.Timeout(ENOUGH):
        for number, answer in enumerate(answers):
            workers.append(joined(port, answer, f"host-{number}"))
    return opened.get(timeout=ENOUGH), workers


def joined(port: int, answer: Answer, host: str = "other") -> FakeWorker:
    while True:
        try:
            return FakeWorker(port, answer, host)
        except ConnectionRefusedError:
            gevent.sleep(0)


def ran(fleet: Fleet, directory: Path) -> tuple[StepDone, int]:
    """A step of the fleet, and how many samples came of it."""
    recorder = Recorder(str(directory / "samples"))
    with gevent.Timeout(ENOUGH):
        done = fleet.run(STEP, 1.0, recorder, lambda report: None)
    recorder.close()
    return done, (directory / "samples").stat().st_size // SAMPLE.itemsize


def test_workers_that_keep_the_rules_share_a_step(tmp_path: Path) -> None:
    fleet, _ = fleet_of(honest, honest)
    done, samples = ran(fleet, tmp_path)
    assert done.invalid == ""
    assert samples == 6
    clocks = fleet.ready().workers
    assert [clock.host for clock in clocks] == ["host-0", "host-1"]
    assert all(abs(clock.offset - 5.0) <= clock.doubt for clock in clocks)


def test_a_worker_is_told_what_it_needs_of_the_question_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("IN_PATH", "IN_HEADER", "IN_BODY", "IN_PART", "ELSEWHERE"):
        monkeypatch.setenv(name, f"value of {name}")
    monkeypatch.delenv("NOT_SET", raising=False)
    _, workers = fleet_of(honest)
    (share,) = [order for order in workers[0].heard if isinstance(order, OpenShare)]
    assert share.load.question.traffic == QUESTION.traffic
    assert share.variables == {
        name: f"value of {name}" for name in ("IN_PATH", "IN_HEADER", "IN_BODY", "IN_PART")
    }
    assert share.most == 100.0
    content = encode(share)
    for word in (b"CANARY", SECRET.encode(), b"ELSEWHERE"):
        assert word not in content


LIES = {
    "no message": struct.pack(">I", 3) + b"\xc1\xc1\xc1",
    "too long": struct.pack(">I", 2**32 - 1),
    "a second with half a sample": frame(
        WorkerSecond(report=SecondReport(second=0, at=1.0, cpu=0.1, sent=3), samples=bytes(28))
    ),
    "an order": frame(ReadClock(at=1.0)),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_worker_that_breaks_the_rules_in_a_step_is_lost_and_the_others_are_heard(
    lie: str, tmp_path: Path
) -> None:
    fleet, (_, liar) = fleet_of(honest, but(RunShare, LIES[lie]))
    done, samples = ran(fleet, tmp_path)
    assert "load worker 1 on host-1 was lost (" in done.invalid
    assert samples == 3
    liar.listening.get(timeout=ENOUGH)  # it was hung up on


def test_a_worker_that_leaves_in_a_step_is_noticed_at_once(tmp_path: Path) -> None:
    def leave(worker: FakeWorker, order: WorkerOrder) -> None:
        if isinstance(order, RunShare):
            worker.channel.close()
        else:
            honest(worker, order)

    fleet, _ = fleet_of(honest, leave)
    began = time.monotonic()
    done, _ = ran(fleet, tmp_path)
    assert "was lost" in done.invalid
    assert done.lost
    assert time.monotonic() - began < 1.5  # less than silence is allowed for


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("it was suspended\n\x1b", "load worker 1 on host-1: it was suspended \ufffd"),
        ("stopped: by itself", "stopped: load worker 1 on host-1: by itself"),
    ],
)
def test_what_a_worker_doubts_of_its_own_share_is_told_with_its_name(
    said: str, told: str, tmp_path: Path
) -> None:
    doubt = WorkerDone(done=StepDone(seconds=1.0), samples=b"", invalid=said)
    fleet, _ = fleet_of(honest, but(RunShare, doubt))
    done, _ = ran(fleet, tmp_path)
    assert done.invalid == told
    assert not done.lost


def test_one_that_breaks_the_rules_before_the_start_is_replaced_by_the_next(
    tmp_path: Path,
) -> None:
    port = free_port()
    opened = gevent.spawn(Fleet, opening(port, 2))
    with gevent.Timeout(ENOUGH):
        liar = joined(port, honest)
        liar.connection.sendall(LIES["no message"])
        liar.listening.get()
        joined(port, honest)
        joined(port, honest)
        done, samples = ran(opened.get(), tmp_path)
    assert done.invalid == ""
    assert samples == 6


def test_what_a_worker_complains_of_is_one_short_line_that_names_it() -> None:
    complaint = LoadError(why="no\n::error::pwned\x1b[31m\u202e" + "x" * 9999, hint="do\r\nthat")
    with pytest.raises(LoadFailed) as error:
        fleet_of(but(OpenShare, complaint))
    assert error.value.message.startswith("load worker on 127.0.0.1: no ::error::pwned\ufffd[31m")
    assert error.value.hint == "do that"
    assert error.value.message.isprintable()
    assert len(error.value.message) < 400


def test_nobody_measures_with_a_worker_whose_traffic_is_another() -> None:
    other = LoadReady(host="x", pid=1, routes=("c",), weights=(1.0,), pinning="")
    with pytest.raises(LoadFailed, match="different traffic"):
        fleet_of(honest, but(OpenShare, other))


def test_when_all_are_there_nobody_else_can_join(tmp_path: Path) -> None:
    port = free_port()
    opened = gevent.spawn(Fleet, opening(port, 1))
    with gevent.Timeout(ENOUGH):
        joined(port, honest)
        fleet = opened.get()
        with pytest.raises(ConnectionRefusedError):
            FakeWorker(port, honest)
    assert ran(fleet, tmp_path)[0].invalid == ""


def test_who_is_missing_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perfhunt.load.child.fleet.master.REMOTE_JOIN_WITHIN", 0.5)
    port = free_port()
    opened = gevent.spawn(Fleet, opening(port, 2))
    opened.link_exception(lambda _: None)
    with gevent.Timeout(ENOUGH):
        joined(port, silent)
        stranger = socket.create_connection(("127.0.0.1", port))
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(
            LoadFailed, match=r"1 of 2 .* turned away: 1 because nothing was proven"
        ) as error:
            opened.get()
    assert f"perfhunt worker --master 127.0.0.1:{port}" in error.value.hint
    stranger.close()
