"""Messages arrive as they were sent, whatever pieces they come in; what is none is named."""

import inspect
import math
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfhunt.errors import LoadFailed, UsageError
from perfhunt.load import messages
from perfhunt.load.engines import ENGINES
from perfhunt.load.messages import (
    ANSWERS,
    ORDERS,
    WORKER_ANSWERS,
    WORKER_ORDERS,
    ChildAnswer,
    ChildOrder,
    ClockReading,
    EndLoad,
    Flooded,
    FloodTarget,
    Heartbeat,
    JoinMaster,
    LoadError,
    LoadReady,
    MalformedMessage,
    Message,
    OpenFleet,
    OpenLoad,
    OpenShare,
    PipeReader,
    ProbeAnswered,
    ReadClock,
    RunShare,
    RunStep,
    SecondReport,
    SendProbe,
    StepDone,
    StopLoad,
    WorkerDone,
    WorkerSecond,
    encode,
    frame,
)
from perfhunt.load.seam import LoadEngine, WorkerClock
from perfhunt.load.trust.address import MasterAddress
from perfhunt.load.trust.grant import WorkerGrant
from perfhunt.model.question import EngineName, Question, Ramp, RequestTemplate, Target
from perfhunt.model.slo import Slo
from perfhunt.model.traffic.parts import Expect, Feed
from perfhunt.model.trial import Phase, Step

QUESTION = Question(
    Target("http://127.0.0.1:8000", name="läden"),
    (
        RequestTemplate("list", "GET", "/items", weight=8),
        RequestTemplate(
            "pay",
            "POST",
            "/pay",
            headers=(("Authorization", "Bearer ${TOKEN}"),),
            body='{"sku": "{sku}"}',
            feed=Feed("skus.csv", ("sku",), "ab" * 32),
            expect=Expect((201,), "paid"),
        ),
    ),
    Slo(()),
    Ramp(deadline=None),
)
STEP = Step(Phase.RAMP, 1 / 3, 10.0, seed=2**31 - 1, settle=0.1)
DONE = StepDone(seconds=9.7, opened=3, errors={"OSError: ¿qué?": 2}, fds_share=0.1, routes=("a",))
REPORT = SecondReport(second=4, at=5.0001, cpu=0.3, sent=400, unanswered=7, ticks=20)
LOAD = OpenLoad(
    question=QUESTION,
    run="r1",
    deadline=2.0,
    in_flight=10,
    limit=math.inf,
    addresses=("::1",),
)
MASTER = MasterAddress("10.0.0.1", 5557)
ONE_OF_EACH: dict[str, tuple[Message, ...]] = {
    "ORDERS": (
        LOAD,
        OpenFleet(load=LOAD, workers=2, bind=MASTER, secret="s" * 32),
        RunStep(step=STEP, samples="/tmp/0001.samples", grace=math.inf),
        StopLoad(hard=True),
        EndLoad(),
        SendProbe(endpoint=1, timeout=0.5),
        FloodTarget(connections=64, seconds=1.0),
    ),
    "ANSWERS": (
        LoadReady(
            host="h",
            pid=1,
            routes=("list", "pay"),
            weights=(8.0, 1.0),
            pinning="",
            workers=(WorkerClock("h", 2, -1e-5, 3e-5),),
        ),
        REPORT,
        DONE,
        ProbeAnswered(outcome=0, service=0.02, orphans=0),
        Flooded(rate=1e5, cpu=8e-6, errors={}),
        LoadError(why="no", hint="do"),
    ),
    "JOINING": (JoinMaster(master=MASTER, secret="s" * 32, grant=WorkerGrant(("a",), ("b",))),),
    "WORKER_ORDERS": (
        OpenShare(load=LOAD, variables={"TOKEN": "t"}, most=50.0),
        RunShare(step=STEP, grace=2.0, epoch=1e5 + 1 / 3, part=1, of=2),
        ReadClock(at=0.1 + 0.2),
        Heartbeat(),
    ),
    "WORKER_ANSWERS": (
        ClockReading(at=0.3, theirs=0.1),
        WorkerSecond(report=REPORT, samples=bytes(range(256))),
        WorkerDone(done=DONE, samples=b"", invalid="alone"),
    ),
}
EVERY = [
    pytest.param(name, message, id=type(message).__name__)
    for name, several in ONE_OF_EACH.items()
    for message in several
]


@pytest.mark.parametrize(("vocabulary", "message"), EVERY)
def test_a_message_arrives_as_it_was_sent(vocabulary: str, message: Message) -> None:
    assert getattr(messages, vocabulary).decode(encode(message)) == message


