"""Calls that a compiler inlined: told from debug information, where a program has it."""

from __future__ import annotations

from contextlib import closing

from perfhunt.analysis.blame.frames import Code, Origin
from perfhunt.model.profile import Frame, FrameKind, Stack
from perfhunt.model.profiles.readers.perf_script import CallsAt
from perfhunt.profilers.native.image import CodeFile, CodeFiles
from perfhunt.target.binary.crates import linked_crates
from perfhunt.target.binary.inlined import NEEDED, available
from perfhunt.target.proc.files import link

_PROBED = 200  # functions of a program, of which up to _ASKED of its own are asked for
_ASKED = 12  # at 0.1 to 1.5 ms each
_HOW = (
    'build with -g (Rust: debug = "line-tables-only" below [profile.release] in Cargo.toml;'
    " it stays as fast)"
)


def calls_in(files: CodeFiles) -> CallsAt:
    """What says which calls a place in a file is in, for files with debug information."""

    def calls_at(file: str, offset: int) -> Stack | None:
        module = files.of(file)
        if module is None or module.calls is None:
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
    """Whether a program's own functions have lines: a language's library often has them where what
    was linked with it has none.
    """
    code, asked = Code(libraries=linked_crates(program)), 0
    for address, _ in file.tables.sampled(_PROBED):
        function = file.elf.function_at(address)
        name = function.name if function is not None else ""
        if asked < _ASKED and name and code.origin(_frame(name, program)) is Origin.APP:
            asked += 1
            if any(frame.line is not None for frame in file.stack(address, program)):
                return True
    return False


def _frame(name: str, program: str) -> Frame:
    return Frame(name, program, kind=FrameKind.NATIVE)
