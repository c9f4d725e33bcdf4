"""What the controller, the load child and its workers say to each other: one frozen type per
message, put into bytes and taken out of them here and nowhere else.

Orders go down (controller to child, master to worker), answers come up. The bytes are MessagePack,
which carries infinities and raw samples as they are; each message is led by its length.
Nothing here is sent per request: at most a few messages a second pass.
"""

from __future__ import annotations

import struct
from typing import Any, Generic, TypeVar

import msgspec

from perfhunt.errors import LoadFailed, PerfhuntError, TrafficError
from perfhunt.load.seam import WorkerClock
from perfhunt.load.trust.address import MasterAddress
from perfhunt.load.trust.grant import WorkerGrant
from perfhunt.load.wire import WireAccount
from perfhunt.model.latency import TaskTime
from perfhunt.model.question import Question
from perfhunt.model.text.error_words import error_words
from perfhunt.model.text.escaping import visible
from perfhunt.model.trial import Step
from perfhunt.model.units import PerSecond, Seconds, Share

# What a locustfile does when a test is over may take so long; then its process ends all the same.
FAREWELL: Seconds = 0.5
LOGIN_WITHIN: Seconds = 60.0  # all logins together: hundreds, at the speed of a slow password hash


class Message(msgspec.Struct, frozen=True, tag=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every message. The name of its class goes along as its tag."""


# Orders go down: to the child, and on to workers.


class OpenLoad(Message, frozen=True):
    """Make everything ready to send the question's traffic. Answered by LoadReady.

    `run` marks every request. An arrival later than `deadline` is shed; at most `in_flight` are
    unanswered at once. `limit` is the largest finite latency limit, infinite when there is none.
    Connections go to `addresses`, at the url's port, and to what `connects` names besides (see
    `model.traffic.connects`). There is no load when the file `killswitch` is there.
    """

    question: Question
    run: str
    deadline: Seconds
    in_flight: int
    limit: Seconds
    addresses: tuple[str, ...] = ()
    connects: tuple[str, ...] = ()
    killswitch: str = ""
    pin: bool = True


class OpenFleet(Message, frozen=True):
    """The same, for so many `workers` to share. With `bind` they come from other hosts, and must
    know the `secret`, which goes no further. Answered by LoadReady.
    """

    load: OpenLoad
    workers: int
    bind: MasterAddress | None = None
    secret: str = ""


class OpenShare(Message, frozen=True):
    """To a worker: make ready for a share of the load, `most` being the largest there will be.
    Answered by LoadReady.

    `variables` are those that the traffic names, as the master's user has set them; `sessions` what
    the logins gave, one row each.
    """

    load: OpenLoad
    variables: dict[str, str]
    most: PerSecond
    sessions: tuple[dict[str, str], ...] = ()


class JoinMaster(Message, frozen=True):
    """To a worker from who started it: whom to work for, and what for at the most."""

    master: MasterAddress
    secret: str
    grant: WorkerGrant


class RunStep(Message, frozen=True):
    """Send the step's arrivals, then wait up to `grace` for what is unanswered. Raw samples are
    appended to the file `samples`. Answered by a SecondReport each second and a StepDone.
    """

    step: Step
    samples: str
    grace: Seconds


class RunShare(Message, frozen=True):
    """To a worker: every `of`-th arrival of the step, from `part` on, from `epoch` on the worker's
    own clock. Answered by a WorkerSecond each second and a WorkerDone.
    """

    step: Step
    grace: Seconds
    epoch: Seconds
    part: int
    of: int


class StopLoad(Message, frozen=True):
    """No more arrivals. `hard` also cuts off what is unanswered. Not answered by itself."""

    hard: bool


class EndLoad(Message, frozen=True):
    """There will be no more orders: leave, after what a locustfile does when a test is over. Not
    answered.
    """


class SendProbe(Message, frozen=True):
    """One request on its own. Answered by ProbeAnswered."""

    endpoint: int
    timeout: Seconds


class FloodTarget(Message, frozen=True):
    """A closed loop at full speed over so many connections. Answered by Flooded."""

    connections: int
    seconds: Seconds


class Heartbeat(Message, frozen=True):
    """The sender lives. Both ways between master and workers."""


class ReadClock(Message, frozen=True):
    """To a worker: what does your clock say? `at` is the master's. Answered by ClockReading."""

    at: Seconds


