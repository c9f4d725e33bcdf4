"""Who answers the target's connections: the processes of a database, a cache, a service."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Set
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import pairwise

from perfhunt.model import redact
from perfhunt.model.states import stores_at
from perfhunt.model.text.command_line import HIDDEN
from perfhunt.model.units import Seconds
from perfhunt.target.host.opened import (
    UNIX,
    Opened,
    SocketsOfHost,
    host_of,
    sockets_of_host,
)
from perfhunt.target.proc.files import link
from perfhunt.target.proc.process import cmdline, stat, uid
from perfhunt.target.proc.sockets import held_inodes
from perfhunt.target.proc.tree import all_pids, descendants

# Between two searches through all processes for one that was not found: it may be starting.
_SEARCH_EVERY: Seconds = 5.0
# Programs that run another: the first word that is no option says which.
_INTERPRETER = re.compile(
    r"(?:python|pypy)[\d.]*$|node$|nodejs$|ruby[\d.]*$|php[\d.]*$|perl$|java$"
)
# Their options that a value follows.
_VALUED = ("-X", "-W", "-cp", "-classpath", "-r", "--require", "--import")
# The title of a process of PostgreSQL that serves a connection (backend_status.c, ps_status.c):
# "postgres: 15/main: app shop 127.0.0.1(53412) SELECT waiting"; the part before the user is the
# cluster's name, where it has one.
_BACKEND = re.compile(r"postgres: (?:\S+: )?\S+ \S+ (?:\[local\]|\S+\((\d+)\)) (.+)")


@dataclass(frozen=True, slots=True)
class PeerTree:
    """The processes behind an address: `roots` and what they started. None where they could not be
    found, and `note` says why; `is_target`: the target itself answers there.
    """

    name: str
    roots: tuple[int, ...] = ()
    note: str = ""
    is_target: bool = False


@dataclass(frozen=True, slots=True)
class Backend:
    """What the title of a process says that serves one connection: the client's port (0: a unix
    socket), and what it does.
    """

    port: int
    doing: str


def backend(pid: int) -> Backend | None:
    """What the title of a process says of the connection it serves; None for any other process."""
    match = _BACKEND.match(" ".join(cmdline(pid)))
    return Backend(int(match[1] or 0), match[2].strip()) if match else None


class PeerFinder:
    """Finds who is behind the addresses that a target is connected to, and remembers it."""

    def __init__(self) -> None:
        self._trees: dict[str, PeerTree] = {}
        self._searched: dict[str, Seconds] = {}

    def trees(
        self,
        connections: Collection[Opened],
        sockets: SocketsOfHost,
        target: Collection[int],
        now: Seconds,
    ) -> dict[str, PeerTree]:
        """The processes behind each address. A search walks through all processes; it happens when
        an address is new, or was not found a while ago, or its process ended.
        """
        self._trees = {a: t for a, t in self._trees.items() if all(map(stat, t.roots))}
        addresses = {connection.address for connection in connections}
        due = {
            address
            for address in addresses
            if address not in self._trees
            or (self._trees[address].note and now - self._searched[address] >= _SEARCH_EVERY)
        }
        if due:
            self._searched |= dict.fromkeys(due, now)
            self._trees |= _found(due, connections, sockets, target)
        return {address: self._trees[address] for address in addresses}


def _found(
    due: Collection[str],
    connections: Collection[Opened],
    sockets: SocketsOfHost,
    target: Collection[int],
) -> dict[str, PeerTree]:
    listening = {address: sockets.listeners(address) for address in due}
    far = {
        address: {c.far_inode for c in connections if c.address == address} - {0} for address in due
    }
    inodes = set().union(*listening.values(), *far.values())
    holders = _holders(inodes)
    trees = {}
    for address in due:
        ends = {pid for inode in far[address] for pid in holders.get(inode, ())}
        listeners = {pid for inode in listening[address] for pid in holders.get(inode, ())}
        ports = {c.port for c in connections if c.address == address}
        if (ends | listeners) & set(target):
            trees[address] = PeerTree("", is_target=True)
        elif roots := _roots(ends or listeners, listeners):
            trees[address] = _tree(roots)
        elif far[address] or listening[address] or _is_here(address):
            trees[address] = _unheld(address, ports)
        else:
            trees[address] = _elsewhere(address, ports)
    return trees


def _holders(inodes: Set[int]) -> dict[int, set[int]]:
    """Which processes hold each socket, of all whose descriptors may be read."""
    found: dict[int, set[int]] = {}
    for pid in all_pids() if inodes else ():
        with suppress(OSError):
            for inode in held_inodes(pid) & inodes:
                found.setdefault(inode, set()).add(pid)
    return found


def _roots(pids: Iterable[int], listeners: Collection[int]) -> set[int]:
    """The first processes of the trees that serve: a parent that listens as well, or for its
    children, is of the tree. What listens for all others (systemd's socket activation) is not.
    """
    roots = set()
    for pid in pids:
        while (now := stat(pid)) is not None and _is_of_the_tree(now.parent, listeners):
            pid = now.parent
        roots.add(pid)
    return {pid for pid in roots if not _is_init(pid)}


def _is_of_the_tree(pid: int, listeners: Collection[int]) -> bool:
    return pid in listeners and not _is_init(pid)


def _is_init(pid: int) -> bool:
    now = stat(pid)
    return pid <= 1 or now is None or now.name == "systemd"


def _tree(roots: Collection[int], note: str = "") -> PeerTree:
    return PeerTree(program(min(roots)), tuple(sorted(roots)), note)


def _unheld(address: str, ports: Set[int]) -> PeerTree:
    """The processes behind an address of this host whose descriptors may not be read: by the titles
    that name the target's ports, or by the name that the address's port belongs to.
    """
    pids = all_pids()
    backends = {pid for pid in pids if (at := backend(pid)) is not None and at.port in ports - {0}}
    parents = {now.parent for pid in backends if (now := stat(pid)) is not None}
    if parents and not any(map(_is_init, parents)):
        return _tree(parents)
    names = {pid: now.name for pid in pids if (now := stat(pid)) is not None}
    for known in stores_at(address):
        alike = {pid for pid, name in names.items() if name == known}
        roots = {pid for pid in alike if getattr(stat(pid), "parent", 0) not in alike}
        if len(roots) == 1:
            owner = uid(min(roots))
            return _tree(
                roots,
                f"its connections may not be read (owned by uid {owner}, you are uid"
                f" {os.geteuid()}): it was taken by its name",
            )
    return PeerTree(
        next(iter(stores_at(address)), address),
        note=(
            f"which process answers at {address} may not be read:"
            " run perfhunt as root, or as the user of that process"
        ),
    )


def _elsewhere(address: str, ports: Collection[int]) -> PeerTree:
    """The processes behind an address that is not of the target's network namespace: a container on
    this host, or another host.
    """
    seen = set[str]()
    for pid in all_pids():
        namespace = link(pid, "ns/net")
        if not namespace or namespace in seen:
            continue
        seen.add(namespace)
        sockets = sockets_of_host(pid)
        far = {
            row.inode
            for row in sockets.established.values()
            if row.remote_port in ports and f"{_bracketed(row.local)}:{row.local_port}" == address
        }
        if far and (ends := {pid for held in _holders(far).values() for pid in held}):
            listeners = _holders(sockets.listeners(address))
            roots = _roots(ends, {pid for held in listeners.values() for pid in held})
            return _tree(roots or ends)
    return PeerTree(
        next(iter(stores_at(address)), address),
        note=(
            f"{address} is on another host, or in a container that may not be looked into:"
            " of it only what the target waits is known"
        ),
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_here(address: str) -> bool:
    return address.startswith(UNIX) or ip_address(host_of(address)).is_loopback


def program(pid: int) -> str:
    """What a process is called: by the kernel, or by the script or module that an interpreter runs;
    "" when it is gone.
    """
    now = stat(pid)
    if now is None:
        return ""
    name = redact.thread(now.name)
    words = list(cmdline(pid))
    if not words or not _INTERPRETER.search(os.path.basename(words[0])):
        return name
    kept = redact.command(words, link(pid, "exe"))
    for before, word in pairwise(kept):
        if word in ("-c", "-e"):
            break
        if before in ("-m", "-jar") or not (word.startswith("-") or before in _VALUED):
            return name if word == HIDDEN else os.path.basename(word)
    return name


def members(tree: PeerTree, target: Collection[int]) -> list[int]:
    """The processes of a tree now, roots first, without any that are the target's."""
    theirs = set(target)
    return [pid for pid in descendants(tree.roots) if pid not in theirs]
