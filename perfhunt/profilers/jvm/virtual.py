"""Virtual threads that wait, by the dump of all threads that a JVM writes into a file (JEP 444).
JDK 25 and later say there what each waits for; from earlier ones it is not to be had.
"""

from __future__ import annotations

import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from perfhunt.errors import AttachFailed, Unreadable
from perfhunt.model.document.bounded import json_value, read_all
from perfhunt.model.profile import Frame
from perfhunt.model.units import Bytes
from perfhunt.profilers.jvm.attach import AttachSocket
from perfhunt.profilers.jvm.dump import DumpReader, JavaObject, JavaState, JavaThread, state_of
from perfhunt.target.proc.namespaces import move_out

_WHAT = "the JVM's dump of virtual threads"
_LARGEST: Bytes = 64 << 20  # of 5,000 threads that sleep it has 3.6 MB
# `java.base/` before a method; `0x…` behind a slash is of a class that was made at run time.
_MODULE = re.compile(r"^(?:[^/(]*/(?!0x))+")
_OBJECT = re.compile(r"(?P<of>[^@]+)@(?P<hash>[0-9a-f]{1,16})")
_OWN = "sun.nio.ch.Poller"  # the JVM's own threads that wait for everybody's sockets
_ANSWERS, _LOOPS = "poll", "Loop"  # its methods by which others wait for theirs, and its own
_NOT_WAITING = (JavaState.RUNNABLE, JavaState.ENDED)
_SLEEPS = 4  # of its innermost frames, one of which is the sleep of a thread that sleeps


class VirtualThreads:
    """Those of one JVM. Objects have their identity's hash in place of an address."""

    def __init__(self, pid: int, jvm: AttachSocket) -> None:
        self._pid, self._jvm, self._reader = pid, jvm, DumpReader()

    def waiting(self) -> list[JavaThread] | None:
        """Those that wait, `nid` being Java's own number; None where the JVM does not tell.
        Raises AttachFailed, Unreadable.
        """
        written = Path(f"/tmp/perfhunt-{secrets.token_hex(8)}.json")
        said = self._jvm.command(f"Thread.dump_to_file -format=json {written}")
        with tempfile.TemporaryDirectory(prefix="perfhunt-jvm-") as scratch:
            taken = Path(scratch, "threads.json")
            move_out(self._pid, written, taken)
            if not taken.exists():
                raise AttachFailed(
                    f"the JVM of pid {self._pid} wrote no {written}: {said.strip()[:200]}",
                    "Let its user write into its /tmp.",
                )
            with taken.open("rb") as file:
                return self.read(read_all(file.read, _LARGEST, _WHAT))

    def read(self, text: bytes) -> list[JavaThread] | None:
        """As `waiting`, of the file's own text. Raises Unreadable."""
        told, threads = False, list[JavaThread]()
        try:
            for each in _threads_of(json_value(text, _WHAT)):
                told = told or "state" in each
                if each.get("virtual") and "state" in each:
                    thread = self._thread(each)
                    if thread.state not in _NOT_WAITING and not _serves_sockets(thread):
                        threads.append(thread)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Unreadable(f"{_WHAT} makes no sense: {error!r}") from error
        return threads if told else None

    def _thread(self, each: Mapping[str, Any]) -> JavaThread:
        frames = [self._frame(line) for line in reversed(each["stack"])]
        state = str(each["state"])
        parked = "waitingOn" not in each
        sleeps = any(frame.function.endswith("Thread.sleep") for frame in frames[-_SLEEPS:])
        how = "sleeping" if sleeps else "parking" if parked else ""
        waits_for = each.get("blockedOn") or each.get("waitingOn")
        if blocker := each.get("parkBlocker"):
            waits_for = blocker["object"]
        return JavaThread(
            state=state_of(state, how),
            nid=int(each["tid"]),
            name=str(each["name"]),
            stack=tuple(frames),
            native=any(map(_is_of_a_socket, frames)),
            timed=state == "TIMED_WAITING",
            waits_for=_object(str(waits_for)) if waits_for else None,
            monitors=frozenset(_owned(each)),
        )

    def _frame(self, line: str) -> Frame:
        frame, _ = self._reader.frame(f"\tat {_MODULE.sub('', line)}", 0)
        return frame


def _threads_of(dump: Any) -> Iterator[Mapping[str, Any]]:
    for container in dump["threadDump"]["threadContainers"]:
        yield from container["threads"]


def _owned(each: Mapping[str, Any]) -> Iterator[str]:
    for entered in each.get("monitorsOwned", ()):
        for lock in entered["locks"]:
            if lock is not None and (known := _object(str(lock))) is not None:
                yield known.address


def _object(text: str) -> JavaObject | None:
    """`java.lang.Object@17b65c9b`; None of what has no identity."""
    match = _OBJECT.fullmatch(text)
    return JavaObject(f"0x{match['hash']}", match["of"]) if match else None


def _is_of_a_socket(frame: Frame) -> bool:
    return frame.function == f"{_OWN}.{_ANSWERS}"


def _serves_sockets(thread: JavaThread) -> bool:
    """Whether a thread is the JVM's own, which waits for the sockets of all others."""
    return any(f.file == _OWN and f.function.endswith(_LOOPS) for f in thread.stack)