# Answers come up.


class LoadReady(Message, frozen=True):
    """All is ready. `routes` are the names of what will be sent, `weights` their shares: 0 for
    UNCAUSED and later steps, which no arrival is of. `remarks` are what to know at the start.
    """

    host: str
    pid: int
    routes: tuple[str, ...]
    weights: tuple[float, ...]
    pinning: str
    workers: tuple[WorkerClock, ...] = ()
    remarks: tuple[str, ...] = ()


class SecondReport(Message, frozen=True):
    """What the generator did up to the end of `second`; the seconds since the last report are in
    it, if the loop was held up.

    `at` counts from the epoch, `sent` from the step's start. `cpu` is CPU seconds since the last
    report, `unanswered` the sum, over `ticks` looks, of requests due but not answered.
    """

    second: int
    at: Seconds
    cpu: Seconds
    sent: int
    unanswered: int = 0
    ticks: int = 0


class StepDone(Message, frozen=True):
    """How the step went for the generator. `seconds` is how long load was on, from `epoch` on its
    own time.monotonic.

    `routes` and `users` are a closed loop's: names as they were met, and how many users there were.
    `lost`: of the processes that shared the load one is gone. `starved`: the controller got no CPU.
    """

    seconds: Seconds
    epoch: Seconds = 0.0
    opened: int = 0  # connections
    resent: int = 0
    stray: int = 0
    queued: int = 0
    errors: dict[str, int] = {}  # by their text
    gc_pause: Seconds = 0.0
    fds_share: Share | None = None
    ports_share: Share | None = None
    workers: int = 1
    invalid: str = ""
    routes: tuple[str, ...] | None = None
    users: int = 0
    lost: bool = False
    starved: bool = False
    wire: WireAccount | None = None  # where the sender looks at it
    tasks: tuple[TaskTime, ...] = ()  # of a locustfile
    # Connections to what was not cleared, by where they would have gone.
    refused: dict[str, int] = {}


class ProbeAnswered(Message, frozen=True):
    """How a single request ended (a RequestOutcome) and how long it took; `orphans` of earlier
    trials are still unanswered; `idle` of those are tasks of a locustfile that are in no request.
    """

    outcome: int
    service: Seconds
    orphans: int
    idle: int = 0


class Flooded(Message, frozen=True):
    """Answers per second, CPU seconds of the generator per request, errors by their text."""

    rate: PerSecond
    cpu: Seconds
    errors: dict[str, int]


class LoadError(Message, frozen=True):
    """The child or worker failed: why, and what to do next. `of_user`: what it was given to send is
    no such thing.
    """

    why: str
    hint: str = ""
    of_user: bool = False

    @classmethod
    def of(cls, error: Exception, keep_text: bool = False) -> LoadError:
        """What is said of an exception; its text only when that is to be kept."""
        hint = error.hint if isinstance(error, PerfhuntError) else ""
        of_user = isinstance(error, TrafficError)
        return cls(why=error_words(error, keep_text), hint=hint, of_user=of_user)

    @property
    def raised(self) -> LoadFailed:
        """The same as an error of this process."""
        return (TrafficError if self.of_user else LoadFailed)(self.why, self.hint)


class ClockReading(Message, frozen=True):
    """From a worker: its own clock, and the master's time that came with the question."""

    at: Seconds
    theirs: Seconds


class WorkerSecond(Message, frozen=True):
    """From a worker: its report, and the packed samples since the last one. `met` are the names of
    a closed loop's requests that are new since then; samples number all of them from 0.
    """

    report: SecondReport
    samples: bytes
    met: tuple[str, ...] = ()


class WorkerDone(Message, frozen=True):
    """From a worker: how its share went, the last of its samples, and why they are not to be
    believed, if they are not.
    """

    done: StepDone
    samples: bytes
    met: tuple[str, ...] = ()
    invalid: str = ""


