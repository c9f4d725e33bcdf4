"""One load test per target at a time: a lock per address and port, or unix socket, host-wide, let
go by the kernel when its holder dies.

A lock is a name of the kernel's own, of an abstract socket (unix(7)): there is no file that could
be left behind, made by somebody else, have the wrong owner, or lead elsewhere. Whoever finds it
taken is told by the kernel which process and user has it, and by that process for what.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pwd
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address

from perfhunt.errors import TargetBusy
from perfhunt.model.run import ProcessIdentity
from perfhunt.model.text.escaping import json_text, visible
from perfhunt.model.units import Bytes, Cores, Seconds
from perfhunt.target.proc.process import identity
from perfhunt.target.resources.prior_activity import PriorActivity

SCOPE = "perfhunt"  # before every lock's name: that of all users of a host
_SOCKET = "unix_"  # before a key of one
_WORDS: Bytes = 4096  # of what a holder says; its url is the only long thing in it
_ANSWERS_WITHIN: Seconds = 1.0  # a holder that is stopped says nothing, and is known all the same
_ASKERS = 16  # that wait to be answered; more are told by the kernel alone who holds it
_CREDENTIALS = struct.Struct("3i")  # struct ucred of SO_PEERCRED: pid, uid, gid
# CPU that the target used before any load of ours: what housekeeping (timers, reloaders) does not
# use, and what it does not use while clients are connected.
_BUSY: Cores = 0.25
_BUSY_WITH_CLIENTS: Cores = 0.03


@dataclass(frozen=True, slots=True)
class LockHolder:
    """Who holds a target: told to whoever comes second."""

    process: ProcessIdentity
    run: str
    url: str
    started: str  # ISO 8601, UTC

    @classmethod
    def ourselves(cls, run: str, url: str, started: str) -> LockHolder:
        """This process, with the run it makes, the url it loads and the time it began."""
        ours = identity(os.getpid())
        assert ours is not None  # Whoever asks is alive.
        return cls(ours, run, url, started)


def lock_keys(addresses: Sequence[str], port: int, path: str = "") -> tuple[str, ...]:
    """One key per distinct service address, in one order for everybody. All addresses of this
    machine are one, and so are all paths that lead to one unix socket.
    """
    if path:
        # A name of the kernel's is no longer than a path, so both do not fit into one.
        return (f"{_SOCKET}{hashlib.sha256(os.path.realpath(path).encode()).hexdigest()[:32]}",)
    hosts = {"local" if _is_local(at) else at.replace(":", "-") for at in addresses}
    return tuple(sorted(f"{host}_{port}" for host in hosts))


def _is_local(address: str) -> bool:
    """Whether an address is one of this machine's: only then can a socket be bound to it."""
    ip = ip_address(address)
    if ip.is_loopback:
        return True
    family = socket.AF_INET6 if ip.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


@contextmanager
def target_lock(
    addresses: Sequence[str], port: int, owner: LockHolder, scope: str = SCOPE, path: str = ""
) -> Iterator[None]:
    """Holds the target for the length of the block. Raises TargetBusy (exit 94), naming the holder,
    at once if it is held.
    """
    with ExitStack() as held:
        for key in lock_keys(addresses, port, path):
            name = f"\0{scope}/{key}"
            held.enter_context(_taken(name, key, owner))
        yield


@contextmanager
def _taken(name: str, key: str, owner: LockHolder) -> Iterator[None]:
    """One name, ours; whoever asks for it is told by a thread who we are."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as lock:
        try:
            lock.bind(name)
            lock.listen(_ASKERS)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise _busy(name, key) from None
            raise TargetBusy(
                f"the lock of {_place(key)} cannot be taken: {error.strerror}",
                "The system must allow abstract Unix sockets (unix(7)).",
            ) from error
        teller = threading.Thread(
            target=_tell, args=(lock, _words(owner)), name="perfhunt-lock", daemon=True
        )
        teller.start()
        try:
            yield
        finally:
            with suppress(OSError):
                lock.shutdown(socket.SHUT_RDWR)  # wakes the thread
            teller.join()


def _words(owner: LockHolder) -> bytes:
    plain = {
        "pid": owner.process.pid,
        "pid_started": owner.process.started,
        "run": owner.run,
        "url": owner.url,
        "started": owner.started,
    }
    return json_text(plain).encode()[:_WORDS]


def _tell(lock: socket.socket, words: bytes) -> None:
    """Answer everybody who asks, until the lock is let go."""
    while True:
        try:
            asker, _ = lock.accept()
        except OSError:
            return
        with asker, suppress(OSError):
            asker.setblocking(False)
            asker.send(words)


def read_words(words: bytes) -> LockHolder | None:
    """Who holds a lock, as they say it; None when that is not what a holder says."""
    try:
        plain = json.loads(words)
        return LockHolder(
            process=ProcessIdentity(int(plain["pid"]), float(plain["pid_started"])),
            run=str(plain["run"]),
            url=str(plain["url"]),
            started=str(plain["started"]),
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _busy(name: str, key: str) -> TargetBusy:
    pid, uid, words = _asked(name)
    unnamed = "a process of another container" if pid == 0 else "a process that answers nobody"
    who = f"pid {pid}" if pid > 0 else unnamed
    hint = f"Wait for it, or stop it: kill -INT {pid}" if pid > 0 else "Wait for it to end."
    if uid >= 0 and uid != os.getuid():
        who += f" of {_user(uid)}"
    holder = read_words(words)
    if holder is None:
        return TargetBusy(f"{who} holds {_place(key)}, and does not say what for", hint)
    said = f"run {holder.run}, {who}, since {holder.started}, on {holder.url}"
    return TargetBusy(f"another load test holds this target: {visible(said)}", hint)


def _asked(name: str) -> tuple[int, int, bytes]:
    """The pid (0: not of this pid namespace) and the uid of who listens at a name, by the kernel's
    word, and what they say. -1 and -1 when nobody can be asked, or is there any more.
    """
    words = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asker, suppress(OSError):
        asker.setblocking(False)  # with as many askers as may wait there is nothing to wait for
        asker.connect(name)
        raw = asker.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(raw)
        asker.settimeout(_ANSWERS_WITHIN)
        with suppress(OSError):
            words = asker.recv(_WORDS)
        return pid, uid, words
    return -1, -1, b""


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _place(key: str) -> str:
    if key.startswith(_SOCKET):
        return "this unix socket"
    return key.replace("local_", "port ").replace("_", " port ")


def foreign_load(before: PriorActivity) -> str:
    """A sentence when somebody else is loading the target already, "" when it is idle.

    Connections alone are no load (pools stay open), nor is a little CPU (timers, reloaders): it
    takes clients that make it work, or more work than housekeeping.
    """
    used = f"before any load of ours the target used {before.cpu:.2f} cores"
    if before.connections and before.cpu >= _BUSY_WITH_CLIENTS:
        clients = f"{before.connections} client connection{'s' if before.connections > 1 else ''}"
        return f"{used}, with {clients} open"
    return used if before.cpu >= _BUSY else ""


def refuse_foreign(before: PriorActivity) -> None:
    """Raises TargetBusy (exit 94) when somebody else is loading the target."""
    if sentence := foreign_load(before):
        raise TargetBusy(
            f"{sentence}: numbers would be of both loads together",
            "Find who it is: ss -tnp, and wait until it is idle.",
        )
