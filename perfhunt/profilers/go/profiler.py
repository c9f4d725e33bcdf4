"""Go: the service's own CPU profile, where it serves net/http/pprof on one of its ports."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from perfhunt.errors import AttachFailed, Unreadable
from perfhunt.model.document.bounded import read_all
from perfhunt.model.document.folded import fold
from perfhunt.model.profile import Profile, ProfileMode
from perfhunt.model.profiles.readers.pprof import parse_pprof
from perfhunt.model.run import TargetProcess
from perfhunt.model.units import Bytes, Seconds
from perfhunt.profilers.profiler import Profiler, own_file
from perfhunt.profilers.thread_capture import ThreadCapture
from perfhunt.target.proc.namespaces import Namespace, lives_apart
from perfhunt.target.proc.sockets import held_listening

_INDEX = "/debug/pprof/"
_ANSWER: Seconds = 3.0  # of a port that serves it; one that does not speak HTTP may keep silent
_PATIENCE: Seconds = 15.0  # beyond the profile's own time
_NEARLY: Seconds = 1.0  # a profile that ends so soon is waited for, since Go keeps no part of it
_POLL: Seconds = 0.05
_LARGEST: Bytes = 16 << 20  # of an answer, which is zipped: a profile of a minute is under 1 MiB
_USUAL_HZ = 100.0  # of runtime/pprof, where a profile does not say its period
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def _pprof_address(pid: int) -> tuple[str, int] | None:
    """Where a process serves net/http/pprof, by asking each port it listens on; None when none of
    them answers.
    """
    if lives_apart(pid, Namespace.NETWORK):  # Its addresses are others' here.
        return None
    for listener in held_listening(pid):
        host = _LOOPBACK.get(listener.local, listener.local)
        try:
            status, body = _get(host, listener.local_port, _INDEX, _ANSWER)
        except (OSError, http.client.HTTPException, Unreadable):
            continue
        if status == 200 and b"goroutine" in body and b"profile" in body:
            return host, listener.local_port
    return None


def _get(host: str, port: int, path: str, within: Seconds) -> tuple[int, bytes]:
    """(status, body). Raises OSError when all of it has not come within so many seconds, however
    slowly it drips, HTTPException for what is no HTTP, Unreadable for a larger answer.
    """
    with closing(http.client.HTTPConnection(host, port, timeout=within)) as connection:
        connection.connect()
        # The time of a socket is one of each read: a drip would never meet it.
        cut = threading.Timer(within, _cut, (connection.sock,))
        cut.daemon = True
        cut.start()
        try:
            connection.request("GET", path, headers={"User-Agent": "perfhunt"})
            answer = connection.getresponse()
            where = f"the answer of http://{host}:{port}{path}"
            body = read_all(answer.read, _LARGEST, where)
            if answer.length or not cut.is_alive():
                raise OSError(f"{where} was not whole within {within:.0f} s")
            return answer.status, body
        finally:
            cut.cancel()


def _cut(link: socket.socket) -> None:
    """End a conversation from another thread: who reads there is woken."""
    with suppress(OSError):
        link.shutdown(socket.SHUT_RDWR)


class _Download:
    """The profile of one process, on its way."""

    def __init__(self, pid: int, seconds: int, raw: Path) -> None:
        address = _pprof_address(pid)
        if address is None:
            raise AttachFailed(
                f"no port of process {pid} serves {_INDEX}",
                'import _ "net/http/pprof" and serve http.DefaultServeMux on a loopback port',
            )
        (self._host, self._port), self._pid, self._seconds, self._raw = address, pid, seconds, raw

    def fetch(self, ask_stop: threading.Event) -> Profile:
        """The profile. Go gives nothing of one that is cut short, so `ask_stop` means no profile.
        Raises AttachFailed.
        """
        answers: list[tuple[int, bytes] | str] = []
        path = f"{_INDEX}profile?seconds={self._seconds}"

        def download() -> None:
            try:
                answers.append(_get(self._host, self._port, path, self._seconds + _PATIENCE))
            except (OSError, http.client.HTTPException, Unreadable) as error:
                answers.append(str(error))

        helper = threading.Thread(target=download, name=f"perfhunt-go-{self._pid}", daemon=True)
        helper.start()
        end = time.monotonic() + self._seconds
        while helper.is_alive() and not (ask_stop.is_set() and time.monotonic() < end - _NEARLY):
            helper.join(_POLL)
        if not answers:
            raise AttachFailed(
                f"the profile of Go process {self._pid} was stopped before its end,"
                " and Go keeps no part of it"
            )
        return self._profile(answers[0])

    def _profile(self, answer: tuple[int, bytes] | str) -> Profile:
        where = f"http://{self._host}:{self._port}{_INDEX}profile"
        if isinstance(answer, str):
            raise AttachFailed(f"{where}: {answer}")
        status, body = answer
        if status != 200:
            raise AttachFailed(f"{where} answered {status}")
        try:
            parsed = parse_pprof(body)
        except Unreadable as error:
            raise AttachFailed(f"{where}: {error}") from error
        # The answer itself may carry labels, which hold whatever the service put there.
        self._raw.write_text(fold(parsed.stacks))
        rate = 1.0 / parsed.period if parsed.period else _USUAL_HZ
        return Profile(
            tool="go",
            version="",
            mode=ProfileMode.CPU,
            rate_hz=rate,
            seconds=parsed.seconds,
            stacks=parsed.stacks,
            pids=(self._pid,),
            ticks=round(parsed.seconds * rate),
            command=("GET", f"{where}?seconds={self._seconds}"),
            raw=self._raw.name,
        )


class GoProfiler(Profiler):
    """On-CPU stacks of a Go service by its own runtime, inlined functions and lines included."""

    name = "go"
    needs: tuple[str, ...] = ()
    suffix = ".folded"
    help = "a Go service's own CPU profile, where it serves /debug/pprof"
    runtimes: tuple[str, ...] = ("go",)
    modes: tuple[ProfileMode, ...] = (ProfileMode.CPU,)
    blind = "what runs in C code that is called through cgo"
    at_once = 1  # each is asked over HTTP, and answers when its time is over

    def available(self, pids: Sequence[int] = ()) -> str:
        """Why it cannot be used (for `pids`, when given); "" when it can. Asks the ports of the
        process, nothing else.
        """
        if pids and _pprof_address(pids[0]) is None:
            return f"no port of process {pids[0]} serves {_INDEX}"
        return ""

    def mode_for(self, target: TargetProcess) -> tuple[ProfileMode, str]:
        """There is one mode, for every target."""
        return ProfileMode.CPU, "the service's own /debug/pprof"

    def attach(
        self, pids: Sequence[int], seconds: int, rate_hz: int, mode: ProfileMode, out: Path
    ) -> ThreadCapture:
        """Ask the first pid for its profile; returns at once. The rate is the runtime's own. Raises
        AttachFailed, ValueError.
        """
        raw = own_file(self, mode, out, pids[0])
        download = _Download(pids[0], seconds, raw)
        return ThreadCapture(download.fetch, f"perfhunt-go-{pids[0]}")
