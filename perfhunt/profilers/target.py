"""The live target from a pid, a port, a pidfile or a command: its tree, sockets, runtime, workers and limits."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from perfhunt.errors import TargetNotFound
from perfhunt.model.question import ProcessSelector
from perfhunt.model.run import Listener, Process, TargetProcess
from perfhunt.profilers import cgroup, proc, sockets
from perfhunt.profilers.runtime import framework_of, is_prefork, runtime_of

# Started by a runtime for its own housekeeping: no request ever reaches them.
_HOUSEKEEPING = ("multiprocessing.resource_tracker", "multiprocessing.forkserver", "multiprocessing.semaphore_tracker")

Held = Mapping[int, frozenset[int]]


def find_target(selector: ProcessSelector, url: str | None = None) -> TargetProcess:
    """The target as it is now. With an empty selector the process is the one that listens on the port of a loopback `url`.

    The serving listener comes first in `listeners`. Raises TargetNotFound (exit 2), with the next command, when the process
    is gone, is not ours to look at, or listens on nothing.
    """
    asked = _selected(selector, url)
    root, notes = _root(asked)
    pids = proc.descendants([root])
    held = {pid: _held(pid) for pid in pids}
    listening = sockets.listeners(held)
    if not listening and not url:
        raise TargetNotFound(
            f"pid {asked} ({_shown(_cmdline(asked))}) and the {len(pids) - 1} processes below it listen on no TCP port",
            _listening_elsewhere(asked),
        )
    listening = _serving_first(listening, url)
    processes = tuple(made for pid in pids if (made := process(pid)) is not None)
    if not processes:
        raise _gone(asked)
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
        git_root=git_root(lead.cwd),
        notes=(*notes, *_namespace_notes(lead.pid), *_url_notes(listening, url)),
    )


def process(pid: int) -> Process | None:
    """One live process as it is now; None when it is gone or is a zombie."""
    stat = proc.stat(pid)
    if stat is None or stat.state in "ZX":
        return None
    runtime, version = runtime_of(pid)
    return Process(
        pid=pid,
        parent=stat.parent,
        started=stat.started / proc.CLOCK_TICKS,
        exe=_link(pid, "exe"),
        cmdline=_cmdline(pid),
        cwd=_link(pid, "cwd"),
        uid=_uid(pid),
        threads=stat.threads,
        runtime=runtime,
        runtime_version=version,
    )


def identity(pid: int) -> tuple[int, float] | None:
    """(pid, start in seconds since boot), which is never reused; None when there is no such process."""
    stat = proc.stat(pid)
    return None if stat is None or stat.state in "ZX" else (pid, stat.started / proc.CLOCK_TICKS)


def death(target: TargetProcess) -> str:
    """A sentence when the target's root process has gone or was replaced by another of the same pid; "" while it lives."""
    root = next(one for one in target.processes if one.pid == target.root)
    if identity(root.pid) == (root.pid, root.started):
        return ""
    return f"the target, pid {root.pid} ({_shown(root.cmdline)}), is gone"


def git_root(directory: str) -> str:
    """The nearest directory upwards that holds a `.git`; "" when there is none."""
    if not directory:
        return ""
    for at in (Path(directory), *Path(directory).parents):
        if (at / ".git").exists():
            return str(at)
    return ""


def _selected(selector: ProcessSelector, url: str | None) -> int:
    if selector.pid is not None:
        return _alive(selector.pid)
    if selector.pidfile is not None:
        return _alive(_pid_in(selector.pidfile))
    if selector.command is not None:
        return _by_command(selector.command)
    if selector.port is not None:
        return _by_port(selector.port)
    parts = urlsplit(url or "")
    if not parts.hostname:
        raise TargetNotFound(
            "nothing says which process to look at", "Name it: --pid PID, or process = { port = 8000 } in [target]"
        )
    if parts.hostname in ("localhost", "::1") or parts.hostname.startswith("127."):
        return _by_port(parts.port or (443 if parts.scheme == "https" else 80))
    raise TargetNotFound(
        f"{parts.hostname} is another host, so its process cannot be found from here", "Name a process: --pid PID"
    )


