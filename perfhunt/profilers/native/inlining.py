"""Calls that a compiler inlined: told from debug information, where a program has it."""

from __future__ import annotations

import re
from contextlib import closing

from perfhunt.model.profile import Stack
from perfhunt.model.profiles.readers.perf_script import CallsAt
from perfhunt.profilers.native.image import CodeFile, CodeFiles
from perfhunt.target.binary.inlined import NEEDED, available
from perfhunt.target.proc.files import link

# A function that every program has of its own, C++'s by that name and Rust's by `shop::main`.
_MAIN = re.compile(r"^(?:\w+::)?main$")
_MOST = 100  # symbols with that word in them; a generic function may have it as its argument
_HOW = (
    "build with -g (Rust: debug = 1 below [profile.release] in Cargo.toml; line-tables-only leaves"
    " async functions without a name); it stays as fast"
)


def calls_in(files: CodeFiles) -> CallsAt:
    """What says which calls a place in a file is in, for files that are none of the system's."""

    def calls_at(file: str, offset: int) -> Stack | None:
        module = files.of(file)
        if module is None:
            return None
        is_rust = module.instances is not None and module.instances.is_rust
        if module.calls is None and module.linked_in is None and not is_rust:
            return None
        own = module.elf.address_of(offset)
        return (module.stack(own, file) or None) if own is not None else None

    return calls_at


def inlining(pid: int) -> str:
    """What becomes of inlined calls of a process's program, as a clause with what to do."""
    program = link(pid, "exe")
    with closing(CodeFiles(pid)) as files:
        file = files.of(program)
        if file is not None and file.calls is not None:
            if not available():
                return f"inlined calls count for their callers: install {NEEDED}"
            if _is_described(file, program):
                return "inlined calls by its debug information"
    return f"inlined calls count for their callers, since it has no debug information: {_HOW}"


def _is_described(file: CodeFile, program: str) -> bool:
    """Whether a program's own code has lines: a language's library often has them where what was
    linked with it has none.
    """
    mains = [f for f in file.elf.containing("main", _MOST) if _MAIN.match(f.name)]
    return any(frame.line for main in mains for frame in file.stack(main.begin, program))
