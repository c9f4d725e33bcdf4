"""Two ends of a connection learn whether they know the same secret; nobody else learns anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gevent
import pytest
from gevent import socket, ssl

from perfhunt.errors import LoadFailed
from perfhunt.load.child.fleet import proving
from perfhunt.load.child.fleet.listener import UNPROVEN, WorkerListener
from perfhunt.load.child.fleet.proving import (
    HELLO,
    OtherVersion,
    Unproven,
    proven_master,
    proven_worker,
)
from perfhunt.load.trust.address import MasterAddress
from perfhunt.load.trust.secret import AS_MASTER, AS_WORKER, NONCE, PROOF, proof
from perfhunt.model.units import Seconds
from perfhunt.version import __version__

SECRET, OTHER = "0123456789abcdef" * 2, "fedcba9876543210" * 2
ENOUGH: Seconds = 10.0  # for anything here, on a busy machine
SHORT: Seconds = 0.3


def outcome(end: Callable[[Any, str], Any], connection: Any, secret: str) -> Any:
    """What became of one end: the connection, or the error."""
    try:
        return end(connection, secret)
    except (LoadFailed, OSError) as error:
        return error


def joined(ends: Sequence[Any]) -> None:
    """Wait for these. The loop's clock stood still since it last ran, long before in other tests:
    the time to wait would count from then.
    """
    gevent.get_hub().loop.update_now()
    gevent.joinall(ends, ENOUGH, raise_error=True)


def met(master: Any, worker: Any, theirs: str = SECRET) -> tuple[Any, Any]:
    """Both ends' outcomes; the master has SECRET, the worker `theirs`."""
    ends = [
        gevent.spawn(outcome, proven_worker, master, SECRET),
        gevent.spawn(outcome, proven_master, worker, theirs),
    ]
    joined(ends)
    return ends[0].value, ends[1].value


def tapped(seen: bytearray) -> tuple[Any, Any]:
    """Two connected ends, and a copy of every byte between them."""
    left, one = socket.socketpair()
    other, right = socket.socketpair()

    def pass_on(source: Any, sink: Any) -> None:
        while content := source.recv(1 << 16):
            seen.extend(content)
            sink.sendall(content)
        sink.shutdown(socket.SHUT_WR)

    gevent.spawn(pass_on, one, other)
    gevent.spawn(pass_on, other, one)
    return left, right


def test_who_knows_the_same_secret_meets_and_who_listens_reads_nothing() -> None:
    seen = bytearray()
    left, right = tapped(seen)
    master, worker = met(left, right)
    master.sendall(b"Authorization: Bearer CANARY")
    assert worker.recv(1000) == b"Authorization: Bearer CANARY"
    worker.sendall(b"CANARY too")
    assert master.recv(1000) == b"CANARY too"
    assert master.version() == "TLSv1.2"
    assert "GCM" in master.cipher()[0]
    assert len(seen) > 1000, "nothing was listened to"
    for word in (b"CANARY", SECRET.encode(), HELLO):
        assert word not in seen


def test_who_knows_another_secret_is_told_from_both_sides() -> None:
    left, right = socket.socketpair()
    master, worker = met(left, right, theirs=OTHER)
    assert isinstance(master, Unproven)
    assert isinstance(worker, Unproven)
    assert SECRET not in f"{master}{worker}"


def plain_tls(connection: Any, side: Any) -> Any:
    """TLS as perfhunt speaks it, which anybody can."""
    return proving.tls_context(side).wrap_socket(
        connection, server_side=side == ssl.PROTOCOL_TLS_SERVER
    )


def test_who_stands_between_and_passes_proofs_on_is_found_out() -> None:
    """Both real ends know the secret; the one between them speaks TLS with each, and reads and
    passes on all they say. The proofs are of two different connections.
    """
    master, to_master = socket.socketpair()
    to_worker, worker = socket.socketpair()
    read = bytearray()

    def pass_on(source: Any, sink: Any) -> None:
        while content := source.recv(1 << 16):
            read.extend(content)
            sink.sendall(content)
        sink.close()

    def stand_between() -> None:
        sides = [
            gevent.spawn(plain_tls, to_worker, ssl.PROTOCOL_TLS_SERVER),
            gevent.spawn(plain_tls, to_master, ssl.PROTOCOL_TLS_CLIENT),
        ]
        joined(sides)
        one, two = sides[0].value, sides[1].value
        gevent.spawn(pass_on, one, two)
        gevent.spawn(pass_on, two, one)

    between = gevent.spawn(stand_between)
    found = met(master, worker)
    between.get(timeout=ENOUGH)
    # It did read what both said, and passed a real worker's proof to a real master.
    assert len(read) >= 2 * (len(HELLO) + NONCE) + PROOF
    assert isinstance(found[0], Unproven)
    assert isinstance(found[1], Unproven | ConnectionError)


