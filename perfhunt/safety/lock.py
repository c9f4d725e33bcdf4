"""One load test per target at a time: a lock per address and port, host-wide, let go by the kernel
when its holder dies.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from filelock import FileLock, Timeout

from perfhunt.errors import TargetBusy
from perfhunt.model.run import ProcessIdentity
from perfhunt.model.text.escaping import json_text, visible
from perfhunt.model.units import Cores
from perfhunt.target.proc.process import identity, lives
from perfhunt.target.resources.prior_activity import PriorActivity

_WORDS = 4096  # bytes read of what a holder wrote; its url is the only long thing in it
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


def lock_directory() -> Path:
    """The host's directory of locks. /tmp rather than $TMPDIR, which may differ between users who
    share the target.
    """
    shared = Path("/tmp")
    return (shared if shared.is_dir() else Path(tempfile.gettempdir())) / "perfhunt-locks"


def lock_keys(addresses: Sequence[str], port: int) -> tuple[str, ...]:
    """One key per distinct service address, in one order for everybody. All addresses of this
    machine are one.
    """
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
    addresses: Sequence[str], port: int, owner: LockHolder, directory: Path | None = None
) -> Iterator[None]:
    """Holds the target for the length of the block. Raises TargetBusy (exit 94), naming the holder,
    at once if it is held.
    """
    home = directory or lock_directory()
    _make(home)
    with ExitStack() as held:
        for key in lock_keys(addresses, port):
            _take(held, home, key, owner)
        yield


def _make(home: Path) -> None:
    try:
        home.mkdir(mode=0o1777, parents=True)
        home.chmod(0o1777)  # The umask applies to mkdir, and other users need to lock here too.
    except FileExistsError:
        # A link or a file put here by somebody else could send the lock astray.
        if not stat.S_ISDIR(home.lstat().st_mode):
            raise TargetBusy(
                f"{home} is not a directory, so targets cannot be locked",
                f"Look at it, then: rm {home}",
            ) from None
    except OSError as error:
        raise TargetBusy(
            f"{home} cannot be made ({error.strerror}), so targets cannot be locked",
            "Make /tmp writable.",
        ) from error


def _take(held: ExitStack, home: Path, key: str, owner: LockHolder) -> None:
    # thread_local=False: the watchdog of another thread may be the one to let go.
    lock = FileLock(home / f"{key}.lock", timeout=0, mode=0o666, thread_local=False)
    info = home / f"{key}.owner"
    try:
        lock.acquire()
    except Timeout:
        raise _busy(info, key) from None
    except OSError as error:
        hint = f"Look at it: ls -l {home}"
        raise TargetBusy(
            f"the lock {home / key}.lock cannot be used ({error.strerror})", hint
        ) from error
    held.callback(lock.release)
    _write_owner(info, owner)
    held.callback(_forget_owner, info)


def _write_owner(info: Path, owner: LockHolder) -> None:
    """Leaves word of who holds the lock. Only for people: the lock itself does not depend on it, so
    failing is no error.
    """
    plain = {
        "pid": owner.process.pid,
        "pid_started": owner.process.started,
        "run": owner.run,
        "url": owner.url,
        "started": owner.started,
    }
    _forget_owner(info)
    with suppress(OSError):
        new = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(info, new, 0o644), "w", encoding="utf-8") as file:
            file.write(json_text(plain))


def _forget_owner(info: Path) -> None:
    with suppress(OSError):
        info.unlink(missing_ok=True)


def read_owner(info: Path) -> LockHolder | None:
    """Who holds a lock, as they wrote it; None when there is no word, or it is stale, cut or not
    ours to read.
    """
    try:
        plain = json.loads(info.read_bytes()[:_WORDS])
        owner = LockHolder(
            process=ProcessIdentity(int(plain["pid"]), float(plain["pid_started"])),
            run=str(plain["run"]),
            url=str(plain["url"]),
            started=str(plain["started"]),
        )
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    return owner if lives(owner.process) else None


def _busy(info: Path, key: str) -> TargetBusy:
    owner = read_owner(info)
    where = key.replace("local_", "port ").replace("_", " port ")
    if owner is None:
        return TargetBusy(
            f"another perfhunt is loading {where}",
            "Wait for it to end, then run again. Who: pgrep -af perfhunt",
        )
    pid = owner.process.pid
    who = f"run {owner.run}, pid {pid}, since {owner.started}, on {owner.url}"
    return TargetBusy(
        f"another load test holds this target: {visible(who)}",
        f"Wait for it, or stop it: kill -INT {pid}",
    )


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
