"""How a master and a worker on two hosts find out that they are who they should be, before
anything else is said.

The connection is TLS 1.2 with an anonymous Diffie-Hellman exchange: nobody who only listens can
read it, and no certificate is needed. That nobody stands between follows from the proofs, which are
of the shared secret and of this very connection (its `tls-unique`, RFC 5929; as SCRAM does with
channel binding, RFC 5802). The worker shows its proof first: a stranger who comes is told nothing.
"""

from __future__ import annotations

import contextlib
import functools
import hmac
import os
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import gevent
from gevent import socket, ssl

from perfhunt.errors import LoadFailed
from perfhunt.load.messages import one_line
from perfhunt.load.trust.secret import AS_MASTER, AS_WORKER, NONCE, PROOF, proof
from perfhunt.model.units import Seconds
from perfhunt.version import __version__

# For all of it: over a slow line it takes four round trips, so a second at the most.
PROVEN_WITHIN: Seconds = 5.0
HELLO = b"perfhunt workers 2\n"  # and no word more to who is not proven than that, and a nonce
# Without a certificate it is for the proofs to tell who is there; OpenSSL's security levels count
# certificates only, and leave anonymous exchanges out from level 1 on.
_CIPHER = "ADH-AES256-GCM-SHA384:@SECLEVEL=0"
# ffdhe3072 (RFC 7919, A.2), as `openssl genpkey -genparam -algorithm DH -pkeyopt group:ffdhe3072`
# writes it: public numbers.
_GROUP = b"""-----BEGIN DH PARAMETERS-----
MIIBiAKCAYEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEfz9zeNVs7ZRkDW7w09N75nAI4YbRvydbmyQd62R0mkff3
7lmMsPrBhtkcrv4TCYUTknC0EwyTvEN5RPT9RFLi103TZPLiHnH1S/9croKrnJ32
nuhtK8UiNjoNq8Uhl5sN6todv5pC1cRITgq80Gv6U93vPBsg7j/VnXwl5B0rZsYu
N///////////AgEC
-----END DH PARAMETERS-----
"""


class Unproven(LoadFailed):
    """The other side did not show that it knows the secret."""


class OtherVersion(LoadFailed):
    """The other side knows the secret, and is another version of perfhunt."""

    def __init__(self, theirs: str, where: str = "at the other end") -> None:
        super().__init__(
            f"the perfhunt {where} is version {theirs}, this one is {__version__}",
            "Install the same version on every host; `perfhunt --version` says which it is.",
        )
        self._theirs = theirs

    def met_at(self, where: str) -> OtherVersion:
        """The same, said with where it was met."""
        return OtherVersion(self._theirs, where)


def proven_worker(connection: Any, secret: str) -> Any:
    """To the master: the connection, encrypted, once a worker has shown that it knows the secret.
    Raises Unproven, OtherVersion, or OSError where the connection ended or took too long; it is
    closed then.
    """

    def prove(tls: Any) -> None:
        mine, theirs = _greet(tls)
        conversation = _bound(tls) + mine + theirs
        if not hmac.compare_digest(_exactly(tls, PROOF), proof(secret, AS_WORKER, conversation)):
            raise Unproven("the worker has another secret")
        tls.sendall(proof(secret, AS_MASTER, conversation))
        _agree(tls)

    return _proven(connection, ssl.PROTOCOL_TLS_SERVER, prove)


def proven_master(connection: Any, secret: str) -> Any:
    """To a worker: the connection, encrypted, once the master has shown that it knows the secret.
    Raises as `proven_worker`.
    """

    def prove(tls: Any) -> None:
        mine, theirs = _greet(tls)
        conversation = _bound(tls) + theirs + mine
        tls.sendall(proof(secret, AS_WORKER, conversation))
        try:
            answer = _exactly(tls, PROOF)
        except ConnectionError:
            raise Unproven("it did not accept this side's secret") from None
        if not hmac.compare_digest(answer, proof(secret, AS_MASTER, conversation)):
            raise Unproven("it does not know the secret")
        _agree(tls)

    return _proven(connection, ssl.PROTOCOL_TLS_CLIENT, prove)


def _proven(connection: Any, side: Any, prove: Callable[[Any], None]) -> Any:
    tls = tls_context(side).wrap_socket(
        connection,
        server_side=side == ssl.PROTOCOL_TLS_SERVER,
        do_handshake_on_connect=False,
    )
    late = TimeoutError(f"no proof of the secret within {PROVEN_WITHIN:g} s")
    try:
        with gevent.Timeout(PROVEN_WITHIN, late):  # for the whole: no drip of bytes prolongs it
            tls.do_handshake()
            prove(tls)
    except BaseException:
        tls.close()
        raise
    return tls


@functools.cache
def tls_context(side: Any) -> Any:
    """TLS as both ends speak it. Raises LoadFailed where this OpenSSL cannot."""
    made = ssl.SSLContext(side)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1_2
    # A session that is resumed is bound to by the handshake of another.
    made.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    try:
        made.set_ciphers(_CIPHER)
    except ssl.SSLError as error:
        raise LoadFailed(
            f"the OpenSSL of this Python ({ssl.OPENSSL_VERSION}) has no {_CIPHER}: {error}",
            "Workers on other hosts need it; --workers without --bind does not.",
        ) from None
    if side == ssl.PROTOCOL_TLS_SERVER:
        with _as_path(_GROUP) as path:
            made.load_dh_params(path)
    return made


@contextlib.contextmanager
def _as_path(content: bytes) -> Iterator[str]:
    """A file with that content, as `ssl` reads it from nowhere else."""
    descriptor = os.memfd_create("perfhunt")
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _greet(tls: Any) -> tuple[bytes, bytes]:
    """Both sides' nonces, ours first."""
    nonce = secrets.token_bytes(NONCE)
    tls.sendall(HELLO + nonce)
    hello = _exactly(tls, len(HELLO) + NONCE)
    if not hello.startswith(HELLO):
        raise Unproven("what is there is no perfhunt, or one of another version")
    return nonce, hello[len(HELLO) :]


def _agree(tls: Any) -> None:
    """Both sides say their version, once both are proven: each finds out by itself, before anything
    else is said. Raises OtherVersion.
    """
    mine = __version__.encode()
    tls.sendall(bytes([len(mine)]) + mine)
    theirs = _exactly(tls, _exactly(tls, 1)[0])
    if theirs != mine:
        raise OtherVersion(one_line(theirs.decode("ascii", "replace")))


def _bound(tls: Any) -> bytes:
    """What only the two ends of this connection have in common."""
    bound: bytes | None = tls.get_channel_binding("tls-unique")
    if not bound:
        raise Unproven("the connection has nothing to bind a proof to")
    return bound


def _exactly(tls: Any, size: int) -> bytes:
    content = b""
    while len(content) < size:
        piece = tls.recv(size - len(content))
        if not piece:
            raise ConnectionResetError("the other side hung up before it was proven")
        content += piece
    return content


def hang_up(connection: Any) -> None:
    """Ends a connection for whoever reads from it, at either end; that one closes it. Nothing
    happens to one that is closed.
    """
    with contextlib.suppress(OSError):
        # Of the plain socket: TLS would wait for the other side to agree.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