def _alive(pid: int) -> int:
    stat = proc.stat(pid)
    if stat is None:
        raise _gone(pid)
    if stat.state in "ZX":
        raise TargetNotFound(f"pid {pid} has ended (its parent {stat.parent} has not collected it)", "Start the service again.")
    if proc.stat(pid) is not None and _link(pid, "exe") == "" and _cmdline(pid) == ():
        raise TargetNotFound(f"pid {pid} is a thread of the kernel, not a service", "Find yours: ss -ltnp")
    # /proc answers for the id of any thread; the tree hangs on its process.
    return int(proc.status_field(pid, "Tgid") or pid)


def _gone(pid: int) -> TargetNotFound:
    for other in _all_pids():
        names = proc.status_field(other, "NSpid").split()
        if len(names) > 1 and names[-1] == str(pid):
            return TargetNotFound(
                f"there is no pid {pid} here, but pid {other} is {pid} inside its container", f"Use --pid {other}"
            )
    return TargetNotFound(f"there is no process with pid {pid}", "List what listens, and its pid: ss -ltnp")


def _pid_in(pidfile: str) -> int:
    try:
        text = Path(pidfile).read_text("utf-8", errors="replace").strip()
    except OSError as error:
        raise TargetNotFound(f"the pidfile {pidfile} cannot be read: {error.strerror}", "Is the service running?") from error
    first = text.split()[0] if text else ""
    if not first.isascii() or not first.isdigit():
        raise TargetNotFound(f"the pidfile {pidfile} holds {text[:40]!r}, not a pid", "Name the process itself: --pid PID")
    return int(first)


def _by_port(port: int) -> int:
    holders = sockets.holders_of_port(port, _all_pids())
    if holders:
        return _topmost(holders)[0]
    if any(one.local_port == port for one in sockets.listen_sockets()):
        raise TargetNotFound(
            f"something listens on port {port}, but it belongs to another user", "Run as that user, or with sudo"
        )
    raise TargetNotFound(f"nothing listens on port {port}", "List what does: ss -ltnp")


def _by_command(text: str) -> int:
    own = _ancestors(os.getpid())
    found = [pid for pid in _all_pids() if pid not in own and text in " ".join(_cmdline(pid))]
    top = _topmost(found)
    if len(top) == 1:
        return top[0]
    if not top:
        raise TargetNotFound(f"no process has {text!r} in its command line", "List what listens, and its pid: ss -ltnp")
    listed = ", ".join(str(pid) for pid in top)
    raise TargetNotFound(
        f"{len(top)} separate processes have {text!r} in their command line: {listed}", f"Pick one: --pid {top[0]}"
    )


def _topmost(pids: Sequence[int]) -> list[int]:
    """Those that are not below another of them, lowest pid first."""
    chosen = set(pids)
    return sorted(pid for pid in chosen if not (set(_ancestors(pid)) - {pid}) & chosen)


def _ancestors(pid: int) -> list[int]:
    """The pid itself and its parents, nearest first."""
    line: list[int] = []
    while pid > 0 and pid not in line:
        line.append(pid)
        stat = proc.stat(pid)
        pid = stat.parent if stat else 0
    return line


def _root(asked: int) -> tuple[int, tuple[str, ...]]:
    """The process that the tree starts from: `asked`, or the prefork parent whose listening socket it shares."""
    own = _held(asked)
    listening = {one.inode for one in sockets.listen_sockets(asked)}
    for parent in _ancestors(asked)[1:2]:
        try:
            shared = own & sockets.held_inodes(parent) & listening
        except PermissionError:
            continue
        if (shared or _in_cluster(asked)) and _link(parent, "exe") == _link(asked, "exe"):
            note = f"pid {asked} is one worker of pid {parent}; load reaches all of them, so all of them are measured"
            return parent, (note,)
    return asked, ()