def test_who_says_back_what_it_hears_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "PROVEN_WITHIN", 1.0)
    master, mirror = socket.socketpair()

    def say_back() -> None:
        tls = plain_tls(mirror, ssl.PROTOCOL_TLS_CLIENT)
        while content := tls.recv(1 << 16):
            tls.sendall(content)

    mirrored = gevent.spawn(say_back)
    mirrored.link_exception(lambda _: None)
    assert isinstance(outcome(proven_worker, master, SECRET), Unproven | OSError)

    mirror, worker = socket.socketpair()
    found = gevent.spawn(outcome, proven_master, worker, SECRET)
    tls = plain_tls(mirror, ssl.PROTOCOL_TLS_SERVER)
    heard = b""
    while len(heard) < len(HELLO) + NONCE + PROOF and (content := tls.recv(1 << 16)):
        tls.sendall(content)
        heard += content
    assert isinstance(found.get(timeout=ENOUGH), Unproven)


def nothing(connection: Any) -> None:
    """Connects and is silent."""


def drip(connection: Any) -> None:
    """A handshake that never ends, a byte now and then, for as long as it is taken."""
    for byte in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500):
        connection.sendall(bytes([byte]))
        gevent.sleep(SHORT / 10)


def dripping_hello(connection: Any) -> None:
    tls = plain_tls(connection, ssl.PROTOCOL_TLS_CLIENT)
    for _ in range(len(HELLO)):
        tls.sendall(HELLO[:1])
        gevent.sleep(SHORT / 10)


@pytest.mark.parametrize("stranger", [nothing, drip, dripping_hello])
def test_who_takes_too_long_is_given_up_however_many_bytes_it_sends(
    stranger: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proving, "PROVEN_WITHIN", SHORT)
    ours, theirs = socket.socketpair()
    coming = gevent.spawn(outcome, lambda each, _: stranger(each), theirs, "")
    began = time.monotonic()
    assert isinstance(outcome(proven_worker, ours, SECRET), TimeoutError | Unproven)
    assert time.monotonic() - began < ENOUGH / 2
    coming.kill()


GARBAGE = [
    b"\x00" * 1000,
    b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + b"\x00" * 48,  # ZeroMQ's greeting
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\xff\xff" + b"\x01" * 70_000,  # a TLS record that is none
    b"\x15\x03\x03\x00\x02\x02\x28",  # a TLS alert
    b"\xc1\xff not msgpack",
]


@pytest.mark.parametrize("content", GARBAGE)
def test_what_speaks_something_else_is_no_worker_and_no_master(content: bytes) -> None:
    for end in (proven_worker, proven_master):
        ours, theirs = socket.socketpair()
        found = gevent.spawn(outcome, end, ours, SECRET)
        sending = gevent.spawn(outcome, lambda each, _: each.sendall(content), theirs, "")
        sending.join(SHORT)
        theirs.close()
        assert isinstance(found.get(timeout=ENOUGH), Unproven | OSError)


def test_a_hello_of_another_version_is_told() -> None:
    ours, theirs = socket.socketpair()
    found = gevent.spawn(outcome, proven_worker, ours, SECRET)
    tls = plain_tls(theirs, ssl.PROTOCOL_TLS_CLIENT)
    tls.sendall(b"perfhunt workers 9\n" + b"n" * NONCE)
    assert "another version" in str(found.get(timeout=ENOUGH))
    # Until then it heard a hello and a nonce, and no more.
    heard = b""
    while content := tls.recv(1 << 16):
        heard += content
    assert heard.startswith(HELLO)
    assert len(heard) == len(HELLO) + NONCE


def another(connection: Any, *, master: bool, version: bytes) -> bytes:
    """A perfhunt of another version that knows the secret, and what it hears once both are
    proven.
    """
    tls = plain_tls(connection, ssl.PROTOCOL_TLS_SERVER if master else ssl.PROTOCOL_TLS_CLIENT)
    mine, theirs = proving._greet(tls)
    nonces = mine + theirs if master else theirs + mine
    conversation = tls.get_channel_binding("tls-unique") + nonces
    if master:
        proving._exactly(tls, PROOF)
    tls.sendall(proof(SECRET, AS_MASTER if master else AS_WORKER, conversation))
    if not master:
        proving._exactly(tls, PROOF)
    tls.sendall(bytes([len(version)]) + version)
    heard = b""
    while content := tls.recv(1 << 16):
        heard += content
    return heard


