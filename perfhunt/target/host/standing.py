"""How a target stands when it is looked at, by what the kernel says: whether it runs, whether its
waits may be read, whether its workers stay, and what differs where it lives in a container.
"""

from __future__ import annotations

from collections.abc import Iterator

from perfhunt.model.run import TargetProcess
from perfhunt.model.units import Seconds
from perfhunt.target.host.check import Check, fail, ok, warn
from perfhunt.target.proc.files import read, text
from perfhunt.target.proc.namespaces import Namespace, inner_uid, lives_apart, shares_files
from perfhunt.target.proc.process import stat, uid
from perfhunt.target.proc.threads import has_own_pids, is_held, own_pid, tracer

# A worker younger than this, in a service that is so many times older and has had time to boot, has
# taken another's place lately.
_YOUNG: Seconds = 60.0
_OLDER, _BOOT = 2.0, 10.0


def standing(target: TargetProcess) -> Iterator[Check]:
    """Each of these, in the order they matter."""
    yield _runs(target)
    yield _waits(target)
    yield from _stay(target)
    yield from _container(target)


def _runs(target: TargetProcess) -> Check:
    """Whether nobody holds a worker of the target stopped."""
    name, stopped = "target runs", [pid for pid in target.workers if is_held(pid)]
    if not stopped:
        root, workers = target.root, len(target.workers)
        if target.workers == (root,):
            return ok(name, f"pid {root} runs")
        those = f"{workers} working processes" if workers > 1 else "working process"
        return ok(name, f"pid {root} and its {those} run")
    holder = tracer(stopped[0])
    by = f" by pid {holder}, which traces it" if holder else ""
    mend = f"kill -TERM {holder}" if holder else f"kill -CONT {stopped[0]}"
    return fail(name, f"pid {stopped[0]} is stopped{by}", mend)


def _waits(target: TargetProcess) -> Check:
    """Whether the kernel says what the threads of every worker wait for."""
    name, closed = "thread waits", []
    for pid in target.workers:
        try:
            read(f"/proc/{pid}/task/{pid}/syscall")
        except PermissionError:
            closed.append(pid)
        except OSError:
            continue  # It ended, which `_stay` tells.
    if not closed:
        return ok(name, "what the threads wait for may be read")
    return warn(
        name,
        f"what threads wait for may not be read of {len(closed)} of {len(target.workers)} working"
        f" processes (pid {closed[0]}): a profile will tell CPU and run queue only",
        f"sudo perfhunt doctor --pid {target.root}",
    )


def _stay(target: TargetProcess) -> Iterator[Check]:
    """A warning for a service whose workers are being replaced; nothing where they stay."""
    alive = [seen for pid in target.workers if (seen := stat(pid)) is not None]
    root = stat(target.root)
    if root is None:
        return
    since_boot = float(text("/proc/uptime").split()[0])
    youngest = min((since_boot - worker.started for worker in alive), default=0.0)
    age = since_boot - root.started
    if len(alive) < len(target.workers) or (youngest < _YOUNG and age > _OLDER * youngest + _BOOT):
        yield warn(
            "workers stay",
            f"workers are replaced while the service runs (the youngest is {youngest:.0f} s old,"
            f" the service {age:.0f} s): each is profiled only while it lives",
            "Measure without a limit of requests per worker and without reload; else expect a"
            " caution that says how much was missed.",
        )


def _container(target: TargetProcess) -> Iterator[Check]:
    """What differs for a target that lives in namespaces of its own: the numbers of its threads,
    its files, its users, its network.
    """
    lead = target.workers[0]
    if not shares_files(lead):
        yield ok("files", f"pid {lead} has files of its own, which are read by /proc/{lead}/root")
    if lives_apart(lead, Namespace.USERS):
        yield ok(
            "users",
            f"pid {lead} has a user namespace of its own: its uid {inner_uid(lead)}"
            f" is our {uid(lead)}",
        )
    if lives_apart(lead, Namespace.NETWORK):
        yield warn(
            "network",
            f"pid {lead} lives in a network namespace of its own, which may not be entered: its"
            " 127.0.0.1 is not ours, and queues of its sockets are not seen",
            f"sudo nsenter --net=/proc/{lead}/ns/net perfhunt ..., or --url where it is published",
        )
    if pids := [pid for pid in target.workers if has_own_pids(pid)]:
        yield ok(
            "thread numbers",
            f"pid {pids[0]} is pid {own_pid(pids[0])} in its container: threads are matched by both"
            " numbers",
        )
