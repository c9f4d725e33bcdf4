"""The door into a live Node process: its inspector, opened on a port of its own, shared by whoever
asks meanwhile, and closed by the last of them.

SIGUSR1 makes Node listen on 127.0.0.1:9229 (https://nodejs.org/api/debugger.html); the process is
then told to listen on another port instead, so that each process of a service has one of its own.
What is put into the process is taken out as the door closes: by us, by a guard should we die in
between, and by the process itself, should the guard die too, once no beat came for `_PATIENCE`.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

from perfhunt.errors import AttachFailed
from perfhunt.model.run import ProcessIdentity
from perfhunt.model.units import Seconds
from perfhunt.profilers.node.guard import DoorGuard
from perfhunt.profilers.node.inspector import (
    HOST,
    PORT,
    Inspector,
    InspectorError,
    is_open,
    session_url,
)
from perfhunt.profilers.release import wait_until
from perfhunt.target.proc.files import link
from perfhunt.target.proc.namespaces import Namespace, lives_apart
from perfhunt.target.proc.process import catches, cmdline, identity, lives
from perfhunt.target.proc.sockets import held_listening
from perfhunt.target.proc.threads import own_pid

_OPENS_WITHIN: Seconds = 5.0
_FREE_WITHIN: Seconds = 1.0  # a door is moved from the usual port within a tenth of that
_CLOSES_WITHIN: Seconds = 3.0
_BEAT: Seconds = 1.0
_PATIENCE: Seconds = 10.0  # a loop that is blocked for long misses beats, and is not alone for it
_INSPECT = "--inspect"
_HINT = "Without --open-target perfhunt looks at it from outside alone."


def not_node(pid: int) -> str:
    """Why a process is no Node process that may be looked at; "" when it is one."""
    program = os.path.basename(link(pid, "exe"))
    if not program:
        return f"process {pid} is gone or not ours to look at"
    return "" if program.startswith("node") else f"process {pid} runs {program}, not node"


def closed_by(pid: int) -> str:
    """What keeps the door of a process shut; "" when it can be opened."""
    with _LOCK:
        return "" if pid in _DOORS else _closed_by(pid)


def _closed_by(pid: int) -> str:
    if why := not_node(pid):
        return why
    if lives_apart(pid, Namespace.NETWORK):
        return (
            f"process {pid} lives in a network namespace of its own, so that its inspector is not"
            f" on our 127.0.0.1: sudo nsenter --net=/proc/{pid}/ns/net perfhunt ..."
        )
    if not catches(pid, signal.SIGUSR1) and not _own_port(pid):
        return (
            f"SIGUSR1 would end process {pid}: it has only just begun, or runs with"
            " --disable-sigusr1"
        )
    # Another door may just be opening there.
    if not wait_until(lambda: not is_open() or bool(_own_port(pid)), _FREE_WITHIN):
        return (
            f"port {PORT} is taken: another Node inspector is open, and its process would be"
            " sampled instead"
        )
    return ""


@cache
def script(name: str) -> str:
    """JavaScript for the target, which is an expression: a function."""
    return (Path(__file__).parent / "injected" / f"{name}.js").read_text("utf-8")


class Door:
    """An open inspector. `note` says, after the last has left, what did not close."""

    def __init__(self, process: ProcessIdentity) -> None:
        """Raises AttachFailed."""
        self._process, self._users = process, 0
        self.note = ""
        self._ours = not _own_port(process.pid)
        self._guard = DoorGuard(process.pid) if self._ours else None
        try:
            self._port = self._opened()
        except (InspectorError, OSError) as error:
            self._dismiss(closed=False)
            raise AttachFailed(
                f"the inspector of Node process {process.pid} could not be used: {error}", _HINT
            ) from error
        self._shut = threading.Event()
        self._keeper = threading.Thread(target=self._beat, name="perfhunt-beat", daemon=True)
        self._keeper.start()

    def session(self) -> Inspector:
        """A session of one's own. Raises InspectorError."""
        return Inspector(session_url(port=self._port))

    def _opened(self) -> int:
        pid = self._process.pid
        if self._guard is None:
            self._arm(port := _own_port(pid))
            return port
        if not lives(self._process):  # Another program may have its pid, and die of the signal.
            raise InspectorError("it has ended")
        before = _ports(pid)
        os.kill(pid, signal.SIGUSR1)
        # Once moved, it opens where it was moved to.
        if not wait_until(lambda: bool(_ports(pid) - before), _OPENS_WITHIN):
            raise InspectorError(f"it opened no port within {_OPENS_WITHIN:.0f} s of SIGUSR1")
        opened = min(_ports(pid) - before)
        self._guard.moves(opened)
        if opened != PORT:
            self._arm(opened)
            return opened
        self._guard.moves(port := _free_port())
        self._arm(PORT, f"globalThis.__perfhunt.move({port})")
        if not wait_until(lambda: is_open(port=port), _OPENS_WITHIN):
            raise InspectorError(f"it did not listen on port {port} instead of {PORT}")
        return port

    def _arm(self, port: int, then: str = "process.pid") -> None:
        with closing(Inspector(session_url(port=port))) as inspector:
            if inspector.evaluate("process.pid") != own_pid(self._process.pid):
                raise InspectorError(f"port {port} is the inspector of another process")
            ours = "true" if self._ours else "false"
            inspector.evaluate(
                f"{script('door')}(require, {_PATIENCE * 1e3:.0f}, {ours})", requires=True
            )
            inspector.evaluate(then)

    def _beat(self) -> None:
        with suppress(InspectorError), closing(self.session()) as inspector:
            while not self._shut.wait(_BEAT):
                inspector.evaluate("globalThis.__perfhunt?.beat()")

    def _close(self) -> None:
        self._shut.set()
        self._keeper.join()
        with suppress(InspectorError), closing(self.session()) as inspector:
            inspector.evaluate("globalThis.__perfhunt?.close()")
        if not self._ours:
            return
        closed = wait_until(lambda: not is_open(port=self._port), _CLOSES_WITHIN)
        self._dismiss(closed)
        if not closed:
            self.note = (
                f"the inspector on port {self._port} is still open; process {self._process.pid}"
                f" closes it within {_PATIENCE:.0f} s"
            )

    def _dismiss(self, closed: bool) -> None:
        if self._guard is not None:
            self._guard.dismiss(closed)

    def leave(self) -> None:
        """Be done with it: the last one closes it."""
        with _LOCK:
            self._users -= 1
            if self._users:
                return
            _DOORS.pop(self._process.pid, None)
            self._close()

    def enter(self) -> Door:
        """Count as one who uses it."""
        self._users += 1
        return self


_LOCK = threading.Lock()  # held while a door opens or closes: all open by way of one port
_DOORS: dict[int, Door] = {}


def open_door(pid: int) -> Door:
    """The door of a process, opened if it is not; to be left. Raises AttachFailed.

    To any process but Node the signal sent is deadly, so the program is looked at first.
    """
    process = identity(pid)
    if process is None:
        raise AttachFailed(f"process {pid} has ended")
    with _LOCK:
        if pid not in _DOORS:
            if why := _closed_by(pid):
                raise AttachFailed(why, _HINT)
            _DOORS[pid] = Door(process)
        return _DOORS[pid].enter()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        return int(taken.getsockname()[1])


def _ports(pid: int) -> set[int]:
    """Where a process listens on loopback."""
    return {s.local_port for s in held_listening(pid) if s.local == HOST}


def _own_port(pid: int) -> int:
    """Where the process listens for a debugger by its own wish; 0 where it does not."""
    ports = _ports(pid)
    if PORT in ports:
        return PORT
    if not any(word.startswith(_INSPECT) for word in cmdline(pid)):
        return 0
    for port in ports:
        with suppress(InspectorError):
            session_url(port=port)
            return port
    return 0
