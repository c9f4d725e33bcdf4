"""Is the running process the changed code, and is the change the only difference? Every doubt as a
sentence.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from perfhunt.change.readers.packages.manifests import normal_name
from perfhunt.model import redact
from perfhunt.model.run import Environment, Process, TargetProcess
from perfhunt.model.verdict.change import Change, Edit, Kind

_LOADED = (
    Kind.CODE,
    Kind.CONFIG,
    Kind.DEPENDENCY,
)  # read when a process starts; schema and data are read as it runs
_TIME_GRAIN = (
    0.02  # seconds: start times are kept in clock ticks of 10 ms, and boot is known about as well
)
_LAUNCHES = (
    "Dockerfile",
    "Containerfile",
    "compose",
    "Procfile",
    ".env",
    ".sh",
    ".service",
    "entrypoint",
    "package.json",
)


def stale(change: Change, target: TargetProcess, port: int | None = None) -> tuple[str, ...]:
    """Why the target is not running the changed code, as far as it can be told; empty when nothing
    speaks against it.

    Reads the modification times of the edited files in the repository's working tree.
    """
    root = Path(change.root)
    workers = [p for p in target.processes if p.pid in target.workers] or list(target.processes)
    return (
        *_elsewhere(root, workers),
        *_started_before(change, root, target, workers),
        *_not_listening(target, port),
        *_other_revision(change, target),
    )


def differences(
    change: Change,
    before: Environment,
    after: Environment,
    then: TargetProcess | None = None,
    now: TargetProcess | None = None,
) -> tuple[str, ...]:
    """Everything besides the change that is not as it was in the stored run: any of it makes a
    verdict invalid.
    """
    said = [
        f"{what} was {old}, and is {new}"
        for what, old, new in _facts(before, after)
        if old and new and old != new
    ]
    said += _packages(change, before.distributions, after.distributions)
    if (
        before.env_sha256
        and after.env_sha256
        and before.env_sha256 != after.env_sha256
        and not _edits_launch(change)
    ):
        which = ", ".join(after.variables_unlike(before)) or "which ones was not recorded"
        said.append(
            f"the environment variables of the process are not the same ({which}), and the edit"
            " names none"
        )
    if change.base and before.git_revision and before.git_revision != change.base:
        said.append(
            f"the stored run was of {before.git_revision[:12]}, and the edit is against"
            f" {change.base[:12]}"
        )
    if before.git_dirty:
        said.append(
            "the stored run was of uncommitted work, so the edit since then is not all there is"
        )
    if then is not None and now is not None:
        said += _shape(change, then, now)
    return tuple(said)


def _elsewhere(root: Path, workers: list[Process]) -> tuple[str, ...]:
    """Processes that run outside the repository, by their working directory and their command
    line.
    """
    for process in workers:
        named = [
            Path(word)
            for word in (process.exe, *process.cmdline, process.cwd)
            if word.startswith("/")
        ]
        if not any(path == root or root in path.parents for path in named):
            return (
                (
                    f"process {process.pid} runs in {process.cwd}, outside {root}: it may be"
                    " another copy of the code"
                ),
            )
    return ()


def _started_before(
    change: Change, root: Path, target: TargetProcess, workers: list[Process]
) -> tuple[str, ...]:
    edited = {a.file for a in change.atoms if a.kind in _LOADED}
    times = {file: t for file in edited if (t := _modified(root / file)) is not None}
    if not times:
        return ()
    newest = max(times, key=lambda f: times[f])
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    old = [p for p in workers if boot + p.started < times[newest] - _TIME_GRAIN]
    if old:
        ago = times[newest] - boot - old[0].started
        return (
            (
                f"process {old[0].pid} started {ago:.0f} s before {newest} was edited: restart the"
                " service"
            ),
        )
    first = next((p for p in target.processes if p.pid == target.root), None)
    if (
        first
        and "--preload" in first.cmdline
        and boot + first.started < times[newest] - _TIME_GRAIN
    ):
        return (
            (
                f"process {first.pid} loaded the code for its workers before {newest} was edited"
                " (--preload): restart the service"
            ),
        )
    return ()


def _modified(path: Path) -> float | None:
    """When a file was last written; for one that is gone, when its directory last changed."""
    for candidate in (path, path.parent):
        try:
            return os.lstat(candidate).st_mtime
        except OSError:
            continue
    return None


def _not_listening(target: TargetProcess, port: int | None) -> tuple[str, ...]:
    if port is None or any(listener.port == port for listener in target.listeners):
        return ()
    ports = ", ".join(str(listener.port) for listener in target.listeners) or "no port"
    return (
        (
            f"process {target.root} does not listen on {port} (it listens on {ports}): load would"
            " reach something else"
        ),
    )


def _other_revision(change: Change, target: TargetProcess) -> tuple[str, ...]:
    if target.git_root and Path(target.git_root) != Path(change.root):
        return (
            f"the process belongs to {target.git_root}, and the edit was read from {change.root}",
        )
    return ()


def _facts(before: Environment, after: Environment) -> list[tuple[str, str, str]]:
    plain = [
        ("the host", before.host, after.host),
        ("the kernel", before.kernel, after.kernel),
        ("the CPU", before.cpu_model, after.cpu_model),
        ("the number of cores", str(before.cores or ""), str(after.cores or "")),
        ("memory", str(before.memory or ""), str(after.memory or "")),
        ("the pinning of generator and target", before.pinning, after.pinning),
        ("perfhunt", before.perfhunt, after.perfhunt),
    ]
    return plain + [
        (f"the tool {name}", before.tools[name], after.tools[name])
        for name in before.tools
        if name in after.tools
    ]


def _packages(change: Change, before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Installed distributions that differ though the edit names none of them, and edited ones that
    are not installed.
    """
    if not before or not after:
        return []
    old = {normal_name(n): v for n, v in before.items()}
    new = {normal_name(n): v for n, v in after.items()}
    edited = {a.name: a for a in change.atoms if a.kind == Kind.DEPENDENCY}
    other = [
        n for n in sorted(old.keys() | new.keys()) if old.get(n) != new.get(n) and n not in edited
    ]
    said = [
        f"{n} was {old.get(n, 'not installed')}, and is {new.get(n, 'not installed')}"
        for n in other
    ]
    for name, atom in edited.items():
        if atom.edit != Edit.REMOVED and name in old and old.get(name) == new.get(name):
            said.append(
                f"{atom.file} changes {name}, but the process still has {new[name]} installed"
            )
    return said