ChildOrder = OpenLoad | OpenFleet | RunStep | StopLoad | EndLoad | SendProbe | FloodTarget
ChildAnswer = LoadReady | SecondReport | StepDone | ProbeAnswered | Flooded | LoadError
WorkerOrder = (
    OpenShare | RunShare | StopLoad | EndLoad | SendProbe | FloodTarget | ReadClock | Heartbeat
)
WorkerAnswer = (
    LoadReady
    | WorkerSecond
    | WorkerDone
    | ProbeAnswered
    | Flooded
    | ClockReading
    | Heartbeat
    | LoadError
)

M = TypeVar("M", bound=Message)
# What msgspec raises for bytes that are no message: text that is none, nesting without end too.
_MALFORMED = (msgspec.MsgspecError, ValueError, RecursionError)
_TEXT = 300  # characters of a text that another process sends
_SHOWN = 40  # bytes or characters of what cannot be read


def one_line(text: str) -> str:
    """Text from another process as it may be shown: short, and nothing that drives a terminal."""
    return " ".join(visible(text[:_TEXT]).split())


class MalformedMessage(LoadFailed):
    """Bytes came that are no message one may expect there."""

    def __init__(self, why: str) -> None:
        super().__init__(
            why,
            "Parent and child, or master and worker, must be of the same version of perfhunt.",
        )


class Decoder(Generic[M]):
    """Takes messages of one vocabulary out of bytes."""

    def __init__(self, vocabulary: Any) -> None:
        """`vocabulary` is a union of message types."""
        self._decoder = msgspec.msgpack.Decoder(vocabulary)

    def decode(self, content: bytes) -> M:
        """The message. Raises MalformedMessage, which names it and what is wrong with it."""
        try:
            message: M = self._decoder.decode(content)
        except _MALFORMED as error:
            raise MalformedMessage(
                f"{_name(content)} is malformed: {one_line(str(error))}"
            ) from None
        return message


def _name(content: bytes) -> str:
    """What the bytes call themselves, else how they begin."""
    try:
        fields = msgspec.msgpack.decode(content)
    except _MALFORMED:
        fields = None
    if isinstance(fields, dict) and isinstance(fields.get("type"), str):
        return f"the message {fields['type'][:_SHOWN]!r}"
    return f"a message that begins with {content[:_SHOWN]!r}"


ORDERS: Decoder[ChildOrder] = Decoder(ChildOrder)
ANSWERS: Decoder[ChildAnswer] = Decoder(ChildAnswer)
WORKER_ORDERS: Decoder[WorkerOrder] = Decoder(WorkerOrder)
WORKER_ANSWERS: Decoder[WorkerAnswer] = Decoder(WorkerAnswer)
JOINING: Decoder[JoinMaster] = Decoder(JoinMaster)

encode = msgspec.msgpack.Encoder().encode

_LENGTH = struct.Struct(">I")
# A question is a few kilobytes, a second of samples at 30,000/s one megabyte: more is not ours, but
# text that something else wrote into the pipe. Nothing that long is ever held.
LARGEST = 1 << 26  # bytes


def frame(message: Message) -> bytes:
    """The message for a pipe or a connection, led by its length. Raises LoadFailed for one that
    cannot be sent.
    """
    try:
        content = encode(message)
    except UnicodeEncodeError as error:
        raise LoadFailed(
            f"a path holds bytes that are not UTF-8: {error.object}",
            "Rename that directory, or work from within it, with relative paths.",
        ) from None
    return _LENGTH.pack(len(content)) + content


class PipeReader(Generic[M]):
    """Puts messages together again from whatever pieces they arrive in."""

    def __init__(self, decoder: Decoder[M]) -> None:
        self._decoder = decoder
        self._read = bytearray()

    def feed(self, content: bytes) -> list[M]:
        """The messages that are whole now. Raises MalformedMessage."""
        self._read += content
        messages = []
        while len(self._read) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._read)
            if length > LARGEST:
                raise MalformedMessage(
                    f"{bytes(self._read[:_SHOWN])!r}, from a load process, is no message"
                )
            end = _LENGTH.size + length
            if len(self._read) < end:
                break
            messages.append(self._decoder.decode(bytes(self._read[_LENGTH.size : end])))
            del self._read[:end]
        return messages
