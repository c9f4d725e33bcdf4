"""The live target from a pid, a port, a pidfile or a command: its tree, sockets, runtime, workers
and limits.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from perfhunt.errors import TargetNotFound
from perfhunt.model.question import ProcessSelector
from perfhunt.model.run import Listener, Process, TargetProcess
from perfhunt.model.text.escaping import visible
from perfhunt.model.text.socket_url import PREFIX, socket_path
from perfhunt.model.units import Cores
from perfhunt.target.code.application import application_of
from perfhunt.target.listeners import is_at, listeners, unix_listeners
from perfhunt.target.proc import cgroup
from perfhunt.target.proc.files import link, read
from perfhunt.target.proc.namespaces import Namespace, lives_apart, shares_files
from perfhunt.target.proc.process import cmdline, stat, status_field, uid, variables
from perfhunt.target.proc.sockets import (
    abstract_listening,
    held_inodes,
    held_listening,
    listening,
    unix_listening,
)
from perfhunt.target.proc.tree import ancestors, branch_of, descendants
from perfhunt.target.process import process_of, shown
from perfhunt.target.runtime import framework_of, is_prefork
from perfhunt.target.selection import gone, selected

_PROCESSORS = "GOMAXPROCS"  # the cores on which goroutines may run

# A runtime starts these for its own housekeeping: no request ever reaches them.
_HOUSEKEEPING = (
    "multiprocessing.resource_tracker",
    "multiprocessing.forkserver",
    "multiprocessing.semaphore_tracker",
)

_STOPPED = "T"  # of a stat: stopped by a signal (proc(5))
_MOST_BESIDE = 4  # programs beside the service that a note names


def find_target(
    selector: ProcessSelector, url: str | None = None, *, serves: bool = True
) -> TargetProcess:
    """The target as it is now. With an empty selector the process is the one that listens on the
    port of a loopback `url`, or on its unix socket.

    The serving listener comes first in `listeners`; unix sockets are among them where load goes to
    one, or where there is nothing else. Raises TargetNotFound (exit 2), with the next command, when
    the process is gone, is not ours to look at, or listens on nothing though it `serves`: who is to
    be loaded must, who is looked at may be a worker of a queue.
    """
    named = selected(selector, url)
    root, notes = _root(named)
    pids = descendants([root])
    held = {pid: _held(pid) for pid in pids}
    served = listeners(held)
    if socket_path(url or "") or not (served or url):
        served = (*served, *unix_listeners(held))
    if serves and not served and not url:
        raise _nowhere(named, held)
    served = _serving_first(served, url or "", selector.port)
    branch, others = branch_of(root, {*served[0].pids}) if served else (root, [])
    if others:
        root, pids = branch, descendants([branch])
        notes = (*notes, *_beside_notes(named, others, served))
        if url or selector.port:
            served = tuple(at for at in served if {*at.pids} & {*pids})
    processes = tuple(alive for pid in pids if (alive := process_of(pid)) is not None)
    if not processes:
        raise gone(named)
    serving = served[0].pids if served else (root,)
    workers = _workers(processes, serving)
    lead = next((process for process in processes if process.pid in workers), processes[0])
    _refuse_halted(workers)
    cpu, cpu_source = _cpu_limit(lead)
    memory, memory_source = cgroup.memory_limit(lead.pid)
    return TargetProcess(
        root=root,
        processes=processes,
        listeners=served,
        workers=workers,
        runtime=lead.runtime,
        runtime_version=lead.runtime_version,
        framework=_framework(processes, serving),
        cpu_limit=cpu,
        cpu_limit_source=cpu_source,
        memory_limit=memory,
        memory_limit_source=memory_source,
        git_root=_git_root(lead.cwd) if shares_files(lead.pid) else "",
        notes=(*notes, *_namespace_notes(lead.pid), *_url_notes(served, url)),
        application=application_of(processes),
    )


def _refuse_halted(workers: Sequence[int]) -> None:
    """Raises TargetNotFound where all that would do the work was made to stand still: such a
    service is not idle.
    """
    if all((now := stat(pid)) is not None and now.state == _STOPPED for pid in workers):
        raise TargetNotFound(
            f"pid {workers[0]} is stopped (by SIGSTOP, or Ctrl-Z in its terminal)",
            f"Let it go on: kill -CONT {' '.join(map(str, workers))}",
        )
    if all(cgroup.is_frozen(pid) for pid in workers):
        raise TargetNotFound(
            f"pid {workers[0]} is frozen, as its container or control group is",
            "Let it go on: docker unpause CONTAINER (systemctl thaw UNIT)",
        )


def _cpu_limit(lead: Process) -> tuple[Cores, str]:
    """How many cores it may use at most, and what says so: the kernel, or less by Go's own word."""
    cores, source = cgroup.cpu_limit(lead.pid)
    own = variables(lead.pid).get(_PROCESSORS, "") if lead.runtime == "go" else ""
    if re.fullmatch("[1-9][0-9]{0,4}", own) and int(own) < cores:
        return float(own), f"{_PROCESSORS}={own}"
    return cores, source


