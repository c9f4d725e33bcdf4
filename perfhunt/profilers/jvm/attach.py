"""HotSpot's attach protocol, spoken to its socket: what `jcmd` and `jstack` do, without a JVM of
their own for each command.

A JVM opens the socket when it is first asked to: by a file of a certain name and SIGQUIT, which
ends a process that does not expect it, and prints every stack into the log of a JVM that may not be
attached to. So the signal is sent only where neither can be (HotSpot, attachListener_posix.cpp).
"""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import struct
import time
from contextlib import suppress

from perfhunt.errors import AttachFailed, Unreadable
from perfhunt.model.document.bounded import read_all
from perfhunt.model.units import Bytes, Seconds
from perfhunt.target.proc.files import read
from perfhunt.target.proc.process import catches, uid
from perfhunt.target.proc.threads import own_pid

_OPENS_WITHIN: Seconds = (
    5.0  # HotSpot's signal thread does it at once; a busy machine takes a while
)
_POLL: Seconds = 0.02
_ANSWER: Seconds = 10.0  # between two pieces of an answer; a safepoint may have to be waited for
_LARGEST: Bytes = 64 << 20  # of an answer: a dump of 10,000 threads of 60 frames takes 40 MB
_PROTOCOL = "1"  # all there was before JDK 25, and understood since: a command, three arguments
_MOST_ARGUMENTS = 3
# JDK 25 writes its answer while it makes it: a thread dump goes into the socket, piece by
# piece, while every thread stands still. The protocol of then lets that be turned off.
_WITH_OPTIONS, _STREAMING = "2", "streaming"
_AT_ONCE = f"{_STREAMING}=0"
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid (unix(7))
_OWNER = "Run perfhunt as the user that owns the JVM."
# Where HotSpot says what it lets others do: the first digit of this string is for attaching.
_CAPABILITIES = re.compile(rb"sun\.rt\.jvmCapabilities\x00+([01])[01]{8}")
_PERF_DATA: Bytes = 1 << 20  # of that file, which has 32 KiB unless told otherwise
_OPTIONS = re.compile(rb"(?:JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS)=([^\x00]*)")
_FORBIDS = b"-XX:+DisableAttachMechanism"
# Options that are read from a file, which may hold any.
_FROM_FILE = re.compile(rb"-XX:Flags=|-XX:VMOptionsFile=|-XX:\+ReadVMOptionsFile|(?:^|[\s\x00])@")


class AttachSocket:
    """A JVM that listens for commands. Raises AttachFailed when it does not, and cannot be asked
    to without harm.
    """

    def __init__(self, pid: int) -> None:
        self._path = f"/proc/{pid}/root/tmp/.java_pid{own_pid(pid)}"
        self._pid = pid
        if not _listens(self._path, pid):
            _ask_to_listen(pid, self._path)
        self._streams = False
        with suppress(AttachFailed):  # Before JDK 25 there is no such command.
            version, _, options = self.ask("getversion", "options").strip().partition(" ")
            self._streams = version == _WITH_OPTIONS and _STREAMING in options.split(",")

    def ask(self, command: str, *arguments: str) -> str:
        """What the JVM says to a command. Raises AttachFailed, also where it refuses it."""
        words = (command, *arguments, *[""] * (_MOST_ARGUMENTS - len(arguments)))
        asked = _parts(_PROTOCOL, *words)
        if self._streams:
            body = _parts(f"{command} {_AT_ONCE}", *arguments)
            asked = _parts(_WITH_OPTIONS, str(len(body))) + body
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
                link.settimeout(_ANSWER)
                _connect(link, self._path, self._pid)
                link.sendall(asked)
                answer = read_all(link.recv, _LARGEST, "its answer")
        except (OSError, Unreadable) as error:
            raise AttachFailed(
                f"the JVM of pid {self._pid}, asked for {command}: {error}"
            ) from error
        status, _, said = answer.partition(b"\n")
        text = said.decode("utf-8", "replace")
        if status.strip() == b"0":
            return text
        if not answer:
            # It closes on those that it does not trust, before a word.
            raise AttachFailed(f"the JVM of pid {self._pid} gives its answers to its owner", _OWNER)
        raise AttachFailed(f"the JVM of pid {self._pid} refused {command}: {text.strip()[:200]}")

    def command(self, words: str) -> str:
        """What the JVM says to a diagnostic command, as `jcmd PID words`. Raises AttachFailed."""
        return self.ask("jcmd", words)