def test_every_message_there_is_was_tried() -> None:
    tried = {type(message) for several in ONE_OF_EACH.values() for message in several}
    assert tried == set(Message.__subclasses__())
    for union in (messages.WorkerOrder, messages.WorkerAnswer, ChildOrder, ChildAnswer):
        assert set(get_args(union)) <= tried


def test_messages_cannot_be_changed_on_their_way() -> None:
    for several in ONE_OF_EACH.values():
        for message in several:
            assert type(message).__struct_config__.frozen


@given(cuts=st.lists(st.integers(1, 60), min_size=1))
def test_a_pipe_may_cut_messages_anywhere(cuts: list[int]) -> None:
    sent = list(ONE_OF_EACH["ORDERS"])
    content = b"".join(frame(order) for order in sent)
    reader: PipeReader[ChildOrder] = PipeReader(ORDERS)
    arrived: list[Any] = []
    while content:
        for size in cuts:
            arrived += reader.feed(content[:size])
            content = content[size:]
    assert arrived == sent


@pytest.mark.parametrize(
    ("message", "names"),
    [
        ({"type": "Explode"}, ["'Explode'"]),
        ({"type": "StopLoad"}, ["'StopLoad'", "hard"]),
        ({"type": "StopLoad", "hard": "yes"}, ["'StopLoad'", "hard", "bool"]),
        ({"type": "StopLoad", "hard": True, "now": 1}, ["'StopLoad'", "now"]),
        ({"hard": True}, ["begins with", "type"]),
        ([1, 2], ["begins with", "array"]),
    ],
)
def test_an_unknown_or_malformed_message_is_named(message: object, names: list[str]) -> None:
    with pytest.raises(MalformedMessage) as error:
        ORDERS.decode(msgspec.msgpack.encode(message))
    assert all(name in error.value.message for name in names), error.value.message
    assert "version" in error.value.hint


def test_an_answer_is_no_order() -> None:
    with pytest.raises(MalformedMessage, match="'ClockReading'"):
        ANSWERS.decode(encode(ClockReading(at=0.3, theirs=0.1)))
    for order in ONE_OF_EACH["ORDERS"][:3]:  # what is the child's alone, and names files
        with pytest.raises(MalformedMessage, match=type(order).__name__):
            WORKER_ORDERS.decode(encode(order))
    with pytest.raises(MalformedMessage, match="'SecondReport'"):
        WORKER_ANSWERS.decode(encode(REPORT))


def test_text_that_strays_into_the_pipe_is_shown() -> None:
    with pytest.raises(MalformedMessage, match="hello from a print"):
        PipeReader(ANSWERS).feed(b"hello from a print\n")
    with pytest.raises(MalformedMessage, match="begins with"):
        PipeReader(ANSWERS).feed(b"\x00\x00\x00\x02\xc1\xc1")


@pytest.mark.parametrize(
    "content",
    [
        b"\x91" * 100_000,  # arrays in arrays
        b"\x81\xa4type" + b"\x91" * 100_000,
        b"\xdd\xff\xff\xff\xff",  # an array that says it has four thousand million members
        b"\xdf\xff\xff\xff\xff",
        b"\x82\xa4type\xa4Flop\xa1x" + b"\x81\xa1y" * 50_000,
        b"",
    ],
)
def test_a_message_that_is_too_deep_or_claims_too_much_is_malformed_like_any_other(
    content: bytes,
) -> None:
    with pytest.raises(MalformedMessage) as error:
        WORKER_ANSWERS.decode(content)
    assert len(error.value.message) < 500


def test_what_a_message_calls_itself_is_shown_shortened_and_escaped() -> None:
    with pytest.raises(MalformedMessage) as error:
        ORDERS.decode(msgspec.msgpack.encode({"type": "\x1b[31m\n::error::" + "x" * 10_000}))
    assert "\n" not in error.value.message
    assert "\x1b" not in error.value.message
    assert len(error.value.message) < 500


def test_an_exception_keeps_its_hint() -> None:
    assert LoadError.of(UsageError("wrong", "Try again.")) == LoadError(
        why="wrong", hint="Try again."
    )
    assert LoadError.of(KeyError()) == LoadError(why="KeyError")
    assert issubclass(MalformedMessage, LoadFailed)


def test_every_engine_of_the_table_is_made_alike_and_says_what_it_is() -> None:
    made = inspect.signature(LoadEngine.__init__)
    assert set(ENGINES) == set(EngineName)
    for name, engine in ENGINES.items():
        assert engine.name == name
        assert engine.help
        assert inspect.signature(engine.__init__).parameters.keys() == made.parameters.keys()
        for method in ("open", "run", "drain", "close"):
            wanted = inspect.signature(getattr(LoadEngine, method))
            assert inspect.signature(getattr(engine, method)) == wanted