def _held(pid: int) -> frozenset[int]:
    try:
        return sockets.held_inodes(pid)
    except PermissionError:
        owner, us = _uid(pid), os.geteuid()
        raise TargetNotFound(
            f"perfhunt may not look into pid {pid} (owned by uid {owner}; you are uid {us})",
            f"Run it as that user, or: sudo perfhunt doctor --pid {pid}",
        ) from None


def _serving_first(listening: tuple[Listener, ...], url: str | None) -> tuple[Listener, ...]:
    parts = urlsplit(url or "")
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return tuple(sorted(listening, key=lambda one: (one.port != port, one.port, one.host)))


def _workers(processes: Sequence[Process], serving: Sequence[int]) -> tuple[int, ...]:
    """Who does the work: holders of the serving socket, without a prefork parent, and what they started of the same kind."""
    by_pid = {one.pid: one for one in processes}
    holders = [by_pid[pid] for pid in serving if pid in by_pid]
    masters = {one.pid for one in holders if _is_master(one, holders, processes)}
    below = {pid for one in holders for pid in proc.descendants([one.pid])} - {one.pid for one in holders}
    kinds = {one.exe for one in holders}
    started = [by_pid[pid] for pid in below if pid in by_pid and by_pid[pid].exe in kinds]
    working = [one.pid for one in (*holders, *started) if one.pid not in masters and not _keeps_house(one)]
    return tuple(sorted(set(working))) or tuple(sorted(serving))


def _is_master(one: Process, holders: Sequence[Process], processes: Sequence[Process]) -> bool:
    if one.runtime == "node":  # cluster: the parent accepts and hands connections over; its workers hold no socket
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
    """The next command for a process that listens on nothing: a relative that does, or the list of listeners."""
    for parent in _ancestors(pid)[1:]:
        if parent <= 1:
            break
        try:
            held = sockets.held_inodes(parent)
        except PermissionError:
            continue
        ports = [one.local_port for one in sockets.listen_sockets(parent) if one.inode in held]
        if ports:
            return f"Its ancestor pid {parent} listens on port {min(ports)}: use --pid {parent}"
    return "If it serves through a proxy or a socket file, say where load goes: --url http://HOST:PORT; else list: ss -ltnp"


def _namespace_notes(pid: int) -> list[str]:
    notes = []
    names = proc.status_field(pid, "NSpid").split()
    if len(names) > 1:
        notes.append(f"pid {pid} is pid {names[-1]} inside its container")
    if in_other_network(pid):
        notes.append(f"pid {pid} listens in another network namespace; load must use an address that is published from it")
    return notes


def in_other_network(pid: int) -> bool:
    """Whether a process lives in another network namespace than we do, so that its 127.0.0.1 is not ours."""
    theirs = _link(pid, "ns/net")
    return bool(theirs) and theirs != _link(os.getpid(), "ns/net")


def _url_notes(listening: Sequence[Listener], url: str | None) -> list[str]:
    parts = urlsplit(url or "")
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    if not port or any(one.port == port for one in listening):
        return []
    own = ", ".join(str(one.port) for one in listening) or "nothing"
    return [f"load goes to port {port}, but the process named listens on {own}: a profile shows it only if a proxy leads there"]


def _all_pids() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def _cmdline(pid: int) -> tuple[str, ...]:
    try:
        text = proc.read(f"/proc/{pid}/cmdline").decode(errors="replace")
    except OSError:
        return ()
    return tuple(text.rstrip("\x00").split("\x00")) if text.strip("\x00") else ()


def _shown(cmdline: Sequence[str]) -> str:
    text = " ".join(cmdline)
    return "".join(c if c.isprintable() else "?" for c in text[:60]) or "no command line"


def _link(pid: int, name: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""


def _uid(pid: int) -> int:
    text = proc.status_field(pid, "Uid").split()
    return int(text[1]) if len(text) > 1 else -1
