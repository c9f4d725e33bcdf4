"""The layout of a live target's interpreter, learnt once per build by running that interpreter."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any

from perfhunt.errors import AttachFailed, Unreadable
from perfhunt.model.document.bounded import json_value
from perfhunt.model.profile import Stack
from perfhunt.model.units import Bytes, Seconds
from perfhunt.profilers.cpython.layouts import inside
from perfhunt.profilers.cpython.layouts.layout import Layout
from perfhunt.profilers.cpython.layouts.learn import layout_of
from perfhunt.profilers.cpython.memory import ProcessMemory
from perfhunt.profilers.cpython.objects import Objects
from perfhunt.profilers.cpython.stacks import Stacks
from perfhunt.profilers.cpython.tasks import Tasks
from perfhunt.target.proc.files import link, read, reader_until
from perfhunt.target.proc.namespaces import Namespace, inner_ids, lives_apart, shares_files
from perfhunt.target.proc.process import status_field
from perfhunt.target.proc.tree import children

_LIMIT: Seconds = 10.0  # a tenth of a second is usual
_LONGEST: Bytes = 1 << 20  # of its one line, which has two kilobytes
_SPECIMEN = Path(__file__).parent / "layouts" / "specimen.txt"
# What the specimen is known to be at: the functions that a thread is parked in, and the coroutines
# that tasks await through.
_PARKED = ("outer", "middle", "inner")
_AWAITING = {("holder", "leaf"), ("leaf",), ("consumer", "source")}
# What an interpreter that is linked to a libpython may need to find it.
_LIBRARIES = "LD_LIBRARY_PATH"
# What keeps a container's program from everything outside it.
_ENTERED = (Namespace.IPC, Namespace.NETWORK, Namespace.PIDS, Namespace.MOUNTS)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The program of a process, on the files that it runs on: two that are equal are one build.
    `file` says which it is (device, inode, modified), `ids` whose it is; `apart`: it runs in a
    container, of which `place` names mounts and root. `pid` is one that runs it.
    """

    program: str
    file: tuple[int, int, int]
    ids: tuple[int, int]  # uid and gid
    libraries: str
    place: tuple[str, str]
    apart: bool
    pid: int = field(compare=False)

    @staticmethod
    def of(pid: int) -> Interpreter:
        """That of a process. Raises AttachFailed where it may not be looked at."""
        try:
            program, at = link(pid, "exe"), os.stat(f"/proc/{pid}/exe")
            uid, gid = (int(status_field(pid, name).split()[1]) for name in ("Uid", "Gid"))
        except (OSError, IndexError, ValueError) as error:
            why = f"The interpreter of pid {pid} may not be looked at: {error}"
            raise AttachFailed(why) from error
        apart = not shares_files(pid)
        if not apart and not _is_at(program, at):
            raise AttachFailed(f"{program} is not the program that pid {pid} runs any more")
        return Interpreter(
            program=program,
            file=(at.st_dev, at.st_ino, at.st_mtime_ns),
            ids=(uid, gid),
            libraries=_libraries(pid),
            place=(link(pid, "ns/mnt"), link(pid, "root")),
            apart=apart,
            pid=pid,
        )


def _is_at(program: str, at: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(program), at)
    except OSError:
        return False


def learnt_layout(pid: int) -> Layout:
    """How the interpreter of a process keeps its objects. Raises AttachFailed with the reason.

    Its program is run once, as the owner of the process, in its container, and isolated from site
    packages and user code, with a script that makes a few objects and tells their addresses.
    """
    return _learnt(Interpreter.of(pid))


@cache
def _learnt(interpreter: Interpreter) -> Layout:
    program = interpreter.program
    script = [program, "-I", "-S", "-c", _SPECIMEN.read_text(encoding="utf-8")]
    try:
        specimen = _within(interpreter, script) if interpreter.apart else _here(interpreter, script)
    except (OSError, subprocess.SubprocessError) as error:
        raise AttachFailed(f"{program} could not be run to learn its layout: {error}") from error
    with specimen:
        try:
            assert specimen.stdout is not None
            facts = _told(specimen.stdout, program)
            memory = ProcessMemory(_running(specimen.pid) if interpreter.apart else specimen.pid)
            try:
                return _proved(layout_of(facts, memory), memory)
            finally:
                memory.close()
        except OSError as error:
            raise AttachFailed(f"The memory of {program} may not be read: {error}") from error
        except (LookupError, TypeError, ValueError, struct.error) as error:
            raise AttachFailed(
                f"What {program} tells of its own objects does not fit together: {error!r}"
            ) from error
        finally:
            specimen.kill()


def _here(interpreter: Interpreter, script: Sequence[str]) -> subprocess.Popen[bytes]:
    as_owner: dict[str, Any] = {}
    if os.geteuid() == 0 and interpreter.ids != (0, 0):
        as_owner = dict(zip(("user", "group"), interpreter.ids, strict=True), extra_groups=[])
    libraries = interpreter.libraries
    return _popen(script, env={_LIBRARIES: libraries} if libraries else {}, **as_owner)


def _within(interpreter: Interpreter, script: Sequence[str]) -> subprocess.Popen[bytes]:
    """The script by the container's own program, as the only child of what is returned. Raises
    OSError.
    """
    pid, flags = interpreter.pid, os.O_RDONLY | os.O_CLOEXEC
    kinds = [kind for kind in _ENTERED if lives_apart(pid, kind)]
    if lives_apart(pid, Namespace.USERS):
        # Whoever made a user namespace enters the others from within; root may from outside only.
        kinds.insert(len(kinds) if os.geteuid() == 0 else 0, Namespace.USERS)
    with ExitStack() as held:

        def opened(name: str) -> int:
            descriptor = os.open(f"/proc/{pid}/{name}", flags)
            held.callback(os.close, descriptor)
            return descriptor

        namespaces = [opened(f"ns/{kind}") for kind in kinds]
        root, program = opened("root"), opened("exe")
        ids = inner_ids(pid, interpreter.ids) if os.geteuid() == 0 else (-1, -1)
        told = (",".join(map(str, namespaces)), root, program, *ids, interpreter.libraries)
        launcher = [sys.executable, "-I", "-S", inside.__file__, *map(str, told)]
        return _popen([*launcher, *script], env={}, pass_fds=(*namespaces, root, program))


def _popen(words: Sequence[str], **how: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
        **how,
    )


def _running(launcher: int) -> int:
    """The only child of a process. Raises ProcessLookupError when there is none."""
    below = children(launcher)
    if not below:
        raise ProcessLookupError(errno.ESRCH, "it has ended")
    return below[0]


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


def _told(output: IO[bytes], program: str) -> dict[str, Any]:
    """What the specimen prints, one line. Raises AttachFailed when that is nothing."""
    read_on, line = reader_until(output.fileno(), time.monotonic() + _LIMIT), b""
    try:
        while not line.endswith(b"\n") and len(line) < _LONGEST and (more := read_on(_LONGEST)):
            line += more
        facts = json_value(line, "its line")
    except (OSError, Unreadable):
        facts = None
    if not isinstance(facts, dict):
        raise AttachFailed(
            f"{program} did not run the script that tells its layout: it needs Python 3.11 or"
            " later, with ctypes"
        )
    return facts


def _libraries(pid: int) -> str:
    try:
        pairs = read(f"/proc/{pid}/environ").decode(errors="replace").split("\0")
    except OSError:
        return ""
    names = (pair.partition("=") for pair in pairs)
    return next((value for name, _, value in names if name == _LIBRARIES), "")
