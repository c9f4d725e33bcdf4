"""Whether it is still the target that answers on its port, or another process that has taken it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

from perfhunt.model.run import TargetProcess
from perfhunt.target.proc.sockets import LISTEN, TcpSocket, held_inodes
from perfhunt.target.proc.tree import all_pids, descendants

_ALL_IPV4, _ALL = "0.0.0.0", "::"


class PortWatch:
    """Looks at who listens where the target serves. Others that listened there from the first look
    on (SO_REUSEPORT) are none of its business.
    """

    def __init__(self, target: TargetProcess) -> None:
        self._root = target.root
        self._port = target.listeners[0].port if target.listeners else 0
        self._hosts = {at.host for at in target.listeners if at.port == self._port}
        self._own: set[int] = set()
        self._before: set[int] = set()
        self._doubted: set[int] = set()
        self._first = True
        self.taken = ""  # why it is another that is loaded, as a sentence

    def look(self, sockets: Sequence[TcpSocket]) -> None:
        """Compare with the sockets that there are now in the target's network. Whoever is seen
        twice is no process of the target's that was just forked.
        """
        here = [s for s in sockets if s.state == LISTEN and s.local_port == self._port]
        strangers = set() if self.taken else self._strangers(here)
        if self._first:
            self._first = False
            self._before = strangers if self._own else set()
        if certain := strangers & self._doubted:
            self._tell(min(certain), bool(self._own & {s.inode for s in here}))
        self._doubted = strangers

    def _strangers(self, here: Sequence[TcpSocket]) -> set[int]:
        inodes = {s.inode for s in here}
        if not inodes - self._own - (self._before if self._own & inodes else set()):
            return set()
        held: set[int] = set()
        try:
            for pid in descendants([self._root]):
                held |= held_inodes(pid)
        except PermissionError:
            return set()  # whose they are cannot be told
        self._own |= held & inodes
        there = bool(held & inodes)
        return {
            s.inode
            for s in here
            if s.inode not in held
            and not (there and s.inode in self._before)
            and _meets(s.local, self._hosts, there)
        }

    def _tell(self, inode: int, shared: bool) -> None:
        who = next((f"pid {pid}" for pid in all_pids() if inode in _held(pid)), "another user's")
        how = "takes connections beside it" if shared else "answers in its place"
        self.taken = f"Port {self._port} of the target (pid {self._root}) was taken over:"
        self.taken += f" another process ({who}) {how}"


def _meets(host: str, own: Collection[str], there: bool) -> bool:
    """Whether connections to the target's addresses can get to a socket that listens at `host`, the
    target still being there or not: the closer address has them.
    """
    wide = _ALL in own or (_ALL_IPV4 in own and ":" not in host)
    return host in own or wide or (not there and host in (_ALL, _ALL_IPV4))


def _held(pid: int) -> frozenset[int]:
    with suppress(PermissionError):
        return held_inodes(pid)
    return frozenset()
