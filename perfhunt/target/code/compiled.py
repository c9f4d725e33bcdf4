"""The files that a build wrote and a process runs: when they were written, and what they hold."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from perfhunt.model.run import Process, TargetProcess
from perfhunt.model.units import Bytes, Seconds
from perfhunt.target.code.class_path import compiled_classes
from perfhunt.target.proc.files import FileBytes, text
from perfhunt.target.proc.namespaces import seen_from_here

GO, JVM, NODE, DOTNET = "go", "jvm", "node", "dotnet"
_ASSEMBLIES = (".dll", ".exe")  # of .NET: mapped as data
INSTALLED = "node_modules"
_MOST_FILES = 20_000  # looked at below one directory
# Builds that are to be the same wherever they are made date their files at the beginning of the
# epoch, or of MS-DOS (1 January 1980): no time that anything was written at.
_UNDATED: Seconds = 315_705_600.0
# What one process runs of its own is some hundred MB at most; more is not read.
_MOST: Bytes = 1 << 30


@dataclass(frozen=True, slots=True)
class BuiltFile:
    """A file that code runs from: as the process names it, where it is for us, and when it was
    written, in seconds since the epoch.
    """

    path: str
    place: str
    written: Seconds

    @property
    def is_dated(self) -> bool:
        """Whether that is when it was made, and not a date that all files of a build have."""
        return self.written > _UNDATED


def is_built(process: Process, root: str) -> bool:
    """Whether all that a process runs of the sources below `root` was built from them; of others
    only what is written in a language that no interpreter reads.
    """
    return process.runtime in (GO, JVM, NODE, DOTNET) or _is_program(process, root)


def built_files(
    process: Process, root: str, is_source: Callable[[str], bool] = lambda _: True
) -> tuple[BuiltFile, ...]:
    """What a process runs that may have been built from the sources below `root`; nothing where it
    runs them as they are, or where what it runs is not known. `is_source` says of a path below
    `root` whether git keeps anything of it.

    Of a program that was built there, all that is mapped as code, for any library may be installed
    from there; of a program that an interpreter runs what it has loaded from below the root.
    """
    return tuple(filter(None, (_file(*each) for each in _named(process, root, is_source))))


def _named(
    process: Process, root: str, is_source: Callable[[str], bool]
) -> Iterator[tuple[str, Path]]:
    """The path of each as the process names it, and as we do."""
    if process.runtime == JVM:
        inside, top = f"/proc/{process.pid}/root", seen_from_here(process.pid, root)
        for place in compiled_classes(process):
            if top in place.parents:
                yield f"/{place.relative_to(inside)}", place
    elif process.runtime == NODE:
        for path in _bundle(process, root, is_source):
            yield path, seen_from_here(process.pid, path)
    else:
        yield from _machine_code(process, root)


def _machine_code(process: Process, root: str) -> Iterator[tuple[str, Path]]:
    own = process.runtime == GO or _is_program(process, root)
    if own:
        yield process.exe, Path(f"/proc/{process.pid}/exe")
    for path in dict.fromkeys(_mapped(process.pid)):
        if path != process.exe and (own or Path(root) in Path(path).parents):
            yield path, seen_from_here(process.pid, path)


def _is_program(process: Process, root: str) -> bool:
    """Whether the program itself was built below `root`, and is no interpreter of what lies there:
    one that holds a Python holds what it runs as well.
    """
    name = Path(process.exe).name
    frozen = process.runtime == "cpython" and "python" not in name
    return (process.runtime in (GO, "native") or frozen) and Path(root) in Path(process.exe).parents


def _mapped(pid: int) -> Iterator[str]:
    """The files that a process has mapped as code."""
    for line in text(f"/proc/{pid}/maps").splitlines():
        field = line.split(maxsplit=5)
        of_file = len(field) == 6 and field[5].startswith("/")
        if of_file and ("x" in field[1] or field[5].endswith(_ASSEMBLIES)):
            yield field[5]


def node_script(process: Process) -> Path:
    """What a Node was told to run, as it names it; its directory where nothing."""
    words = (word for word in process.cmdline[1:] if not word.startswith("-"))
    return Path(os.path.normpath(os.path.join(process.cwd, next(words, ""))))


def _bundle(process: Process, root: str, is_source: Callable[[str], bool]) -> Iterator[str]:
    """The files of the directory that a build wrote the script of a Node into: the outermost that
    git keeps nothing of. None where that is a source, or one of a package.
    """
    script = node_script(process)
    if Path(root) not in script.parents or INSTALLED in script.parts:
        return
    above = [each for each in (script, *script.parents) if Path(root) in each.parents]
    written = [each for each in above if not is_source(str(each.relative_to(root)))]
    if written == [script]:
        yield str(script)
    elif written:
        yield from (str(path) for path in islice(_below(process, written[-1]), _MOST_FILES))


def _below(process: Process, directory: Path) -> Iterator[Path]:
    top = seen_from_here(process.pid, directory)
    for folder, folders, files in os.walk(top):
        folders[:] = [each for each in folders if each != INSTALLED]
        yield from (directory / os.path.relpath(os.path.join(folder, file), top) for file in files)


def _file(path: str, place: Path) -> BuiltFile | None:
    try:
        found = os.stat(place)
    except OSError:
        return None
    return BuiltFile(path, str(place), found.st_mtime) if stat.S_ISREG(found.st_mode) else None


def code_sha256(target: TargetProcess, root: str = "") -> str:
    """A hash of all that the workers of a target run and a build wrote, from the sources below
    `root`, which is the target's repository unless given; "" where they run their sources, where it
    cannot be read, or is more than is read.
    """
    root = root or target.git_root
    workers = [process for process in target.processes if process.pid in target.workers and root]
    files = {file.path: file for process in workers for file in built_files(process, root)}
    return _hashed(file.place for file in files.values())


def _hashed(places: Iterable[str]) -> str:
    """Of what files hold, wherever they lie; "" for none."""
    digests, left = [], _MOST
    for place in places:
        whole = hashlib.sha256()
        try:
            with FileBytes(place) as content:
                for piece in content.pieces():
                    whole.update(piece)
                    left -= len(piece)
                    if left < 0:
                        return ""
        except OSError:
            return ""
        digests.append(whole.hexdigest())
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest() if digests else ""