def _nowhere(named: int, held: Mapping[int, frozenset[int]]) -> TargetNotFound:
    program = f"pid {named} ({shown(cmdline(named), link(named, 'exe'))})"
    abstract = abstract_listening(named)
    if names := sorted({abstract[at] for own in held.values() for at in own & abstract.keys()}):
        return TargetNotFound(
            f"{program} listens on the abstract unix socket {visible(names[0])} alone, which has no"
            " path that requests could be sent to",
            "Have it listen on a path or a port too, then: --url unix:/PATH",
        )
    if named == os.getpid():
        return TargetNotFound(
            f"pid {named} is perfhunt itself, which listens on nothing",
            "Name the service's; ss -ltnp lists what listens, with its pid",
        )
    return TargetNotFound(
        f"{program}{_with_those_below(len(held) - 1)} on no TCP port and on no unix socket",
        _listening_elsewhere(named),
    )


def _with_those_below(count: int) -> str:
    if not count:
        return " listens"
    return f" and the {f'{count} processes' if count > 1 else 'process'} below it listen"


def _beside_notes(named: int, others: Sequence[int], served: Sequence[Listener]) -> list[str]:
    """What a supervisor runs beside the service, and where else it could be asked for."""
    programs = "; ".join(shown(cmdline(pid), link(pid, "exe")) for pid in others[:_MOST_BESIDE])
    more = f" and {len(others) - _MOST_BESIDE} more" if len(others) > _MOST_BESIDE else ""
    notes = [f"pid {named} runs other programs too, which are not measured: {programs}{more}"]
    beside = {*descendants(others)}
    ports = sorted({at.port for at in served if at.port and {*at.pids} & beside})
    if ports:
        listed = ", ".join(map(str, ports))
        notes.append(
            f"another service of pid {named} listens on port {listed}: this is the one on"
            f" {served[0].port or served[0].host}; for that, --port {ports[0]}"
        )
    return notes


def _git_root(directory: str) -> str:
    """The nearest directory upwards that holds a `.git`; "" when there is none."""
    if not directory:
        return ""
    for at in (Path(directory), *Path(directory).parents):
        if (at / ".git").exists():
            return str(at)
    return ""


def _root(named: int) -> tuple[int, tuple[str, ...]]:
    """The process that the tree starts from: `named`, or the prefork parent whose listening socket
    it shares; and what to note about that.
    """
    own = _held(named)
    for parent in ancestors(named)[1:2]:
        try:
            listened = {socket.inode for socket in listening(named)} | {*unix_listening(named)}
            shared = own & held_inodes(parent) & listened
        except PermissionError:
            continue
        if (shared or _in_cluster(named)) and link(parent, "exe") == link(named, "exe"):
            note = (
                f"pid {named} is one worker of pid {parent}; load reaches all of them,"
                " so all of them are measured"
            )
            return parent, (note,)
    return named, ()


def _held(pid: int) -> frozenset[int]:
    try:
        return held_inodes(pid)
    except PermissionError:
        owner, us = uid(pid), os.geteuid()
        why, do = f"owned by uid {owner}; you are uid {us}", "Run it as that user, or: sudo"
        if us in (0, owner):
            why = "the kernel forbids it, whoever asks"
            do = "It takes CAP_SYS_PTRACE, which a container may lack; what is missing:"
        raise TargetNotFound(
            f"perfhunt may not look into pid {pid} ({why})", f"{do} perfhunt doctor --pid {pid}"
        ) from None


