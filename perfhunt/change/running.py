"""Is the running process the changed code, and is the change the only difference?

Every doubt is a sentence.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from perfhunt.change.readers.packages.manifests import normal_name
from perfhunt.model import redact
from perfhunt.model.redact import TWO_KEYS, of_one_key
from perfhunt.model.run import Environment, Process, TargetProcess
from perfhunt.model.units import Seconds, format_duration
from perfhunt.model.verdict.change import Change, Edit, Kind
from perfhunt.target.code.compiled import (
    INSTALLED,
    NODE,
    built_files,
    is_built,
    node_script,
)
from perfhunt.target.proc.process import cmdline

# These are read when a process starts; schema and data are read as it runs.
_LOADED = (Kind.CODE, Kind.CONFIG, Kind.DEPENDENCY)
# Start times are kept in clock ticks of 10 ms, and the time of boot is known about as well.
_TIME_GRAIN: Seconds = 0.02
# Languages that only a compiler reads, whatever runs what it made of them.
_COMPILED = frozenset(
    {
        *(".c", ".cc", ".cpp", ".cxx", ".cu", ".h", ".hh", ".hpp", ".pyx", ".pxd", ".rs", ".go"),
        *(".zig", ".nim", ".d", ".swift", ".f", ".f90", ".s", ".S", ".asm"),
    }
)
_LAUNCHES = (
    *("Dockerfile", "Containerfile", "compose", "Procfile", ".env", ".sh", ".service"),
    *("entrypoint", "package.json"),
)


def stale(
    change: Change, target: TargetProcess, is_source: Callable[[str], bool] = lambda _: True
) -> tuple[str, ...]:
    """Why the target may not be running the changed code; empty when nothing speaks against it.

    Reads the modification times of the edited files in the repository's working tree, and of what
    the target runs that was built. `is_source`: whether git keeps anything of a path.
    """
    root = Path(change.root)
    workers = [p for p in target.processes if p.pid in target.workers] or list(target.processes)
    return (
        *_elsewhere(root, workers),
        *_started_before(change, root, target, workers),
        *_built_before(change, root, workers, is_source),
        *_other_repository(change, target),
    )


def same_code(
    change: Change, target: TargetProcess, before: str, after: str, place: str = ""
) -> bool:
    """Whether what runs is, byte for byte, what runs without an edit that it is built from;
    `before` and `after` are hashes of it, "" where none was taken. `place`: a checkout that it runs
    in.
    """
    workers = [p for p in target.processes if p.pid in target.workers]
    roots = filter(None, (place, change.root))
    return (
        bool(before)
        and before == after
        and any(_built_from(change, process, root) for root in roots for process in workers)
    )


def of_own_tree(change: Change, target: TargetProcess, place: str) -> str:
    """What a version that was started in its checkout, at `place`, runs of the user's own tree, so
    that both versions run the same; "" for nothing that is known.
    """
    root, edited = Path(change.root), [Path(change.root, edit.path) for edit in change.files]
    for process in (p for p in target.processes if p.pid in target.workers):
        words = [value for word in process.cmdline for value in (word, word.partition("=")[2])]
        named = [Path(word) for word in words if word.startswith("/")]
        served = [p for p in named if any(p in (file, *file.parents) for file in edited)]
        script = node_script(process) if process.runtime == NODE else None
        for path in (Path(process.cwd), *served, *([script] if script else ())):
            is_ours = root in (path, *path.parents) and INSTALLED not in path.parts
            if is_ours and Path(place) not in (path, *path.parents):
                return str(path)
    return ""


def differences(
    change: Change,
    before: Environment,
    after: Environment,
    then: TargetProcess | None = None,
    now: TargetProcess | None = None,
) -> tuple[str, ...]:
    """Everything besides the change that is not as it was in the stored run.

    Any of it makes a verdict invalid.
    """
    return (
        *(_unlike(what, old, new) for what, old, new in _facts(before, after) if old != new),
        *_packages(change, before.distributions, after.distributions),
        *_variables(change, before, after),
        *_other_base(change, before),
        *(_process(change, then, now) if then is not None and now is not None else ()),
    )


def _unlike(what: str, old: object, new: object) -> str:
    return f"{what} was {old}, and is {new}"


def _elsewhere(root: Path, workers: Sequence[Process]) -> Iterator[str]:
    """The first process that neither its directory nor its command line puts in the repository."""
    for process in workers:
        words = (process.exe, *process.cmdline, process.cwd)
        named = [Path(word) for word in words if word.startswith("/")]
        if not any(path == root or root in path.parents for path in named):
            runs = f"process {process.pid} runs in {process.cwd}, outside {root}"
            yield f"{runs}: it may be another copy of the code"
            return


def _started_before(
    change: Change, root: Path, target: TargetProcess, workers: Sequence[Process]
) -> Iterator[str]:
    edited = {atom.file for atom in change.atoms if atom.kind in _LOADED}
    times = {file: t for file in edited if (t := _modified(root / file)) is not None}
    if not times:
        return
    newest = max(times, key=lambda file: times[file])
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    latest = times[newest] - boot - _TIME_GRAIN  # start of a process that may have read the edit
    old = next((process for process in workers if process.started < latest), None)
    if old:
        ago = times[newest] - boot - old.started
        late = f"process {old.pid} started {ago:.0f} s before {newest} was edited"
        yield f"{late}: restart the service"
        return
    first = next((process for process in target.processes if process.pid == target.root), None)
    if first and "--preload" in first.cmdline and first.started < latest:
        loaded = f"process {first.pid} loaded the code for its workers before {newest} was edited"
        yield f"{loaded} (--preload): restart the service"


def _built_before(
    change: Change, root: Path, workers: Sequence[Process], is_source: Callable[[str], bool]
) -> Iterator[str]:
    """The first process of which nothing that it runs was built after all of the edit."""
    for process in workers:
        files = built_files(process, change.root, is_source)
        newest = max(files, key=lambda file: file.written, default=None)
        written = {file.path for file in files}
        edited = {
            f for f in _built_from(change, process, change.root) if str(root / f) not in written
        }
        times = {file: t for file in edited if (t := _modified(root / file)) is not None}
        if newest is None or not times or not newest.is_dated or _is_built_at_start(process):
            continue
        last = max(times, key=lambda file: times[file])
        if newest.written < times[last]:
            early = format_duration(times[last] - newest.written)
            yield (
                f"{newest.path}, the newest of what process {process.pid} runs that was built, was"
                f" written {early} before {last} was edited: build it, and restart the service"
            )
            return


def _built_from(change: Change, process: Process, root: str) -> list[str]:
    """The edited files of which a process runs only what was built from them, at `root`."""
    kinds, whole = (Kind.CODE, Kind.DEPENDENCY), is_built(process, root)
    return [
        atom.file
        for atom in change.atoms
        if (atom.kind in kinds and whole) or PurePosixPath(atom.file).suffix in _COMPILED
    ]


def _is_built_at_start(process: Process) -> bool:
    """Whether `go run` started it: that builds anew whatever was edited, and takes what it built
    from the same text before.
    """
    return tuple(Path(word).name for word in cmdline(process.parent)[:2]) == ("go", "run")


def _modified(path: Path) -> Seconds | None:
    """When a file was last written; for one that is gone, when its directory last changed."""
    for candidate in (path, path.parent):
        try:
            return os.lstat(candidate).st_mtime
        except OSError:
            continue
    return None


def _other_repository(change: Change, target: TargetProcess) -> Iterator[str]:
    if target.git_root and Path(target.git_root) != Path(change.root):
        yield f"the process belongs to {target.git_root}, and the edit was read from {change.root}"


def _facts(before: Environment, after: Environment) -> list[tuple[str, object, object]]:
    """What of host and tools was recorded on both sides."""
    plain = [
        ("the host", before.host, after.host),
        ("the kernel", before.kernel, after.kernel),
        ("the CPU", before.cpu_model, after.cpu_model),
        ("the number of cores", before.cores, after.cores),
        ("memory", before.memory, after.memory),
        ("the pinning of generator and target", before.pinning, after.pinning),
        ("perfhunt", before.perfhunt, after.perfhunt),
    ]
    tools = [(f"the tool {t}", old, after.tools.get(t)) for t, old in before.tools.items()]
    return [(what, old, new) for what, old, new in (*plain, *tools) if old and new]


def _packages(change: Change, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """Installed distributions that differ unedited, and edited ones that are not installed."""
    if not before or not after:
        return
    old, new = ({normal_name(n): v for n, v in side.items()} for side in (before, after))
    edited = {atom.name: atom for atom in change.atoms if atom.kind == Kind.DEPENDENCY}
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name) and name not in edited:
            yield _unlike(name, old.get(name, "not installed"), new.get(name, "not installed"))
    for name, atom in edited.items():
        if atom.edit != Edit.REMOVED and name in old and old.get(name) == new.get(name):
            yield f"{atom.file} changes {name}, but the process still has {new[name]} installed"


def _variables(change: Change, before: Environment, after: Environment) -> Iterator[str]:
    """Environment variables that differ though no file that launches the process was edited."""
    known = before.env_sha256 and after.env_sha256
    settings = [atom.file for atom in change.atoms if atom.kind == Kind.CONFIG]
    launched = any(part in file for file in settings for part in _LAUNCHES)
    if known and before.env_sha256 != after.env_sha256 and not launched:
        if not of_one_key(before.env_sha256, after.env_sha256):
            yield f"whether its environment variables are the same cannot be told: {TWO_KEYS}"
            return
        which = ", ".join(after.variables_unlike(before)) or "which ones was not recorded"
        unlike = f"the environment variables of the process are not the same ({which})"
        yield f"{unlike}, and the edit names none"


def _other_base(change: Change, before: Environment) -> Iterator[str]:
    """Whether the stored run was of what the edit is against."""
    if change.base and before.git_revision and before.git_revision != change.base:
        stored, base = before.git_revision[:12], change.base[:12]
        yield f"the stored run was of {stored}, and the edit is against {base}"
    if before.git_dirty:
        yield "the stored run was of uncommitted work, so the edit since then is not all there is"


def _process(change: Change, then: TargetProcess, now: TargetProcess) -> Iterator[str]:
    """How the process itself differs: runtime, limits, number of workers, command line."""
    old, new = (f"{t.runtime} {t.runtime_version}".strip() for t in (then, now))
    pairs = (
        ("the runtime", old, new),
        ("the CPU limit", then.cpu_limit or "", now.cpu_limit or ""),
        ("the memory limit", then.memory_limit or "", now.memory_limit or ""),
    )
    yield from (_unlike(what, was, is_now) for what, was, is_now in pairs if was != is_now)
    if any(atom.kind == Kind.CONFIG for atom in change.atoms):
        return
    count, count_now = len(then.workers), len(now.workers)
    if count != count_now:
        yield f"there were {count} worker processes, and there are {count_now}"
    if _command(then) != _command(now):
        # The command lines are not printed: they may hold a secret.
        yield "the command line of the process is not the same"


def _command(target: TargetProcess) -> tuple[str, ...]:
    """The root's command line with its ports and its own directory masked: those may differ.

    Its first word stands for the program itself: `python` and `.venv/bin/python` start the same
    one. Values that may be secret are left out, as they are in a stored run.
    """
    root = next((p for p in target.processes if p.pid == target.root), None)
    if root is None:
        return ()
    ports = {str(listener.port) for listener in target.listeners if listener.port}
    program = root.exe or (root.cmdline[0] if root.cmdline else "")
    return (
        program,
        *(_masked(word, ports, root.cwd) for word in redact.command(root.cmdline, root.exe)[1:]),
    )


def _masked(word: str, ports: Collection[str], cwd: str) -> str:
    for port in sorted(ports, key=len, reverse=True):
        word = word.replace(port, "PORT")
    return word.replace(cwd, ".") if len(cwd) > 1 else word
