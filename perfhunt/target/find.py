"""The live target from a pid, a port, a pidfile or a command: its tree, sockets, runtime, workers
and limits.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from perfhunt.errors import TargetNotFound
from perfhunt.model.question import ProcessSelector
from perfhunt.model.run import Listener, Process, TargetProcess
from perfhunt.target import sockets
from perfhunt.target.proc import cgroup, proc
from perfhunt.target.process import ancestors, cmdline, identity, link, process, shown, uid
from perfhunt.target.runtime import framework_of, is_prefork
from perfhunt.target.selection import gone, selected

# Started by a runtime for its own housekeeping: no request ever reaches them.
_HOUSEKEEPING = (
    "multiprocessing.resource_tracker",
    "multiprocessing.forkserver",
    "multiprocessing.semaphore_tracker",
)

SocketsByPid = Mapping[int, frozenset[int]]


def find_target(selector: ProcessSelector, url: str | None = None) -> TargetProcess:
    """The target as it is now. With an empty selector the process is the one that listens on the
    port of a loopback `url`.

    The serving listener comes first in `listeners`. Raises TargetNotFound (exit 2), with the next
    command, when the process is gone, is not ours to look at, or listens on nothing.
    """
    asked = selected(selector, url)
    root, notes = _root(asked)
    pids = proc.descendants([root])
    held = {pid: _held(pid) for pid in pids}
    listening = sockets.listeners(held)
    if not listening and not url:
        raise TargetNotFound(
            f"pid {asked} ({shown(cmdline(asked))}) and the {len(pids) - 1} processes below it"
            " listen on no TCP port",
            _listening_elsewhere(asked),
        )
    listening = _serving_first(listening, _port(url) or selector.port)
    processes = tuple(made for pid in pids if (made := process(pid)) is not None)
    if not processes:
        raise gone(asked)
    serving = listening[0].pids if listening else (root,)
    workers = _workers(processes, serving)
    lead = next((one for one in processes if one.pid in workers), processes[0])
    cpu, cpu_source = cgroup.cpu_limit(lead.pid)
    memory, memory_source = cgroup.memory_limit(lead.pid)
    return TargetProcess(
        root=root,
        processes=processes,
        listeners=listening,
        workers=workers,
        runtime=lead.runtime,
        runtime_version=lead.runtime_version,
        framework=_framework(processes, serving),
        cpu_limit=cpu,
        cpu_limit_source=cpu_source,
        memory_limit=memory,
        memory_limit_source=memory_source,
        git_root=git_root(lead.cwd) if _same_files(lead.pid) else "",
        notes=(*notes, *_namespace_notes(lead.pid), *_url_notes(listening, url)),
    )


def death(target: TargetProcess) -> str:
    """A sentence when the target's root process has gone or was replaced by another of the same
    pid; "" while it lives.
    """
    root = next(one for one in target.processes if one.pid == target.root)
    if identity(root.pid) == (root.pid, root.started):
        return ""
    return f"the target, pid {root.pid} ({shown(root.cmdline)}), is gone"


def git_root(directory: str) -> str:
    """The nearest directory upwards that holds a `.git`; "" when there is none."""
    if not directory:
        return ""
    for at in (Path(directory), *Path(directory).parents):
        if (at / ".git").exists():
            return str(at)
    return ""


def _root(asked: int) -> tuple[int, tuple[str, ...]]:
    """The process that the tree starts from: `asked`, or the prefork parent whose listening socket
    it shares.
    """
    own = _held(asked)
    listening = {one.inode for one in sockets.listen_sockets(asked)}
    for parent in ancestors(asked)[1:2]:
        try:
            shared = own & sockets.held_inodes(parent) & listening
        except PermissionError:
            continue
        if (shared or _in_cluster(asked)) and link(parent, "exe") == link(asked, "exe"):
            note = (
                f"pid {asked} is one worker of pid {parent}; load reaches all of them, so all of"
                " them are measured"
            )
            return parent, (note,)
    return asked, ()


def _held(pid: int) -> frozenset[int]:
    try:
        return sockets.held_inodes(pid)
    except PermissionError:
        owner, us = uid(pid), os.geteuid()
        raise TargetNotFound(
            f"perfhunt may not look into pid {pid} (owned by uid {owner}; you are uid {us})",
            f"Run it as that user, or: sudo perfhunt doctor --pid {pid}",
        ) from None


def _serving_first(listening: tuple[Listener, ...], port: int | None) -> tuple[Listener, ...]:
    return tuple(sorted(listening, key=lambda one: (one.port != port, one.port, one.host)))


def _port(url: str | None) -> int | None:
    parts = urlsplit(url or "")
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _workers(processes: Sequence[Process], serving: Sequence[int]) -> tuple[int, ...]:
    """Who does the work: holders of the serving socket, without a prefork parent, and what they
    started of the same kind.
    """
    by_pid = {one.pid: one for one in processes}
    holders = [by_pid[pid] for pid in serving if pid in by_pid]
    masters = {one.pid for one in holders if _is_master(one, holders, processes)}
    # A prefork parent's other children (a log shipper, a helper) serve nothing; a Node cluster's
    # serve without holding.
    parents = [one.pid for one in holders if one.pid not in masters or one.runtime == "node"]
    below = set(proc.descendants(parents)) - {one.pid for one in holders}
    kinds = {one.exe for one in holders}
    started = [by_pid[pid] for pid in below if pid in by_pid and by_pid[pid].exe in kinds]
    working = [
        one.pid for one in (*holders, *started) if one.pid not in masters and not _keeps_house(one)
    ]
    return tuple(sorted(set(working))) or tuple(sorted(serving))


def _is_master(one: Process, holders: Sequence[Process], processes: Sequence[Process]) -> bool:
    if (
        one.runtime == "node"
    ):  # cluster: the parent accepts and hands connections over; its workers hold no socket
        return any(other.parent == one.pid and _in_cluster(other.pid) for other in processes)
    if not is_prefork(framework_of(one.cmdline, one.runtime)):
        return False
    return any(other.parent == one.pid and other.exe == one.exe for other in holders)


def _in_cluster(pid: int) -> bool:
    try:
        return b"\x00NODE_UNIQUE_ID=" in b"\x00" + proc.read(f"/proc/{pid}/environ")
    except OSError:
        return False


def _keeps_house(one: Process) -> bool:
    return any(word in " ".join(one.cmdline) for word in _HOUSEKEEPING)


def _framework(processes: Sequence[Process], serving: Sequence[int]) -> str:
    named = [framework_of(one.cmdline, one.runtime) for one in processes if one.pid in serving]
    named += [framework_of(one.cmdline, one.runtime) for one in processes]
    return next(filter(None, named), "")


def _listening_elsewhere(pid: int) -> str:
    """The next command for a process that listens on nothing: a relative that does, or the list of
    listeners.
    """
    for parent in ancestors(pid)[1:]:
        if parent <= 1:
            break
        try:
            held = sockets.held_inodes(parent)
        except PermissionError:
            continue
        ports = [one.local_port for one in sockets.listen_sockets(parent) if one.inode in held]
        if ports:
            return f"Its ancestor pid {parent} listens on port {min(ports)}: use --pid {parent}"
    return (
        "If it serves through a proxy or a socket file, say where load goes: --url"
        " http://HOST:PORT; else list: ss -ltnp"
    )


def _same_files(pid: int) -> bool:
    """Whether the paths of a process mean the same to us: not those of a container with a root of
    its own.
    """
    return link(pid, "root") in ("/", "") and link(pid, "ns/mnt") in (
        link(os.getpid(), "ns/mnt"),
        "",
    )


def _namespace_notes(pid: int) -> list[str]:
    notes = []
    names = proc.status_field(pid, "NSpid").split()
    if len(names) > 1:
        notes.append(f"pid {pid} is pid {names[-1]} inside its container")
    if in_other_network(pid):
        notes.append(
            f"pid {pid} listens in another network namespace; load must use an address that is"
            " published from it"
        )
    return notes


def in_other_network(pid: int) -> bool:
    """Whether a process lives in another network namespace than we do, so that its 127.0.0.1 is not
    ours.
    """
    theirs = link(pid, "ns/net")
    return bool(theirs) and theirs != link(os.getpid(), "ns/net")


def _url_notes(listening: Sequence[Listener], url: str | None) -> list[str]:
    port = _port(url)
    if port is None or any(one.port == port for one in listening):
        return []
    own = ", ".join(str(one.port) for one in listening) or "nothing"
    return [
        f"load goes to port {port}, but the process named listens on {own}: a profile shows it only"
        " if a proxy leads there"
    ]