def _serving_first(served: Sequence[Listener], url: str, port: int | None) -> tuple[Listener, ...]:
    def serves(at: Listener) -> bool:
        return is_aimed_at(at, url) if url else at.port == port

    # Of unix sockets, that which most processes hold: a control socket is their parent's alone.
    return tuple(
        sorted(
            served,
            key=lambda at: (not serves(at), at.port, -len(at.pids) if at.path else 0, at.host),
        )
    )


def is_aimed_at(listener: Listener, url: str) -> bool:
    """Whether load for a url of this machine comes to that listener: by its port, or its path."""
    if path := socket_path(url):
        return bool(listener.path) and is_at(listener.path, path)
    return listener.port == _port(url)


def _port(url: str) -> int | None:
    parts = urlsplit(url)
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _workers(processes: Sequence[Process], serving: Sequence[int]) -> tuple[int, ...]:
    """Who does the work: holders of the serving socket, without a prefork parent, and what they
    started of the same kind.
    """
    by_pid = {process.pid: process for process in processes}
    holders = [by_pid[pid] for pid in serving if pid in by_pid]
    masters = {holder.pid for holder in holders if _is_master(holder, holders, processes)}
    # A prefork parent's other children (a log shipper, a helper) serve nothing; a Node cluster's
    # serve without holding.
    parents = [
        holder.pid for holder in holders if holder.pid not in masters or holder.runtime == "node"
    ]
    below = set(descendants(parents)) - {holder.pid for holder in holders}
    kinds = {holder.exe for holder in holders}
    started = [by_pid[pid] for pid in below if pid in by_pid and by_pid[pid].exe in kinds]
    working = {
        process.pid
        for process in (*holders, *started)
        if process.pid not in masters and not _keeps_house(process)
    }
    return tuple(sorted(working or serving))


def _is_master(holder: Process, holders: Sequence[Process], processes: Sequence[Process]) -> bool:
    """Whether a holder of the serving socket only hands work to others that it started."""
    if holder.runtime == "node":
        # The parent of a cluster accepts and hands connections over; its workers hold no socket.
        return any(child.parent == holder.pid and _in_cluster(child.pid) for child in processes)
    if not is_prefork(framework_of(holder.cmdline, holder.runtime)):
        return False
    return any(child.parent == holder.pid and child.exe == holder.exe for child in holders)


def _in_cluster(pid: int) -> bool:
    try:
        return b"\x00NODE_UNIQUE_ID=" in b"\x00" + read(f"/proc/{pid}/environ")
    except OSError:
        return False


def _keeps_house(process: Process) -> bool:
    return any(word in " ".join(process.cmdline) for word in _HOUSEKEEPING)


def _framework(processes: Sequence[Process], serving: Sequence[int]) -> str:
    """The framework that a process names in its command line, those that serve before the rest."""
    serving_first = sorted(processes, key=lambda process: process.pid not in serving)
    names = (framework_of(process.cmdline, process.runtime) for process in serving_first)
    return next(filter(None, names), "")


def _listening_elsewhere(pid: int) -> str:
    """The next command for a process that listens on nothing: a relative that does, or the list of
    listeners.
    """
    for parent in ancestors(pid)[1:]:
        if parent <= 1:
            break
        if ports := [socket.local_port for socket in held_listening(parent)]:
            return f"Its ancestor pid {parent} listens on port {min(ports)}: use --pid {parent}"
    return (
        "If it serves through a proxy, say where load goes: --url http://HOST:PORT, or"
        " --url unix:/PATH; else list: ss -ltnp. A worker of a queue can be looked at under"
        f" the load that it has: perfhunt profile --pid {pid}"
    )


def _namespace_notes(pid: int) -> list[str]:
    notes = []
    names = status_field(pid, "NSpid").split()
    if len(names) > 1:
        notes.append(f"pid {pid} is pid {names[-1]} inside its container")
    if lives_apart(pid, Namespace.NETWORK):
        notes.append(
            f"pid {pid} listens in another network namespace;"
            " load must use an address that is published from it"
        )
    return notes


def _url_notes(served: Sequence[Listener], url: str | None) -> list[str]:
    if not url or any(is_aimed_at(listener, url) for listener in served):
        return []
    own = ", ".join(str(at.port or at.host) for at in served) or "nothing"
    path, port = socket_path(url), _port(url)
    if not path and port is None:
        return []
    place = f"{PREFIX}{path}" if path else f"port {port}"
    return [
        f"load goes to {place}, but the process named listens on {own}: a profile shows it only"
        " if a proxy leads there"
    ]
