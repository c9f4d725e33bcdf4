"""The layout of a live target's interpreter, learnt once per build by running that interpreter."""

from __future__ import annotations

import os
import struct
import subprocess
import time
from functools import cache
from importlib import resources
from typing import IO, Any

from perfhunt.errors import AttachFailed, Unreadable
from perfhunt.model.document.bounded import json_value
from perfhunt.model.profile import Stack
from perfhunt.model.units import Bytes, Seconds
from perfhunt.profilers.cpython.contained import Container, only_child
from perfhunt.profilers.cpython.layouts.layout import Layout
from perfhunt.profilers.cpython.layouts.learn import layout_of
from perfhunt.profilers.cpython.memory import ProcessMemory
from perfhunt.profilers.cpython.objects import Objects
from perfhunt.profilers.cpython.stacks import Stacks
from perfhunt.profilers.cpython.tasks import Tasks
from perfhunt.target.proc.files import link, read, reader_until
from perfhunt.target.proc.process import status_field

_LIMIT: Seconds = 10.0  # a tenth of a second is usual
_LONGEST: Bytes = 1 << 20  # of its one line, which has two kilobytes
_SPECIMEN = resources.files(__package__) / "layouts" / "specimen.txt"
# What the specimen is known to be at: the functions that a thread is parked in, and the coroutines
# that tasks await through.
_PARKED = ("outer", "middle", "inner")
_AWAITING = {("holder", "leaf"), ("leaf",), ("consumer", "source")}
# What an interpreter that is linked to a libpython may need to find it.
_LIBRARIES = "LD_LIBRARY_PATH"


def learnt_layout(pid: int) -> Layout:
    """How the interpreter of a process keeps its objects. Raises AttachFailed with the reason.

    Its program is run once, as the owner of the process, in its container where it has one, and
    isolated from site packages and user code, with a script that makes a few objects and tells
    their addresses.
    """
    program = link(pid, "exe")
    try:
        container, mapped = Container.of(pid), os.stat(f"/proc/{pid}/exe")
        found = mapped if container is not None else os.stat(program)
        uid, gid = (int(status_field(pid, field).split()[1]) for field in ("Uid", "Gid"))
    except (OSError, IndexError, ValueError) as error:
        raise AttachFailed(f"The interpreter of pid {pid} may not be looked at: {error}") from error
    if not os.path.samestat(found, mapped):
        raise AttachFailed(f"{program} is not the program that pid {pid} runs any more")
    return _learnt(program, found.st_mtime_ns, (uid, gid), _libraries(pid), container)


@cache
def _learnt(
    program: str,
    modified: int,
    owner: tuple[int, int],
    libraries: str,
    container: Container | None,
) -> Layout:  # `modified`: ns; a program that was replaced is another one.
    del modified
    as_owner: dict[str, Any] = {}
    if os.geteuid() == 0 and owner != (0, 0):
        as_owner = {"user": owner[0], "group": owner[1], "extra_groups": []}
    words = [program, "-I", "-S", "-c", _SPECIMEN.read_text(encoding="utf-8")]
    try:
        specimen = (
            container.start(words, owner, libraries)
            if container
            else subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={_LIBRARIES: libraries} if libraries else {},
                cwd="/",
                start_new_session=True,
                **as_owner,
            )
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise AttachFailed(f"{program} could not be run to learn its layout: {error}") from error
    with specimen:
        try:
            assert specimen.stdout is not None
            facts = _told(specimen.stdout, program)
            memory = ProcessMemory(only_child(specimen.pid) if container else specimen.pid)
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
