"""The layout of a live target's interpreter, learnt once per build by running that interpreter."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path, PurePath
from typing import IO, Any

from perfhunt.errors import AttachFailed, Unreadable
from perfhunt.model.document.bounded import json_value
from perfhunt.model.profile import Stack
from perfhunt.model.units import Bytes, Seconds
from perfhunt.profilers.cpython.layouts.contained import Container, only_child
from perfhunt.profilers.cpython.layouts.layout import Layout
from perfhunt.profilers.cpython.layouts.learn import layout_of
from perfhunt.profilers.cpython.objects import Objects
from perfhunt.profilers.cpython.stacks import Stacks
from perfhunt.profilers.cpython.tasks import Tasks
from perfhunt.target.proc.files import link, read, reader_until
from perfhunt.target.proc.memory import ProcessMemory
from perfhunt.target.proc.namespaces import seen_from_here
from perfhunt.target.proc.process import status_field
from perfhunt.target.runtime import PythonImage, is_interpreter, python_image

_LIMIT: Seconds = 10.0  # a tenth of a second is usual
_LONGEST: Bytes = 1 << 20  # of its one line, which has two kilobytes
_SPECIMEN = resources.files(__package__) / "layouts" / "specimen.txt"
# What the specimen is known to be at: the functions that a thread is parked in, and the coroutines
# that tasks await through.
_PARKED = ("outer", "middle", "inner")
_AWAITING = {("holder", "leaf"), ("leaf",), ("consumer", "source")}
# What an interpreter that is linked to a libpython may need to find it.
_LIBRARIES = "LD_LIBRARY_PATH"
_learnt: dict[tuple[object, ...], Layout] = {}


@dataclass(frozen=True, slots=True)
class _Interpreter:
    """What is run to learn a layout: a program by its name, and the file that is executed, which
    may be another's: of a program that is no longer at its path, the kernel still has the file.
    `image` is where the target has its Python; `copied`: it is to be had from the target alone.
    In a container, `program` and `file` are paths there.
    """

    program: str
    file: str
    image: PythonImage
    owner: tuple[int, int]  # uid and gid
    libraries: str
    copied: bool
    container: Container | None


def learnt_layout(pid: int) -> Layout:
    """How the interpreter of a process keeps its objects. Raises AttachFailed with the reason.

    Its program is run once, as the owner of the process, in its container where it has one, and
    isolated from site packages and user code, with a script that makes a few objects and tells
    their addresses. A program that is not Python's own is never run: it would be the service, once
    more.
    """
    interpreter = _interpreter_of(pid)
    image = interpreter.image
    place = interpreter.container
    known = (image.path, image.node, *interpreter.owner, interpreter.libraries, place)
    if known not in _learnt:
        _learnt[known] = _learn(pid, interpreter)
    return _learnt[known]


def _interpreter_of(pid: int) -> _Interpreter:
    """The interpreter to run. Raises AttachFailed where there is none that has the very file of the
    process's Python.
    """
    image, exe = python_image(pid), f"/proc/{pid}/exe"
    program = link(pid, "exe").removesuffix(" (deleted)")
    try:
        container, mapped = Container.of(pid), os.stat(exe)
        uid, gid = (int(status_field(pid, field).split()[1]) for field in ("Uid", "Gid"))
    except (OSError, IndexError, ValueError) as error:
        raise AttachFailed(f"The interpreter of pid {pid} may not be looked at: {error}") from error
    if image is None:
        raise AttachFailed(f"Pid {pid} has no Python mapped that may be looked at")
    file = program
    if not is_interpreter(program):
        beside = _beside(image, pid)
        if beside is None:
            raise AttachFailed(
                f"{program} is no Python interpreter that could be asked how it keeps its objects"
                " (one that has a Python inside would start the service once more)"
            )
        program = file = beside
    elif container is not None:
        file = exe
    elif not _is_file(program, mapped):
        if os.path.exists(program) and not link(pid, "exe").endswith(" (deleted)"):
            raise AttachFailed(f"{program} is not the program that pid {pid} runs any more")
        file = exe
    return _Interpreter(
        program=program,
        file=file,
        image=image,
        owner=(uid, gid),
        libraries=_libraries(pid),
        copied=image.replaced and not image.program,
        container=container,
    )


def _beside(image: PythonImage, pid: int) -> str | None:
    """The interpreter of the same installation as a libpython: PREFIX/bin/python3.12 of
    PREFIX/lib/libpython3.12.so.1.0.
    """
    name = PurePath(image.file).name.removeprefix("lib").partition(".so")[0]
    program = PurePath(image.file).parent.parent / "bin" / name
    there = not image.program and os.access(seen_from_here(pid, program), os.X_OK)
    return str(program) if there else None


def _is_file(path: str, other: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), other)
    except OSError:
        return False


def _learn(pid: int, interpreter: _Interpreter) -> Layout:
    environment = {_LIBRARIES: interpreter.libraries} if interpreter.libraries else {}
    if not interpreter.copied:
        return _learnt_from(interpreter, environment)
    if interpreter.container is not None:
        raise AttachFailed(
            f"{interpreter.image.file} was replaced since pid {pid} began, in its container",
            "Start the service again.",
        )
    with tempfile.TemporaryDirectory(prefix="perfhunt-layout-") as scratch:
        environment["LD_PRELOAD"] = _copied(pid, interpreter.image, Path(scratch))
        return _learnt_from(interpreter, environment)


def _copied(pid: int, image: PythonImage, scratch: Path) -> str:
    """A copy of a library that is no longer at its path, for the loader to take in its place.
    Raises AttachFailed where only root could have it.
    """
    copy = scratch / PurePath(image.file).name
    try:
        shutil.copyfile(f"/proc/{pid}/map_files/{image.place}", copy)
        scratch.chmod(0o755)
        copy.chmod(0o755)
    except OSError as error:
        raise AttachFailed(
            f"{image.file} was replaced since pid {pid} began, and the file that it still runs may"
            f" not be read: {error}",
            "Start the service again, or run perfhunt as root.",
        ) from error
    return str(copy)


def _learnt_from(interpreter: _Interpreter, environment: Mapping[str, str]) -> Layout:
    program, owner = interpreter.program, interpreter.owner
    as_owner: dict[str, Any] = {}
    if os.geteuid() == 0 and owner != (0, 0):
        as_owner = {"user": owner[0], "group": owner[1], "extra_groups": []}
    words = [program, "-I", "-S", "-c", _SPECIMEN.read_text(encoding="utf-8")]
    try:
        if (container := interpreter.container) is not None:
            specimen = container.start(words, interpreter.file, owner, interpreter.libraries)
        else:
            specimen = subprocess.Popen(
                words,
                executable=interpreter.file,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                cwd="/",
                start_new_session=True,
                **as_owner,
            )
    except (OSError, subprocess.SubprocessError) as error:
        raise AttachFailed(f"{program} could not be run to learn its layout: {error}") from error
    with specimen:
        try:
            assert specimen.stdout is not None
            facts = _told(specimen.stdout, program, container is not None)
            pid = specimen.pid if container is None else only_child(specimen.pid)
            memory = ProcessMemory(pid)
            try:
                layout = _proved(layout_of(facts, memory), memory)
            finally:
                memory.close()
            own = python_image(pid)
            if own is None or not (interpreter.copied or own.node == interpreter.image.node):
                raise AttachFailed(
                    f"{program} runs another Python than the process, which has that of"
                    f" {interpreter.image.path}"
                )
            return replace(layout, image=interpreter.image.path)
        except OSError as error:
            raise AttachFailed(f"The memory of {program} may not be read: {error}") from error
        except (LookupError, TypeError, ValueError, struct.error) as error:
            raise AttachFailed(
                f"What {program} tells of its own objects does not fit together: {error!r}"
            ) from error
        finally:
            specimen.kill()


def _proved(layout: Layout, memory: ProcessMemory) -> Layout:
    """The layout, if the specimen looks through it as it is known to be. Raises AttachFailed when
    it does not: then no other process of the build would.
    """
    objects = Objects(memory, layout)
    stacks = Stacks(objects)
    tasks = Tasks(objects)
    for _ in range(2):  # The second look rests on what the first told.
        threads = stacks.threads()
        seen = {_functions(found.stack)[-3:] for found in stacks.stacks(threads)}
        chains = tasks.read((), [thread.state for thread in threads])
        awaits = {_functions(found.stack) for found in chains}
    if _PARKED not in seen or not awaits >= _AWAITING:
        raise AttachFailed(
            "What was learnt of the memory of this build of Python does not explain its own"
            f" specimen: threads in {sorted(seen)}, tasks in {sorted(awaits)}"
        )
    return layout


def _functions(stack: Stack) -> tuple[str, ...]:
    return tuple(frame.function for frame in stack)


def _told(output: IO[bytes], program: str, contained: bool) -> dict[str, Any]:
    """What the specimen prints, one line. Raises AttachFailed when that is nothing."""
    read_on, line = reader_until(output.fileno(), time.monotonic() + _LIMIT), b""
    try:
        while not line.endswith(b"\n") and len(line) < _LONGEST and (more := read_on(_LONGEST)):
            line += more
        facts = json_value(line, "its line")
    except (OSError, Unreadable):
        facts = None
    if not isinstance(facts, dict):
        enter = ", and the right to enter its container (root)" if contained else ""
        raise AttachFailed(
            f"{program} did not run the script that tells its layout: it needs Python 3.11 or"
            f" later, with ctypes{enter}"
        )
    return facts


def _libraries(pid: int) -> str:
    try:
        pairs = read(f"/proc/{pid}/environ").decode(errors="replace").split("\0")
    except OSError:
        return ""
    names = (pair.partition("=") for pair in pairs)
    return next((value for name, _, value in names if name == _LIBRARIES), "")