@pytest.mark.parametrize("master", [True, False])
@pytest.mark.parametrize("version", [b"9.8.7", b"\x1b[31m\xff", b"", b"9" * 255])
def test_another_version_is_told_on_both_sides_once_both_are_proven(
    master: bool, version: bytes
) -> None:
    ours, theirs = socket.socketpair()
    ends = [
        gevent.spawn(outcome, proven_master if master else proven_worker, ours, SECRET),
        gevent.spawn(another, theirs, master=master, version=version),
    ]
    joined(ends)
    refused, heard = ends[0].value, ends[1].value
    assert isinstance(refused, OtherVersion)
    assert f"this one is {__version__}" in refused.message
    assert refused.message.isprintable()
    assert ("9.8.7" in refused.message) == (version == b"9.8.7")
    # The other side hears our version, and no more than that.
    assert heard == bytes([len(__version__)]) + __version__.encode()


class Listening:
    """A listener on a port of its own, and who joined it."""

    def __init__(self) -> None:
        self.joined: list[Any] = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.at = free.getsockname()
        address = MasterAddress("127.0.0.1", self.at[1])
        self.listener = WorkerListener(address, SECRET, lambda each, _: self.joined.append(each))

    def connect(self) -> Any:
        return socket.create_connection(self.at, ENOUGH)


@pytest.fixture
def listening() -> Iterator[Listening]:
    made = Listening()
    yield made
    made.listener.close()
    gevent.sleep(0)  # who accepted lets go of the socket at the next turn


def test_a_worker_joins_among_strangers_of_every_kind(listening: Listening) -> None:
    strangers = [listening.connect() for _ in GARBAGE]
    for stranger, content in zip(strangers, GARBAGE, strict=True):
        gevent.spawn(outcome, lambda each, content: each.sendall(content), stranger, content)
    hung_up = listening.connect()
    hung_up.close()
    assert isinstance(outcome(proven_master, listening.connect(), OTHER), Unproven)
    worker = proven_master(listening.connect(), SECRET)
    with gevent.Timeout(ENOUGH):
        while not listening.joined:
            gevent.sleep(0)
    listening.joined[0].sendall(b"welcome")
    assert worker.recv(100) == b"welcome"
    assert len(listening.joined) == 1
    assert listening.listener.strangers.total() >= 2
    for stranger in strangers:
        stranger.close()


def test_who_waits_for_workers_hears_of_one_of_another_version_and_of_why_others_went(
    listening: Listening,
) -> None:
    assert listening.listener.heard_of()
    assert isinstance(outcome(proven_master, listening.connect(), OTHER), Unproven)
    with gevent.Timeout(ENOUGH):
        while not listening.listener.strangers:
            gevent.sleep(0)
    assert (
        listening.listener.turned_away == "; turned away: 1 because the worker has another secret"
    )
    another(listening.connect(), master=False, version=b"9.8.7")
    with gevent.Timeout(ENOUGH), pytest.raises(LoadFailed, match=r"worker on 127.*9\.8\.7") as told:
        while listening.listener.heard_of():
            gevent.sleep(0)
    assert "same version" in told.value.hint
    assert not listening.joined


def test_connections_that_are_only_held_open_keep_no_worker_out(listening: Listening) -> None:
    held = [listening.connect() for _ in range(UNPROVEN + 40)]
    worker = proven_master(listening.connect(), SECRET)
    with gevent.Timeout(ENOUGH):
        while not listening.joined:
            gevent.sleep(0)
    worker.close()
    assert len(listening.listener._unproven) < UNPROVEN
    assert listening.listener.strangers.total() >= 40
    for each in held:
        each.close()


def test_who_comes_when_all_are_there_finds_nobody(listening: Listening) -> None:
    waiting = listening.connect()
    gevent.sleep(0)
    listening.listener.close()
    assert outcome(lambda each, _: each.recv(100), waiting, "") == b""
    with pytest.raises(OSError, match="refused"):
        listening.connect()


def test_nobody_is_listened_for_without_a_secret_or_where_somebody_else_listens(
    listening: Listening,
) -> None:
    for secret in ("", "short"):
        with pytest.raises(LoadFailed, match="secret"):
            WorkerListener(MasterAddress("127.0.0.1", 1), secret, lambda *_: None)
    with pytest.raises(LoadFailed, match="cannot be waited for at"):
        WorkerListener(MasterAddress("127.0.0.1", listening.at[1]), SECRET, lambda *_: None)


def test_an_openssl_without_the_cipher_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "_CIPHER", "NO-SUCH-CIPHER")
    proving.tls_context.cache_clear()
    ours, _theirs = socket.socketpair()
    with pytest.raises(LoadFailed, match="NO-SUCH-CIPHER"):
        proven_worker(ours, SECRET)
    with pytest.raises(LoadFailed, match="NO-SUCH-CIPHER") as error:
        WorkerListener(MasterAddress("127.0.0.1", 1), SECRET, lambda *_: None)
    assert "--workers without --bind" in error.value.hint
    proving.tls_context.cache_clear()
