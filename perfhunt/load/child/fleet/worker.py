"""A load worker: this process's share of the arrivals. It obeys one master, within what its own
user granted, and dies without it.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import gevent
import locust
import msgspec
from gevent import socket, ssl
from gevent.queue import Full, Queue
from locust.env import Environment

from perfhunt.errors import LoadFailed, PerfhuntError
from perfhunt.load.child.bounds.lines import MasterLine
from perfhunt.load.child.bounds.sentinel import Sentinel
from perfhunt.load.child.fleet.channel import Channel
from perfhunt.load.child.fleet.proving import OtherVersion, Unproven, proven_master
from perfhunt.load.child.recorder import SampleBuffer
from perfhunt.load.child.source import TrafficSource
from perfhunt.load.messages import (
    JOINING,
    WORKER_ORDERS,
    ClockReading,
    EndLoad,
    Flooded,
    FloodTarget,
    Heartbeat,
    JoinMaster,
    LoadError,
    LoadReady,
    MalformedMessage,
    OpenShare,
    PipeReader,
    ProbeAnswered,
    ReadClock,
    RunShare,
    SecondReport,
    SendProbe,
    StopLoad,
    WorkerAnswer,
    WorkerDone,
    WorkerOrder,
    WorkerSecond,
    one_line,
)
from perfhunt.load.trust.grant import (
    WorkerGrant,
    besides,
    cleared,
    has_users,
    narrowed,
    refuse_late,
    refuse_rate,
    refuse_step,
    refuse_users,
)
from perfhunt.model.text.error_words import error_words
from perfhunt.model.trial import STOPPED
from perfhunt.model.units import Seconds, format_duration, format_rate

BEAT: Seconds = 0.2  # between heartbeats: several may be late before anybody is given up
GONE_AFTER: Seconds = 9.0  # the master does not come back
OVERTIME: Seconds = 15.0  # beyond what an order lasts: then its load is ended
_DIAL_WITHIN: Seconds = 5.0
_DIAL_EVERY: Seconds = 0.5
_DIALS_FOR: Seconds = 300.0  # workers are often started first, by hand
_READ_SIZE = 1 << 16  # bytes: all that a pipe holds
_ORDERS = 16  # not carried out yet; a master gives one and waits


class Worker:
    """Listens to the master and does what it says, one order after the other. Without a grant it
    may do all: then the master is its own.
    """

    def __init__(
        self, connection: Any, grant: WorkerGrant | None = None, above: Sequence[Sentinel] = ()
    ) -> None:
        """`above` are those that watch over who started it."""
        self._environment = Environment(events=locust.events, catch_exceptions=False)
        self._runner: Any = self._environment.create_local_runner()
        self._channel: Channel[WorkerOrder] = Channel(connection, WORKER_ORDERS)
        self._grant = grant
        self._source: TrafficSource | None = None
        self._users = False  # whether it is a closed loop's
        self._met = 0  # names of its requests that the master knows
        self._cut_off = self._busy = False
        self._orders: Queue[WorkerOrder] = Queue(_ORDERS)
        self._heard = self._free = time.monotonic()
        self._line = MasterLine(connection.fileno())
        self._sentinels = (*above, Sentinel(self._line))
        self._sentinels[-1].start()

    def serve(self) -> None:
        """Works until the master is gone. Raises MalformedMessage when it is no master."""
        gevent.sleep(0)  # as in session: the hub puts itself in that place when it starts
        gevent.get_hub().loop.error_handler = self
        gevent.spawn(self._beat)
        gevent.spawn(self._work)
        try:
            for order in self._channel.messages():
                self._take(order)
        finally:
            self._stop(hard=True)

    def _beat(self) -> None:
        while True:
            gevent.sleep(BEAT)
            if time.monotonic() - self._heard > GONE_AFTER:
                self._channel.close()
            self._channel.beat(Heartbeat())

    def handle_error(self, where: Any, kind: Any, value: Any, trace: Any) -> None:
        """From the event loop: a callback raised."""
        if issubclass(kind, Exception):
            self._fail(value)

    def _fail(self, error: Exception) -> None:
        told = _told(error) if isinstance(error, PerfhuntError) else error_words(error)
        sys.stderr.write(f"{told}\n")
        self._send(LoadError.of(error))

    def _send(self, answer: WorkerAnswer) -> None:
        self._channel.send(answer)

    def _take(self, order: WorkerOrder) -> None:
        """What takes long waits for its turn, so that "stop" is heard meanwhile."""
        self._heard = time.monotonic()
        self._line.taken()
        match order:
            case Heartbeat():
                pass  # the master lives; hearing it was all
            case ReadClock():
                self._send(ClockReading(at=order.at, theirs=time.monotonic()))
            case StopLoad():
                self._cut_off = self._cut_off or order.hard
                self._stop(order.hard)
            case EndLoad():
                gevent.spawn(self._leave)
            case _:
                try:
                    self._orders.put_nowait(order)
                except Full:
                    raise MalformedMessage(f"more than {_ORDERS} orders came at once") from None

    def _leave(self) -> None:
        """A locustfile hears that the test is over, but for what Session.end says."""
        if self._source is not None and not self._cut_off and not self._busy:
            self._source.end()
        self._channel.close()

    def _stop(self, hard: bool) -> None:
        if self._source is not None:
            self._source.stop(hard)

    def _work(self) -> None:
        while True:
            order = self._orders.get()
            self._busy = True
            try:
                self._send(self._answer(order))
            except Exception as error:  # the boundary: a worker must not fail in silence
                self._fail(error)
            self._busy = False

    def _answer(self, order: WorkerOrder) -> LoadReady | WorkerDone | ProbeAnswered | Flooded:
        if isinstance(order, OpenShare) and self._source is None:
            return self._open(order)
        if self._source is not None:
            match order:
                case RunShare():
                    return self._run(self._source, order)
                case SendProbe(endpoint=endpoint, timeout=within):
                    self._spend(1.0)
                    with self._under_way(within):
                        return self._source.probe(endpoint, within, again=self._grant is None)
                case FloodTarget() if self._grant is None:  # only a bench of our own does that
                    with self._under_way(2 * order.seconds):
                        return self._source.flood(order.connections, order.seconds)
        raise LoadFailed(f"{type(order).__name__} came where it has no place")

    def _open(self, order: OpenShare) -> LoadReady:
        """All that is asked for must have been granted before any of it is touched."""
        load, grant = order.load, self._grant
        if grant is not None:
            if not has_users(load.question):  # they are held to it task by task
                refuse_rate(grant, order.most)
            question = narrowed(grant, load.question)
            addresses = cleared(grant, question.target.url, load.addresses)
            load = msgspec.structs.replace(
                load,
                question=question,
                addresses=addresses,
                connects=besides(grant, load.connects),
                pin=False,
            )
        self._watch_over(unruly=load.question.locustfile is not None)
        self._source = source = TrafficSource(
            load,
            self._environment,
            order.variables,
            order.sessions,
            math.inf if grant is None else grant.max_rate,
        )
        self._users = has_users(load.question)
        events: Any = self._environment.events
        events.init.fire(environment=self._environment, runner=self._runner, web_ui=None)
        events.test_start.fire(environment=self._environment)
        most = "" if self._grant is None else format_rate(self._grant.max_rate)
        place = urlsplit(load.question.target.url).netloc.rpartition("@")[2]
        _say(f"ready to send to {one_line(place)}, {most} at most", self._grant)
        return source.ready()

    def _run(self, source: TrafficSource, order: RunShare) -> WorkerDone:
        self._refuse(order)
        buffer = SampleBuffer()

        def report(second: SecondReport) -> None:
            samples = buffer.take()
            self._send(WorkerSecond(report=second, samples=samples, met=self._newly_met(source)))

        _say(f"load: {_share_words(order, users=self._users)}", self._grant)
        lasts = max(0.0, order.epoch - time.monotonic()) + order.step.duration + order.grace
        with self._under_way(lasts):
            done = source.run(
                order.step, order.grace, buffer, report, order.epoch, order.part, order.of
            )
        samples = buffer.take()
        if invalid := self._doubt(source, done.epoch):
            _say(invalid, self._grant)
        return WorkerDone(done=done, samples=samples, met=self._newly_met(source), invalid=invalid)

    def _refuse(self, order: RunShare) -> None:
        """Raises LoadFailed for a share that may not be sent from here, or waits until it may."""
        refuse_step(order.step, order.part, order.of, order.grace, order.epoch)
        mine = order.step.rate / order.of
        if self._users:
            refuse_users(mine)
        elif self._grant is not None:
            refuse_rate(self._grant, mine)
        if self._grant is not None:
            refuse_late(order.epoch, time.monotonic())
        if not self._users:
            self._spend(max(1.0, mine * order.step.duration))

    def _newly_met(self, source: TrafficSource) -> tuple[str, ...]:
        new = source.met[self._met :]
        self._met += len(new)
        return new

    def _doubt(self, source: TrafficSource, epoch: Seconds) -> str:
        """Why the step that began at `epoch` is not to be believed, or ""."""
        if why := next((sentinel.why for sentinel in self._sentinels if sentinel.why), ""):
            return why
        if source.ended:
            return f"{STOPPED}{source.ended}"
        if paused := self._sentinels[-1].paused(epoch):
            return f"it {paused}"
        if self._grant is not None and source.held:
            most = format_rate(self._grant.max_rate)
            return f"{source.held} tasks had to wait, since it may begin {most} (--max-rate)"
        return ""

    def _watch_over(self, unruly: bool) -> None:
        """From now on load ends without the loop where nobody above is heard of."""
        hurry: Any = gevent.get_hub().loop.async_()  # the one thing another thread may touch
        hurry.start(self._stop, True)
        for sentinel in self._sentinels:
            sentinel.open(hurry.send, math.inf, "", unruly=unruly)

    def _under_way(self, lasts: Seconds) -> ExitStack:
        within = ExitStack()
        for sentinel in self._sentinels:
            within.enter_context(sentinel.under_way(lasts + OVERTIME))
        return within

    def _spend(self, requests: float) -> None:
        """Waits until what was sent before leaves room for more at the rate that was granted: it is
        for no order after another to send faster.
        """
        if self._grant is None:
            return
        now = time.monotonic()
        gevent.sleep(max(0.0, self._free - now))
        self._free = max(self._free, now) + requests / self._grant.max_rate


def _say(text: str, grant: WorkerGrant | None) -> None:
    """Tells whoever started a worker what it does; one of our own has nobody to tell."""
    if grant is not None:
        sys.stderr.write(f"perfhunt worker: {text}\n")


def _share_words(order: RunShare, *, users: bool) -> str:
    mine = order.step.rate / order.of
    what = f"about {mine:.0f} users" if users else format_rate(mine)
    part = f"part {order.part + 1} of {order.of}"
    return f"{what} for {format_duration(order.step.duration)}, {part}"


def serve_here() -> int:
    """Serves the master at the other end of standard input, which started this process."""
    connection = socket.socket(fileno=os.dup(0))
    _leave_input()
    return _serve(connection, None, ())


def join_and_serve(above: Sentinel) -> int:
    """Serves the master that the order on standard input names, once both have shown that they know
    the secret; 1 when it was never there, or does not know it. `above` watches over who started it.
    """
    order = _read_order()
    _leave_input()
    try:
        connection = _dial(order)
    except LoadFailed as error:
        sys.stderr.write(f"{_told(error)}\n")
        return 1
    _say(f"joined the master at {order.master}; nothing is sent until it says so", order.grant)
    code = _serve(connection, order.grant, (above,))
    if not code:
        _say("the master has ended, and so does this worker", order.grant)
    return code


def _serve(connection: Any, grant: WorkerGrant | None, above: Sequence[Sentinel]) -> int:
    try:
        Worker(connection, grant, above).serve()
    except MalformedMessage as error:
        sys.stderr.write(f"{_told(error)}\n")
        return 1
    return 0


def _told(error: PerfhuntError) -> str:
    return f"perfhunt worker: {one_line(error.message)}\n  {one_line(error.hint)}".rstrip()


def _read_order() -> JoinMaster:
    reader: PipeReader[JoinMaster] = PipeReader(JOINING)
    orders: list[JoinMaster] = []
    while not orders and (content := os.read(0, _READ_SIZE)):
        orders = reader.feed(content)
    if not orders:
        raise LoadFailed("nobody said which master to join")
    return orders[0]


def _leave_input() -> None:
    """A locustfile that reads its standard input finds nothing there."""
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)


def _dial(order: JoinMaster) -> Any:
    """A proven connection to the master, which may start later. Raises LoadFailed when none comes
    about.
    """
    master, last = order.master, time.monotonic() + _DIALS_FOR
    waits = False
    while True:
        try:
            connection = socket.create_connection((master.host, master.port), _DIAL_WITHIN)
            connection.settimeout(None)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return proven_master(connection, order.secret)
        except OtherVersion as error:
            raise error.met_at(f"master at {master}") from None
        except (Unproven, ssl.SSLError) as error:
            why = error.message if isinstance(error, Unproven) else "it speaks no TLS of perfhunt's"
            raise LoadFailed(
                f"what answers at {master} is not this worker's master: {why}",
                "Both need the same secret: copy the file that its --bind keeps, or name it with"
                " --secret on both sides.",
            ) from None
        except OSError as error:
            if time.monotonic() > last:
                raise LoadFailed(
                    f"no perfhunt master answers at {master}: {error.strerror or error}",
                    "On the host that commands the load: perfhunt investigate … --bind HOST:PORT"
                    " --workers N; its firewall must let that port in.",
                ) from None
            if not waits:
                _say(
                    f"waits up to {format_duration(_DIALS_FOR)} for a master at {master}"
                    f" ({error.strerror or error})",
                    order.grant,
                )
            waits = True
        gevent.sleep(_DIAL_EVERY)