def _parts(*words: str) -> bytes:
    return b"".join(word.encode() + b"\0" for word in words)


def _connect(link: socket.socket, path: str, pid: int) -> None:
    """Connect by a descriptor of the directory: a path below /proc may be too long for a socket.
    Raises OSError, also where another process listens: two that have the same number in namespaces
    of their own may share a /tmp.
    """
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        link.connect(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
    finally:
        os.close(directory)
    asked = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    if (listener := _CREDENTIALS.unpack(asked)[0]) != pid:
        raise OSError(errno.EADDRINUSE, f"process {listener} listens there")


def _listens(path: str, pid: int) -> bool:
    """Whether a process listens at a socket; one that was left behind refuses."""
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(_ANSWER)
        _connect(link, path, pid)
        return True
    return False


def _ask_to_listen(pid: int, path: str) -> None:
    """Make the JVM open its socket. Raises AttachFailed."""
    if why := why_not_signalled(pid):
        raise AttachFailed(f"the JVM of pid {pid} is not asked for its stacks: {why}")
    trigger = f"/proc/{pid}/root/tmp/.attach_pid{own_pid(pid)}"
    try:
        file = os.open(trigger, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise AttachFailed(
            f"{trigger}, which asks a JVM to listen, cannot be made: {error.strerror}", _OWNER
        ) from error
    try:
        if os.geteuid() != (owner := uid(pid)):
            os.fchown(file, owner, -1)  # HotSpot heeds a file of its own user's.
        _signal(pid)
        end = time.monotonic() + _OPENS_WITHIN
        while not _listens(path, pid):
            if time.monotonic() > end:
                raise AttachFailed(
                    f"the JVM of pid {pid} did not open {path} within {_OPENS_WITHIN:.0f} s", _OWNER
                )
            time.sleep(_POLL)
    except OSError as error:
        raise AttachFailed(f"the JVM of pid {pid}: {error.strerror}", _OWNER) from error
    finally:
        os.close(file)
        with suppress(OSError):
            os.unlink(trigger)


def _signal(pid: int) -> None:
    """SIGQUIT to the very process that was looked at: its number may be another's by now."""
    held = os.pidfd_open(pid)
    try:
        if why := why_not_signalled(pid):
            raise AttachFailed(f"the JVM of pid {pid} is not asked for its stacks: {why}")
        signal.pidfd_send_signal(held, signal.SIGQUIT)
    finally:
        os.close(held)


def why_not_signalled(pid: int) -> str:
    """Why SIGQUIT would do harm to a process, or might, as a clause; "" where it opens HotSpot's
    socket and does nothing else.
    """
    try:
        mapped = read(f"/proc/{pid}/maps")
        command, environment = read(f"/proc/{pid}/cmdline"), read(f"/proc/{pid}/environ")
    except OSError as error:
        return error.strerror or "it may not be looked at"
    if b"/libj9vm" in mapped:
        return "it is OpenJ9, which answers SIGQUIT with a file and has another protocol"
    if b"/libjvm.so" not in mapped:
        return "it is not HotSpot"
    if not catches(pid, signal.SIGQUIT):
        return "SIGQUIT would end it (-Xrs)"
    allowed = _attachable(pid)
    if allowed is False:
        return "it was started with -XX:+DisableAttachMechanism"
    if allowed is None:
        words = command + b"\0" + b"\0".join(_OPTIONS.findall(environment))
        if _FORBIDS in words:
            return "it was started with -XX:+DisableAttachMechanism"
        if _FROM_FILE.search(words):
            return (
                "it has options from a file, publishes no performance data, and would print its"
                " stacks to its log if they forbid attaching"
            )
    return ""


def _attachable(pid: int) -> bool | None:
    """Whether the JVM lets others attach, by its own word; None where it published none."""
    root, own = f"/proc/{pid}/root/tmp", str(own_pid(pid))
    with suppress(OSError):
        for entry in os.scandir(root):
            if not entry.name.startswith("hsperfdata_"):
                continue
            with suppress(OSError):
                published = read(f"{entry.path}/{own}", _PERF_DATA)
                if (match := _CAPABILITIES.search(published)) is not None:
                    return match[1] == b"1"
    return None
