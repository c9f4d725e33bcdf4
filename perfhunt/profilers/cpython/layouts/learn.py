"""The layout of a build of CPython, learnt from a process of it that tells where its objects are.

An offset is the one at which every object of a kind holds the address (or number) that it is known
to hold; several objects of each kind make a coincidence impossible.
"""

from __future__ import annotations

from perfhunt.errors import AttachFailed
from perfhunt.profilers.cpython.layouts.frames import FrameSearch
from perfhunt.profilers.cpython.layouts.interpreters import InterpreterSearch
from perfhunt.profilers.cpython.layouts.layout import Layout
from perfhunt.profilers.cpython.layouts.locks import LockSearch
from perfhunt.profilers.cpython.layouts.search import Facts
from perfhunt.profilers.cpython.layouts.tasks import TaskSearch
from perfhunt.profilers.cpython.layouts.values import ValueSearch
from perfhunt.target.proc.memory import ProcessMemory


def layout_of(facts: Facts, memory: ProcessMemory) -> Layout:
    """The layout of the interpreter that printed `facts`. Raises AttachFailed where something is
    not found.
    """
    frames, values = FrameSearch(facts, memory), ValueSearch(facts, memory)
    runtime, types = facts["runtime"], facts["types"]
    image, base = image_of(memory.pid, runtime)
    _, instructions, copies = frames.instruction()
    thread, interpreters = frames.thread(), InterpreterSearch(facts, memory)
    return Layout(
        version=tuple(facts["version"]),
        image=image,
        runtime=runtime - base,
        types={name: address - runtime for name, address in types.items()},
        object_type=values.object_type,
        parked=LockSearch(facts, memory).parked(),
        text=values.text(),
        interpreters=interpreters.interpreters(thread.head),
        collecting=interpreters.collecting(),
        thread=thread,
        frame=frames.frame(),
        code=values.code(instructions, copies),
        dict=values.dict(),
        task=TaskSearch(facts, memory).task(frames.frame_in_coroutine, frames.main_state),
    )


def image_of(pid: int, address: int) -> tuple[str, int]:
    """(file, where it begins) of the image that holds an address, its zeroed data included. Raises
    AttachFailed.
    """
    file, begins = "", 0
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as maps:
        for line in maps:
            field = line.split(maxsplit=5)
            low, high = (int(part, 16) for part in field[0].split("-"))
            path = field[5].rstrip("\n") if len(field) > 5 else ""
            if path.startswith("/") and path != file:
                file, begins = path, low
            if low <= address < high:
                return file, begins
    raise AttachFailed(f"Nothing is mapped at {address:#x} of pid {pid}")
