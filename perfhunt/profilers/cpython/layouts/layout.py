"""Where the parts of CPython's objects lie in memory, as bytes from where each object begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from perfhunt.model.units import Bytes

Offset = int  # bytes


@dataclass(frozen=True, slots=True)
class TextKind:
    """How one kind of string is told, by the masked word of its state, and how it is written."""

    state: int
    data: Offset
    encoding: str
    width: Bytes


@dataclass(frozen=True, slots=True)
class TextLayout:
    """PyUnicodeObject, its compact forms (PEP 393)."""

    length: Offset
    state: Offset
    mask: int
    kinds: tuple[TextKind, ...]


@dataclass(frozen=True, slots=True)
class ThreadLayout:
    """PyThreadState. `frame` leads to the frame that runs: one step, or two in versions that keep
    it on the C stack. `chunk` is the block of the data stack in use, `top` where it is free.
    """

    head: Offset  # from the runtime
    next: Offset
    native: Offset
    frame: tuple[Offset, ...]
    chunk: Offset
    top: Offset


@dataclass(frozen=True, slots=True)
class InterpreterLayout:
    """PyInterpreterState: `head` leads from the runtime to the newest, `next` from one to the one
    made before it, `threads` from one to the newest of its threads.
    """

    head: Offset
    next: Offset
    threads: Offset


@dataclass(frozen=True, slots=True)
class FrameLayout:
    """_PyInterpreterFrame. The top of its value stack is a count of words from `values`, or an
    address; what a suspended coroutine awaits is the value `awaited` words below it (1; from 3.15
    on 2). `of_object` is where a frame object has it.
    """

    code: Offset
    previous: Offset
    instruction: Offset
    values: Offset
    top: Offset
    top_is_address: bool
    awaited: int
    of_object: Offset


@dataclass(frozen=True, slots=True)
class CodeLayout:
    """PyCodeObject: the qualified name, the file, and what tells the line of an instruction.
    `copies` leads to the array of copies of its instructions, one for each thread that ran it (3.14
    and later, without a GIL): their number, then where each begins; None where there are none.
    """

    name: Offset
    file: Offset
    first_line: Offset
    table: Offset
    instructions: Offset
    copies: Offset | None
    bytes_length: Offset  # of the bytes object that the table is
    bytes_data: Offset


@dataclass(frozen=True, slots=True)
class DictLayout:
    """PyDictObject and its keys, those of a dictionary whose keys are all strings. `values` leads
    to the values of one that shares its keys with others, and to the first of them; empty where the
    attributes that matter are in none such.
    """

    keys: Offset
    index_bytes: Offset  # in the keys: the power of two that the index takes
    count: Offset
    header: Bytes
    values: tuple[Offset, ...]


@dataclass(frozen=True, slots=True)
class TimerLayout:
    """When a sleep is over: `variable` is the place of its handle among the local variables of
    `asyncio.sleep`, `when` leads from the handle to a number of seconds of the monotonic clock,
    kept at `value` within that.
    """

    variable: int
    when: Offset
    value: Offset


@dataclass(frozen=True, slots=True)
class TaskLayout:
    """What leads from the module `asyncio.tasks` to every task, and from a task to what it awaits.

    `data` are the steps from a WeakSet to its set. From 3.14 on tasks are in lists, one for every
    thread: `link` is where a task has its link to the next, `head` where the state of a thread has
    its first; (0, 0) in versions before.
    """

    modules: Offset  # from the runtime
    module_dict: Offset
    weakset: str
    data: tuple[Offset, ...]
    link: Offset
    head: Offset
    set_mask: Offset
    set_table: Offset
    weakref_object: Offset
    coroutine: Offset
    waiter: Offset
    state: Offset  # a 32-bit number, 0 while pending
    coroutine_frame: Offset
    send_generator: Offset
    wrapper_coroutine: Offset
    callback: Offset  # the first that is called when a future is done
    function_name: Offset
    # Where a future that gathers has its dictionary, or, where it has none, its list.
    instance_dict: Offset
    gathered: Offset
    list_items: Offset
    task_type: str
    gathering_type: str
    type_name: Offset
    type_base: Offset
    timer: TimerLayout | None  # None where asyncio's own sleep is not as known


@dataclass(frozen=True, slots=True)
class Layout:
    """One build of CPython. `runtime` is from where `image` is mapped; `types` are addresses from
    the runtime. `object_type` is where every object has its type, the last of what all begin with.
    `parked` leads from the address that a thread sleeps on to that of the lock it waits for; None
    where all who wait for a lock sleep on one address. `interpreters` is None where there is but
    one. `collecting` is where, from the runtime, the main interpreter has a 32-bit number that is
    not 0 while it collects garbage; None where that is not told.
    """

    version: tuple[int, int, int]
    image: str
    runtime: Offset
    types: Mapping[str, Offset]
    object_type: Offset
    parked: Offset | None
    text: TextLayout
    interpreters: InterpreterLayout | None
    collecting: Offset | None
    thread: ThreadLayout
    frame: FrameLayout
    code: CodeLayout
    dict: DictLayout
    task: TaskLayout