def _edits_launch(change: Change) -> bool:
    """Whether the edit is of a file that says how the process is launched."""
    return any(
        a.kind == Kind.CONFIG and any(part in a.file for part in _LAUNCHES) for a in change.atoms
    )


def _shape(change: Change, then: TargetProcess, now: TargetProcess) -> list[str]:
    """How the process itself differs: runtime, limits, number of workers, command line."""
    pairs = [
        (
            "the runtime",
            f"{then.runtime} {then.runtime_version}".strip(),
            f"{now.runtime} {now.runtime_version}".strip(),
        ),
        ("the CPU limit", str(then.cpu_limit or ""), str(now.cpu_limit or "")),
        ("the memory limit", str(then.memory_limit or ""), str(now.memory_limit or "")),
    ]
    said = [f"{what} was {old}, and is {new}" for what, old, new in pairs if old != new]
    if any(a.kind == Kind.CONFIG for a in change.atoms):
        return said
    if len(then.workers) != len(now.workers):
        said.append(
            f"there were {len(then.workers)} worker processes, and there are {len(now.workers)}"
        )
    if _command(then) != _command(now):
        said.append(
            "the command line of the process is not the same"
        )  # not printed: it may hold a secret
    return said


def _command(target: TargetProcess) -> tuple[str, ...]:
    """The root's command line with its ports and its own directory masked: those may differ.

    Its first word stands for the program itself: `python` and `.venv/bin/python` start the same
    one. Values that may be secret are left out, as they are in a stored run.
    """
    root = next((p for p in target.processes if p.pid == target.root), None)
    if root is None:
        return ()
    ports = {str(listener.port) for listener in target.listeners}
    program = root.exe or (root.cmdline[0] if root.cmdline else "")
    return (program, *(_masked(word, ports, root.cwd) for word in redact.command(root.cmdline)[1:]))


def _masked(word: str, ports: Collection[str], cwd: str) -> str:
    for port in sorted(ports, key=len, reverse=True):
        word = word.replace(port, "PORT")
    return word.replace(cwd, ".") if len(cwd) > 1 else word
