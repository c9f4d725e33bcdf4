"""Inputs that once crashed a reader, or held it up: found by `scripts/fuzz`, by reading, or sent by
people.
"""

from __future__ import annotations

import gzip

from tests.property.hostile.programs import program

_CALL = b'"callFrame":{"functionName":"f","url":"","lineNumber":1}'

_PROGRAM = program()
_HEADER = _PROGRAM.index(b"\x01\x1b\x03\x3b")
_STEPS = _PROGRAM.index(b"\x41\x0e\x10")
_SECTIONS = len(_PROGRAM) - 7 * 64
_HUGE = b"\xff" * 8


def _with(at: int, raw: bytes) -> bytes:
    """The program with some bytes written over."""
    return _PROGRAM[:at] + raw + _PROGRAM[at + len(raw) :]


CRASHES: tuple[tuple[str, bytes], ...] = (
    ("pprof.gz", gzip.compress(bytes(200 << 20), 1, mtime=0)),  # 200 MiB of zeros
    ("pprof", b"\x12\x00" * 100_000),  # empty samples
    (
        "cpuprofile",
        b'{"nodes":[{"id":1,'
        + _CALL
        + b',"children":[2]},{"id":2,'
        + _CALL
        + b',"children":[1]}],"samples":[2]}',
    ),
    (
        "cpuprofile",
        b'{"nodes":[{"id":1,"callFrame":{"functionName":"f","url":"","lineNumber":1e999}}],"samples":[1]}',
    ),
    ("cpuprofile", b"[" * 100_000),
    ("py-spy folded", b"f (a.py:" + b"9" * 5000 + b") 1\n"),
    ("py-spy folded", b"a" + b" (" * 100_000 + b" 1\n"),
    ("jfr", b"stackTrace = [\n a.B.f() line: " + b"9" * 5000 + b"\n]\n"),
    ("jfr collections", b"jdk.GCPhasePause {\nduration = 1.2.3 s\n}\n"),
    ("jfr collections", b"jdk.GCPhasePause {\nduration = " + b"1" * 200_000 + b"\n}\n"),
    ("java dump", b'"' + b'" ' * 100_000 + b"nid=0x1\n\t- locked" + b" " * 100_000),
    ("perf script", b"a" + b" " * 200_000 + b"b\n"),
    ("hyperfine", b'{"results":[{"command":"a","times":[0.1],"memory_usage_byte":[1e999]}]}'),
    ("owner.json", b'{"pid":1e999,"pid_started":1,"started":"","phase":""}'),
    ("compiled name", b"_Z1f" + b"P" * 4000 + b"i"),  # pointers to pointers
    ("run.json", b"[" * 100_000),
    ("trials.jsonl", b"[" * 100_000 + b"\n{}\n"),
    ("calibration.json", b"[" * 100_000),
    ("perfhunt.toml", b"a" + b".a" * 100_000 + b" = 1"),
    ("perfhunt.toml", b"\n" * 20_000 + b"p99.9 = "),
    ("target's source", b"def f():\n" + b"    x\n" * 20_000),
    ("target's source", b"x = " + b"-" * 100_000 + b"1"),
    ("edit of app.py", b"x = " + b"-" * 100_000 + b"1"),
    ("edit of app.py", b"x = " + b"+".join([b"a"] * 1500)),
    ("edit of Cargo.lock", b'[[package]]\nname = "a"\nversion = ["b 1"]\n'),
    ("cpuprofile", b'{"nodes":[{"id":1,"callFrame":{"\\ud800":"f"}}],"samples":[]}'),
    ("orders", b"\x81" * 1000),
    ("answers", b"\x82\xa4type\xa9LoadError\xa3why\xa1\xa1"),
    ("edit of a.yaml", b"a: &a [*a]\n"),
    ("edit of setup.cfg", b"[options]\na" + b" " * 50_000 + b"b"),
    ("edit of nginx.conf", b"a{\nb 1\n" * 5000),
    ("program", _with(32, _HUGE)),  # where segments are
    ("program", _with(40, _HUGE)),  # where sections are
    ("program", _with(_SECTIONS + 6 * 64 + 24, _HUGE)),  # where the names of sections are
    ("program", _with(_SECTIONS + 3 * 64 + 16, _HUGE)),  # the address of the sorted table
    ("program", _with(_SECTIONS + 3 * 64 + 32, bytes((6, *bytes(7))))),  # its size
    ("program", _with(_HEADER + 16, b"\xff\xff\xff\x7f")),  # where its entry is
    ("program", _with(_STEPS - 40, b"\x1f")),  # how pointers are written
    ("program", _with(_STEPS, b"\x0c" + b"\xff" * 16)),  # a number without an end
    ("java dump", b'"a" nid=0123 x\n   java.lang.Thread.State: RUNNABLE\n'),
)
